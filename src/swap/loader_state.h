/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_LOADER_STATE_H
#define EL_SWAP_LOADER_STATE_H

/* What the two halves of a load share: loader.c makes a worker that answers, loader_compare.c holds it against what serves. */

#include "swap/golden.h"
#include "swap/latency.h"
#include "swap/probe_judge.h"
#include "swap/replay.h"
#include "swap/warmup.h"

enum el_load_step {
    EL_LOAD_NOTING,
    EL_LOAD_STARTING,
    EL_LOAD_PROBING,
    EL_LOAD_WARMING,
    EL_LOAD_ASKING,
    EL_LOAD_GOLDEN,
    EL_LOAD_REPLAYING,
    EL_LOAD_MEASURING,
    EL_LOAD_RENEWING
};

/* One engine's try. */
struct el_attempt {
    struct el_load *load;
    struct el_hosted *hosted; /* NULL: not started, or gone */
    const char *engine;       /* a constant, or load->engine */
    bool decided;             /* loaded, or failed */
    struct el_status *failed; /* why it is out */
    struct el_probe *probe;
    bool probed;
    double load_ms;
};

/* The other model that the load has slowed most. */
struct el_disturbance {
    char name[128];
    uint64_t was_ns, is_ns; /* its p99 */
    uint64_t requests;      /* during the load; 0: nothing could be said */
};

struct el_load {
    struct el_version *version;
    struct el_load_note *note; /* NOTING: what the journal will answer; NULL: it has */
    char engine[64];
    struct el_attempt attempts[2]; /* in the order in which they are probed */
    unsigned attempt_count, probing;
    struct el_attempt *chosen;
    enum el_load_step step;
    bool entered;                /* the step has been started */
    struct el_warmup *warmup;    /* WARMING: of the chosen attempt */
    bool warmed;                 /* it is done */
    struct el_servable *serving; /* owned with others; NULL: none serves */
    struct el_probe *serving_probe;
    bool serving_probed;
    struct el_warmup *golden_run; /* GOLDEN */
    bool golden_done;
    struct el_golden golden;
    struct el_replay *replay; /* REPLAYING */
    bool replayed;
    struct el_latency *latency;
    struct el_latency_result measured;
    struct el_status *measure_failed;
    bool measured_done;
    uint64_t resident_bytes, serving_resident_bytes; /* after the measurement; 0: unknown, or nothing serves */
    struct el_quiet_other *others;                   /* what other models had answered when the load began */
    uint32_t other_count;
    struct el_disturbance disturbed;
    struct el_buf warning;
    struct el_attempt fresh; /* RENEWING: what serves in place of the worker that was probed */
};

/* What the attempt's worker offers and answered. It is in, and was probed. */
struct el_judged el_attempt_judged(const struct el_attempt *attempt);

/* How much this check counts; what a finding (taken over, may be NULL) comes to: NULL, or what the version is refused for. */
enum el_check_mode el_load_mode(const struct el_load *load, enum el_check check);
struct el_status *el_load_found(struct el_load *load, enum el_check check, struct el_status *finding) EL_MUST_USE;

/* What the load does to the others (loader_quiet.c): begin, once, at its start; NULL or what was found, at its end. */
void el_quiet_begin(struct el_load *load);
struct el_status *el_quiet_end(struct el_load *load) EL_MUST_USE;
void el_quiet_free(struct el_load *load);

/* NULL, or why so many resident bytes are too many beside the serving version's (0: unknown). Pure. */
struct el_status *el_memory_judge(uint64_t bytes, uint64_t serving_bytes, double ratio) EL_MUST_USE;

/* What came of the probe, for people: the engine, figures, warnings. */
void el_load_report(const struct el_load *load, struct el_buf *out);

/* The step NOTING (loader_note.c): over when load->note is NULL. And its end, with the load. */
void el_load_note(struct el_load *load);
void el_load_unnote(struct el_load *load);

/* Starts a worker for it; on failure attempt->failed says why. */
void el_attempt_start(struct el_load *load, struct el_attempt *attempt, const char *engine);

/*
 * The step WARMING (loader_warm.c): true when the chosen attempt's worker is warm. Where OpenVINO was chosen and cannot run the
 * records, TensorFlow takes its place. load may be gone otherwise.
 */
bool el_load_warm(struct el_load *load, uint64_t now_ns);

/* For a run of the version's own records on the chosen worker (warm-up, golden): once, one after the other; done gets load. */
struct el_warmup_options el_load_records(struct el_load *load, void (*done)(struct el_warmup *warmup, void *argument));

/* The steps GOLDEN and REPLAYING (loader_golden.c, loader_replay.c); they return as those below. */
bool el_load_check_golden(struct el_load *load, uint64_t now_ns);
bool el_load_replay(struct el_load *load, uint64_t now_ns);

/* The steps ASKING, MEASURING and RENEWING; true: the next step can be taken at once. load may be gone otherwise. */
bool el_load_ask(struct el_load *load, uint64_t now_ns);
bool el_load_measure(struct el_load *load, uint64_t now_ns);
bool el_load_renew(struct el_load *load);

#endif
