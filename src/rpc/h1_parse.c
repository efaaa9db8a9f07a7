/* SPDX-License-Identifier: Apache-2.0 */
/* What the parser finds in a request, and what of it is refused. */
#include "rpc/h1.h"

#include <string.h>
#include <strings.h>

static struct el_h1 *of_parser(http_parser *parser)
{
    return parser->data;
}

/* Stops the parser; what is wrong is answered when it has returned. */
static int refuse(struct el_h1 *h1, unsigned code, const char *text)
{
    h1->refuse_code = code;
    h1->refuse_text = text;
    return 1;
}

static int on_message_begin(http_parser *parser)
{
    struct el_h1 *h1 = of_parser(parser);
    h1->begun = true;
    h1->began_ms = uv_now(&h1->conn.loop->open.uv);
    return 0;
}

static bool within_limit(struct el_h1 *h1, size_t size)
{
    h1->header_bytes += size;
    return h1->header_bytes <= h1->conn.loop->settings->max_header_bytes;
}

/* The parser lets it pass in some values, and our texts end there. */
static bool has_nul(const char *at, size_t size)
{
    return memchr(at, 0, size) != NULL;
}

static int on_url(http_parser *parser, const char *at, size_t size)
{
    struct el_h1 *h1 = of_parser(parser);
    if (!within_limit(h1, size))
        return refuse(h1, 414, "The request's URL is longer than this server accepts");
    if (has_nul(at, size))
        return refuse(h1, 400, "The request's URL holds a NUL byte");
    el_buf_append(&h1->request->target, at, size);
    return 0;
}

static int on_header_field(http_parser *parser, const char *at, size_t size)
{
    struct el_h1 *h1 = of_parser(parser);
    if (!within_limit(h1, size + (h1->in_value ? 2 : 0)))
        return refuse(h1, 431, "The request's headers are larger than this server accepts");
    if (h1->headers_done)
        return 0; /* trailers of a chunked body */
    if (h1->in_value)
        el_buf_byte(&h1->request->headers, 0);
    h1->in_value = false;
    el_buf_append(&h1->request->headers, at, size);
    return 0;
}

static int on_header_value(http_parser *parser, const char *at, size_t size)
{
    struct el_h1 *h1 = of_parser(parser);
    if (!within_limit(h1, size))
        return refuse(h1, 431, "The request's headers are larger than this server accepts");
    if (h1->headers_done)
        return 0;
    if (has_nul(at, size))
        return refuse(h1, 400, "A header of the request holds a NUL byte");
    if (!h1->in_value)
        el_buf_byte(&h1->request->headers, 0);
    h1->in_value = true;
    el_buf_append(&h1->request->headers, at, size);
    return 0;
}

static int on_headers_complete(http_parser *parser)
{
    struct el_h1 *h1 = of_parser(parser);
    if (h1->in_value)
        el_buf_byte(&h1->request->headers, 0);
    h1->in_value = false;
    h1->headers_done = true;
    h1->began_ms = uv_now(&h1->conn.loop->open.uv);
    el_buf_byte(&h1->request->target, 0);
    if (h1->request->headers.failed || h1->request->target.failed)
        return refuse(h1, 503, "Out of memory");
    if (parser->http_major != 1)
        return refuse(h1, 400, "This server speaks HTTP/1.1 and HTTP/1.0");
    bool wants_continue;
    unsigned code;
    h1->request->method = parser->method;
    const char *problem = el_http_expectation(h1->request, &wants_continue, &code);
    parser->upgrade = 0; /* to ignore an offer is allowed: the answer is HTTP/1.1 */
    if (parser->content_length != UINT64_MAX && parser->content_length > h1->body_limit)
        return refuse(h1, 413, "The request's body is larger than this server accepts");
    if (problem != NULL)
        return refuse(h1, code, problem);
    if (wants_continue && parser->http_minor > 0 && !h1->told_continue) {
        h1->told_continue = true;
        el_buf_text(&h1->out, "HTTP/1.1 100 Continue\r\n\r\n");
        el_conn_dirty(&h1->conn);
    }
    return 0;
}

/* Grows in step with what has come: a large Content-Length alone costs nothing. */
static int on_body(http_parser *parser, const char *at, size_t size)
{
    struct el_h1 *h1 = of_parser(parser);
    struct el_buf *body = &h1->request->body;
    h1->began_ms = uv_now(&h1->conn.loop->open.uv);
    if (size > h1->body_limit - body->size)
        return refuse(h1, 413, "The request's body is larger than this server accepts");
    if (!el_conn_charge(&h1->conn, size))
        return refuse(h1, 503, "Too many request bytes are in memory already");
    el_buf_append(body, at, size);
    if (body->failed) {
        el_conn_uncharge(&h1->conn, size);
        return refuse(h1, 503, "Out of memory");
    }
    return 0;
}

static int on_message_complete(http_parser *parser)
{
    struct el_h1 *h1 = of_parser(parser);
    h1->complete = true;
    http_parser_pause(parser, 1); /* what follows is the next request: not before this one is answered */
    return 0;
}

const http_parser_settings el_h1_parser_settings = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};
