/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two short lists, both by model and kind of alert. A condition goes on until something ends it. A group is open for group_ms after an alert was
 * told, and counts what comes meanwhile. Both are bounded by MOST: beyond it alerts are told each by itself.
 */
#include "alert/alert.h"

#include "alert/kinds.h"
#include "alert/message.h"
#include "alert/receiver.h"
#include "base/clock.h"
#include "base/constant.h"
#include "base/list.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST 4096
#define REPEAT_MS \
    60000 /* how often Alertmanager hears of a condition: it holds for true what it was told of within HELD_US */
#define RUNNING_NOTE "running" /* there while the server runs, and after it if it did not end in order */

/* What was told last, or is to be told when the group's time is over. Strings are owned but for kind's. */
struct told {
    struct cds_list_head in_alerts;
    const struct el_alert_kind *kind;
    const char *model, *text;
    int64_t version, time_us, starts_us;
    bool resolved;     /* of a group: whether it is of ends */
    uint32_t repeats;  /* of a group: since it was told */
    uint64_t until_ns; /* of a group */
};

struct el_alerts {
    struct el_alerts_options options;
    char server[256];
    struct el_receiver **receivers;
    size_t count;
    struct cds_list_head conditions, groups;
    size_t condition_count, group_count;
    int64_t last_id;  /* of the journal */
    uint64_t started; /* makes ids of this start unlike those of others */
    uint64_t told;
    uv_async_t gone;
    uv_timer_t groups_timer, repeat_timer;
    unsigned open_handles;
};

/* ---- telling ---- */

static void put(struct el_alerts *alerts, size_t to, const char *document, bool kept)
{
    char *copy = strdup(document);
    if (copy == NULL) {
        el_log(alerts->options.log, EL_LOG_ERROR, "alert_given_up",
               el_str("receiver", alerts->options.config->receivers[to].name), el_str("reason", "out of memory"));
        return;
    }
    int64_t id = 0;
    if (kept) {
        id = ++alerts->last_id;
        el_journal_alert(alerts->options.journal, id, alerts->options.config->receivers[to].name, document);
    }
    el_receiver_put(alerts->receivers[to], id, copy);
}

/* The document of told; NULL: no memory. */
static char *print(struct el_alerts *alerts, const struct told *told, bool resolved, uint32_t count)
{
    char id[64], *document;
    snprintf(id, sizeof id, "%016" PRIx64 "-%" PRIu64, alerts->started, ++alerts->told);
    const struct el_alert_message message = {
        .id = id,
        .event = told->kind->event,
        .name = told->kind->name,
        .title = told->kind->title,
        .severity = told->kind->severity,
        .resolved = resolved,
        .condition = told->kind->end != EL_ALERT_ENDS_ITSELF,
        .server = alerts->server,
        .model = told->model,
        .version = told->version,
        .text = told->text,
        .count = count,
        .time_us = told->time_us,
        .starts_us = told->starts_us,
    };
    struct el_status *status = el_alert_print(&message, &document);
    if (status == NULL)
        return document;
    el_log(alerts->options.log, EL_LOG_ERROR, "alert_given_up", el_str("reason", el_status_text(status)));
    el_status_free(status);
    return NULL;
}

static void tell(struct el_alerts *alerts, const struct told *told, bool resolved, uint32_t count)
{
    char *document = print(alerts, told, resolved, count);
    for (size_t i = 0; document != NULL && i < alerts->count; i++)
        if (told->kind->severity >= alerts->options.config->receivers[i].least)
            put(alerts, i, document, true);
    free(document);
}

/* ---- the lists ---- */

static void told_free(struct told *told)
{
    cds_list_del(&told->in_alerts);
    el_free_constant(told->model);
    el_free_constant(told->text);
    free(told);
}

static struct told *told_new(const struct told *from, struct cds_list_head *list)
{
    struct told *told = calloc(1, sizeof *told);
    if (told == NULL)
        return NULL;
    *told = *from;
    told->model = strdup(from->model);
    told->text = strdup(from->text);
    cds_list_add_tail(&told->in_alerts, list);
    if (told->model != NULL && told->text != NULL)
        return told;
    told_free(told);
    return NULL;
}

static void change(struct told *told, const struct told *to)
{
    char *text = strdup(to->text);
    told->version = to->version;
    told->time_us = to->time_us;
    if (text == NULL)
        return; /* the text before does too */
    el_free_constant(told->text);
    told->text = text;
}

static struct told *find(struct cds_list_head *list, const struct told *like)
{
    struct told *told, *next;
    el_list_each (told, next, list, in_alerts) {
        if (told->kind == like->kind && told->resolved == like->resolved && strcmp(told->model, like->model) == 0)
            return told;
    }
    return NULL;
}

/* ---- groups ---- */

static void on_groups(uv_timer_t *timer);

static void start_groups_timer(struct el_alerts *alerts)
{
    struct told *group, *next;
    uint64_t next_ns = EL_NEVER_NS;
    el_list_each (group, next, &alerts->groups, in_alerts) {
        next_ns = group->until_ns < next_ns ? group->until_ns : next_ns;
    }
    const uint64_t now_ns = el_now_ns();
    if (next_ns != EL_NEVER_NS)
        uv_timer_start(&alerts->groups_timer, on_groups, next_ns > now_ns ? (next_ns - now_ns) / EL_NS_PER_MS + 1 : 0,
                       0);
}

static void on_groups(uv_timer_t *timer)
{
    struct el_alerts *alerts = timer->data;
    const uint64_t now_ns = el_now_ns();
    struct told *group, *next;
    el_list_each (group, next, &alerts->groups, in_alerts) {
        if (group->until_ns > now_ns)
            continue;
        if (group->repeats == 0) {
            told_free(group);
            alerts->group_count--;
            continue;
        }
        tell(alerts, group, group->resolved, group->repeats);
        group->repeats = 0;
        group->until_ns = el_after_ns(now_ns, alerts->options.config->group_ms * EL_NS_PER_MS);
    }
    start_groups_timer(alerts);
}

/* Tells it now, or with others when their time is over. */
static void tell_or_group(struct el_alerts *alerts, const struct told *what)
{
    struct told *group = find(&alerts->groups, what);
    if (group != NULL) {
        change(group, what);
        group->repeats++;
        return;
    }
    tell(alerts, what, what->resolved, 1);
    if (alerts->options.config->group_ms == 0 || alerts->group_count >= MOST)
        return;
    group = told_new(what, &alerts->groups);
    if (group == NULL)
        return;
    group->repeats = 0;
    group->until_ns = el_after_ns(el_now_ns(), alerts->options.config->group_ms * EL_NS_PER_MS);
    alerts->group_count++;
    start_groups_timer(alerts);
}

/* ---- conditions ---- */

static void end_condition(struct el_alerts *alerts, struct told *condition, const char *text, int64_t time_us)
{
    struct told over = *condition;
    over.text = text;
    over.time_us = time_us;
    over.resolved = true;
    tell_or_group(alerts, &over);
    told_free(condition);
    alerts->condition_count--;
}

static void look_for_ends(struct el_alerts *alerts, const char *event, const char *model, int64_t version,
                          const char *text, int64_t time_us)
{
    struct told *condition, *next;
    el_list_each (condition, next, &alerts->conditions, in_alerts) {
        if (strcmp(condition->model, model) == 0 &&
            el_alert_is_ended(condition->kind, condition->version, event, version))
            end_condition(alerts, condition, text, time_us);
    }
}

static bool is_told_otherwise(struct el_alerts *alerts, const struct told *what)
{
    struct told *condition, *next;
    el_list_each (condition, next, &alerts->conditions, in_alerts) {
        if (what->kind->instead != NULL && strcmp(condition->kind->event, what->kind->instead) == 0 &&
            condition->version == what->version && strcmp(condition->model, what->model) == 0)
            return true;
    }
    return false;
}

void el_alerts_event(struct el_alerts *alerts, enum el_log_level level, const char *event, const char *model,
                     int64_t version, const char *text, int64_t time_us)
{
    if (alerts == NULL)
        return;
    look_for_ends(alerts, event, model, version, text, time_us);
    struct told what = { .kind = el_alert_kind(event, level),
                         .model = model,
                         .text = text,
                         .version = version,
                         .time_us = time_us,
                         .starts_us = time_us };
    if (what.kind == NULL || is_told_otherwise(alerts, &what))
        return;
    struct told *condition = what.kind->end != EL_ALERT_ENDS_ITSELF ? find(&alerts->conditions, &what) : NULL;
    if (condition != NULL) {
        what.starts_us = condition->starts_us;
        change(condition, &what);
    } else if (what.kind->end != EL_ALERT_ENDS_ITSELF && alerts->condition_count < MOST) {
        alerts->condition_count += told_new(&what, &alerts->conditions) != NULL;
    }
    tell_or_group(alerts, &what);
}

void el_alerts_model_gone(struct el_alerts *alerts, const char *model)
{
    struct told *condition, *next;
    if (alerts == NULL)
        return;
    el_list_each (condition, next, &alerts->conditions, in_alerts) {
        if (strcmp(condition->model, model) == 0)
            end_condition(alerts, condition, "the model is not served any more", el_calendar_us());
    }
}

/* Alertmanager forgets a condition that it is not told of again. Not kept in the journal: the next start finds its own. */
static void on_repeat(uv_timer_t *timer)
{
    struct el_alerts *alerts = timer->data;
    for (size_t i = 0; i < alerts->count; i++) {
        const struct el_alert_receiver *receiver = &alerts->options.config->receivers[i];
        if (receiver->way != EL_ALERT_WEBHOOK || receiver->template != EL_ALERT_ALERTMANAGER ||
            !el_receiver_is_idle(alerts->receivers[i]))
            continue;
        struct told *condition, *next;
        el_list_each (condition, next, &alerts->conditions, in_alerts) {
            char *document = condition->kind->severity >= receiver->least ? print(alerts, condition, false, 1) : NULL;
            if (document != NULL)
                put(alerts, i, document, false);
            free(document);
        }
    }
}

/* ---- the journal ---- */

static void on_gone(uv_async_t *async)
{
    struct el_alerts *alerts = async->data;
    int64_t id;
    for (size_t i = 0; i < alerts->count; i++)
        while (el_receiver_gone(alerts->receivers[i], &id))
            if (id != 0)
                el_journal_alert_gone(alerts->options.journal, id);
}

/* One that an earlier start did not get rid of. A receiver that is not in the config any more is not owed anything. */
static void take_back(int64_t id, const char *receiver, const char *text, void *argument)
{
    struct el_alerts *alerts = argument;
    alerts->last_id = id > alerts->last_id ? id : alerts->last_id;
    for (size_t i = 0; i < alerts->count; i++) {
        if (strcmp(alerts->options.config->receivers[i].name, receiver) != 0)
            continue;
        char *copy = strdup(text);
        if (copy != NULL)
            el_receiver_put(alerts->receivers[i], id, copy);
        return;
    }
    el_journal_alert_gone(alerts->options.journal, id);
}

static void on_trouble(void *argument)
{
    struct el_alerts *alerts = argument;
    const char *trouble = el_journal_trouble(alerts->options.journal);
    if (*trouble != '\0')
        el_alerts_event(alerts, EL_LOG_ERROR, "journal_not_written", "", -1, trouble, el_calendar_us());
    else
        el_alerts_event(alerts, EL_LOG_INFO, "journal_written_again", "", -1, "it is written again", el_calendar_us());
}

/* The note goes when the server ends in order; one that is still there says that it did not. */
static void look_for_crash(struct el_alerts *alerts)
{
    const char *before = el_journal_noted(alerts->options.journal, RUNNING_NOTE);
    char text[128], now[EL_ALERT_TIME_SIZE];
    if (before != NULL) {
        snprintf(text, sizeof text, "the server that started at %.40s was killed, or ended with the machine", before);
        el_alerts_event(alerts, EL_LOG_WARNING, "restarted_after_crash", "", -1, text, el_calendar_us());
    }
    el_alert_time(el_calendar_us(), now);
    el_status_free(el_journal_note(alerts->options.journal, RUNNING_NOTE, now, NULL, NULL));
}

/* ---- life ---- */

static void on_closed(uv_handle_t *handle)
{
    struct el_alerts *alerts = handle->data;
    if (--alerts->open_handles == 0)
        free(alerts);
}

static void close_all(struct el_alerts *alerts)
{
    struct told *told, *next;
    for (size_t i = 0; i < alerts->count; i++)
        el_receiver_free(alerts->receivers[i]);
    free(alerts->receivers);
    el_list_each (told, next, &alerts->conditions, in_alerts)
        told_free(told);
    el_list_each (told, next, &alerts->groups, in_alerts)
        told_free(told);
    el_journal_on_trouble(alerts->options.journal, NULL, NULL);
    uv_close((uv_handle_t *)&alerts->gone, on_closed);
    uv_close((uv_handle_t *)&alerts->groups_timer, on_closed);
    uv_close((uv_handle_t *)&alerts->repeat_timer, on_closed);
}

static struct el_status *start_receivers(struct el_alerts *alerts)
{
    const struct el_alert_config *config = alerts->options.config;
    alerts->receivers = calloc(config->count, sizeof(struct el_receiver *));
    if (alerts->receivers == NULL)
        return el_status_no_memory();
    for (; alerts->count < config->count; alerts->count++)
        EL_TRY(el_receiver_start(&config->receivers[alerts->count], alerts->options.log, &alerts->gone,
                                 &alerts->receivers[alerts->count]));
    return NULL;
}

struct el_status *el_alerts_new(const struct el_alerts_options *options, struct el_alerts **made)
{
    struct el_alerts *alerts = calloc(1, sizeof *alerts);
    if (alerts == NULL)
        return el_status_no_memory();
    alerts->options = *options;
    CDS_INIT_LIST_HEAD(&alerts->conditions);
    CDS_INIT_LIST_HEAD(&alerts->groups);
    alerts->started = (uint64_t)el_calendar_us();
    if (options->config->server != NULL)
        snprintf(alerts->server, sizeof alerts->server, "%s", options->config->server);
    else if (gethostname(alerts->server, sizeof alerts->server - 1) != 0)
        strcpy(alerts->server, "unknown");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
        uv_async_init(options->uv_loop, &alerts->gone, on_gone) != 0) {
        free(alerts);
        return el_status_no_memory();
    }
    uv_timer_init(options->uv_loop, &alerts->groups_timer);
    uv_timer_init(options->uv_loop, &alerts->repeat_timer);
    alerts->open_handles = 3;
    alerts->gone.data = alerts->groups_timer.data = alerts->repeat_timer.data = alerts;
    uv_unref((uv_handle_t *)&alerts->gone);
    uv_unref((uv_handle_t *)&alerts->groups_timer);
    uv_unref((uv_handle_t *)&alerts->repeat_timer);
    struct el_status *status = start_receivers(alerts);
    if (status != NULL) {
        close_all(alerts);
        return status;
    }
    uv_timer_start(&alerts->repeat_timer, on_repeat, REPEAT_MS, REPEAT_MS);
    el_journal_alerts(options->journal, take_back, alerts);
    el_journal_on_trouble(options->journal, on_trouble, alerts);
    look_for_crash(alerts);
    if (*el_journal_trouble(options->journal) != '\0')
        on_trouble(alerts);
    *made = alerts;
    return NULL;
}

void el_alerts_end(struct el_alerts *alerts)
{
    if (alerts == NULL)
        return;
    for (size_t i = 0; i < alerts->count; i++)
        el_receiver_stop(alerts->receivers[i]);
    on_gone(&alerts->gone);
    el_status_free(el_journal_note(alerts->options.journal, RUNNING_NOTE, NULL, NULL, NULL));
    close_all(alerts);
}
