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
    struct el_buf warning;
    struct el_attempt fresh; /* RENEWING: what serves in place of the worker that was probed */
};

/* What the attempt's worker offers and answered. It is in, and was probed. */
struct el_judged el_attempt_judged(const struct el_attempt *attempt);

/* How much this check counts; what a finding (taken over, may be NULL) comes to: NULL, or what the version is refused for. */
enum el_check_mode el_load_mode(const struct el_load *load, enum el_check check);
struct el_status *el_load_found(struct el_load *load, enum el_check check, struct el_status *finding) EL_MUST_USE;

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

/* The steps GOLDEN and REPLAYING (loader_golden.c, loader_replay.c); they return as those below. */
bool el_load_check_golden(struct el_load *load, uint64_t now_ns);
bool el_load_replay(struct el_load *load, uint64_t now_ns);

/* The steps ASKING, MEASURING and RENEWING; true: the next step can be taken at once. load may be gone otherwise. */
bool el_load_ask(struct el_load *load, uint64_t now_ns);
bool el_load_measure(struct el_load *load, uint64_t now_ns);
bool el_load_renew(struct el_load *load);

#endif
