/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_API_REST_NPY_H
#define EL_API_REST_NPY_H

/*
 * NumPy's arrays as bodies of :predict, which TensorFlow Serving does not have: a client need not print its floats.
 *
 *     curl --data-binary @x.npy -H 'Content-Type: application/x-npy' localhost:8501/v1/models/M:predict >y.npy
 *
 * A body that begins as a .npy file does is one, whatever its Content-Type. It is the one input of its signature. An
 * answer is one when Accept names application/x-npy, or when the question was one and Accept does not name application/json. What JSON
 * says in the body is said in the query: signature_name, and output where the signature has several.
 *
 * On the event loop of the request; owned by the request's struct.
 */

#include "api/internal.h"

#include "bundle/signature.h"
#include "tensor/names.h"
#include "tensor/npy.h"

#define EL_NPY_CONTENT_TYPE "application/x-npy"

struct el_rest_npy {
    bool question; /* the body is an array */
    bool answer;   /* one is wanted */
    struct el_npy array;
    char *signature_name; /* owned; NULL: not named in the query */
    char *output;         /* owned; NULL: not named */
};

/* Reads headers, query and, if it is an array, the body. INVALID_ARGUMENT. To be freed in any case. */
struct el_status *el_rest_npy_read(struct el_http_request *http, struct el_rest_npy *npy) EL_MUST_USE;
void el_rest_npy_free(struct el_rest_npy *npy);

/* The array as the call's one input. INVALID_ARGUMENT if the signature has other inputs or another dtype. */
struct el_status *el_rest_npy_fill(const struct el_rest_npy *npy, const struct el_signature *signature,
                                   struct el_call *call) EL_MUST_USE;

/* Which output is to be computed for an answer that is an array: the one named, or the only one. INVALID_ARGUMENT. */
struct el_status *el_rest_npy_output(const struct el_rest_npy *npy, const struct el_signature *signature,
                                     uint32_t *output) EL_MUST_USE;

#endif
