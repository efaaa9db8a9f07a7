/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/h1.h"
#include "rpc/tls.h"
#include "rpc/zip.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_AHEAD ((size_t)64 * 1024)   /* of pipelined requests; beyond it the socket is not read */
#define MAX_UNSENT ((size_t)256 * 1024) /* of pipelined answers; beyond it no request is begun */
#define DRAIN_WAIT_MS 500               /* for the request that may be on its way when a drain begins */

static const char h2_preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
static const struct el_conn_protocol protocol;

/* ---- a request's life ---- */

void el_h1_next(struct el_h1 *h1)
{
    el_http_forget_body(h1->request);
    struct el_http_request *request = h1->request;
    el_http_trim(&request->target);
    el_http_trim(&request->headers);
    el_http_trim(&request->reply);
    el_http_trim(&request->reply_headers);
    request->user = NULL;
    request->on_cancel = NULL;
    h1->header_bytes = 0;
    h1->body_sent = 0;
    h1->begun = h1->in_value = h1->headers_done = h1->complete = h1->told_continue = h1->chunked = false;
    h1->began_ms = uv_now(&h1->conn.loop->open.uv);
    if (h1->keep_alive) {
        h1->state = EL_H1_READING;
    } else {
        h1->state = EL_H1_LAST;
        el_conn_finish(&h1->conn);
    }
    el_conn_dirty(&h1->conn);
}

void el_h1_call_handler(struct el_h1 *h1)
{
    h1->state = EL_H1_RUNNING;
    h1->conn.listener->handler(h1->request, h1->conn.listener->argument);
}

static void run_handler(struct el_h1 *h1)
{
    h1->keep_alive = http_should_keep_alive(&h1->parser) != 0;
    if (!el_http_unzip(h1->request))
        el_h1_call_handler(h1);
    else if (h1->request->zip != NULL)
        h1->state = EL_H1_ZIPPING;
}

/*
 * A request line that is none: not two blanks in it, or no version of HTTP/1 or older at its end. The parser is more tolerant, or says
 * another code, than the HTTP library of TensorFlow Serving. A line that comes in pieces is left to the parser.
 */
static bool is_bad_line(const uint8_t *bytes, size_t size)
{
    const uint8_t *end = memchr(bytes, '\n', size);
    if (end == NULL)
        return false;
    size_t length = (size_t)(end - bytes);
    if (length > 0 && bytes[length - 1] == '\r')
        length--;
    if (length == 0)
        return false; /* an empty line before a request */
    size_t blanks = 0;
    const uint8_t *version = bytes;
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == ' ') {
            blanks++;
            version = bytes + i + 1;
        }
    }
    return blanks != 2 || (size_t)(bytes + length - version) < 8 ||
           (memcmp(version, "HTTP/1.", 7) != 0 && memcmp(version, "HTTP/0.", 7) != 0);
}

static void parser_failed(struct el_h1 *h1)
{
    el_count(&h1->conn.loop->counters.protocol_errors, 1);
    if (h1->refuse_code != 0) {
        el_h1_refuse(h1, h1->refuse_code, h1->refuse_text);
        return;
    }
    switch (HTTP_PARSER_ERRNO(&h1->parser)) {
    case HPE_INVALID_METHOD:
        el_h1_refuse(h1, 501, "The request's method is not implemented");
        break;
    case HPE_HEADER_OVERFLOW:
        el_h1_refuse(h1, 431, "The request's headers are larger than this server accepts");
        break;
    default:
        el_h1_refuse(h1, 400, http_errno_description(HTTP_PARSER_ERRNO(&h1->parser)));
        break;
    }
}

/* Parses up to the end of a request; returns the bytes taken. */
static size_t parse(struct el_h1 *h1, const uint8_t *bytes, size_t size)
{
    if (!h1->begun && is_bad_line(bytes, size)) {
        el_count(&h1->conn.loop->counters.protocol_errors, 1);
        el_h1_refuse(h1, 400, "The request line is none");
        return size;
    }
    size_t taken = http_parser_execute(&h1->parser, &el_h1_parser_settings, (const char *)bytes, size);
    if (HTTP_PARSER_ERRNO(&h1->parser) == HPE_PAUSED)
        http_parser_pause(&h1->parser, 0);
    if (h1->refuse_code != 0 || HTTP_PARSER_ERRNO(&h1->parser) != HPE_OK) {
        parser_failed(h1);
        return size;
    }
    if (h1->complete)
        run_handler(h1);
    return taken;
}

static bool may_parse(const struct el_h1 *h1)
{
    return h1->state == EL_H1_READING && h1->conn.state == EL_CONN_OPEN && h1->out.size - h1->out_sent < MAX_UNSENT;
}

/* Returns the bytes taken; handlers run meanwhile, and may answer at once: a loop, not a recursion. */
static size_t parse_all(struct el_h1 *h1, const uint8_t *bytes, size_t size)
{
    size_t taken = 0;
    h1->parsing = true;
    while (taken < size && may_parse(h1))
        taken += parse(h1, bytes + taken, size - taken);
    h1->parsing = false;
    return taken;
}

void el_h1_advance(struct el_h1 *h1)
{
    if (h1->parsing || h1->ahead.size == 0 || !may_parse(h1))
        return;
    size_t taken = parse_all(h1, h1->ahead.data, h1->ahead.size);
    memmove(h1->ahead.data, h1->ahead.data + taken, h1->ahead.size - taken);
    h1->ahead.size -= taken;
    el_conn_pause_reading(&h1->conn, h1->ahead.size > MAX_AHEAD);
    if (h1->ahead.size == 0)
        el_http_trim(&h1->ahead);
}

/* ---- the connection's events ---- */

/* The connection goes on as one of HTTP/2; this one is left without its socket. */
static void turn_h2(struct el_h1 *h1, size_t before, const uint8_t *bytes, size_t size)
{
    struct el_loop *loop = h1->conn.loop;
    const struct el_listener *listener = h1->conn.listener;
    struct ssl_st *tls;
    const int fd = el_conn_leave(&h1->conn, &tls);
    struct el_conn *conn = el_h2_open(loop, fd, listener);
    if (!el_conn_take_over(conn, loop, fd, tls))
        return;
    if (before > 0)
        conn->protocol->received(conn, (const uint8_t *)h2_preface, before);
    el_conn_begin(conn, bytes, size);
}

/*
 * The first bytes of a connection tell whether it is one of HTTP/2. True if they are taken care of: they are HTTP/2's,
 * or may become so.
 */
static bool take_preface(struct el_h1 *h1, const uint8_t *bytes, size_t size)
{
    const size_t before = h1->preface_size, left = sizeof(h2_preface) - 1 - before;
    const size_t compared = size < left ? size : left;
    if (memcmp(bytes, h2_preface + before, compared) != 0) {
        h1->is_h1 = true;
        h1->begun = false;
        el_buf_append(&h1->ahead, h2_preface, before);
        return false;
    }
    if (compared == left) {
        turn_h2(h1, before, bytes, size);
        return true;
    }
    h1->preface_size += (uint8_t)compared;
    if (!h1->begun)
        h1->began_ms = uv_now(&h1->conn.loop->open.uv);
    h1->begun = true;
    return true;
}

static void received(struct el_conn *conn, const uint8_t *bytes, size_t size)
{
    struct el_h1 *h1 = (struct el_h1 *)conn;
    size_t taken = 0;
    if (h1->state == EL_H1_LAST || (!h1->is_h1 && take_preface(h1, bytes, size)))
        return;
    if (h1->ahead.size == 0)
        taken = parse_all(h1, bytes, size);
    if (taken == size || h1->state == EL_H1_LAST)
        return;
    el_buf_append(&h1->ahead, bytes + taken, size - taken);
    if (h1->ahead.failed)
        el_conn_close(conn);
    else if (h1->ahead.size > MAX_AHEAD)
        el_conn_pause_reading(conn, true);
    el_h1_advance(h1);
}

static bool is_idle(const struct el_h1 *h1)
{
    return h1->state == EL_H1_READING && !h1->begun && h1->ahead.size == 0;
}

/* A client may close its direction and still read the answer; but a stream that it follows ends with it. */
static void ended(struct el_conn *conn)
{
    struct el_h1 *h1 = (struct el_h1 *)conn;
    if (h1->state == EL_H1_STREAMING)
        el_conn_close(conn);
    else if (h1->state == EL_H1_READING && h1->ahead.size == 0)
        el_conn_finish(conn);
}

static size_t fill(struct el_conn *conn, uint8_t *to, size_t room, bool *more)
{
    struct el_h1 *h1 = (struct el_h1 *)conn;
    size_t filled = 0;
    for (;;) {
        el_h1_advance(h1);
        size_t take = h1->out.size - h1->out_sent;
        if (take > room - filled)
            take = room - filled;
        if (take > 0)
            memcpy(to + filled, h1->out.data + h1->out_sent, take);
        h1->out_sent += take;
        filled += take;
        if (h1->out_sent < h1->out.size)
            break;
        el_http_trim(&h1->out);
        h1->out_sent = 0;
        if (h1->state != EL_H1_REPLYING) {
            if (h1->state == EL_H1_READING && h1->ahead.size == 0 && conn->input_ended)
                el_conn_finish(conn);
            if (h1->ahead.size > 0 && may_parse(h1) && filled < room)
                continue;
            *more = h1->ahead.size > 0 && may_parse(h1);
            return filled;
        }
        const struct el_buf *body = &h1->request->reply;
        take = body->size - h1->body_sent;
        if (take > room - filled)
            take = room - filled;
        memcpy(to + filled, body->data + h1->body_sent, take);
        h1->body_sent += take;
        filled += take;
        if (h1->body_sent < body->size)
            break;
        el_h1_next(h1);
    }
    *more = true;
    return filled;
}

static void tick(struct el_conn *conn, uint64_t now_ms)
{
    struct el_h1 *h1 = (struct el_h1 *)conn;
    const struct el_rpc_settings *settings = conn->loop->settings;
    uint64_t still_ms = now_ms - h1->began_ms;
    if (h1->state != EL_H1_READING)
        return;
    if (is_idle(h1)) {
        if (still_ms > settings->idle_timeout_ms || (h1->draining && now_ms - h1->drain_ms > DRAIN_WAIT_MS))
            el_conn_finish(conn);
    } else if (h1->begun && still_ms > settings->header_timeout_ms) {
        el_h1_refuse(h1, 408, "The request did not arrive in time");
    }
}

/*
 * HTTP/1.1 has no GOAWAY: a connection that is closed between two requests may have the next one on its way. So the
 * next answer says that it is the last, and only a connection that stays silent is closed.
 */
static void drain(struct el_conn *conn)
{
    struct el_h1 *h1 = (struct el_h1 *)conn;
    h1->draining = true;
    h1->drain_ms = uv_now(&conn->loop->open.uv);
}

static void give_up(struct el_conn *conn)
{
    struct el_h1 *h1 = (struct el_h1 *)conn;
    void (*on_cancel)(struct el_http_request *, void *) = h1->request->on_cancel;
    if (h1->state == EL_H1_RUNNING && on_cancel != NULL) {
        h1->request->on_cancel = NULL;
        on_cancel(h1->request, h1->request->user);
        el_h1_refuse(h1, 503, "The server is shutting down");
    } else if (h1->state == EL_H1_READING) {
        el_conn_finish(conn);
    } else if (h1->state == EL_H1_RUNNING || h1->state == EL_H1_STREAMING || h1->state == EL_H1_ZIPPING) {
        el_conn_close(conn);
    }
}

static void closed(struct el_conn *conn)
{
    struct el_h1 *h1 = (struct el_h1 *)conn;
    struct el_http_request *request = h1->request;
    bool runs = h1->state == EL_H1_RUNNING || h1->state == EL_H1_STREAMING;
    el_zip_cancel(request->zip);
    request->zip = NULL;
    el_buf_free(&h1->ahead);
    el_buf_free(&h1->out);
    h1->request = NULL;
    request->conn = NULL;
    if (runs && request->on_cancel == NULL)
        return; /* the handler will answer, and not know better */
    if (runs)
        request->on_cancel(request, request->user);
    el_http_request_free(request);
}

static const struct el_conn_protocol protocol = {
    .received = received,
    .ended = ended,
    .fill = fill,
    .tick = tick,
    .drain = drain,
    .give_up = give_up,
    .closed = closed,
};

struct el_conn *el_h1_open(struct el_loop *loop, int fd, const struct el_listener *listener)
{
    struct el_h1 *h1 = calloc(1, sizeof(*h1));
    struct el_http_request *request = calloc(1, sizeof(*request));
    if (h1 == NULL || request == NULL)
        goto fail;
    request->carrier = &el_h1_carrier;
    request->carried = h1;
    request->conn = &h1->conn;
    request->loop = loop;
    h1->request = request;
    http_parser_init(&h1->parser, HTTP_REQUEST);
    h1->parser.data = h1;
    h1->began_ms = uv_now(&loop->open.uv);
    h1->body_limit = loop->settings->max_message_bytes;
    if (!el_conn_open(&h1->conn, loop, fd, listener, &protocol))
        goto fail;
    return &h1->conn;
fail:
    free(request);
    free(h1);
    return NULL;
}
