/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_API_GRPC_INFER_H
#define EL_API_GRPC_INFER_H

/* What Classify and Regress share with MultiInference: how an el_infer and a gRPC call belong together. */

#include "api/infer.h"
#include "tensor/inference_proto.h"

/* Ties the two together and starts: infer->done, which is set, finds the call in infer->owner unless infer->cancelled. */
void el_grpc_infer_start(struct el_infer *infer, struct el_grpc_call *call, const struct el_model_spec *spec);

/* Answers with status (taken over) and frees infer (NULL allowed), which was not started. */
void el_grpc_infer_refuse(struct el_infer *infer, struct el_grpc_call *call, struct el_status *status);

#endif
