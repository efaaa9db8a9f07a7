/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CONFIG_PROBE_CONFIG_H
#define EL_CONFIG_PROBE_CONFIG_H

/* `update { probe { ... } }` of a ModelConfig: what a version is checked for before it answers, and what comes of a finding. */

#include "base/buf.h"
#include "config/text.h"

enum el_check {
    EL_CHECK_FITS,    /* its signatures take what clients of the serving version send */
    EL_CHECK_RUNS,    /* each signature answers made-up inputs */
    EL_CHECK_WARMUP,  /* its own warm-up records are answered */
    EL_CHECK_GOLDEN,  /* its golden records are answered as they say */
    EL_CHECK_REPLAY,  /* requests that the serving version answered lately are answered alike */
    EL_CHECK_SANE,    /* finite, of the declared dtypes and shapes */
    EL_CHECK_LATENCY, /* not much slower than the serving version */
    EL_CHECK_MEMORY,  /* not much larger */
    EL_CHECK_QUIET,   /* loading it does not slow other models */
    EL_CHECK_VARIES,  /* it does not answer everything alike */
    EL_CHECKS
};

enum el_check_mode { EL_CHECK_OFF, EL_CHECK_WARN, EL_CHECK_REFUSE };

struct el_probe_config {
    enum el_check_mode modes[EL_CHECKS];
    uint32_t replay_records; /* requests kept of the serving version [64]; 0: none are */
    uint64_t replay_bytes;   /* their memory, at most [16 MiB] */
    double min_agreement;    /* replay: share of rows with the same top-1, 0 to 1 [0.9] */
    double max_drift;        /* replay: mean absolute difference of an output; negative: not checked [-1] */
    double max_spread;       /* replay: Kolmogorov-Smirnov distance of an output's scores; negative: not checked [-1] */
    double
        max_slowest_ratio;   /* latency: the slowest answer against the serving version's; negative: not checked [-1] */
    double max_memory_ratio; /* memory: resident, against the serving version's [2] */
    double max_disturbance_ratio; /* quiet: p99 of other models during the load against before [2] */
};

/* "fits", "runs", ...; the name of the check's field, too. */
const char *el_check_name(enum el_check check);

struct el_probe_config el_probe_defaults(void);

/* Puts what message gives over *probe. file and model are for errors. */
struct el_status *el_probe_config_read(const char *file, const char *model, const struct el_text_message *message,
                                       struct el_probe_config *probe) EL_MUST_USE;

/* The fields that differ from their defaults: ` golden: "warn" replay_records: 0`. Nothing, if none does. */
void el_probe_config_print(const struct el_probe_config *probe, struct el_buf *out);

extern const struct el_text_type el_type_probe;

#endif
