/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_TENSOR_NAMES_H
#define EL_TENSOR_NAMES_H

/*
 * A column of an array of structs: its `char *name` members, seen as a sorted
 * list of names. This lets the parsers here match a request against a signature
 * (bundle/signature.h) without knowing what a signature is:
 *
 *     struct el_names inputs = EL_NAMES(signature->inputs, signature->input_count, name);
 *
 * A view: the array must outlive it. Pure; any thread.
 */

#include "tensor/tensor.h"
#include "tensor/wire.h"

#include <stddef.h>
#include <stdint.h>

struct el_names {
    const void *first; /* the first char pointer; NULL when count is 0 is fine */
    size_t stride;     /* bytes from one pointer to the next */
    uint32_t count;
};

#define EL_NAMES(array, number, member) \
    ((struct el_names){ (number) == 0 ? NULL : (const void *)&(array)->member, sizeof *(array), (number) })

const char *el_names_at(const struct el_names *names, uint32_t i);

/* Position of name in a sorted list, or -1. */
int64_t el_names_find(const struct el_names *names, const char *name, size_t name_size);

/* Appends "a,b,c". */
void el_names_join(const struct el_names *names, struct el_buf *buf);

/* One output on its way into an answer. */
struct el_named_tensor {
    const char *name;
    const struct el_tensor *tensor; /* checked with el_tensor_check() */
};

#endif
