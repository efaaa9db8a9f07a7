/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_INFER_RULES_H
#define EL_BUNDLE_INFER_RULES_H

/*
 * What Predict, Classify and Regress ask of a signature, and Classify and Regress of what it answers: TensorFlow Serving's
 * rules and texts, for requests (src/api) and for records of warm-up alike.
 *
 * Pure; any thread.
 */

#include "bundle/signature.h"
#include "tensor/predict_proto.h"

enum el_infer_method { EL_CLASSIFY, EL_REGRESS };

/* "tensorflow/serving/classify", "tensorflow/serving/regress" */
const char *el_infer_method_name(enum el_infer_method method);

/*
 * INVALID_ARGUMENT if the signature cannot be asked so. outputs: those to fetch, ascending; room for two. check_method:
 * --enable_signature_method_name_check.
 */
struct el_status *el_infer_check(enum el_infer_method method, const struct el_signature *signature, bool check_method,
                                 uint32_t outputs[2], uint32_t *output_count) EL_MUST_USE;

/* Outputs that were checked. */
struct el_infer_result {
    enum el_infer_method method;
    const struct el_tensor *classes; /* CLASSIFY: [count, columns] strings; NULL: "" each */
    const struct el_tensor
        *scores;  /* CLASSIFY: [count, columns] floats; NULL: 0 each. REGRESS: [count] or [count, 1] */
    size_t count; /* examples */
    size_t columns;
};

/* Makes *result of a signature's outputs: of tensors[i] the index is indexes[i], as el_infer_check() chose them. */
struct el_status *el_infer_result_of(enum el_infer_method method, size_t example_count,
                                     const struct el_signature *signature, const uint32_t *indexes,
                                     const struct el_tensor *tensors, uint32_t count,
                                     struct el_infer_result *result) EL_MUST_USE;

/* A signature as the codecs of src/tensor see it; a view. */
struct el_predict_signature el_predict_names(const struct el_signature *signature);

/* The default of an input that a request left out: a head that el_tensor_proto_decode() takes. INTERNAL if it is no tensor. */
struct el_status *el_predict_default(const struct el_signature *signature, uint32_t input, size_t max_bytes,
                                     struct el_tensor_proto *tensor) EL_MUST_USE;

/* Appends what protobuf's DebugString() prints of the SignatureDef (signature_debug.c). */
void el_signature_debug(struct el_buf *buf, const struct el_signature *signature);

#endif
