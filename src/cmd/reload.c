/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/reload.h"

#include "base/clock.h"
#include "base/file.h"
#include "cmd/reload_check.h"
#include "config/text.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GIVE_UP_MS 10000 /* for a model of which nothing is on its way */
#define LOOK_MS 1000

struct el_reload {
    struct el_reload_options options;
    struct el_config current;
    char *applied; /* owned: the file's text that is in force; NULL: something else is */
    char *refused; /* owned: the file's text that was refused the last time, told once */

    uv_async_t async; /* something was asked */
    uv_timer_t poll, wait;
    unsigned open_handles;
    bool ending;

    pthread_mutex_t mutex;       /* guards asked */
    struct el_api_reload *asked; /* newest first */

    struct el_api_reload *queue;   /* oldest first */
    struct el_api_reload *waiting; /* in force already; its new models are not there yet */
    struct el_names_list awaited;  /* by it */
    struct el_names_list failed;   /* models of the current config that never became available: awaited again */
    uint64_t give_up_ns;
    uint64_t generation; /* of the view before it was put in force: what a later one shows counts */
};

/* ---- one config ---- */

/* Puts config (taken over) in force; fresh: the names of the models that are new. */
static struct el_status *apply(struct el_reload *reload, struct el_config *config, struct el_names_list *fresh)
{
    const struct el_view *view = el_view_get(reload->options.swap);
    const struct el_label_rules rules = {
        .any = reload->options.flags->allow_version_labels_for_unavailable_models,
        .strict = reload->options.flags->strict_labels,
    };
    struct el_status *status = el_reload_check_labels(view, config, rules);
    reload->generation = view != NULL ? view->generation : 0;
    el_view_put(reload->options.swap, view);
    if (status == NULL)
        status = el_reload_fresh_names(&reload->current, config, &reload->failed, fresh);
    if (status == NULL)
        status = el_everlitd_choose_engine(reload->options.flags, config);
    if (status == NULL)
        status = el_swap_reconfigure(reload->options.swap, config);
    if (status != NULL) {
        el_config_free(config);
        return status;
    }
    el_config_free(&reload->current);
    reload->current = *config;
    return NULL;
}

/* The message is TensorFlow Serving's: operators look for it. */
static void tell_refused(const struct el_reload *reload, const struct el_status *status, const char *from)
{
    char theirs[1024];
    snprintf(theirs, sizeof theirs, "ReloadConfig failed: %s", el_status_text(status));
    el_log(reload->options.log, EL_LOG_ERROR, "reload_refused", el_str("file", from),
           el_str("code", el_code_name(el_status_code(status))), el_str("reason", el_status_text(status)),
           el_str("message", theirs));
}

static void tell(const struct el_reload *reload, const struct el_status *status, const char *from)
{
    if (status == NULL)
        el_log(reload->options.log, EL_LOG_INFO, "reloaded", el_str("file", from),
               el_int("models", (int64_t)reload->current.model_count));
    else
        tell_refused(reload, status, from);
}

static void forget_file(struct el_reload *reload)
{
    free(reload->applied);
    free(reload->refused);
    reload->applied = reload->refused = NULL;
}

/* ---- what clients ask ---- */

static void finish(struct el_reload *reload, struct el_status *status)
{
    struct el_api_reload *asked = reload->waiting;
    reload->waiting = NULL;
    uv_timer_stop(&reload->wait);
    tell(reload, status, "HandleReloadConfigRequest");
    el_api_reload_done(asked, status);
}

static void look(struct el_reload *reload)
{
    if (reload->waiting == NULL)
        return;
    const struct el_view *view = el_view_get(reload->options.swap);
    const bool give_up = el_now_ns() >= reload->give_up_ns;
    struct el_status *status = NULL;
    const bool decided = view != NULL && view->generation > reload->generation &&
                         el_reload_decided(view, &reload->awaited, give_up, &reload->failed, &status);
    el_view_put(reload->options.swap, view);
    if (decided)
        finish(reload, status);
}

static void next_asked(struct el_reload *reload);

static void on_wait(uv_timer_t *timer)
{
    struct el_reload *reload = timer->data;
    look(reload);
    next_asked(reload);
}

static void begin(struct el_reload *reload, struct el_api_reload *asked)
{
    struct el_config config;
    reload->waiting = asked;
    el_names_list_clear(&reload->awaited);
    struct el_status *status = el_config_decode(asked->config.data, asked->config.size, &reload->current, &config);
    if (status == NULL)
        status = apply(reload, &config, &reload->awaited);
    if (status != NULL) {
        finish(reload, status);
        return;
    }
    reload->options.on_applied(&reload->current, true, reload->options.argument);
    forget_file(reload);
    el_names_list_clear(&reload->failed);
    if (reload->awaited.count == 0) {
        finish(reload, NULL);
        return;
    }
    reload->give_up_ns = el_after_ns(el_now_ns(), GIVE_UP_MS * EL_NS_PER_MS);
    uv_timer_start(&reload->wait, on_wait, LOOK_MS, LOOK_MS);
}

static void next_asked(struct el_reload *reload)
{
    while (reload->waiting == NULL && reload->queue != NULL) {
        struct el_api_reload *first = reload->queue;
        reload->queue = first->next;
        first->next = NULL;
        begin(reload, first);
    }
}

/* Moves what was asked to the end of the queue. */
static void take_asked(struct el_reload *reload)
{
    pthread_mutex_lock(&reload->mutex);
    struct el_api_reload *list = reload->asked, *turned = NULL;
    reload->asked = NULL;
    pthread_mutex_unlock(&reload->mutex);
    while (list != NULL) {
        struct el_api_reload *first = list;
        list = first->next;
        first->next = turned;
        turned = first;
    }
    struct el_api_reload **end = &reload->queue;
    while (*end != NULL)
        end = &(*end)->next;
    *end = turned;
}

static void refuse_all(struct el_reload *reload)
{
    static const char text[] = "the server is ending";
    if (reload->waiting != NULL)
        finish(reload, el_status_new(EL_UNAVAILABLE, "%s", text));
    while (reload->queue != NULL) {
        struct el_api_reload *first = reload->queue;
        reload->queue = first->next;
        el_api_reload_done(first, el_status_new(EL_UNAVAILABLE, "%s", text));
    }
}

static void on_asked(uv_async_t *async)
{
    struct el_reload *reload = async->data;
    take_asked(reload);
    if (reload->ending) {
        refuse_all(reload);
        return;
    }
    look(reload);
    next_asked(reload);
}

void el_reload_look(struct el_reload *reload)
{
    uv_async_send(&reload->async);
}

void el_reload_ask(struct el_api_reload *asked, void *argument)
{
    struct el_reload *reload = argument;
    pthread_mutex_lock(&reload->mutex);
    asked->next = reload->asked;
    reload->asked = asked;
    pthread_mutex_unlock(&reload->mutex);
    uv_async_send(&reload->async);
}

/* ---- the file ---- */

/* NULL: it is in force. */
static struct el_status *reload_file(struct el_reload *reload)
{
    struct el_config config;
    struct el_names_list fresh = { 0 }; /* not waited for: nobody waits for an answer */
    struct el_status *status = el_config_reread(reload->options.flags->model_config_file, &reload->current, &config);
    if (status == NULL)
        status = apply(reload, &config, &fresh);
    el_names_list_clear(&fresh);
    tell(reload, status, reload->options.flags->model_config_file);
    if (status == NULL) {
        reload->options.on_applied(&reload->current, false, reload->options.argument);
        forget_file(reload);
    }
    return status;
}

void el_reload_file(struct el_reload *reload)
{
    el_status_free(reload_file(reload));
}

static char *read_text(const struct el_reload *reload)
{
    struct el_buf text = { 0 };
    struct el_status *status = el_file_read(reload->options.flags->model_config_file, EL_TEXT_MAX_BYTES, &text);
    if (status != NULL)
        el_buf_printf(&text, "%s", el_status_text(status)); /* as good as a text that is refused: told once */
    el_status_free(status);
    return el_buf_take_text(&text);
}

static bool is_same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* A text that is in force, or was refused already, is not tried and told again at each look. */
static void on_poll(uv_timer_t *timer)
{
    struct el_reload *reload = timer->data;
    char *text = read_text(reload);
    if (text == NULL || is_same(text, reload->applied) || is_same(text, reload->refused)) {
        free(text);
        return;
    }
    struct el_status *status = reload_file(reload);
    char **keep = status == NULL ? &reload->applied : &reload->refused;
    free(*keep);
    *keep = text;
    el_status_free(status);
}

/* ---- life ---- */

struct el_status *el_reload_new(const struct el_reload_options *options, struct el_reload **made)
{
    struct el_reload *reload = calloc(1, sizeof *reload);
    if (reload == NULL)
        return el_status_no_memory();
    reload->options = *options;
    struct el_status *status = el_config_copy(options->config, &reload->current);
    if (status == NULL && pthread_mutex_init(&reload->mutex, NULL) != 0) {
        el_config_free(&reload->current);
        status = el_status_new(EL_INTERNAL, "the reloader cannot make its lock");
    }
    if (status != NULL) {
        free(reload);
        return status;
    }
    uv_async_init(options->uv_loop, &reload->async, on_asked);
    uv_timer_init(options->uv_loop, &reload->poll);
    uv_timer_init(options->uv_loop, &reload->wait);
    reload->async.data = reload->poll.data = reload->wait.data = reload;
    reload->open_handles = 3;
    *made = reload;
    return NULL;
}

void el_reload_start(struct el_reload *reload)
{
    const struct el_everlitd_flags *flags = reload->options.flags;
    if (flags->model_config_file_poll_wait_seconds > 0 && *flags->model_config_file != 0)
        uv_timer_start(&reload->poll, on_poll, 0, (uint64_t)flags->model_config_file_poll_wait_seconds * 1000);
}

static void on_closed(uv_handle_t *handle)
{
    struct el_reload *reload = handle->data;
    if (--reload->open_handles > 0)
        return;
    pthread_mutex_destroy(&reload->mutex);
    el_config_free(&reload->current);
    forget_file(reload);
    el_names_list_clear(&reload->awaited);
    el_names_list_clear(&reload->failed);
    free(reload);
}

void el_reload_end(struct el_reload *reload)
{
    reload->ending = true;
    uv_timer_stop(&reload->poll);
    take_asked(reload);
    refuse_all(reload);
}

void el_reload_free(struct el_reload *reload)
{
    if (reload == NULL)
        return;
    el_reload_end(reload);
    uv_close((uv_handle_t *)&reload->async, on_closed);
    uv_close((uv_handle_t *)&reload->poll, on_closed);
    uv_close((uv_handle_t *)&reload->wait, on_closed);
}
