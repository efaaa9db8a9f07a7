/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a call is answered. A unary answer is the handler's buffer as it is, with
 * its 5-byte prefix kept beside it; a streamed one is a queue of messages with
 * their prefixes. Either is copied once, into the loop's write buffer, when
 * flow control lets it go. A failure without a message is one HEADERS frame
 * ("trailers only").
 */
#include "rpc/call.h"
#include "rpc/h2.h"
#include "rpc/texts.h"
#include "rpc/zip.h"

#include <stdio.h>
#include <string.h>

#define MIN_ZIPPED_BYTES ((size_t)1024)
#define MAX_QUEUED_BYTES ((size_t)16 * 1024 * 1024) /* of a streamed answer that the client does not read */

/* A header whose texts outlive the session. */
#define FIXED(name_, value_)                                                                                  \
    {                                                                                                         \
        (uint8_t *)(uintptr_t)(name_), (uint8_t *)(uintptr_t)(value_), sizeof(name_) - 1, sizeof(value_) - 1, \
            NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE                                      \
    }

#define ACCEPTED FIXED("grpc-accept-encoding", "identity, deflate, gzip")

static const char status_numbers[EL_CODES][3] = { "0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                                  "9", "10", "11", "12", "13", "14", "15", "16" };

static size_t put_status(struct el_grpc_call *call, nghttp2_nv *headers)
{
    static const char status_name[] = "grpc-status", message_name[] = "grpc-message";
    const char *number = status_numbers[call->code];
    headers[0] = (nghttp2_nv){ (uint8_t *)(uintptr_t)status_name, (uint8_t *)(uintptr_t)number, sizeof(status_name) - 1,
                               strlen(number), NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE };
    if (call->trailer.size == 0)
        return 1;
    headers[1] = (nghttp2_nv){ (uint8_t *)(uintptr_t)message_name, call->trailer.data, sizeof(message_name) - 1,
                               call->trailer.size, NGHTTP2_NV_FLAG_NO_COPY_NAME };
    return 2;
}

void el_grpc_add_metadata(struct el_grpc_call *call, const char *name, const char *value)
{
    call->metadata_name = name;
    snprintf(call->metadata_value, sizeof call->metadata_value, "%s", value);
}

static size_t put_metadata(struct el_grpc_call *call, nghttp2_nv *header)
{
    if (call->metadata_name == NULL)
        return 0;
    *header = (nghttp2_nv){ (uint8_t *)(uintptr_t)call->metadata_name, (uint8_t *)call->metadata_value,
                            strlen(call->metadata_name), strlen(call->metadata_value), NGHTTP2_NV_FLAG_NO_COPY_NAME };
    return 1;
}

/* A frame that cannot even be queued: the stream has no future. */
static void check_submitted(struct el_grpc_call *call, int error)
{
    if (error != 0)
        nghttp2_submit_rst_stream(call->h2->session, NGHTTP2_FLAG_NONE, call->stream_id, NGHTTP2_INTERNAL_ERROR);
    el_conn_dirty(&call->h2->conn);
}

static void submit_headers(struct el_grpc_call *call)
{
    static const nghttp2_nv plain[] = { FIXED(":status", "200"), FIXED("content-type", "application/grpc"), ACCEPTED };
    static const nghttp2_nv gzip[] = { FIXED(":status", "200"), FIXED("content-type", "application/grpc"), ACCEPTED,
                                       FIXED("grpc-encoding", "gzip") };
    static const nghttp2_nv deflate[] = { FIXED(":status", "200"), FIXED("content-type", "application/grpc"), ACCEPTED,
                                          FIXED("grpc-encoding", "deflate") };
    const bool is_plain = call->reply_encoding == EL_ENCODING_IDENTITY;
    const nghttp2_nv *headers = is_plain ? plain : call->reply_encoding == EL_ENCODING_GZIP ? gzip : deflate;
    const size_t fixed = is_plain ? 3 : 4;
    nghttp2_nv with[5];
    if (call->metadata_name != NULL) {
        memcpy(with, headers, fixed * sizeof *headers);
        put_metadata(call, &with[fixed]);
        headers = with;
    }
    nghttp2_data_provider data = { .source.ptr = call, .read_callback = el_call_read };
    call->response_begun = true;
    check_submitted(
        call, nghttp2_submit_response(call->h2->session, call->stream_id, headers, fixed + (headers == with), &data));
}

static void submit_trailers_only(struct el_grpc_call *call)
{
    static const nghttp2_nv accepted = ACCEPTED;
    nghttp2_nv headers[6] = { FIXED(":status", "200"), FIXED("content-type", "application/grpc") };
    size_t count = 2 + put_status(call, headers + 2);
    if (call->encoding == EL_ENCODING_UNKNOWN)
        headers[count++] = accepted;
    count += put_metadata(call, &headers[count]);
    check_submitted(call, nghttp2_submit_response(call->h2->session, call->stream_id, headers, count, NULL));
}

/* The status is known; nothing comes after it. */
static void finish(struct el_grpc_call *call, enum el_code code, const char *message)
{
    el_deadline_remove(&call->loop->deadlines, &call->deadline);
    el_zip_cancel(call->zip);
    call->zip = NULL;
    el_call_uncount(call);
    if (call->state == EL_CALL_WAITING)
        cds_list_del(&call->turn);
    call->state = EL_CALL_ANSWERED;
    call->active_ms = uv_now(&call->loop->open.uv);
    call->finished = true;
    call->code = (uint8_t)(code < EL_CODES ? code : EL_UNKNOWN);
    el_rpc_text_message(&call->trailer, message);
    if (!call->held)
        el_call_forget_message(call);
    if (!call->response_begun) {
        submit_trailers_only(call);
    } else {
        nghttp2_session_resume_data(call->h2->session, call->stream_id);
        el_conn_dirty(&call->h2->conn);
    }
}

void el_call_refuse(struct el_grpc_call *call, enum el_code code, const char *message)
{
    finish(call, code, message);
}

void el_call_refuse_http(struct el_grpc_call *call, const char *status)
{
    nghttp2_nv headers[2] = { FIXED(":status", "000"), FIXED("allow", "POST") };
    headers[0].value = (uint8_t *)(uintptr_t)status;
    call->state = EL_CALL_ANSWERED;
    call->finished = true;
    size_t count = strcmp(status, "405") == 0 ? 2 : 1;
    check_submitted(call, nghttp2_submit_response(call->h2->session, call->stream_id, headers, count, NULL));
}

static void put_prefix(uint8_t prefix[5], bool compressed, size_t size)
{
    prefix[0] = compressed;
    prefix[1] = (uint8_t)(size >> 24);
    prefix[2] = (uint8_t)(size >> 16);
    prefix[3] = (uint8_t)(size >> 8);
    prefix[4] = (uint8_t)size;
}

/* NULL if the reply buffer can be sent. */
static const char *reply_problem(struct el_grpc_call *call)
{
    if (call->reply.failed)
        return "out of memory for the answer";
    if (call->reply.size > call->loop->settings->max_reply_bytes)
        return "the answer is larger than this server sends";
    if (!el_call_charge(call, call->reply.size))
        return "too many bytes of answers are in memory already";
    return NULL;
}

static void enqueue(struct el_grpc_call *call)
{
    uint8_t prefix[5];
    put_prefix(prefix, false, call->reply.size);
    el_buf_append(&call->queue, prefix, sizeof(prefix));
    el_buf_append(&call->queue, call->reply.data, call->reply.size);
    call->queued_bytes += call->reply.size;
    el_buf_clear(&call->reply);
    call->out = &call->queue;
}

struct el_buf *el_grpc_reply_buf(struct el_grpc_call *call)
{
    return &call->reply;
}

/* The unary answer as it is in the buffer. */
static void send_whole(struct el_grpc_call *call)
{
    put_prefix(call->out_head, call->reply_encoding != EL_ENCODING_IDENTITY, call->reply.size);
    call->out_head_size = sizeof(call->out_head);
    call->out = &call->reply;
    call->finished = true;
    submit_headers(call);
}

static enum el_call_encoding wanted_encoding(const struct el_grpc_call *call)
{
    const enum el_grpc_compression always = call->loop->settings->compression;
    if (always == EL_GRPC_AS_ASKED && !call->compressed)
        return EL_ENCODING_IDENTITY;
    const enum el_call_encoding encoding = always == EL_GRPC_GZIP      ? EL_ENCODING_GZIP
                                           : always == EL_GRPC_DEFLATE ? EL_ENCODING_DEFLATE
                                                                       : call->encoding;
    const char *accepted = el_grpc_metadata(call, "grpc-accept-encoding");
    if (call->reply.size < MIN_ZIPPED_BYTES || accepted == NULL ||
        !el_rpc_text_lists(accepted, encoding == EL_ENCODING_GZIP ? "gzip" : "deflate"))
        return EL_ENCODING_IDENTITY;
    return encoding;
}

/* What does not become smaller goes as it is. */
static void zipped(void *argument, enum el_zipped result, struct el_buf *whole)
{
    struct el_grpc_call *call = argument;
    call->zip = NULL;
    if (result == EL_ZIPPED) {
        el_buf_free(&call->reply);
        call->reply = *whole;
    } else {
        call->reply_encoding = EL_ENCODING_IDENTITY;
    }
    call->active_ms = uv_now(&call->loop->open.uv);
    send_whole(call);
}

/* True if the answer is taken care of. */
static bool begin_zip(struct el_grpc_call *call)
{
    static const struct el_zip_owner owner = { .done = zipped };
    call->reply_encoding = wanted_encoding(call);
    if (call->reply_encoding == EL_ENCODING_IDENTITY)
        return false;
    struct el_buf whole;
    enum el_zip_kind kind = call->reply_encoding == EL_ENCODING_GZIP ? EL_ZIP_GZIP : EL_ZIP_ZLIB;
    enum el_zipped result = el_zip_begin(call->loop, kind, call->reply.data, call->reply.size, call->reply.size - 1,
                                         &owner, call, &whole, &call->zip);
    if (result != EL_ZIP_GOES_ON)
        zipped(call, result, &whole);
    return true;
}

void el_grpc_reply(struct el_grpc_call *call)
{
    if (call->state != EL_CALL_RUNNING) {
        el_grpc_call_release(call);
        return;
    }
    if (call->response_begun) {
        el_grpc_send(call);
        finish(call, call->too_slow ? EL_RESOURCE_EXHAUSTED : EL_OK, call->too_slow ? EL_TOO_SLOW : "");
        return;
    }
    const char *problem = reply_problem(call);
    if (problem != NULL) {
        finish(call, EL_RESOURCE_EXHAUSTED, problem);
        return;
    }
    el_deadline_remove(&call->loop->deadlines, &call->deadline);
    el_call_uncount(call);
    call->state = EL_CALL_ANSWERED;
    call->active_ms = uv_now(&call->loop->open.uv);
    if (!begin_zip(call))
        send_whole(call);
    el_call_forget_message(call);
}

/* Not at once: the handler is in the middle of a send. The deadline timer ends the call and tells it. */
static void end_too_slow(struct el_grpc_call *call)
{
    el_deadline_remove(&call->loop->deadlines, &call->deadline);
    call->too_slow = true;
    call->deadline.at_ns = 0;
    if (el_deadline_add(&call->loop->deadlines, &call->deadline))
        el_loop_arm_deadline(call->loop);
    else
        el_conn_close(&call->h2->conn);
}

void el_grpc_send(struct el_grpc_call *call)
{
    if (call->state != EL_CALL_RUNNING || call->too_slow) {
        el_buf_clear(&call->reply);
        return;
    }
    if (call->queue.size - call->out_sent > MAX_QUEUED_BYTES || reply_problem(call) != NULL) {
        el_buf_clear(&call->reply);
        end_too_slow(call);
        return;
    }
    enqueue(call);
    if (call->queue.failed) {
        end_too_slow(call);
        return;
    }
    if (!call->response_begun) {
        submit_headers(call);
    } else {
        nghttp2_session_resume_data(call->h2->session, call->stream_id);
        el_conn_dirty(&call->h2->conn);
    }
}

void el_grpc_fail(struct el_grpc_call *call, const struct el_status *status)
{
    if (call->state != EL_CALL_RUNNING) {
        el_grpc_call_release(call);
        return;
    }
    finish(call, el_status_code(status), el_status_text(status));
}

/* ---- what nghttp2 takes ---- */

static size_t unsent(const struct el_grpc_call *call)
{
    return call->out == NULL ? 0 : call->out_head_size + call->out->size - call->out_sent;
}

ssize_t el_call_read(nghttp2_session *session, int32_t stream_id, uint8_t *to, size_t room, uint32_t *flags,
                     nghttp2_data_source *source, void *user)
{
    struct el_grpc_call *call = source->ptr;
    (void)to; /* NO_COPY: el_call_copy() puts it where it goes out from */
    (void)user;
    size_t left = unsent(call), take = left < room ? left : room;
    if (left == 0 && !call->finished)
        return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (take == left && call->finished && call->http != NULL) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    } else if (take == left && call->finished) {
        nghttp2_nv trailers[2];
        size_t count = put_status(call, trailers);
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (nghttp2_submit_trailer(session, stream_id, trailers, count) != 0)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
    return (ssize_t)take;
}

void el_call_copy(struct el_grpc_call *call, uint8_t *to, size_t size)
{
    call->active_ms = uv_now(&call->loop->open.uv);
    if (call->out_sent < call->out_head_size) {
        size_t take = call->out_head_size - call->out_sent;
        if (take > size)
            take = size;
        memcpy(to, call->out_head + call->out_sent, take);
        call->out_sent += take;
        to += take;
        size -= take;
    }
    if (size == 0)
        return;
    memcpy(to, call->out->data + (call->out_sent - call->out_head_size), size);
    call->out_sent += size;
    if (call->out == &call->queue && call->out_sent == call->queue.size) {
        el_call_uncharge(call, call->queued_bytes);
        call->queued_bytes = 0;
        el_buf_clear(&call->queue);
        call->out_sent = 0;
    }
}
