/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_TEST_PROBE_SUPPORT_H
#define EL_TEST_PROBE_SUPPORT_H

/* Signatures and answers such as digits has, for the tests of what answers mean. Names of the infos are the caller's. */
#include "swap/probe_judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(list) ((uint32_t)(sizeof(list) / sizeof(list)[0]))

/* Of rank 2; -1: open. */
struct el_tensor_info probe_info(char *name, enum el_dtype dtype, int64_t rows, int64_t columns);

/* "serving_default" with one input, and one output or NULL. */
struct el_signature probe_signature(struct el_tensor_info *input, struct el_tensor_info *output);

struct answer {
    struct el_tensor_info input, output;
    struct el_signature signature;
    struct el_signatures signatures;
    float numbers[10];
    struct el_tensor tensor;
    struct el_pass pass;
    struct el_judged judged;
};

/* A float answer of [1,10], all 0.5. */
void probe_good_answer(struct answer *answer);

#endif
