/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_API_LOG_RECORDS_H
#define EL_API_LOG_RECORDS_H

/*
 * What a request and its answer are in the request log: over gRPC the messages as they came and went, over REST the
 * messages that say the same. On the event loop, for a request that ended well and before it is answered; nothing
 * happens unless it is one of those that are logged.
 *
 * The tensors of a REST body are read from the body once more, not from the worker's memory: the request is the client's word.
 */

#include "api/infer.h"
#include "api/request_log.h"
#include "api/rest_npy.h"

/* call: its message, and the reply as it is in the buffer. */
void el_log_grpc(struct el_api_loop *loop, const struct el_request *request, enum el_prediction_kind kind,
                 struct el_grpc_call *call);

/* :predict. npy: what was sent, if that was an array. */
void el_log_rest_predict(struct el_api_loop *loop, const struct el_request *request, struct el_http_request *http,
                         const struct el_rest_npy *npy);

/* :classify and :regress. */
void el_log_rest_infer(struct el_api_loop *loop, const struct el_infer_task *task,
                       const struct el_infer_result *result);

#endif
