/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_PROBE_H
#define EL_SWAP_PROBE_H

/*
 * The probe: forward passes on a worker that no client reaches yet.
 *
 * A probe runs every signature that can be run, once with a batch of 1 and, where
 * the batch is open, once with 3; where more is open it tries guesses until
 * one is accepted. It only collects answers; what they mean is said by
 * probe_judge.h (good or bad) and engine_choice.h (which engine).
 *
 * Swap thread; asynchronous: done comes once, later. One pass that takes longer
 * than timeout_ms ends the probe: with kill, its worker too.
 */

#include "swap/probe_inputs.h"
#include "swap/state.h"

/* One forward pass and what came of it. */
struct el_pass {
    uint32_t signature; /* index in the worker's signatures */
    int64_t batch;
    struct el_probe_variant variant; /* the one that was accepted, or the last one tried */
    bool given;                      /* the variant is the other probe's: nothing else is tried */
    struct el_status *status;        /* NULL: answered */
    struct el_tensor *outputs;       /* one per output of the signature; data owned */
    uint32_t output_count;
    uint64_t took_ns;
};

struct el_probe;

typedef void el_probe_done(struct el_probe *probe, void *argument);

struct el_probe_options {
    struct el_model *model;
    struct el_worker *worker; /* outlives the probe; NULL: the servable's, which may come and go */
    struct el_servable *servable;
    const struct el_signatures *signatures; /* of the worker; outlive the probe */
    uint32_t timeout_ms;
    bool kill;                   /* a worker that does not answer in time is killed */
    bool nothing;                /* no pass at all: nobody asks for one */
    bool first_only;             /* one pass is enough: after a respawn */
    const struct el_probe *like; /* not NULL: ask what that probe asked; both are only read by el_probe_start() */
    const struct el_signatures *like_signatures;
    el_probe_done *done;
    void *argument;
};

struct el_status *el_probe_start(const struct el_probe_options *options, struct el_probe **probe) EL_MUST_USE;

const struct el_pass *el_probe_passes(const struct el_probe *probe, uint32_t *count);

/* NULL: every pass was tried. Otherwise the probe could not go on: its worker died, or did not answer in time. */
const struct el_status *el_probe_broken(const struct el_probe *probe);

/* Before or after done; done does not come any more. */
void el_probe_free(struct el_probe *probe);

/* Called by el_manager_run(): ends passes that are late. */
void el_probe_tick(struct el_probe *probe, uint64_t now_ns);

/* True for a signature that a probe runs: it has outputs, and is not __saved_model_init_op. */
bool el_probe_runs(const struct el_signature *signature);

/* True for a code by which a model says that what it was asked with does not fit; another guess may. */
bool el_probe_refuses(const struct el_signature *signature, enum el_code code);

/* ---- one call, for probes and latency measurements ---- */

struct el_pass_call;
typedef void el_pass_done(void *argument, const struct el_status *status, const struct el_tensor *outputs,
                          uint32_t output_count, bool worker_died, uint64_t took_ns);

/* Runs a signature with inputs (copied), all outputs. done comes later, on this thread, unless abandoned. */
struct el_status *el_pass_start(struct el_swap *swap, struct el_worker *worker, uint32_t index,
                                const struct el_signature *signature, const struct el_probe_inputs *inputs,
                                uint64_t deadline_ns, el_pass_done *done, void *argument,
                                struct el_pass_call **call) EL_MUST_USE;
void el_pass_abandon(struct el_pass_call *call);

#endif
