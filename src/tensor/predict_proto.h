/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_TENSOR_PREDICT_PROTO_H
#define EL_TENSOR_PREDICT_PROTO_H

/*
 * tensorflow.serving.PredictRequest and PredictResponse, read in place and
 * written straight into a buffer; ModelSpec, for the other calls too.
 *
 *     el_predict_request_parse    bytes -> what was asked (INTERNAL, no text, if malformed)
 *     (the caller finds model, version and signature by request.spec)
 *     el_predict_request_match    against the signature, with TensorFlow Serving's texts
 *     el_tensor_proto_decode      for each input, into memory of the caller's choice
 *     el_predict_response_write   outputs -> bytes
 *
 * On the event loops; pure but for memory that el_predict_request_free() gives
 * back. The request points into the bytes it was parsed from.
 */

#include "tensor/names.h"
#include "tensor/tensor_proto.h"

#define EL_PREDICT_MAX_INPUTS 4096 /* different names in one request, and entries of output_filter */

struct el_model_spec {
    bool present; /* the field was there */
    bool has_version;
    bool has_label; /* not both: the one that came last */
    int64_t version;
    struct el_span name;
    struct el_span label;
    struct el_span signature_name; /* "" means serving_default */
};

/* Merges a ModelSpec message into spec, as protobuf merges a field that comes twice. False if malformed. */
bool el_model_spec_merge(struct el_wire bytes, struct el_model_spec *spec) EL_MUST_USE;

/* Appends field `field` holding a ModelSpec. signature_name NULL or "": left out. */
void el_model_spec_write(struct el_buf *buf, uint32_t field, const char *name, int64_t version,
                         const char *signature_name);

struct el_predict_input {
    struct el_span name;
    uint32_t index; /* after match: position among the signature's inputs */
    struct el_tensor_proto tensor;
};

#define EL_PREDICT_FEW 4 /* inputs, filters that need no allocation */

struct el_predict_request {
    struct el_model_spec spec;
    struct el_predict_input *inputs; /* sorted by name; one per name, the last sent */
    uint32_t input_count;
    struct el_span *filter; /* output_filter, as sent */
    uint32_t filter_count;
    /* For predict_proto.c. */
    uint32_t input_room, filter_room;
    struct el_predict_input few_inputs[EL_PREDICT_FEW];
    struct el_span few_filters[EL_PREDICT_FEW];
};

/*
 * Fills *request (any content before). INTERNAL with an empty text if the bytes are no PredictRequest: what TensorFlow Serving
 * answers. INVALID_ARGUMENT beyond EL_PREDICT_MAX_INPUTS. *request must be freed in any case, and must not be moved (it may point into itself).
 */
struct el_status *el_predict_request_parse(const void *bytes, size_t size,
                                           struct el_predict_request *request) EL_MUST_USE;

void el_predict_request_free(struct el_predict_request *request);

/* What of a signature a request is matched against. All sorted by name. */
struct el_predict_signature {
    struct el_names inputs;
    struct el_names input_tensors; /* the tensor names of inputs, for messages; same order */
    struct el_names defaults;      /* inputs that may be left out; count 0 if none */
    struct el_names outputs;
};

/*
 * Checks in TensorFlow Serving's order: number of inputs; each input of the signature is there (or has a default) and decodes
 * (el_tensor_proto_head with max_bytes, for each input); names that the signature does not know; output_filter. Sets index of each input, and
 * outputs[0..*output_count) to the positions of the outputs wanted, ascending (all of them with an empty filter); there is room for
 * signature->outputs.count. Inputs with a default that were left out are simply not among request->inputs.
 */
struct el_status *el_predict_request_match(struct el_predict_request *request,
                                           const struct el_predict_signature *signature, size_t max_bytes,
                                           uint32_t *outputs, uint32_t *output_count) EL_MUST_USE;

/* The first check alone, for any list of names sent: NULL, or "input size does not match signature: ...". */
struct el_status *el_predict_match_count(const struct el_span *sent, uint32_t sent_count,
                                         const struct el_predict_signature *signature) EL_MUST_USE;

/*
 * Appends a PredictResponse: outputs in the order given (sorted by name by the caller), then the model_spec with the version
 * that answered and the effective signature name. Out of memory shows in buf.
 */
void el_predict_response_write(struct el_buf *buf, const struct el_named_tensor *outputs, uint32_t output_count,
                               enum el_tensor_proto_form form, const char *model, int64_t version,
                               const char *signature_name);

#endif
