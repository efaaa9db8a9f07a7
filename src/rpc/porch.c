/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/porch.h"
#include "rpc/conn.h"
#include "rpc/tls.h"

#include <stdlib.h>
#include <unistd.h>

#define HANDSHAKE_MS 10000
#define FAILURE_LOG_MS 10000 /* one line for each of so many */

struct guest {
    struct cds_list_head link; /* in the loop's guests */
    uv_poll_t poll;
    struct el_loop *loop;
    const struct el_listener *listener;
    struct ssl_st *session;
    int fd; /* -1: it has left */
    int events;
    uint64_t since_ms;
};

bool el_porch_needed(const struct el_listener *listener)
{
    return listener->tls != NULL;
}

static void free_guest(uv_handle_t *handle)
{
    free(handle->data);
}

static void leave(struct guest *guest)
{
    cds_list_del(&guest->link);
    guest->loop->guest_count--;
    guest->fd = -1;
    uv_close((uv_handle_t *)&guest->poll, free_guest);
}

static void show_out(struct guest *guest)
{
    struct el_loop *loop = guest->loop;
    el_tls_session_free(guest->session);
    close(guest->fd);
    leave(guest);
    atomic_fetch_sub_explicit(loop->connections, 1, memory_order_relaxed);
}

static void tell_failure(struct el_loop *loop, const char *why)
{
    uint64_t now_ms = uv_now(&loop->open.uv);
    el_count(&loop->counters.protocol_errors, 1);
    if (loop->handshake_logged_ms != 0 && now_ms - loop->handshake_logged_ms < FAILURE_LOG_MS)
        return;
    loop->handshake_logged_ms = now_ms;
    el_log(loop->settings->log, EL_LOG_WARNING, "tls_handshake_failed", el_str("reason", why));
}

/* From here on it is a connection like any other. Of HTTP's versions the first bytes tell, whatever was agreed on. */
static void become_conn(struct guest *guest)
{
    struct el_loop *loop = guest->loop;
    const int fd = guest->fd;
    struct ssl_st *session = guest->session;
    const struct el_listener *listener = guest->listener;
    leave(guest); /* first: two handles cannot watch one socket */
    struct el_conn *conn = listener->type == EL_LISTEN_GRPC ? el_h2_open(loop, fd, listener)
                                                            : el_h1_open(loop, fd, listener);
    if (!el_conn_take_over(conn, loop, fd, session))
        return;
    el_count(&loop->counters.accepted, 1);
    el_conn_begin(conn, NULL, 0);
}

static void wait_for(struct guest *guest, int events);

static void go_on(struct guest *guest)
{
    char why[128];
    switch (el_tls_handshake(guest->session, why, sizeof(why))) {
    case EL_TLS_DONE:
        become_conn(guest);
        break;
    case EL_TLS_WANTS_READ:
        wait_for(guest, UV_READABLE);
        break;
    case EL_TLS_WANTS_WRITE:
        wait_for(guest, UV_WRITABLE);
        break;
    case EL_TLS_FAILED:
        tell_failure(guest->loop, why);
        show_out(guest);
        break;
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct guest *guest = poll->data;
    (void)events;
    if (guest->fd < 0)
        return;
    if (status < 0)
        show_out(guest);
    else
        go_on(guest);
}

static void wait_for(struct guest *guest, int events)
{
    if (guest->events == events)
        return;
    guest->events = events;
    if (uv_poll_start(&guest->poll, events, on_poll) != 0)
        show_out(guest);
}

bool el_porch_enter(struct el_loop *loop, int fd, const struct el_listener *listener)
{
    struct guest *guest = calloc(1, sizeof(*guest));
    if (guest == NULL)
        return false;
    const unsigned protocols = listener->type == EL_LISTEN_GRPC ? (unsigned)EL_TLS_H2
                                                                : (unsigned)EL_TLS_H1 | (unsigned)EL_TLS_H2;
    guest->session = el_tls_session_new(listener->tls, fd, protocols);
    if (guest->session == NULL)
        goto fail;
    if (uv_poll_init(&loop->open.uv, &guest->poll, fd) != 0)
        goto fail;
    guest->poll.data = guest;
    guest->loop = loop;
    guest->listener = listener;
    guest->fd = fd;
    guest->since_ms = uv_now(&loop->open.uv);
    cds_list_add_tail(&guest->link, &loop->guests);
    loop->guest_count++;
    wait_for(guest, UV_READABLE);
    return true;
fail:
    el_tls_session_free(guest->session);
    free(guest);
    return false;
}

void el_porch_tick(struct el_loop *loop, uint64_t now_ms, bool everybody)
{
    uint64_t limit_ms = HANDSHAKE_MS;
    if (limit_ms > loop->settings->header_timeout_ms)
        limit_ms = loop->settings->header_timeout_ms;
    struct guest *guest, *next;
    el_list_each (guest, next, &loop->guests, link) {
        const bool late = now_ms - guest->since_ms > limit_ms;
        if (late)
            tell_failure(loop, "the client did not finish it in time");
        if (late || everybody)
            show_out(guest);
    }
}
