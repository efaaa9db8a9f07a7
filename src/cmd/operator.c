/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/operator.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SOON_MS 2000 /* the wait for what needs no load, whether or not it was asked for */
#define LOOK_MS 100  /* not every change is an event */
#define BARRIER \
    "operator's barrier" /* a note that never is: taken away, it tells when what came before it is on the disk */

struct waiting {
    struct waiting *next;
    struct el_operator *operator_;
    struct el_api_operate *asked; /* NULL: answered because the server ends; the journal still comes back */
    struct el_status *status;     /* decided: what is answered once the journal has written */
    uint64_t began_ns, until_ns;
    bool writing; /* decided, and the journal has it */
};

struct el_operator {
    struct el_operator_options options;
    uv_async_t async;
    uv_timer_t timer;
    unsigned open_handles;
    bool ending;

    pthread_mutex_t mutex;        /* guards asked */
    struct el_api_operate *asked; /* newest first */

    struct waiting *waiting; /* oldest first */
};

static void answer(struct waiting *waiting)
{
    struct el_api_operate *asked = waiting->asked;
    struct el_status *status = waiting->status;
    waiting->asked = NULL;
    waiting->status = NULL;
    if (asked != NULL)
        el_api_operate_done(asked, status);
    else
        el_status_free(status);
}

static void leave(struct waiting *waiting)
{
    struct waiting **at = &waiting->operator_->waiting;
    while (*at != waiting)
        at = &(*at)->next;
    *at = waiting->next;
    free(waiting);
}

static void on_written(void *argument, const struct el_status *status)
{
    struct waiting *waiting = argument;
    if (status != NULL && waiting->asked != NULL)
        waiting->asked->forgotten = strdup(el_status_text(status));
    answer(waiting);
    leave(waiting);
}

/* Decided, or not waited for any more. What it changed is behind it in the journal's queue. */
static void conclude(struct waiting *waiting, bool done, struct el_status *status)
{
    waiting->status = status;
    waiting->writing = true;
    waiting->asked->done = done;
    waiting->asked->took_ms = (double)(el_now_ns() - waiting->began_ns) / 1e6;
    struct el_status *failed = el_journal_note(waiting->operator_->options.journal, BARRIER, NULL, on_written, waiting);
    if (failed == NULL)
        return;
    waiting->asked->forgotten = strdup(el_status_text(failed));
    el_status_free(failed);
    answer(waiting);
    leave(waiting);
}

static void look_at(struct waiting *waiting)
{
    struct el_api_operate *asked = waiting->asked;
    struct el_status *status = NULL;
    if (el_operate_outcome(waiting->operator_->options.swap, &asked->operation, &status)) {
        conclude(waiting, true, status);
        return;
    }
    if (el_now_ns() < waiting->until_ns)
        return;
    if (asked->wait_ms > 0)
        status = el_status_new(EL_DEADLINE_EXCEEDED,
                               "not decided within %g s, and it goes on: %s; `everlit status` shows how far it is",
                               (double)asked->wait_ms / 1000, asked->operation.text);
    conclude(waiting, false, status);
}

static void look(struct el_operator *operator_)
{
    struct waiting *next;
    bool some = false;
    for (struct waiting *waiting = operator_->waiting; waiting != NULL; waiting = next) {
        next = waiting->next;
        if (waiting->writing)
            continue;
        some = true;
        look_at(waiting);
    }
    if (!some)
        uv_timer_stop(&operator_->timer);
}

static void on_timer(uv_timer_t *timer)
{
    look(timer->data);
}

static void begin(struct el_operator *operator_, struct el_api_operate *asked)
{
    struct waiting *waiting = operator_->ending ? NULL : calloc(1, sizeof *waiting);
    struct el_status *status = operator_->ending ? el_status_new(EL_UNAVAILABLE, "the server is ending")
                               : waiting == NULL ? el_status_no_memory()
                                                 : NULL;
    const uint64_t now_ns = el_now_ns();
    if (status == NULL)
        status = el_operate(operator_->options.swap, &asked->operation);
    if (status != NULL) {
        free(waiting);
        el_api_operate_done(asked, status);
        return;
    }
    const uint64_t wait_ms = asked->operation.soon && asked->wait_ms < SOON_MS ? SOON_MS : asked->wait_ms;
    *waiting = (struct waiting){ .operator_ = operator_,
                                 .asked = asked,
                                 .began_ns = now_ns,
                                 .until_ns = el_after_ns(now_ns, wait_ms * EL_NS_PER_MS) };
    struct waiting **end = &operator_->waiting;
    while (*end != NULL)
        end = &(*end)->next;
    *end = waiting;
    if (wait_ms == 0)
        conclude(waiting, false, NULL);
    else
        uv_timer_start(&operator_->timer, on_timer, LOOK_MS, LOOK_MS);
}

static void on_asked(uv_async_t *async)
{
    struct el_operator *operator_ = async->data;
    pthread_mutex_lock(&operator_->mutex);
    struct el_api_operate *list = operator_->asked, *turned = NULL;
    operator_->asked = NULL;
    pthread_mutex_unlock(&operator_->mutex);
    while (list != NULL) {
        struct el_api_operate *first = list;
        list = first->next;
        first->next = turned;
        turned = first;
    }
    while (turned != NULL) {
        struct el_api_operate *first = turned;
        turned = first->next;
        first->next = NULL;
        begin(operator_, first);
    }
    look(operator_);
}

void el_operator_ask(struct el_api_operate *asked, void *argument)
{
    struct el_operator *operator_ = argument;
    pthread_mutex_lock(&operator_->mutex);
    asked->next = operator_->asked;
    operator_->asked = asked;
    pthread_mutex_unlock(&operator_->mutex);
    uv_async_send(&operator_->async);
}

void el_operator_look(struct el_operator *operator_)
{
    uv_async_send(&operator_->async);
}

/* ---- life ---- */

struct el_status *el_operator_new(const struct el_operator_options *options, struct el_operator **made)
{
    struct el_operator *operator_ = calloc(1, sizeof *operator_);
    if (operator_ == NULL)
        return el_status_no_memory();
    operator_->options = *options;
    if (pthread_mutex_init(&operator_->mutex, NULL) != 0) {
        free(operator_);
        return el_status_new(EL_INTERNAL, "the operator cannot make its lock");
    }
    uv_async_init(options->uv_loop, &operator_->async, on_asked);
    uv_timer_init(options->uv_loop, &operator_->timer);
    operator_->async.data = operator_->timer.data = operator_;
    operator_->open_handles = 2;
    *made = operator_;
    return NULL;
}

void el_operator_end(struct el_operator *operator_)
{
    operator_->ending = true;
    uv_timer_stop(&operator_->timer);
    struct waiting *next;
    for (struct waiting *waiting = operator_->waiting; waiting != NULL; waiting = next) {
        next = waiting->next;
        if (waiting->asked == NULL)
            continue;
        if (!waiting->writing)
            waiting->status = el_status_new(EL_UNAVAILABLE, "the server is ending");
        answer(waiting);
        if (!waiting->writing)
            leave(waiting);
    }
    uv_async_send(&operator_->async);
}

static void on_closed(uv_handle_t *handle)
{
    struct el_operator *operator_ = handle->data;
    if (--operator_->open_handles > 0)
        return;
    pthread_mutex_destroy(&operator_->mutex);
    free(operator_);
}

void el_operator_free(struct el_operator *operator_)
{
    if (operator_ == NULL)
        return;
    operator_->ending = true;
    on_asked(&operator_->async); /* what came after the end is freed with its answer */
    uv_close((uv_handle_t *)&operator_->async, on_closed);
    uv_close((uv_handle_t *)&operator_->timer, on_closed);
}
