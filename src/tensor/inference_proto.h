/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_TENSOR_INFERENCE_PROTO_H
#define EL_TENSOR_INFERENCE_PROTO_H

/*
 * The requests of Classify, Regress and MultiInference (classification.proto, regression.proto, inference.proto), for the gRPC
 * surface and for logged requests. Pure; any thread. The bytes are untrusted, and what is read are views into them.
 */

#include "tensor/examples.h"
#include "tensor/predict_proto.h"

/* One task of a MultiInferenceRequest (model_spec=1 method_name=2). */
struct el_inference_task {
    struct el_model_spec spec;
    struct el_span method_name;
};

/*
 * Reads a ClassificationRequest or a RegressionRequest (model_spec=1 input=2) where spec is given, which it is merged into; where it
 * is NULL a MultiInferenceRequest (tasks=1 input=2), of which a struct el_inference_task each is appended to tasks. False: malformed,
 * or memory is short, which examples or tasks then say.
 */
bool el_inference_request_read(struct el_wire wire, struct el_model_spec *spec, struct el_buf *tasks,
                               struct el_examples *examples) EL_MUST_USE;

#endif
