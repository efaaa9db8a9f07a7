/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/h1.h"
#include "rpc/texts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COPIED_BODY ((size_t)16 * 1024)       /* a smaller body goes with its head, and the next request can begin */
#define MAX_UNREAD ((size_t)16 * 1024 * 1024) /* of a streamed answer */

/* As the HTTP server of TensorFlow Serving names them: a code that it does not know by the name of its class. */
static const char *reason(unsigned code)
{
    switch (code) {
    case 200:
        return "OK";
    case 204:
        return "No Content";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 413:
        return "Request Entity Too Large";
    case 414:
        return "Request-URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 417:
        return "Expectation Failed";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return code < 300 ? "Success" : code < 400 ? "Redirection" : code < 500 ? "Client Error" : "Server Error";
    }
}

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
    el_buf_text(out, reason(code));
    el_buf_append(out, "\r\n", 2);
    if (content_type != NULL)
        put_header(out, "Content-Type", content_type);
    put_header(out, "Date", el_loop_date(h1->conn.loop));
    el_buf_append(out, h1->request->reply_headers.data, h1->request->reply_headers.size);
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

/* What the HTTP library of TensorFlow Serving answers by itself, with a page; for the other codes it has no limits. */
static bool has_page(unsigned code)
{
    return code == 400 || code == 417 || code == 501;
}

void el_h1_refuse(struct el_h1 *h1, unsigned code, const char *text)
{
    struct el_buf body = { 0 };
    if (has_page(code))
        el_buf_printf(&body, "<HTML><HEAD>\n<TITLE>%u %s</TITLE>\n</HEAD><BODY>\n<H1>%s</H1>\n</BODY></HTML>\n", code,
                      reason(code), reason(code));
    else
        el_buf_printf(&body, "{\n    \"error\": \"%s\"\n}", text);
    h1->keep_alive = false;
    el_buf_clear(&h1->request->reply_headers);
    put_head(h1, code, has_page(code) ? "text/html" : "application/json");
    put_length(&h1->out, body.size);
    el_buf_append(&h1->out, body.data, body.size);
    el_buf_free(&body);
    if (h1->out.failed)
        el_conn_close(&h1->conn);
    el_h1_next(h1);
}

/* The connection was lost before the handler answered: then the request was left to it. */
static bool is_lost(struct el_http_request *request)
{
    if (request->h1 != NULL)
        return false;
    el_http_request_free(request);
    return true;
}

void el_http_reply(struct el_http_request *request, unsigned code, const char *content_type)
{
    if (is_lost(request))
        return;
    struct el_h1 *h1 = request->h1;
    request->on_cancel = NULL;
    if (request->reply.failed || request->reply_headers.failed) {
        el_h1_refuse(h1, 503, "Out of memory for the answer");
        return;
    }
    h1->reply_code = code;
    h1->reply_type = content_type;
    if (!el_h1_zip(h1))
        el_h1_send_reply(h1);
}

void el_h1_send_reply(struct el_h1 *h1)
{
    struct el_http_request *request = h1->request;
    const unsigned code = h1->reply_code;
    put_head(h1, code, h1->reply_type);
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

void el_http_stream(struct el_http_request *request, unsigned code, const char *content_type)
{
    struct el_h1 *h1 = request->h1;
    if (h1 == NULL)
        return; /* el_http_stream_end() frees it */
    h1->chunked = h1->parser.http_minor > 0 && request->method != HTTP_HEAD;
    if (!h1->chunked)
        h1->keep_alive = false; /* only the end of the connection can say where the answer ends */
    h1->state = EL_H1_STREAMING;
    put_head(h1, code, content_type);
    if (h1->chunked)
        put_header(&h1->out, "Transfer-Encoding", "chunked");
    el_buf_append(&h1->out, "\r\n", 2);
    el_conn_dirty(&h1->conn);
    if (request->reply.size > 0)
        el_http_stream_send(request);
}

void el_http_stream_send(struct el_http_request *request)
{
    struct el_h1 *h1 = request->h1;
    struct el_buf *reply = &request->reply;
    if (h1 != NULL && reply->size > 0 && request->method != HTTP_HEAD) {
        if (h1->chunked) {
            char head[24];
            int size = snprintf(head, sizeof(head), "%zx\r\n", reply->size);
            el_buf_append(&h1->out, head, (size_t)size);
        }
        el_buf_append(&h1->out, reply->data, reply->size);
        if (h1->chunked)
            el_buf_append(&h1->out, "\r\n", 2);
        el_conn_dirty(&h1->conn);
        if (reply->failed || h1->out.failed || h1->out.size - h1->out_sent > MAX_UNREAD)
            el_conn_close(&h1->conn);
    }
    el_buf_clear(reply);
}

void el_http_stream_end(struct el_http_request *request)
{
    if (is_lost(request))
        return;
    struct el_h1 *h1 = request->h1;
    request->on_cancel = NULL;
    if (request->reply.size > 0)
        el_http_stream_send(request);
    if (h1->chunked)
        el_buf_append(&h1->out, "0\r\n\r\n", 5);
    el_h1_next(h1);
}

/* ---- the handler's view of the request ---- */

struct el_rpc_loop *el_http_loop(struct el_http_request *request)
{
    return &request->loop->open;
}

const char *el_http_method(const struct el_http_request *request)
{
    return http_method_str((enum http_method)request->method);
}

const char *el_http_target(const struct el_http_request *request)
{
    return (const char *)request->target.data;
}

const char *el_http_header(const struct el_http_request *request, const char *name)
{
    return el_rpc_text_header(request->headers.data, request->headers.size, name);
}

const uint8_t *el_http_body(const struct el_http_request *request, size_t *size)
{
    *size = request->body.size;
    return request->body.data;
}

void el_http_set_user(struct el_http_request *request, void *user)
{
    request->user = user;
}

void *el_http_user(const struct el_http_request *request)
{
    return request->user;
}

void el_http_on_cancel(struct el_http_request *request, void (*on_cancel)(struct el_http_request *request, void *user))
{
    request->on_cancel = on_cancel;
}

void el_http_add_header(struct el_http_request *request, const char *name, const char *value)
{
    put_header(&request->reply_headers, name, value);
}

struct el_buf *el_http_reply_buf(struct el_http_request *request)
{
    return &request->reply;
}
