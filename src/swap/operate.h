/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_OPERATE_H
#define EL_SWAP_OPERATE_H

/*
 * What an operator does by hand: roll back, pin, load, quarantine, and the way back from each.
 *
 * Swap thread. An operation is decided at once and takes effect with the next turn of the loop; where a version has to be loaded
 * first, el_operate_outcome() tells later what came of it. Each is idempotent: asked again, it says that it is so already.
 *
 * A pin comes before the version policy, and is in the journal; so is a quarantine. What is loaded or unloaded beside the policy
 * holds until the server ends (wishes.h). No operation leaves a model without a version that answers: one that would is
 * refused, and a version that has to go answers until another does.
 */

#include "swap/swap.h"

enum el_operation_kind {
    EL_OPERATE_ROLLBACK,   /* to an older version, and stay there: pins it */
    EL_OPERATE_PIN,        /* this version and no other, whatever the policy says */
    EL_OPERATE_UNPIN,      /* the policy decides again */
    EL_OPERATE_LOAD,       /* also this version */
    EL_OPERATE_UNLOAD,     /* not this version */
    EL_OPERATE_QUARANTINE, /* never this content */
    EL_OPERATE_FORGIVE,    /* its content is no worse than any other; it is loaded again if the policy wants it */
    EL_OPERATE_RETRY,      /* a version that failed for a reason that may have passed: now */
    EL_OPERATE_PROMOTE,    /* a rollout that waits goes on to its next step, or with `all` to its end */
    EL_OPERATE_ABORT,      /* the end of a rollout: its version is quarantined */
    EL_OPERATE_KINDS
};

#define EL_OPERATE_NO_VERSION (-1)

struct el_operation {
    /* What is asked; texts are the caller's and outlive the operation. */
    enum el_operation_kind kind;
    const char *model;
    int64_t version; /* EL_OPERATE_NO_VERSION: none is named, for those that need none */
    bool all;        /* promote: to the end of the rollout */
    const char *by, *reason;

    /* What came of it, by el_operate() and el_operate_outcome(). Versions: -1: none. */
    bool changed;   /* false: it was so already */
    bool soon;      /* nothing has to be loaded for it */
    int64_t from;   /* the version that requests went to */
    int64_t to;     /* and the one that they go to, or will; of the others: from, or what the policy chooses */
    char text[512]; /* for people, one line */
};

/* "rollback". Never NULL. */
const char *el_operation_name(enum el_operation_kind kind);

/* True if the kind is about one version that has to be named; of a rollback and of a rollout it may be. */
bool el_operation_needs_version(enum el_operation_kind kind);

/* True if it may be named, by "version". */
bool el_operation_takes_version(enum el_operation_kind kind);

/*
 * NOT_FOUND: no such model, or no such version on disk. FAILED_PRECONDITION: it cannot be, with why and what to type. On an error
 * nothing is changed.
 */
struct el_status *el_operate(struct el_swap *swap, struct el_operation *operation) EL_MUST_USE;

/*
 * True once it is decided, after el_operate() succeeded: text says so, and *status is NULL, or why it came to nothing. False: it is
 * on its way. Asked after each event of the swap.
 */
bool el_operate_outcome(struct el_swap *swap, struct el_operation *operation, struct el_status **status);

#endif
