/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_SWAP_H
#define EL_SWAP_SWAP_H

/*
 * The room's door: the swapper. It watches model directories, loads versions in
 * workers, probes them, leads requests to them, and keeps the old version
 * whenever the new one is not good.
 *
 * Threads. el_swap_* runs on the swap thread (the owner of uv_loop). el_request_* runs on an event
 * loop's thread, which was made known with el_swap_attach_loop(). el_view_* may be called on any thread.
 *
 * One atomic publication of an immutable view (routes and states of all models,
 * RCU) is the switch. A request keeps the version that it started with.
 */

#include "base/histogram.h"
#include "base/log.h"
#include "base/status.h"
#include "config/batching.h"
#include "config/config.h"
#include "journal/journal.h"
#include "swap/life.h"
#include "worker/worker.h"

#include <stdatomic.h>
#include <stdint.h>
#include <uv.h>

struct el_swap;

struct el_swap_options {
    uv_loop_t *uv_loop;
    const struct el_log *log;
    struct el_workers *workers;     /* outlives the swap */
    const struct el_config *config; /* copied */
    int64_t poll_wait_ms; /* TensorFlow Serving's file_system_poll_wait_seconds: > 0 period, 0 once, < 0 never */
    uint32_t max_concurrent_loads;   /* 0: 1 */
    uint32_t max_starting_loads;     /* the same until the swapper has settled for the first time; 0: no other number */
    uint32_t max_load_retries;       /* after a load that failed for a reason that may pass by itself; see retry.h */
    uint64_t load_retry_interval_ms; /* the longest pause before one */
    int64_t
        memory_budget_bytes; /* for all workers; 0: only what the machine and the control group have; < 0: not looked at */
    uint32_t drain_grace_ms;    /* 0: 30,000: how long a version that drains may take before its worker is killed */
    uint32_t completions_index; /* number of the completion queue that the swapper makes for its own calls (probes) */
    uint32_t incomplete_ms;     /* 0: 3,000: silence after which a directory that is not whole is quarantined as such */
    bool no_warmup;             /* warm-up records are not run */
    uint32_t warmup_iterations; /* of each record; 0: 1 */
    uint32_t warmup_threads;    /* runs of records at the same time; 0: 1 */
    /* TensorFlow Serving's --enable_batching: how requests are put into batches; NULL: they are not. Outlives the swap. */
    const struct el_batching_params *batching;
    bool per_model_batching; /* of it only the threads count; the rest is what each version brings along */
    struct el_journal
        *journal; /* what is remembered; outlives the swap. NULL: one of its own, for as long as it lives */
    const char
        *copies_directory;     /* for local copies of last good versions (local_copy.h); copied. NULL: none are kept */
    uint64_t copies_max_bytes; /* of all of them */
    bool no_inotify;           /* only the timer sees changes, as on a network mount */
};

/* On the swap thread. workers were made with room for the event loops' completion queues and one more. */
struct el_status *el_swap_new(const struct el_swap_options *options, struct el_swap **swap) EL_MUST_USE;

/* Starts to watch and load. Returns at once. */
void el_swap_start(struct el_swap *swap);

/* Other parameters for batching (there were some), for the requests from now on. They outlive the swap. */
void el_swap_set_batching(struct el_swap *swap, const struct el_batching_params *params);

/* Puts another config in force, for all models at once. On error nothing changes. */
struct el_status *el_swap_reconfigure(struct el_swap *swap, const struct el_config *config) EL_MUST_USE;

/* True once each configured model either answers or has no candidate left to try. settled comes once, when that is first so. */
bool el_swap_settled(struct el_swap *swap);
void el_swap_on_settled(struct el_swap *swap, void (*settled)(void *argument), void *argument);

/*
 * Drains and ends every worker; stopped comes when none is left. The event loops have no requests any more and are
 * detached by then.
 */
void el_swap_stop(struct el_swap *swap, void (*stopped)(void *argument), void *argument);

/* After stopped; NULL is allowed. */
void el_swap_free(struct el_swap *swap);

/* ---- views: what every model is doing, at one instant ---- */

#define EL_LOAD_STAGE_LIMITS 37 /* 10 times 1.8 to the power of i, microseconds */
#define EL_LOAD_WARMUP_LIMITS 33

/* Bucket i holds what is below limit i and not below the one before it; with fewer limits the last ones stay empty. */
struct el_load_times {
    _Atomic uint64_t buckets[EL_LOAD_STAGE_LIMITS + 1];
    _Atomic uint64_t sum_us;
};

/* Loads of one version number, in all its lives. Written by the swap thread, read by anybody; relaxed. */
struct el_load_stats {
    _Atomic uint64_t good, failed;      /* loads; verifying the files is the beginning of one */
    _Atomic uint64_t took_us;           /* all of them together */
    struct el_load_times opened;        /* the good ones */
    struct el_load_times warmed;        /* with its warm-up records */
    struct el_load_times warmup_failed; /* the same, where a record failed */
    _Atomic int warmup_code;            /* enum el_code of the last one that failed */
    _Atomic uint64_t
        state_us[EL_LIFE_STATES]; /* how long this life was in a state that it has left; 0: not there yet */
};

/* Counters of one version. Written by event loops, read by anybody; relaxed. */
struct el_version_stats {
    _Atomic uint64_t requests;
    _Atomic uint64_t
        errors; /* answered with a status that is the server's or the model's fault (not INVALID_ARGUMENT, CANCELLED...) */
    _Atomic uint64_t replayed; /* requests answered elsewhere after its worker died, or after it failed under guard */
    _Atomic uint64_t again;    /* of them: it failed under guard, and they do not count among requests */
    _Atomic uint64_t faults;   /* answers that failed by its own fault, again included: what the guard counts */
    _Atomic uint64_t checked, non_finite; /* answers whose outputs were looked into, and held NaN or infinity */
    _Atomic uint64_t confirmed;           /* of non_finite: another version's answer to the same was finite */
    struct {                              /* of requests that a rollout shared out, whoever answered them in the end */
        _Atomic uint64_t answers;         /* this version was asked first */
        _Atomic uint64_t faults, non_finite; /* of them: what it is to blame for, as in faults and non_finite */
    } rollout;
    _Atomic uint64_t worker_deaths;
    _Atomic uint64_t restarts;   /* workers that took the place of one that died */
    struct el_histogram latency; /* begin to done, successes */
    struct el_histogram queued;  /* of it: until a runner of the worker took it */
    struct el_histogram late;    /* begin to deadline, of those that had no answer by then */
    struct el_load_stats loads;
};

struct el_version_view {
    int64_t version;
    enum el_life_state state;
    enum el_code code;  /* EL_OK, or why it is quarantined / ended */
    const char *reason; /* "" or the text of the failure */
    const char
        *error;   /* the same for GetModelStatus: in TensorFlow Serving's words where there are some; "" with EL_OK */
    bool refused; /* TensorFlow Serving would serve it: requests for it are answered with code and error */
    int64_t since_us;   /* calendar time of the last change of state */
    const char *engine; /* "openvino"; "" before it is known */
    const char *
        engine_reason; /* with engine auto: "openvino agrees with tensorflow within 0.001 (largest difference 3e-08)" */
    const char *probe; /* what its probe found: figures and warnings; "" before */
    const char *isolation;                  /* "process", "none" */
    pid_t pid;                              /* 0: no process, or none yet when this was published */
    double load_ms;                         /* 0 before */
    double switch_ms;                       /* complete on disk to first able to answer; 0 before */
    int64_t guard_until_us;                 /* calendar time; 0: it is not under guard (any more) */
    const struct el_signatures *signatures; /* NULL before loaded */
    struct el_version_stats *stats;
    struct el_worker *worker;     /* for el_worker_memory() and el_worker_pid() only; NULL: none */
    struct el_servable *servable; /* the swapper's own: what requests are led to */
};

/* What of a model's requests is logged, and where. */
struct el_log_settings {
    const char *prefix; /* of the files' names; NULL: nothing is */
    double sampling_rate;
    uint64_t file_bytes, total_bytes;
};

/* Why a version that served was taken back. */
enum el_rollback_reason {
    EL_ROLLBACK_CRASHES,
    EL_ROLLBACK_HANGS,
    EL_ROLLBACK_ERRORS,
    EL_ROLLBACK_NON_FINITE,
    EL_ROLLBACK_LATENCY,
    EL_ROLLBACK_MEMORY,
    EL_ROLLBACK_DRIFT,
    EL_ROLLBACK_REASONS
};

/* "non_finite", for metrics. Never NULL. */
const char *el_rollback_name(enum el_rollback_reason reason);

/* What a rollout (config/rollout_config.h) came to. */
enum el_rollout_end {
    EL_ROLLOUT_PROMOTED,   /* its version answers everybody */
    EL_ROLLOUT_TAKEN_BACK, /* it was measured to be worse */
    EL_ROLLOUT_ABORTED,    /* by hand, or because another version is wanted */
    EL_ROLLOUT_ENDS
};

enum el_rollout_wait { EL_ROLLOUT_MEASURES, EL_ROLLOUT_PAUSED, EL_ROLLOUT_WAITS_FOR_WORD };

/* A rollout that is under way. */
struct el_rollout_view {
    int64_t version, old; /* the new version, and the one that it is compared with; -1: there is no rollout */
    uint32_t mode;        /* enum el_rollout_mode */
    uint32_t step, steps; /* from 1 */
    uint32_t percent;     /* of the requests that name no version; in shadow: of those that are copied */
    bool manual;
    enum el_rollout_wait waits;
    const char *text; /* for what it waits, for people; "" while it is measured */
    int64_t began_us, step_us;
    uint32_t step_ms, step_requests;
    uint64_t before[2]; /* stats[]->rollout.answers at the start of the step: of the new one, the old one */
    const struct el_version_stats *stats[2]; /* NULL without a rollout */
    uint32_t share;  /* the swapper's own, as what follows: of 2^32 tickets so many go to the new one */
    uint32_t sticky; /* enum el_rollout_sticky */
    const char *header;
};

/* What came of a model's versions since it is in the config. */
struct el_model_counts {
    uint64_t probes_passed, probes_failed;
    uint64_t switches;                         /* versions that began to serve, each time */
    uint64_t quarantined;                      /* for whatever reason */
    uint64_t rolled_back[EL_ROLLBACK_REASONS]; /* of them: after they served */
    uint64_t rollouts[EL_ROLLOUT_ENDS];        /* that came to such an end */
};

/* The versions that a group's models answer with together, as one of them has it; see group.h. */
struct el_generation_view {
    uint64_t number;
    int64_t version; /* of this model */
};

/* An operator's word that one version and no other is to answer. */
struct el_pin_view {
    int64_t version; /* -1: there is none */
    int64_t since_us;
    const char *by, *reason; /* "" */
};

struct el_model_view {
    const char *name;
    const char *base_path;
    const struct el_version_view *versions; /* highest first */
    size_t version_count;
    int64_t serving; /* the version that requests without one go to; -1: none */
    struct el_pin_view pin;
    struct el_rollout_view rollout;
    const char *source_error; /* why the base path could not be read the last time; "" */
    const struct el_version_label *labels;
    size_t label_count;
    struct el_log_settings logging;
    struct el_model_counts counts;
    const char *group;                            /* of models that change together; "" */
    const struct el_generation_view *generations; /* of it that can be asked for; the one that answers others first */
    size_t generation_count;
    struct el_lobby *lobby; /* the swapper's own: how many requests wait */
    bool hold;              /* the swapper's own: requests wait for the version that is on its way */
    uint64_t hold_ns;       /* the swapper's own: and this long at most */
};

struct el_view {
    const struct el_model_view *const *models; /* in config order */
    size_t model_count;
    const struct el_model_view *const *removed; /* not in the config any more; only for el_view_status() */
    size_t removed_count;
    uint64_t generation; /* grows by one at each publication */
};

/* Pins the current view; wait-free; el_view_put() soon, on the same thread. */
const struct el_view *el_view_get(struct el_swap *swap);
void el_view_put(struct el_swap *swap, const struct el_view *view);
const struct el_model_view *el_view_model(const struct el_view *view, const char *name, size_t name_size);

/*
 * What GetModelStatus tells of a model: every version ever seen (the last ones), those of models that are not in the config any
 * more too. The one with the highest number, or below *version where that is not NULL; NULL: no more.
 */
const struct el_version_view *el_view_status(const struct el_view *view, const char *name, size_t name_size,
                                             const struct el_version_view *version);

/* The recent requests of a version that are kept (probe.replay_records), with their answers. */
struct el_sample;
struct el_swap_samples {
    struct el_servable *servable; /* pinned */
    struct el_sample **list;      /* owned, and each once */
    uint32_t count;
};

/* Takes hold of them. The view is pinned; any thread. What is taken is given back by el_swap_put_samples(), once. */
void el_swap_take_samples(const struct el_version_view *version, struct el_swap_samples *samples);

/* Appends the first ones, at most so many, as TFRecords of PredictionLogs. The view was given back: this takes its time. */
void el_swap_put_samples(struct el_swap *swap, struct el_swap_samples *samples, const char *model, uint32_t most,
                         struct el_buf *out);

/* Requests to models that do not exist or do not answer, for metrics. */
uint64_t el_swap_refused(const struct el_swap *swap);

/* ---- events: what happened and why, the last 4,096 ---- */

struct el_event {
    uint64_t id;     /* from 1, without holes */
    int64_t time_us; /* calendar */
    enum el_log_level level;
    const char *
        event; /* "version_seen", "loading", "probed", "switched", "quarantined", "worker_died", "respawned", "drained", "ended"... */
    const char *model;
    int64_t version;  /* -1: about the model */
    const char *text; /* for people, one line */
};

/* Calls each for every event with an id > after, oldest first, under a lock: it must not call back. Any thread. */
void el_swap_events(struct el_swap *swap, uint64_t after, void (*each)(const struct el_event *event, void *argument),
                    void *argument);

/* Calls each for every swap report (report.h) that is kept of this model, newest first, under a lock; version -1: all. Any thread. */
void el_swap_reports(struct el_swap *swap, const char *model, size_t model_size, int64_t version,
                     void (*each)(const char *document, void *argument), void *argument);

/* notify comes on the swap thread after each new event (for --follow); it may be called from inside other el_swap work, so
 * it only wakes somebody. One watcher; NULL: none. Swap thread. */
void el_swap_on_event(struct el_swap *swap, void (*notify)(void *argument), void *argument);

/* ---- requests: on an event loop's thread ---- */

/* What a request thread needs: registers it with RCU and remembers its completion queue. On the loop's thread, once, before anything else. */
struct el_swap_loop;
struct el_status *el_swap_attach_loop(struct el_swap *swap, struct el_completions *completions, uv_loop_t *uv_loop,
                                      struct el_swap_loop **loop) EL_MUST_USE;
/* On the same thread, with no request left. closed comes when the loop has let go of it. */
void el_swap_detach_loop(struct el_swap_loop *loop, void (*closed)(void *argument), void *argument);

struct el_request;

/*
 * Decodes the inputs: called on the loop's thread when a worker can take the request; at once from el_request_start() or
 * later, while a worker is being started again. signature: of the version chosen. Uses el_call_input(); returns the outputs
 * wanted in outputs (ascending indexes; a memory of signature->output_count entries is given) and their number.
 */
typedef struct el_status *el_request_fill(struct el_request *request, struct el_call *call,
                                          const struct el_signature *signature, uint32_t *outputs,
                                          uint32_t *output_count);

/* The end: status NULL: outputs are in el_call_outputs(request->call). Exactly once; may come from inside el_request_start(). status is borrowed. */
typedef void el_request_done(struct el_request *request, const struct el_status *status);

/* The status of a request whose signature (its effective name) the version does not have, in the words of the call. */
typedef struct el_status *el_request_no_signature(const char *name, size_t name_size);

/* What a protocol knows of a request as its client sent it. On its loop's thread, while it is under way. */
struct el_request_origin {
    const char *(*header)(const void *of, const char *name); /* name in lower case; NULL: there is none */
    const uint8_t *(*body)(const void *of, size_t *size);
};

/* Embedded in what the protocol keeps per request. The first part is filled by the caller and stays until done. */
struct el_request {
    struct el_swap_loop *loop;
    const char *model;
    size_t model_size;
    bool has_version;
    int64_t version;
    const char *label; /* NULL: none */
    size_t label_size;
    uint64_t wanted_generation; /* of its model's group: no other may answer; 0: any */
    const char *signature_name; /* "" or NULL: serving_default */
    size_t signature_name_size;
    const struct el_call_tensors *tensors; /* NULL: a signature is run. Stays the caller's until el_request_end() */
    uint64_t deadline_ns;
    el_request_fill *fill;
    el_request_done *done;
    el_request_no_signature *no_signature;  /* NULL: Predict's over gRPC */
    const struct el_request_origin *origin; /* for rollouts that are sticky; NULL: nothing is known of it */
    const void *origin_of;                  /* what origin's functions are asked about, until done */

    /* Filled by the swapper; valid in fill and done, until el_request_end(). */
    int64_t served_version;
    uint64_t generation; /* of its model's group; 0: none */
    const struct el_signature *signature;
    struct el_call *call;
    bool logged; /* its model has a request log, or had one when it began */

    /* The swapper's own. */
    struct el_servable *servable;    /* pinned; NULL before a version is chosen */
    struct el_servable *replay_from; /* pinned; where replay_call ran */
    struct el_call *replay_call;     /* ended with its worker or failed; holds the inputs until they are copied */
    const struct el_signature *replay_signature; /* asked again: what replay_call ran, */
    const struct el_status *replay_status;       /* and came to; borrowed from it */
    struct el_lobby *lobby;                      /* counted there while waiting */
    struct el_request *next, *previous;
    uint64_t started_ns;
    uint64_t give_up_ns; /* waiting: until then */
    uint32_t *outputs;   /* wanted; few_outputs or allocated */
    uint32_t few_outputs[4];
    uint32_t output_count;
    uint32_t signature_index;
    uint32_t replay_index; /* the same of replay_signature */
    uint64_t replay_generation;
    uint8_t tries;
    uint8_t state;
    uint32_t ticket; /* for a rollout (rollout_route.h); 0: not drawn yet */
    bool shared;     /* a rollout chose the version that it was led to first */
    uint8_t signal;  /* asked again: what was wrong with the first answer (signals.h); otherwise 0 */
};

/*
 * Chooses the version (texts and codes of tfserving.md 3.4 and 4.3), decodes, runs. A worker that dies under the request: it is
 * answered once by the respawned worker or, if it named no version, the last good version, within its deadline. A version under
 * guard that fails: the last good version is asked the same, and where that answers the client never hears of it.
 */
void el_request_start(struct el_request *request);

/* The client does not want it any more: done comes with CANCELLED, or with the answer if that was faster. */
void el_request_cancel(struct el_request *request);

/* After done: gives back call and version. */
void el_request_end(struct el_request *request);

/* Only chooses: pins the version a model spec means, for GetModelMetadata. View must be got by the same thread. */
struct el_status *el_view_resolve(struct el_swap *swap, const struct el_view *view, const struct el_request *spec,
                                  const struct el_version_view **version) EL_MUST_USE;

#endif
