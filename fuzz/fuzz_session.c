/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A SessionRunRequest. What is read has names that end, as many as are counted, and feeds whose tensors are refused or
 * decode into exactly the bytes that were promised; each comes back out as a NamedTensorProto that can be read.
 */
#include "api/grpc_session.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BYTES (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_back(const struct el_buf *answer)
{
    struct el_session_run message = { 0 };
    struct el_wire wire = el_wire_of(answer->data, answer->size), named;
    uint32_t field;
    enum el_wire_type type;
    if (answer->failed || !el_wire_tag(&wire, &field, &type) || field != 1 || !el_wire_bytes(&wire, &named) ||
        !el_wire_done(&wire))
        abort();
    /* As the feed of a request it is the same message. */
    struct el_buf request = { 0 };
    el_wire_put_bytes(&request, 2, named.at, (size_t)(named.end - named.at));
    struct el_status *status = el_session_run_parse(request.data, request.size, &message);
    if (status != NULL || message.feed_count != 1)
        abort();
    el_session_run_free(&message);
    el_buf_free(&request);
}

static void decode(struct el_session_feed *feed)
{
    struct el_status *status = el_tensor_proto_head(&feed->tensor, feed->name, strlen(feed->name), MAX_BYTES);
    if (status != NULL) {
        el_status_free(status);
        return;
    }
    void *room = aligned_alloc(64, (feed->tensor.size + 64) / 64 * 64);
    if (room == NULL)
        abort();
    el_tensor_proto_decode(&feed->tensor, room);
    const struct el_tensor tensor = { feed->tensor.dtype, feed->tensor.shape, room, feed->tensor.size };
    status = el_tensor_check(&tensor);
    if (status != NULL)
        abort();
    struct el_buf answer = { 0 };
    el_session_put_tensor(&answer, feed->name, &tensor);
    read_back(&answer);
    el_buf_free(&answer);
    free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct el_session_run message = { 0 };
    struct el_status *status = el_session_run_parse(data, size, &message);
    for (uint32_t i = 0; status == NULL && i < message.feed_count; i++)
        decode(&message.feeds[i]);
    el_status_free(status);
    el_session_run_free(&message);
    return 0;
}
