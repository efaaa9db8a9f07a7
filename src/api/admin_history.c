/* SPDX-License-Identifier: Apache-2.0 */
/* GET /admin/v1/models/NAME/history: what the journal knows of a model, newest first. Read by the thread pool: the file may be slow. */
#include "api/admin.h"

#include "journal/journal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT 100
#define MOST 10000

struct reading {
    uv_work_t work;
    struct el_http_request *request; /* NULL: the client is gone */
    struct el_api *api;
    char *model, *event; /* owned; event may be NULL */
    struct el_journal_query query;
    struct el_status *status;
    json_t *events;
};

static void reading_free(struct reading *reading)
{
    free(reading->model);
    free(reading->event);
    el_status_free(reading->status);
    json_decref(reading->events);
    free(reading);
}

static void on_event(const struct el_journal_event *event, void *argument)
{
    struct reading *reading = argument;
    json_t *json = json_pack("{s:I, s:I, s:s, s:s, s:I, s:s, s:s}", "id", (json_int_t)event->id, "time_us",
                             (json_int_t)event->time_us, "event", event->event, "model", event->model, "version",
                             (json_int_t)event->version, "by", event->by, "text", event->text);
    json_array_append_new(reading->events, json); /* NULL, of a text that is not UTF-8, is passed over */
}

static void in_pool(uv_work_t *work)
{
    struct reading *reading = work->data;
    reading->status = el_journal_history(&reading->query, on_event, reading);
}

static void finish(uv_work_t *work, int cancelled_)
{
    (void)cancelled_;
    struct reading *reading = work->data;
    if (reading->request != NULL) {
        el_http_on_cancel(reading->request, NULL);
        if (reading->status != NULL) {
            el_api_rest_fail(reading->request, reading->status);
        } else {
            el_api_admin_answer(reading->request,
                                json_pack("{s:s, s:O}", "model", reading->model, "events", reading->events), 200);
        }
    }
    reading_free(reading);
}

static void cancelled(struct el_http_request *request, void *user)
{
    (void)request;
    ((struct reading *)user)->request = NULL;
}

static struct el_status *start(struct el_http_request *request, struct el_api *api, struct reading *reading,
                               const char *name, size_t size)
{
    const char *target = el_http_target(request);
    size_t decoded;
    if (api->options.state_dir == NULL)
        return el_status_new(EL_FAILED_PRECONDITION,
                             "the server keeps no history: it was started without --state_dir; `everlit events` "
                             "shows what happened since its start");
    const uint64_t limit = el_api_query_number(target, "limit");
    reading->model = el_api_percent_decode(name, size, &decoded);
    reading->event = el_api_query_text(target, "event");
    reading->events = json_array();
    if (reading->model == NULL || reading->events == NULL)
        return el_status_no_memory();
    reading->query = (struct el_journal_query){
        .directory = api->options.state_dir,
        .model = reading->model,
        .event = reading->event,
        .version = -1,
        .before = (int64_t)(el_api_query_number(target, "before") & INT64_MAX),
        .limit = limit == 0     ? LIMIT
                 : limit > MOST ? MOST
                                : (uint32_t)limit,
        .without_details = true,
    };
    reading->api = api;
    reading->request = request;
    reading->work.data = reading;
    if (uv_queue_work(&el_http_loop(request)->uv, &reading->work, in_pool, finish) != 0)
        return el_status_new(EL_INTERNAL, "the history cannot be read: no thread");
    el_http_set_user(request, reading);
    el_http_on_cancel(request, cancelled);
    return NULL;
}

void el_api_admin_history(struct el_http_request *request, struct el_api *api, const char *name, size_t size)
{
    struct reading *reading = calloc(1, sizeof *reading);
    struct el_status *status = reading == NULL ? el_status_no_memory() : start(request, api, reading, name, size);
    if (status == NULL)
        return;
    el_api_rest_fail(request, status);
    el_status_free(status);
    if (reading != NULL)
        reading_free(reading);
}
