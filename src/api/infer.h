/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_API_INFER_H
#define EL_API_INFER_H

/*
 * Classify, Regress and MultiInference, for gRPC and REST alike: tf.Examples in,
 * classifications and regressions out, by TensorFlow Serving's rules and texts.
 *
 * An el_infer is one or more tasks on one version of one model, each a request of
 * the swapper's, all running at the same time with the same input. It lives on the thread of
 * its event loop, from el_infer_new() to el_infer_free(); the protocol owns it and frees it
 * once `done` came (or at once, if it was never started).
 */

#include "api/internal.h"
#include "tensor/examples.h"

#include "bundle/infer_rules.h"

struct el_infer;

struct el_infer_task {
    struct el_request request; /* first: a request is a task */
    struct el_infer *infer;
    enum el_infer_method method;
    struct el_span signature_name; /* as asked; "" means serving_default */
    struct el_status *status;      /* owned: how it ended, if not well */
};

struct el_infer {
    struct el_api_loop *loop;
    struct el_examples examples;
    struct el_infer_task *tasks; /* owned */
    size_t task_count;
    size_t running;
    bool cancelled;
    void *owner; /* the protocol's */
    /*
     * All tasks have ended; status (borrowed): of the first that failed, or NULL. Exactly once after el_infer_start(),
     * perhaps from inside it. It frees the el_infer.
     */
    void (*done)(struct el_infer *infer, const struct el_status *status);
};

/* With room for so many tasks; NULL without memory. */
struct el_infer *el_infer_new(struct el_api_loop *loop, size_t task_count);
void el_infer_free(struct el_infer *infer);

/* Starts every task. spec names model and version; its texts, and those of the tasks, stay until done. */
void el_infer_start(struct el_infer *infer, const struct el_request *spec);

/* The client is gone: done comes, with CANCELLED or not. */
void el_infer_cancel(struct el_infer *infer);

/* ---- the answer (infer_result.c) ---- */

/* The outputs of a task that ended well, checked. */
struct el_status *el_infer_result(const struct el_infer_task *task, struct el_infer_result *result) EL_MUST_USE;

/* Appends field `field`: a ClassificationResult or RegressionResult. */
void el_infer_put_proto(struct el_buf *buf, uint32_t field, const struct el_infer_result *result);

/* Appends the whole JSON answer. */
void el_infer_put_json(struct el_buf *buf, const struct el_infer_result *result);

/* Appends the ModelSpec of a task that ended well as field `field`. */
void el_infer_put_spec(struct el_buf *buf, uint32_t field, const struct el_infer_task *task);

#endif
