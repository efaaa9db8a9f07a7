/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_API_GRPC_SESSION_H
#define EL_API_GRPC_SESSION_H

/*
 * The messages of tensorflow.serving.SessionService (session_message.c). Pure, but for memory that
 * el_session_run_free() gives back; tensors point into the bytes they were parsed from.
 */

#include "api/internal.h"
#include "tensor/predict_proto.h"

struct el_session_feed {
    char *name; /* owned */
    struct el_tensor_proto tensor;
};

/* A SessionRunRequest. */
struct el_session_run {
    struct el_model_spec spec;
    struct el_session_feed *feeds;
    char **fetches;
    char **targets;
    uint32_t feed_count, fetch_count, target_count;
    uint32_t feed_room, fetch_room, target_room;
    int64_t timeout_ms; /* of its RunOptions; 0 or less: none */
    bool by_alias;      /* names are those of a signature */
};

/*
 * Fills *message, which is all zero. INTERNAL without a text if the bytes are none, as gRPC's own parser answers;
 * INVALID_ARGUMENT beyond EL_MAX_SIGNATURE_TENSORS feeds, fetches or targets. To be freed in any case.
 */
struct el_status *el_session_run_parse(const void *bytes, size_t size, struct el_session_run *message) EL_MUST_USE;
void el_session_run_free(struct el_session_run *message);

#define EL_SESSION_RESPONSE_SPEC 3

/* Appends SessionRunResponse.tensor: a NamedTensorProto. */
void el_session_put_tensor(struct el_buf *buf, const char *name, const struct el_tensor *tensor);

#endif
