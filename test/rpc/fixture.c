/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_SOCKETS 1024

/* ---- the server's side ---- */

static void echo(struct el_grpc_call *call, void *argument)
{
    (void)argument;
    size_t size;
    const uint8_t *message = el_grpc_message(call, &size);
    el_buf_append(el_grpc_reply_buf(call), message, size);
    el_grpc_reply(call);
}

static void never_cancelled(struct el_grpc_call *call, void *user)
{
    (void)call;
    struct fixture *fixture = user;
    atomic_fetch_add(&fixture->cancelled, 1);
}

static void never(struct el_grpc_call *call, void *argument)
{
    struct fixture *fixture = argument;
    el_grpc_set_user(call, fixture);
    el_grpc_on_cancel(call, never_cancelled);
    atomic_fetch_add(&fixture->begun, 1);
}

static void held(struct el_grpc_call *call, void *argument)
{
    struct fixture *fixture = argument;
    atomic_store(&fixture->held, call);
    atomic_fetch_add(&fixture->begun, 1);
}

static void release(struct el_grpc_call *call, void *argument)
{
    struct fixture *fixture = argument;
    size_t size;
    struct el_grpc_call *late = atomic_load(&fixture->held);
    const uint8_t *message = el_grpc_message(late, &size);
    el_buf_append(el_grpc_reply_buf(call), message, size);
    el_buf_text(el_grpc_reply_buf(late), "late");
    el_grpc_reply(late);
    el_grpc_reply(call);
}

struct flood {
    uv_timer_t timer;
    struct fixture *fixture;
    struct el_grpc_call *call;
    struct el_http_request *request;
};

static void free_flood(uv_handle_t *handle)
{
    free(handle->data);
}

static void stop_flood(struct flood *flood)
{
    atomic_fetch_add(&flood->fixture->cancelled, 1);
    uv_close((uv_handle_t *)&flood->timer, free_flood);
}

static void flood_cancelled(struct el_grpc_call *call, void *user)
{
    (void)call;
    stop_flood(user);
}

static void http_flood_cancelled(struct el_http_request *request, void *user)
{
    (void)request;
    stop_flood(user);
}

static void flood_more(uv_timer_t *timer)
{
    static const char drops[16384];
    struct flood *flood = timer->data;
    for (int i = 0; i < 100; i++) {
        if (flood->call != NULL) {
            el_buf_append(el_grpc_reply_buf(flood->call), drops, sizeof(drops));
            el_grpc_send(flood->call);
        } else {
            el_buf_append(el_http_reply_buf(flood->request), drops, sizeof(drops));
            el_http_stream_send(flood->request);
        }
    }
}

static struct flood *start_flood(struct el_rpc_loop *loop, struct fixture *fixture)
{
    struct flood *flood = calloc(1, sizeof(*flood));
    if (flood == NULL)
        abort();
    flood->fixture = fixture;
    uv_timer_init(&loop->uv, &flood->timer);
    flood->timer.data = flood;
    uv_timer_start(&flood->timer, flood_more, 1, 1);
    atomic_fetch_add(&fixture->begun, 1);
    return flood;
}

static void flood(struct el_grpc_call *call, void *argument)
{
    struct flood *flood = start_flood(el_grpc_loop(call), argument);
    flood->call = call;
    el_grpc_set_user(call, flood);
    el_grpc_on_cancel(call, flood_cancelled);
}

static void http_never_cancelled(struct el_http_request *request, void *user)
{
    (void)request;
    struct fixture *fixture = user;
    atomic_fetch_add(&fixture->cancelled, 1);
}

static void http(struct el_http_request *request, void *argument)
{
    struct fixture *fixture = argument;
    const char *target = el_http_target(request);
    struct el_buf *reply = el_http_reply_buf(request);
    if (strcmp(target, "/never") == 0) {
        el_http_set_user(request, fixture);
        el_http_on_cancel(request, http_never_cancelled);
        atomic_fetch_add(&fixture->begun, 1);
        return;
    }
    if (strcmp(target, "/flood") == 0) {
        struct flood *flood = start_flood(el_http_loop(request), fixture);
        flood->request = request;
        el_http_set_user(request, flood);
        el_http_on_cancel(request, http_flood_cancelled);
        el_http_stream(request, 200, "text/plain");
        return;
    }
    if (strcmp(target, "/big") == 0) {
        uint8_t *to = el_buf_reserve(reply, 1 << 20);
        if (to != NULL) {
            memset(to, 'b', 1 << 20);
            reply->size += 1 << 20;
        }
    } else if (strcmp(el_http_method(request), "POST") == 0) {
        size_t size;
        const uint8_t *body = el_http_body(request, &size);
        el_buf_append(reply, body, size);
    } else {
        el_buf_text(reply, target);
    }
    el_http_add_header(request, "X-Test", "yes");
    el_http_reply(request, 200, "text/plain");
}

void fixture_start(struct fixture *fixture, const struct el_rpc_options *base)
{
    *fixture = (struct fixture){ 0 };
    const struct el_grpc_method methods[] = {
        { .path = "/t.T/Echo", .handler = echo, .argument = fixture },
        { .path = "/t.T/Never", .handler = never, .argument = fixture },
        { .path = "/t.T/Held", .handler = held, .argument = fixture },
        { .path = "/t.T/Release", .handler = release, .argument = fixture },
        { .path = "/t.T/Flood", .handler = flood, .argument = fixture },
    };
    const struct el_listener listeners[] = {
        { .type = EL_LISTEN_GRPC, .address = "127.0.0.1" },
        { .type = EL_LISTEN_HTTP, .address = "::", .compress = true, .handler = http, .argument = fixture },
        { .type = EL_LISTEN_HTTP, .address = "::", .grpc_too = true, .handler = http, .argument = fixture },
    };
    struct el_rpc_options options = base != NULL ? *base : (struct el_rpc_options){ 0 };
    options.loops = options.loops == 0 ? 1 : options.loops;
    options.listeners = listeners;
    options.listener_count = 3;
    options.methods = methods;
    options.method_count = sizeof(methods) / sizeof(methods[0]);
    struct el_status *status = el_rpc_server_start(&options, &fixture->server);
    if (status != NULL)
        fail_msg("%s", el_status_text(status));
    fixture->grpc_port = el_rpc_server_port(fixture->server, 0);
    fixture->http_port = el_rpc_server_port(fixture->server, 1);
    fixture->both_port = el_rpc_server_port(fixture->server, 2);
}

void fixture_stop(struct fixture *fixture)
{
    el_rpc_server_drain(fixture->server, 0);
    el_rpc_server_join(fixture->server);
}

static void pause_ms(long ms)
{
    const struct timespec span = { .tv_nsec = ms * 1000000 };
    nanosleep(&span, NULL);
}

void wait_for_count(const _Atomic unsigned *counter, unsigned value)
{
    uint64_t end_ns = el_now_ns() + LIMIT_MS * EL_NS_PER_MS;
    while (atomic_load(counter) < value) {
        if (el_now_ns() > end_ns)
            fail_msg("waited %d ms for a count of %u, it is %u", LIMIT_MS, value, atomic_load(counter));
        pause_ms(1);
    }
}

void wait_for_connections(const struct fixture *fixture, uint64_t count)
{
    uint64_t end_ns = el_now_ns() + LIMIT_MS * EL_NS_PER_MS;
    struct el_rpc_stats stats;
    for (;;) {
        el_rpc_server_stats(fixture->server, &stats);
        if (stats.connections_open == count)
            return;
        if (el_now_ns() > end_ns)
            fail_msg("waited %d ms for %d open connections, there are %d", LIMIT_MS, (int)count,
                     (int)stats.connections_open);
        pause_ms(1);
    }
}

/* ---- the client's side ---- */

void client_connect_on(int fd, uint16_t port)
{
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons(port),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const struct timeval limit = { .tv_sec = LIMIT_MS / 1000 };
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

int client_connect(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    client_connect_on(fd, port);
    return fd;
}

bool client_send(int fd, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

bool client_text(int fd, const char *text)
{
    return client_send(fd, text, strlen(text));
}

bool client_receive(int fd, void *to, size_t size)
{
    uint8_t *at = to;
    while (size > 0) {
        ssize_t got = recv(fd, at, size, 0);
        if (got < 0 && errno == EAGAIN)
            fail_msg("the server sent nothing for %d ms", LIMIT_MS);
        if (got <= 0)
            return false;
        at += got;
        size -= (size_t)got;
    }
    return true;
}

size_t client_receive_all(int fd, char *to, size_t room)
{
    size_t size = 0;
    while (size < room - 1 && client_receive(fd, to + size, 1))
        size++;
    to[size] = 0;
    return size;
}

void client_receive_answer(int fd, char *to, size_t room)
{
    size_t size = 0;
    do {
        assert_true(size < room - 1);
        assert_true(client_receive(fd, to + size, 1));
        to[++size] = 0;
    } while (size < 4 || memcmp(to + size - 4, "\r\n\r\n", 4) != 0);
    const char *length = strstr(to, "Content-Length: ");
    assert_non_null(length);
    size_t body = strtoul(length + strlen("Content-Length: "), NULL, 10);
    assert_true(size + body < room);
    assert_true(client_receive(fd, to + size, body));
    to[size + body] = 0;
}

/* One per connection, found by its socket: the server's encoder refers to what it has sent before. */
static nghttp2_hd_inflater *inflaters[MAX_SOCKETS];

int h2_connect(uint16_t port)
{
    static struct frame settings;
    int fd = client_connect(port);
    assert_true(fd < MAX_SOCKETS);
    if (inflaters[fd] != NULL)
        nghttp2_hd_inflate_del(inflaters[fd]);
    assert_int_equal(nghttp2_hd_inflate_new(&inflaters[fd]), 0);
    assert_true(client_text(fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    assert_true(h2_send(fd, FRAME_SETTINGS, 0, 0, "", 0));
    /* Only when it is acknowledged does the server let streams have their large windows. */
    assert_true(h2_receive(fd, &settings));
    assert_int_equal(settings.type, FRAME_SETTINGS);
    assert_true(h2_send(fd, FRAME_SETTINGS, FLAG_ACK, 0, "", 0));
    return fd;
}

bool h2_send(int fd, uint8_t type, uint8_t flags, uint32_t stream, const void *payload, size_t size)
{
    uint8_t frame[9 + 65536];
    assert_true(size <= 65536);
    const uint8_t head[9] = {
        (uint8_t)(size >> 16),   (uint8_t)(size >> 8),    (uint8_t)size,          type,           flags,
        (uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream
    };
    memcpy(frame, head, sizeof(head));
    memcpy(frame + sizeof(head), payload, size);
    return client_send(fd, frame, sizeof(head) + size);
}

static size_t put_header(uint8_t *to, size_t room, const char *name, const char *value)
{
    size_t name_size = strlen(name), value_size = strlen(value);
    assert_true(name_size < 127 && value_size < 127 && 3 + name_size + value_size <= room);
    to[0] = 0; /* literal, not indexed, new name (RFC 7541, 6.2.2) */
    to[1] = (uint8_t)name_size;
    memcpy(to + 2, name, name_size);
    to[2 + name_size] = (uint8_t)value_size;
    memcpy(to + 3 + name_size, value, value_size);
    return 3 + name_size + value_size;
}

/* Later ones replace: a caller that names :method or content-type means it. */
size_t h2_headers(uint8_t *to, size_t room, const char *path, ...)
{
    const char *values[][2] = { { ":method", "POST" }, { ":scheme", "http" }, { ":path", path },
                                { ":authority", "t" }, { "te", "trailers" },  { "content-type", "application/grpc" } };
    const size_t fixed = sizeof(values) / sizeof(values[0]);
    const char *name;
    va_list more;
    size_t size = 0;
    va_start(more, path);
    while ((name = va_arg(more, const char *)) != NULL) {
        const char *value = va_arg(more, const char *);
        for (size_t i = 0; i < fixed; i++) {
            if (strcmp(values[i][0], name) == 0)
                values[i][1] = value;
        }
    }
    va_end(more);
    for (size_t i = 0; i < fixed; i++)
        size += put_header(to + size, room - size, values[i][0], values[i][1]);
    va_start(more, path);
    while ((name = va_arg(more, const char *)) != NULL) {
        const char *value = va_arg(more, const char *);
        bool known = false;
        for (size_t i = 0; i < fixed; i++)
            known |= strcmp(values[i][0], name) == 0;
        if (!known)
            size += put_header(to + size, room - size, name, value);
    }
    va_end(more);
    return size;
}

bool h2_receive(int fd, struct frame *frame)
{
    uint8_t head[9];
    if (!client_receive(fd, head, sizeof(head)))
        return false;
    frame->size = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
    frame->type = head[3];
    frame->flags = head[4];
    frame->stream = (uint32_t)head[5] << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 | head[8];
    assert_true(frame->size <= sizeof(frame->payload));
    return client_receive(fd, frame->payload, frame->size);
}

bool h2_call(int fd, uint32_t stream, const char *path, const void *message, size_t size)
{
    uint8_t block[512], data[16384];
    assert_true(size + 5 <= sizeof(data));
    size_t block_size = h2_headers(block, sizeof(block), path, NO_MORE);
    const uint8_t prefix[5] = { 0, 0, 0, (uint8_t)(size >> 8), (uint8_t)size };
    memcpy(data, prefix, sizeof(prefix));
    memcpy(data + sizeof(prefix), message, size);
    return h2_send(fd, FRAME_HEADERS, FLAG_END_HEADERS, stream, block, block_size) &&
           h2_send(fd, FRAME_DATA, FLAG_END_STREAM, stream, data, sizeof(prefix) + size);
}

static bool named(const nghttp2_nv *header, const char *name)
{
    return header->namelen == strlen(name) && memcmp(header->name, name, header->namelen) == 0;
}

static void take_headers(nghttp2_hd_inflater *inflater, const struct frame *frame, struct h2_answer *answer)
{
    uint8_t *at = (uint8_t *)(uintptr_t)frame->payload;
    size_t left = frame->size;
    for (;;) {
        nghttp2_nv header;
        int flags = 0;
        ssize_t taken = nghttp2_hd_inflate_hd2(inflater, &header, &flags, at, left, 1);
        assert_true(taken >= 0);
        at += taken;
        left -= (size_t)taken;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
            if (named(&header, ":status"))
                answer->http_status = atoi((const char *)header.value);
            else if (named(&header, "grpc-status"))
                answer->grpc_status = atoi((const char *)header.value);
            else if (named(&header, "grpc-message"))
                snprintf(answer->grpc_message, sizeof(answer->grpc_message), "%.*s", (int)header.valuelen,
                         (const char *)header.value);
        }
        if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0 || (taken == 0 && (flags & NGHTTP2_HD_INFLATE_EMIT) == 0))
            break;
    }
    nghttp2_hd_inflate_end_headers(inflater);
}

static uint32_t number_at(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void take_frame(int fd, nghttp2_hd_inflater *inflater, const struct frame *frame, uint32_t stream,
                       struct h2_answer *answer)
{
    struct h2_answer other = { 0 };
    if (frame->type == FRAME_SETTINGS && (frame->flags & FLAG_ACK) == 0)
        h2_send(fd, FRAME_SETTINGS, FLAG_ACK, 0, "", 0);
    else if (frame->type == FRAME_PING && (frame->flags & FLAG_ACK) == 0)
        h2_send(fd, FRAME_PING, FLAG_ACK, 0, frame->payload, 8);
    else if (frame->type == FRAME_GOAWAY)
        answer->goaway = number_at(frame->payload + 4) + 1;
    else if (frame->type == FRAME_HEADERS)
        take_headers(inflater, frame, frame->stream == stream ? answer : &other);
    else if (frame->type == FRAME_RST_STREAM && frame->stream == stream)
        answer->reset = number_at(frame->payload) + 1;
    if (frame->type == FRAME_DATA && frame->stream == stream) {
        assert_true(answer->body_size + frame->size <= sizeof(answer->body));
        memcpy(answer->body + answer->body_size, frame->payload, frame->size);
        answer->body_size += frame->size;
    }
    if ((frame->type == FRAME_DATA || frame->type == FRAME_HEADERS) && frame->stream == stream)
        answer->ended |= (frame->flags & FLAG_END_STREAM) != 0;
}

void h2_receive_answer(int fd, uint32_t stream, struct h2_answer *answer)
{
    static struct frame frame;
    *answer = (struct h2_answer){ .grpc_status = -1 };
    while (!answer->ended && answer->reset == 0 && h2_receive(fd, &frame))
        take_frame(fd, inflaters[fd], &frame, stream, answer);
}

int64_t h2_receive_goaway(int fd, uint32_t *last_stream)
{
    static struct frame frame;
    while (h2_receive(fd, &frame)) {
        if (frame.type == FRAME_PING && (frame.flags & FLAG_ACK) == 0)
            h2_send(fd, FRAME_PING, FLAG_ACK, 0, frame.payload, 8);
        if (frame.type == FRAME_GOAWAY) {
            *last_stream = number_at(frame.payload) & 0x7fffffff;
            return number_at(frame.payload + 4);
        }
    }
    return -1;
}
