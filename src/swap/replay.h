/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_REPLAY_H
#define EL_SWAP_REPLAY_H

/*
 * What clients asked the serving version lately (reservoir.h), asked of a new version: how often and how far it answers otherwise.
 *
 * The serving version's answers are those that it gave to the clients, so that it is not disturbed. Swap thread; asynchronous:
 * done comes once, later, unless ended before.
 */

#include "swap/agreement.h"
#include "swap/probe.h"
#include "swap/reservoir.h"
#include "swap/spread.h"

struct el_replay_result {
    uint32_t asked, failed, skipped; /* skipped: the new version takes other inputs */
    struct el_agreement all;
    struct el_agreement worst; /* of the output with the largest mean difference, or with other dtypes or shapes */
    char output[128];          /* its name */
    double spread;             /* the largest distance of an output's scores; 0: none */
    char spread_output[128];   /* whose */
    char constant[128];        /* an output whose scores are always the same, unlike the serving version's; "": none */
    uint64_t constant_rows;    /* of it */
    enum el_code code;         /* of the first that failed */
    char failure[400];         /* of the first that failed */
};

struct el_replay;

struct el_replay_options {
    struct el_model *model;
    struct el_worker *worker;               /* the new one */
    const struct el_signatures *new_, *old; /* outlive the replay */
    struct el_reservoir *reservoir;         /* of the serving version */
    uint32_t timeout_ms;                    /* of one request */
    void (*done)(void *argument);
    void *argument;
};

struct el_status *el_replay_start(const struct el_replay_options *options, struct el_replay **replay) EL_MUST_USE;

/* Called by el_manager_run(). */
void el_replay_tick(struct el_replay *replay, uint64_t now_ns);

const struct el_replay_result *el_replay_result(const struct el_replay *replay);

/* Before or after done. NULL is allowed. */
void el_replay_free(struct el_replay *replay);

/* The inputs of the sample in the order of the new signature, their data borrowed; list has room for all. False: it takes others. */
bool el_replay_lay_inputs(const struct el_sample *sample, const struct el_signature *old,
                          const struct el_signature *new_, struct el_tensor *list);

/* NULL, or what is beyond the limits of `probe`. Pure, as is the next. */
struct el_status *el_replay_judge(const struct el_replay_result *result,
                                  const struct el_probe_config *probe) EL_MUST_USE;

/* NULL, or which output is always the same. */
struct el_status *el_replay_judge_varies(const struct el_replay_result *result) EL_MUST_USE;

/* "64 recent requests answered alike: top-1 equal in 64 of 64 rows, mean difference 1e-08, largest 3e-07"; nothing if none was asked. */
void el_replay_report(const struct el_replay_result *result, struct el_buf *out);

#endif
