/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_API_REQUEST_LOG_H
#define EL_API_REQUEST_LOG_H

/*
 * The request log: of models with a logging_config a part of the requests that were answered, each with its answer, as a
 * tensorflow.serving.PredictionLog in TFRecord files (log_files.h). Such a file can be a version's warm-up records.
 *
 * An event loop makes the record, in memory, and hands it over without a lock; a thread of the log's own, started with the
 * first record, writes. What waits for it is bounded: a record for which there is no room, or that cannot be written, is lost and
 * counted, and the server's log says so, once a minute at most. A request never waits and never fails for it.
 *
 * A request of a model without a log costs one look at a flag of its own. Which models have one, and at what rate, is
 * in the view, so that a reload changes it with the rest.
 */

#include "api/internal.h"

#include "bundle/prediction_log.h"

#define EL_REQUEST_LOG_QUEUE_BYTES ((size_t)64 << 20) /* of records that wait to be written */

struct el_status *el_request_log_new(const struct el_log *log, struct el_request_log **made) EL_MUST_USE;

/* Writes what waits, as far as that is possible within some seconds. No event loop runs any more. NULL is allowed. */
void el_request_log_free(struct el_request_log *log);

/*
 * On the event loop, once for each request that ended well, before it is answered: whether it is one of those that are
 * logged. If so, a record is to follow, or to be lost.
 */
bool el_request_log_takes(struct el_api_loop *loop, const struct el_request *request);

/* Hands the record over. request, response: messages of the kind; copied. */
void el_request_log_add(struct el_api_loop *loop, const struct el_request *request, enum el_prediction_kind kind,
                        struct el_span question, struct el_span answer);

/* The same where the record could not be made (status is taken over). */
void el_request_log_lose(struct el_api_loop *loop, const struct el_request *request, struct el_status *status);

/* Appends the counter with TensorFlow Serving's name, and Everlit's. Any thread. */
void el_request_log_put_serving(struct el_request_log *log, struct el_buf *out);
void el_request_log_put_metrics(struct el_request_log *log, struct el_buf *out);

#endif
