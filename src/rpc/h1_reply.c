/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/h1.h"
#include "rpc/texts.h"

#include <stdio.h>
#include <string.h>

#define COPIED_BODY ((size_t)16 * 1024)       /* a smaller body goes with its head, and the next request can begin */
#define MAX_UNREAD ((size_t)16 * 1024 * 1024) /* of a streamed answer */

static void put_header(struct el_buf *out, const char *name, const char *value)
{
    el_buf_text(out, name);
    el_buf_append(out, ": ", 2);
    el_buf_text(out, value);
    el_buf_append(out, "\r\n", 2);
}

static void put_number(struct el_buf *out, size_t number)
{
    char digits[24];
    char *at = digits + sizeof(digits);
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    el_buf_append(out, at, (size_t)(digits + sizeof(digits) - at));
}

static void put_head(struct el_h1 *h1, unsigned code, const char *content_type)
{
    struct el_buf *out = &h1->out;
    if (h1->draining)
        h1->keep_alive = false;
    el_buf_append(out, "HTTP/1.1 ", 9);
    put_number(out, code);
    el_buf_byte(out, ' ');
    el_buf_text(out, el_http_reason(code));
    el_buf_append(out, "\r\n", 2);
    if (content_type != NULL)
        put_header(out, "Content-Type", content_type);
    put_header(out, "Date", el_loop_date(h1->conn.loop));
    const char *name, *value;
    for (size_t at = 0; el_rpc_text_next(&h1->request->reply_headers, &at, &name, &value);)
        put_header(out, name, value);
    if (!h1->keep_alive)
        put_header(out, "Connection", "close");
    else if (h1->parser.http_minor == 0)
        put_header(out, "Connection", "keep-alive");
}

static void put_length(struct el_buf *out, size_t size)
{
    el_buf_append(out, "Content-Length: ", 16);
    put_number(out, size);
    el_buf_append(out, "\r\n\r\n", 4);
}

void el_h1_refuse(struct el_h1 *h1, unsigned code, const char *text)
{
    struct el_buf body = { 0 };
    const char *type = el_http_refusal(&body, code, text);
    h1->keep_alive = false;
    el_buf_clear(&h1->request->reply_headers);
    put_head(h1, code, type);
    put_length(&h1->out, body.size);
    el_buf_append(&h1->out, body.data, body.size);
    if (body.failed || h1->out.failed)
        el_conn_close(&h1->conn);
    el_buf_free(&body);
    el_h1_next(h1);
}

static void refuse(struct el_http_request *request, unsigned code, const char *text)
{
    el_h1_refuse(request->carried, code, text);
}

static void ready(struct el_http_request *request)
{
    el_h1_call_handler(request->carried);
}

static void send_reply(struct el_http_request *request)
{
    struct el_h1 *h1 = request->carried;
    const unsigned code = request->code;
    put_head(h1, code, request->type);
    bool bodiless = code == 204 || code == 304;
    if (bodiless)
        el_buf_append(&h1->out, "\r\n", 2);
    else
        put_length(&h1->out, request->reply.size);
    bool with_body = !bodiless && request->method != HTTP_HEAD && request->reply.size > 0;
    if (with_body && request->reply.size > COPIED_BODY) {
        h1->state = EL_H1_REPLYING;
        h1->body_sent = 0;
    } else if (with_body) {
        el_buf_append(&h1->out, request->reply.data, request->reply.size);
    }
    el_conn_dirty(&h1->conn);
    if (h1->out.failed)
        el_conn_close(&h1->conn);
    else if (h1->state != EL_H1_REPLYING)
        el_h1_next(h1);
}

static void reply(struct el_http_request *request)
{
    struct el_h1 *h1 = request->carried;
    if (el_http_zip(request))
        h1->state = EL_H1_ZIPPING;
    else
        send_reply(request);
}

static void stream(struct el_http_request *request)
{
    struct el_h1 *h1 = request->carried;
    h1->chunked = h1->parser.http_minor > 0 && request->method != HTTP_HEAD;
    if (!h1->chunked)
        h1->keep_alive = false; /* only the end of the connection can say where the answer ends */
    h1->state = EL_H1_STREAMING;
    put_head(h1, request->code, request->type);
    if (h1->chunked)
        put_header(&h1->out, "Transfer-Encoding", "chunked");
    el_buf_append(&h1->out, "\r\n", 2);
    el_conn_dirty(&h1->conn);
}

static void stream_send(struct el_http_request *request)
{
    struct el_h1 *h1 = request->carried;
    const struct el_buf *part = &request->reply;
    if (h1->chunked) {
        char head[24];
        int size = snprintf(head, sizeof(head), "%zx\r\n", part->size);
        el_buf_append(&h1->out, head, (size_t)size);
    }
    el_buf_append(&h1->out, part->data, part->size);
    if (h1->chunked)
        el_buf_append(&h1->out, "\r\n", 2);
    el_conn_dirty(&h1->conn);
    if (part->failed || h1->out.failed || h1->out.size - h1->out_sent > MAX_UNREAD)
        el_conn_close(&h1->conn);
}

static void stream_end(struct el_http_request *request)
{
    struct el_h1 *h1 = request->carried;
    if (h1->chunked)
        el_buf_append(&h1->out, "0\r\n\r\n", 5);
    el_h1_next(h1);
}

static bool charge(struct el_http_request *request, size_t bytes)
{
    return el_conn_charge(request->conn, bytes);
}

static void uncharge(struct el_http_request *request, size_t bytes)
{
    el_conn_uncharge(request->conn, bytes);
}

const struct el_http_carrier el_h1_carrier = {
    .ready = ready,
    .reply = reply,
    .send = send_reply,
    .refuse = refuse,
    .stream = stream,
    .stream_send = stream_send,
    .stream_end = stream_end,
    .charge = charge,
    .uncharge = uncharge,
};
