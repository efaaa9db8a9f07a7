/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor: a bare nghttp2 server that answers every unary gRPC call with the same bytes, without a model and
 * without anything else that a server needs. What Everlit achieves is measured against it.
 *
 *     bare_server PORT FILE     (FILE: the answer's message)
 *
 * Two threads, each an epoll loop on its own SO_REUSEPORT socket. It is as fast as straightforward code on nghttp2
 * gets: one read and one write per wake-up of a connection, no copies but nghttp2's, no timers, no limits. It uses
 * nothing of src/.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS 2
#define BUFFER_BYTES (256 * 1024)
#define PREFIX 5

static uint8_t *answer; /* with its prefix */
static size_t answer_size;
static uint16_t port;

struct conn {
    int fd;
    nghttp2_session *session;
    uint8_t *rest; /* what the socket did not take */
    size_t rest_size, rest_sent;
};

static ssize_t read_answer(nghttp2_session *session, int32_t stream_id, uint8_t *to, size_t room, uint32_t *flags,
                           nghttp2_data_source *source, void *user)
{
    (void)user;
    (void)source;
    static const nghttp2_nv trailer = { (uint8_t *)(uintptr_t) "grpc-status", (uint8_t *)(uintptr_t) "0", 11, 1,
                                        NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE };
    size_t sent = (size_t)(uintptr_t)nghttp2_session_get_stream_user_data(session, stream_id);
    size_t left = answer_size - sent, take = left < room ? left : room;
    memcpy(to, answer + sent, take);
    nghttp2_session_set_stream_user_data(session, stream_id, (void *)(uintptr_t)(sent + take));
    if (take == left) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        nghttp2_submit_trailer(session, stream_id, &trailer, 1);
    }
    return (ssize_t)take;
}

#define NV(name_, value_)                                                                                     \
    {                                                                                                         \
        (uint8_t *)(uintptr_t)(name_), (uint8_t *)(uintptr_t)(value_), sizeof(name_) - 1, sizeof(value_) - 1, \
            NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE                                      \
    }

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)user;
    static const nghttp2_nv headers[] = { NV(":status", "200"), NV("content-type", "application/grpc") };
    bool request = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (request && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        nghttp2_data_provider data = { .read_callback = read_answer };
        nghttp2_submit_response(session, frame->hd.stream_id, headers, 2, &data);
    }
    return 0;
}

static void close_conn(struct conn *conn)
{
    close(conn->fd);
    nghttp2_session_del(conn->session);
    free(conn->rest);
    free(conn);
}

static struct conn *open_conn(int fd, const nghttp2_session_callbacks *callbacks)
{
    static const nghttp2_settings_entry settings[] = { { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1000 },
                                                       { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 8 * 1024 * 1024 } };
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL || (conn->rest = malloc(BUFFER_BYTES)) == NULL ||
        nghttp2_session_server_new(&conn->session, callbacks, conn) != 0)
        abort();
    conn->fd = fd;
    nghttp2_submit_settings(conn->session, NGHTTP2_FLAG_NONE, settings, 2);
    nghttp2_session_set_local_window_size(conn->session, NGHTTP2_FLAG_NONE, 0, 16 * 1024 * 1024);
    return conn;
}

/* Sends what there is. False: the connection is broken. */
static bool flush(struct conn *conn)
{
    static _Thread_local uint8_t buffer[BUFFER_BYTES];
    for (;;) {
        while (conn->rest_sent < conn->rest_size) {
            ssize_t sent = send(conn->fd, conn->rest + conn->rest_sent, conn->rest_size - conn->rest_sent,
                                MSG_NOSIGNAL);
            if (sent < 0)
                return errno == EAGAIN;
            conn->rest_sent += (size_t)sent;
        }
        size_t size = 0;
        const uint8_t *bytes;
        ssize_t more = 0;
        while (size < BUFFER_BYTES - 20000 && (more = nghttp2_session_mem_send(conn->session, &bytes)) > 0) {
            memcpy(buffer + size, bytes, (size_t)more);
            size += (size_t)more;
        }
        if (size == 0)
            return more == 0 && (nghttp2_session_want_read(conn->session) || nghttp2_session_want_write(conn->session));
        ssize_t sent = send(conn->fd, buffer, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return false;
        size_t done = sent > 0 ? (size_t)sent : 0;
        memcpy(conn->rest, buffer + done, size - done);
        conn->rest_size = size - done;
        conn->rest_sent = 0;
    }
}

static bool serve(struct conn *conn)
{
    static _Thread_local uint8_t buffer[BUFFER_BYTES];
    ssize_t got;
    do { /* edge-triggered: what is left would not be told again */
        got = recv(conn->fd, buffer, sizeof(buffer), 0);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            return false;
        if (got > 0 && nghttp2_session_mem_recv(conn->session, buffer, (size_t)got) < 0)
            return false;
    } while (got == (ssize_t)sizeof(buffer));
    return flush(conn);
}

static void *run(void *unused)
{
    (void)unused;
    const struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (bind(listener, (const struct sockaddr *)&address, sizeof(address)) != 0 || listen(listener, 1024) != 0) {
        perror("bare_server: listening");
        exit(1);
    }
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        abort();
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    struct epoll_event event = { .events = EPOLLIN }, events[256];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            struct conn *conn = events[i].data.ptr;
            if (conn != NULL) {
                if (!serve(conn))
                    close_conn(conn);
                continue;
            }
            int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
            if (fd < 0)
                continue;
            struct epoll_event on_conn = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
            on_conn.data.ptr = open_conn(fd, callbacks);
            epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &on_conn);
        }
    }
    return NULL;
}

static void read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    long size;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0) {
        perror(path);
        exit(1);
    }
    rewind(file);
    answer_size = PREFIX + (size_t)size;
    answer = malloc(answer_size);
    if (answer == NULL || fread(answer + PREFIX, 1, (size_t)size, file) != (size_t)size)
        abort();
    answer[0] = 0;
    for (int i = 0; i < 4; i++)
        answer[1 + i] = (uint8_t)((size_t)size >> (24 - 8 * i));
    fclose(file);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "bare_server PORT FILE\n");
        return 2;
    }
    port = (uint16_t)strtoul(argv[1], NULL, 10);
    read_file(argv[2]);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, run, NULL) != 0)
            abort();
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
