/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CONFIG_CONFIG_H
#define EL_CONFIG_CONFIG_H

/*
 * The room's door: TensorFlow Serving's ModelServerConfig, read from Protocol
 * Buffers text format, checked, as plain structs.
 *
 * Any thread; nothing is kept. A config is immutable after parsing and ended
 * with el_config_free(). Errors name file, line and column (from 1) and what was
 * expected, in the words of C++ TextFormat and of TensorFlow Serving, with a hint in parentheses after them.
 */

#include "base/status.h"
#include "config/probe_config.h"
#include "config/rollout_config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct el_batching_params; /* batching.h */

enum el_policy_type { EL_POLICY_LATEST, EL_POLICY_ALL, EL_POLICY_SPECIFIC };

struct el_version_policy {
    enum el_policy_type type;
    uint32_t latest;   /* LATEST: how many, at least 1 */
    int64_t *versions; /* SPECIFIC; owned, ascending */
    size_t version_count;
};

struct el_version_label {
    char *label;
    int64_t version;
    /* The swapper's own, of a label that moved from one version to another: while version does not serve, it leads to former. */
    bool moved;
    int64_t former;
};

/*
 * Everlit's own settings of one model: `update { ... }` in ModelConfig (field 1000). After parsing, what the text does not
 * give holds the default in brackets; a zero that is written counts as written.
 */
struct el_update_config {
    char *engine;                /* "auto" (default), "tensorflow", "openvino", ... */
    char *isolation;             /* "process" (default) or "none" */
    char *precision;             /* "f32" (default), "bf16", "f16" */
    char *availability;          /* "availability" (default: new beside old) or "resource" (old out first) */
    uint32_t concurrency;        /* runs at the same time [chosen by the worker] */
    uint32_t load_timeout_ms;    /* [60,000] */
    uint64_t memory_limit_bytes; /* of one worker process [none] */
    uint32_t keep_warm_ms;       /* [10,000] */
    uint32_t probe_timeout_ms;   /* [10,000] one forward pass */
    double max_latency_ratio;    /* probe's p50 against the serving version's own [10]; negative: not checked */
    double tolerance;            /* engine auto: OpenVINO against TensorFlow, absolute + relative [1e-3] */
    uint32_t quiet_ms;           /* no change in the version's files for that long before it is taken [100] */
    uint32_t
        hang_timeout_ms; /* a run that goes on for that long after its deadline: its worker is replaced [10,000; 0: never] */
    uint32_t max_run_ms;              /* what counts as the deadline of a run that has none [120,000; 0: it has none] */
    uint64_t memory_need_bytes;       /* what one version takes [0: found out] */
    uint64_t request_log_file_bytes;  /* size at which a file of the request log is followed by another [64 MiB] */
    uint64_t request_log_total_bytes; /* of all its files together; the oldest go [1 GiB] */
    struct el_probe_config probe;     /* what a version is checked for before it answers */
    uint32_t guard_ms;                /* after a switch the new version is watched for so long [60,000; 0: it is not] */
    uint32_t guard_max_crashes;       /* of its process, then [0] */
    double guard_max_error_rate;      /* see swap/guard_judge.h; negative: not looked at, like those below [0.001] */
    double guard_max_non_finite_rate; /* [0.001] */
    double guard_max_latency_ratio;   /* against the old version's p99 [5] */
    double guard_max_memory_ratio;    /* of its process against itself when it began to answer everybody [3] */
    char *group;                      /* of models that change together; "": none [""] */
    uint32_t
        group_wait_ms; /* for how long a version that is ready waits for new ones of the others to appear [10,000] */
    struct el_rollout_config rollout;    /* how requests come to a new version */
    bool keep_local_copy;                /* with a state dir: of the last good version [true] */
    struct el_batching_params *batching; /* owned; NULL: as the flags of the server say [NULL] */
};

/* logging_config: some of the requests are logged. */
struct el_logging_config {
    char *filename_prefix; /* absolute; NULL: none is */
    double sampling_rate;  /* 0 to 1: the part of the requests */
};

struct el_model_config {
    char *name;
    char *base_path;
    char *platform; /* "tensorflow" */
    struct el_version_policy policy;
    struct el_version_label *labels;
    size_t label_count;
    struct el_logging_config logging;
    struct el_update_config update; /* defaults filled in */
};

struct el_config {
    struct el_model_config *models; /* in the order of the file */
    size_t model_count;
};

/*
 * Parses text (size bytes; need not be terminated); name is the file's name for messages. Then checks all that TensorFlow
 * Serving checks without a loaded model, in its order and with its texts.
 */
struct el_status *el_config_parse(const char *name, const char *text, size_t size,
                                  struct el_config *config) EL_MUST_USE;

/* Reads and parses the file at path. */
struct el_status *el_config_read(const char *path, struct el_config *config) EL_MUST_USE;

/*
 * The same for a config that is to replace `current`, the one in force: a model keeps its platform, and what holds no
 * model_config_list (an empty file) is refused.
 */
struct el_status *el_config_reread(const char *path, const struct el_config *current,
                                   struct el_config *config) EL_MUST_USE;

/*
 * The same from the bytes of a tensorflow.serving.ModelServerConfig: what HandleReloadConfigRequest carries. An empty
 * model_config_list is a config without models.
 */
struct el_status *el_config_decode(const uint8_t *bytes, size_t size, const struct el_config *current,
                                   struct el_config *config) EL_MUST_USE;

/* The config that --model_name and --model_base_path mean. */
struct el_status *el_config_single(const char *model_name, const char *base_path, struct el_config *config) EL_MUST_USE;

/* The config as text format, with every default left out: what `everlit config` shows, and what parses back to the same. */
struct el_status *el_config_print(const struct el_config *config, char **text) EL_MUST_USE;

/* A copy with its own life. */
struct el_status *el_config_copy(const struct el_config *config, struct el_config *copy) EL_MUST_USE;

void el_config_free(struct el_config *config);

#endif
