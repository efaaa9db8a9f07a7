/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_API_PREDICT_H
#define EL_API_PREDICT_H

/* What Predict over gRPC and :predict over REST share. */

#include "api/internal.h"
#include "bundle/infer_rules.h"
#include "swap/swap.h"
#include "tensor/predict_proto.h"

#define EL_API_MAX_INPUT_BYTES \
    ((size_t)1 << 31) /* all inputs of one request; the arena's own limit is usually nearer */

/* INTERNAL if method names are checked (--enable_signature_method_name_check) and signature is not of Predict's kind. */
struct el_status *el_api_check_predict_method(const struct el_api_loop *loop,
                                              const struct el_signature *signature) EL_MUST_USE;

/* Gives the call the default of an input that the request left out. */
struct el_status *el_api_put_default(const struct el_signature *signature, uint32_t index,
                                     struct el_call *call) EL_MUST_USE;

/* The outputs of a request that is done, with their names, sorted; of room FEW unless *more, which is to be freed. */
#define EL_API_FEW_OUTPUTS 16
struct el_status *el_api_named_outputs(const struct el_request *request, struct el_named_tensor few[EL_API_FEW_OUTPUTS],
                                       struct el_named_tensor **outputs, uint32_t *count) EL_MUST_USE;

/* Frees what el_api_named_outputs() allocated, if it did. */
void el_api_free_outputs(struct el_named_tensor few[EL_API_FEW_OUTPUTS], struct el_named_tensor *outputs);

#endif
