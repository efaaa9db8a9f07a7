/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_SIGNATURE_H
#define EL_BUNDLE_SIGNATURE_H

/*
 * The signatures of a model version: what it can be asked, with which inputs,
 * for which outputs.
 *
 * Made from a saved_model.pb (bundle/saved_model.h) or from the bytes that a
 * worker sent (el_signatures_decode: both are untrusted). Immutable once made,
 * so any thread may read it. One allocation owner: el_signatures_free().
 */

#include "base/buf.h"
#include "base/status.h"
#include "tensor/tensor.h"

#include <stddef.h>
#include <stdint.h>

#define EL_MAX_SIGNATURES 1024        /* per model version */
#define EL_MAX_SIGNATURE_TENSORS 1024 /* inputs, and outputs, per signature: what one request can carry */

struct el_tensor_info {
    char *name;        /* key in the signature */
    char *tensor_name; /* tensor in the graph, "" if none */
    enum el_dtype dtype;
    struct el_shape shape; /* as declared */
    uint8_t *
        default_value; /* of an input that may be left out: a TensorProto that el_tensor_proto_head() takes; NULL: none */
    size_t default_size;
};

struct el_signature {
    char *name;
    char *method_name;
    struct el_tensor_info *inputs;  /* sorted by name, bytewise */
    struct el_tensor_info *outputs; /* sorted by name, bytewise */
    uint32_t input_count;
    uint32_t output_count;
    const char **defaults; /* names of the inputs that have a default, sorted; they belong to inputs */
    uint32_t default_count;
};

struct el_signatures {
    struct el_signature *list; /* sorted by name, bytewise */
    uint32_t count;
};

/* The signature called name, or NULL; *index (may be NULL) is its position. An empty name means "serving_default". */
const struct el_signature *el_signatures_find(const struct el_signatures *signatures, const char *name,
                                              size_t name_size, uint32_t *index);

/* Position of the input or output called name in a sorted list, or -1. */
int el_tensor_info_find(const struct el_tensor_info *list, uint32_t count, const char *name, size_t name_size);

/*
 * As the bytes of a tensorflow.serving.SignatureDefMap (field 1: map<string, SignatureDef>), deterministic: what
 * GetModelMetadata answers, and what a worker sends to the front.
 */
struct el_status *el_signatures_encode(const struct el_signatures *signatures, struct el_buf *buf) EL_MUST_USE;

/* The reverse, from untrusted bytes. *signatures is filled on success only. */
struct el_status *el_signatures_decode(const uint8_t *bytes, size_t size, struct el_signatures *signatures) EL_MUST_USE;

void el_signatures_free(struct el_signatures *signatures);

#endif
