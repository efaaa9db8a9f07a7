/* SPDX-License-Identifier: Apache-2.0 */
/* One question at a time, each on a connection of its own; status and events in turn. */
#include "demo/admin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PERIOD_MS 25
#define PATIENCE_MS 3000
#define ANSWER_LIMIT (8u << 20)

static void ask(struct admin *admin);

static void on_closed(uv_handle_t *handle)
{
    struct admin *admin = handle->data;
    admin->asking = false;
    if (admin->closing)
        el_buf_free(&admin->answer);
    else
        el_buf_clear(&admin->answer);
}

static void hang_up(struct admin *admin)
{
    if (!uv_is_closing((uv_handle_t *)&admin->pipe))
        uv_close((uv_handle_t *)&admin->pipe, on_closed);
}

/* The body of a whole HTTP answer with status 200. NULL: not whole yet, or another answer. */
static const char *find_body(const struct el_buf *answer, size_t *size)
{
    static const char ok[] = "HTTP/1.1 200";
    const char *text = (const char *)answer->data;
    if (answer->size < sizeof ok - 1 || memcmp(text, ok, sizeof ok - 1) != 0)
        return NULL;
    const char *end = memmem(text, answer->size, "\r\n\r\n", 4);
    if (end == NULL)
        return NULL;
    const char *body = end + 4;
    for (const char *line = text; line != NULL && line < end; line = memmem(line, (size_t)(body - line), "\r\n", 2)) {
        line += line == text ? 0 : 2;
        static const char name[] = "content-length:";
        if ((size_t)(body - line) > sizeof name && strncasecmp(line, name, sizeof name - 1) == 0) {
            *size = strtoull(line + sizeof name - 1, NULL, 10);
            return (size_t)(text + answer->size - body) >= *size ? body : NULL;
        }
    }
    return NULL;
}

static void handle_answer(struct admin *admin, const char *body, size_t size)
{
    if (admin->events_next) {
        const uint64_t last = admin_read_events(body, size, admin->on_event, admin->argument);
        admin->last_event = last > admin->last_event ? last : admin->last_event;
    } else if (admin_read_status(body, size, &admin->view)) {
        admin->on_view(admin->argument);
    }
    admin->events_next = !admin->events_next;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *room)
{
    struct admin *admin = handle->data;
    room->base = (char *)el_buf_reserve(&admin->answer, suggested);
    room->len = room->base == NULL ? 0 : suggested;
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *room)
{
    (void)room;
    struct admin *admin = stream->data;
    if (size > 0)
        admin->answer.size += (size_t)size;
    size_t body_size = 0;
    const char *body = size >= 0 ? find_body(&admin->answer, &body_size) : NULL;
    if (body != NULL)
        handle_answer(admin, body, body_size);
    if (body != NULL || size < 0 || admin->answer.size > ANSWER_LIMIT)
        hang_up(admin);
}

static void on_written(uv_write_t *write, int status)
{
    if (status < 0 && status != UV_ECANCELED)
        hang_up(write->data);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct admin *admin = connect->data;
    if (status < 0) {
        hang_up(admin);
        return;
    }
    const uv_buf_t question = uv_buf_init(admin->question, (unsigned)strlen(admin->question));
    if (uv_write(&admin->write, (uv_stream_t *)&admin->pipe, &question, 1, on_written) != 0 ||
        uv_read_start((uv_stream_t *)&admin->pipe, on_alloc, on_read) != 0)
        hang_up(admin);
}

static void ask(struct admin *admin)
{
    char target[64] = "status";
    if (admin->events_next)
        snprintf(target, sizeof target, "events?after=%" PRIu64, admin->last_event);
    snprintf(admin->question, sizeof admin->question,
             "GET /admin/v1/%s HTTP/1.1\r\nHost: everlit\r\nConnection: close\r\n\r\n", target);
    if (uv_pipe_init(admin->timer.loop, &admin->pipe, 0) != 0)
        return;
    admin->asking = true;
    admin->asked_ms = uv_now(admin->timer.loop);
    uv_pipe_connect(&admin->connect, &admin->pipe, admin->path, on_connected);
}

static void on_timer(uv_timer_t *timer)
{
    struct admin *admin = timer->data;
    if (!admin->asking)
        ask(admin);
    else if (uv_now(timer->loop) - admin->asked_ms > PATIENCE_MS)
        hang_up(admin);
}

void admin_start(struct admin *admin, uv_loop_t *loop, const char *path, void (*on_view)(void *argument),
                 void (*on_event)(void *argument, const struct admin_event *event), void *argument)
{
    *admin = (struct admin){ .on_view = on_view, .on_event = on_event, .argument = argument };
    admin->view.serving = -1;
    snprintf(admin->path, sizeof admin->path, "%s", path);
    uv_timer_init(loop, &admin->timer);
    admin->timer.data = admin->pipe.data = admin->connect.data = admin->write.data = admin;
    uv_timer_start(&admin->timer, on_timer, 0, PERIOD_MS);
}

void admin_stop(struct admin *admin)
{
    if (admin->closing || admin->timer.loop == NULL)
        return;
    admin->closing = true;
    uv_close((uv_handle_t *)&admin->timer, NULL);
    if (admin->asking)
        hang_up(admin);
    else
        el_buf_free(&admin->answer);
}

const struct admin_version *admin_find(const struct admin_view *view, int64_t version)
{
    for (size_t i = 0; i < view->count; i++) {
        if (view->versions[i].version == version)
            return &view->versions[i];
    }
    return NULL;
}
