/* SPDX-License-Identifier: Apache-2.0 */
/* The course of time on an HTTP/2 connection: its end, in order; its age; whether the client is still there. */
#include "rpc/call.h"
#include "rpc/h2.h"

#include <string.h>

#define GOAWAY_WAIT_MS 1000 /* for the answer to the PING between the two GOAWAYs */

static const uint8_t drain_ping[8] = { 'e', 'l', '-', 'd', 'r', 'a', 'i', 'n' };
static const uint8_t alive_ping[8] = { 'e', 'l', '-', 'a', 'l', 'i', 'v', 'e' };

static void final_goaway(struct el_h2 *h2)
{
    if (h2->final_goaway)
        return;
    h2->final_goaway = true;
    nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h2->session),
                          NGHTTP2_NO_ERROR, NULL, 0);
    el_conn_dirty(&h2->conn);
}

void el_h2_drain(struct el_conn *conn)
{
    struct el_h2 *h2 = (struct el_h2 *)conn;
    if (h2->goaway_ms != 0)
        return;
    /*
     * In two steps, so that no call is lost: first "start no new ones", with every stream still welcome; when the
     * answer to a PING behind it shows that the client has read it, "the last I took was N", and what came later is
     * retried. The PING is submitted when the GOAWAY is out (on_frame_sent): nghttp2 would send it first.
     */
    h2->goaway_ms = uv_now(&conn->loop->open.uv) + (uv_now(&conn->loop->open.uv) == 0);
    nghttp2_submit_shutdown_notice(h2->session);
    if (conn->loop->phase == EL_LOOP_DRAINING) {
        struct el_grpc_call *call, *next;
        el_list_each (call, next, &h2->calls, link) {
            if (el_call_between_messages(call)) /* it might wait for ever */
                el_call_abort(call, EL_UNAVAILABLE, "the server is stopping");
        }
    }
    el_conn_dirty(conn);
}

void el_h2_give_up(struct el_conn *conn)
{
    struct el_h2 *h2 = (struct el_h2 *)conn;
    struct el_grpc_call *call, *next;
    el_list_each (call, next, &h2->calls, link)
        el_call_abort(call, EL_UNAVAILABLE, "the server is shutting down");
    final_goaway(h2);
}

void el_h2_ponged(struct el_h2 *h2, const uint8_t *opaque)
{
    if (memcmp(opaque, drain_ping, sizeof(drain_ping)) == 0 && h2->goaway_ms != 0)
        final_goaway(h2);
}

void el_h2_goaway_sent(struct el_h2 *h2)
{
    if (h2->goaway_ms != 0 && !h2->final_goaway)
        nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, drain_ping);
}

/* A tenth more or less, so that clients that came together do not come back together. */
void el_h2_choose_age(struct el_h2 *h2)
{
    const uint64_t age_ms = h2->conn.loop->settings->grpc_times.age_ms;
    const uint64_t spread = age_ms / 5 + 1;
    h2->age_ms = age_ms == 0 ? 0 : age_ms - age_ms / 10 + uv_hrtime() / 1000 % spread;
}

static void check_age(struct el_h2 *h2, uint64_t now_ms)
{
    if (h2->age_ms == 0 || now_ms - h2->opened_ms < h2->age_ms)
        return;
    el_h2_drain(&h2->conn);
    const uint64_t grace_ms = h2->conn.loop->settings->grpc_times.age_grace_ms;
    if (grace_ms != 0 && now_ms - h2->opened_ms >= h2->age_ms + grace_ms && !cds_list_empty(&h2->calls))
        el_h2_give_up(&h2->conn);
}

/* Whatever the client sends shows that it is there, not only the answer to our PING. */
static void keep_alive(struct el_h2 *h2, uint64_t now_ms)
{
    const struct el_grpc_times *times = &h2->conn.loop->settings->grpc_times;
    if (times->keepalive_ms == 0)
        return;
    if (h2->asked_alive_ms != 0 && h2->conn.read_ms >= h2->asked_alive_ms)
        h2->asked_alive_ms = 0;
    if (h2->asked_alive_ms != 0) {
        if (now_ms - h2->asked_alive_ms > times->keepalive_timeout_ms)
            el_conn_close(&h2->conn);
        return;
    }
    const bool wanted = times->keepalive_idle || !cds_list_empty(&h2->calls);
    if (wanted && now_ms - h2->conn.read_ms >= times->keepalive_ms) {
        h2->asked_alive_ms = now_ms;
        nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, alive_ping);
    }
}

void el_h2_tick(struct el_conn *conn, uint64_t now_ms)
{
    struct el_h2 *h2 = (struct el_h2 *)conn;
    const struct el_rpc_settings *settings = conn->loop->settings;
    struct el_grpc_call *call, *next;
    h2->noise = 0;
    if ((!h2->settled && now_ms - h2->opened_ms > settings->header_timeout_ms) ||
        (h2->in_headers && now_ms - h2->headers_since_ms > settings->header_timeout_ms)) {
        el_conn_close(conn);
        return;
    }
    el_list_each (call, next, &h2->calls, link)
        el_call_tick(call, now_ms);
    if (cds_list_empty(&h2->calls) && now_ms - h2->calls_ms > settings->grpc_times.idle_ms)
        el_h2_drain(conn);
    check_age(h2, now_ms);
    keep_alive(h2, now_ms);
    if (h2->goaway_ms != 0 && now_ms - h2->goaway_ms > GOAWAY_WAIT_MS)
        final_goaway(h2);
    if (nghttp2_session_want_write(h2->session) != 0)
        el_conn_dirty(conn);
}
