/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_PROBE_JUDGE_H
#define EL_SWAP_PROBE_JUDGE_H

/*
 * What the passes of a probe say about a version. Pure; any thread.
 *
 * A pass is good when it answered with every output, of the declared dtype and a
 * shape that fits what is declared (and what the serving version declares),
 * finite where it is floating. What the serving version does the same way on the same
 * inputs is not the new one's fault.
 */

#include "swap/probe.h"

struct el_judged {
    const struct el_signatures *signatures;
    const struct el_pass *passes;
    uint32_t pass_count;
    bool partial; /* an engine was forced that need not run all of a model: what it runs of it is wanted */
};

/* True if some pass failed, is not finite or has the same for each row: then the serving version should be asked the same before judging. */
bool el_probe_suspicious(const struct el_judged *judged);

/*
 * NULL: every pass answered, or it is not the version's fault that one did not. warning (may be empty) says what could not be checked. serving: what the serving version declares, and its
 * passes if it was asked; signatures NULL: there is none.
 */
struct el_status *el_probe_judge_runs(const struct el_judged *judged, const struct el_judged *serving,
                                      struct el_buf *warning) EL_MUST_USE;

/* NULL: what was answered has every output, of the declared dtype and shape, and finite. serving as above. */
struct el_status *el_probe_judge_sane(const struct el_judged *judged, const struct el_judged *serving) EL_MUST_USE;

/*
 * NULL: no output that differs between the made-up rows with the serving version is the same for all of them. Known only where
 * the serving version was asked the same.
 */
struct el_status *el_probe_judge_varies(const struct el_judged *judged, const struct el_judged *serving) EL_MUST_USE;

/* The pass of that signature and batch, or NULL. */
const struct el_pass *el_judged_find(const struct el_judged *judged, const char *signature, int64_t batch);

#endif
