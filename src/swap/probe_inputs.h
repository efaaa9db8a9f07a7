/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_PROBE_INPUTS_H
#define EL_SWAP_PROBE_INPUTS_H

/*
 * Inputs for a forward pass, made up from what a signature declares.
 *
 * Deterministic: the same name, dtype, shape and variant give the same numbers,
 * so that two engines, or two versions, can be asked the same thing. Floats lie in
 * [0, 1), integers in 0..2 or all 0, strings are empty or short. Pure; any thread.
 */

#include "bundle/signature.h"

/* A guess at what a signature leaves open. */
struct el_probe_variant {
    int64_t batch; /* the first dim, where it is unknown */
    int64_t size;  /* every other unknown dim */
    int32_t rank;  /* of inputs whose rank is unknown */
    bool text;     /* strings are short words instead of empty */
    bool zeros;    /* integers are 0: where they are places in something short, 1 and 2 may lie outside */
};

#define EL_PROBE_VARIANTS 32

struct el_probe_inputs {
    struct el_tensor *list; /* one per input of the signature, in its order; data owned */
    uint32_t count;
};

/* What is worth trying for a batch size, best guess first; at least 1. */
uint32_t el_probe_variants(const struct el_signature *signature, int64_t batch,
                           struct el_probe_variant variants[EL_PROBE_VARIANTS]);

/* True if a first dim is left open, so that another batch size is another question. */
bool el_probe_has_batch(const struct el_signature *signature);

/*
 * True if integers among the inputs may say where in another one something lies, as in the parts of a sparse or ragged
 * tensor. TensorFlow's ops refuse what does not fit together with any of three codes.
 */
bool el_probe_may_point(const struct el_signature *signature);

/* True if the inputs are partly a guess: the above, strings, or more left open than the batch. A model may rightly refuse them. */
bool el_probe_is_guess(const struct el_signature *signature);

/* UNIMPLEMENTED for an input that no request can carry; RESOURCE_EXHAUSTED for more than 64 MiB. */
struct el_status *el_probe_inputs_make(const struct el_signature *signature, const struct el_probe_variant *variant,
                                       struct el_probe_inputs *inputs) EL_MUST_USE;
void el_probe_inputs_free(struct el_probe_inputs *inputs);

#endif
