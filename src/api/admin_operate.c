/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /admin/v1/models/NAME:rollback, :pin, :unpin, :load, :unload, :quarantine, :forgive, :retry, :promote, :abort.
 *
 * The body is read here, the operation is the swap thread's (operate.h). Who asks is known from the socket: the user of a
 * Unix socket's other end, the address of a TCP connection's.
 */
#include "api/admin.h"
#include "api/operate.h"

#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define MAX_WAITING 256   /* operations at the same time */
#define MAX_REASON 500    /* bytes: it is in every message about the version from then on */
#define MAX_WAIT_S 3600.0 /* of "wait_s" */
#define JSON "application/json"

static void free_asked(struct el_api_operate *asked)
{
    free(asked->model);
    free(asked->by);
    free(asked->reason);
    free(asked->forgotten);
    el_status_free(asked->status);
    free(asked);
}

/* ---- the answer ---- */

static void answer(struct el_api_operate *asked)
{
    struct el_http_request *request = asked->request;
    const struct el_operation *operation = &asked->operation;
    if (request == NULL)
        return;
    el_http_on_cancel(request, NULL);
    if (asked->status != NULL) {
        el_api_rest_fail(request, asked->status);
        return;
    }
    json_t *json = json_pack("{s:s, s:s, s:b, s:b, s:I, s:I, s:f, s:b, s:s}", "model", operation->model, "operation",
                             el_operation_name(operation->kind), "changed", (int)operation->changed, "done",
                             (int)asked->done, "from", (json_int_t)operation->from, "to", (json_int_t)operation->to,
                             "took_ms", asked->took_ms, "remembered", (int)(asked->forgotten == NULL), "text",
                             operation->text);
    if (json != NULL && operation->version >= 0)
        json_object_set_new(json, "version", json_integer((json_int_t)operation->version));
    if (json != NULL && asked->forgotten != NULL)
        json_object_set_new(json, "not_remembered", json_string(asked->forgotten));
    el_api_admin_answer(request, json, asked->done ? 200 : 202);
}

void el_api_operations_answer(struct el_api_loop *loop)
{
    struct el_api *api = loop->api;
    pthread_mutex_lock(&api->mutex);
    struct el_api_operate *asked = loop->operations;
    loop->operations = NULL;
    pthread_mutex_unlock(&api->mutex);
    while (asked != NULL) {
        struct el_api_operate *next = asked->next;
        answer(asked);
        free_asked(asked);
        asked = next;
    }
}

void el_api_operate_done(struct el_api_operate *asked, struct el_status *status)
{
    struct el_api *api = asked->api;
    asked->status = status;
    pthread_mutex_lock(&api->mutex);
    api->operation_count--;
    struct el_api_loop *loop = api->loops[asked->loop];
    if (loop != NULL) {
        asked->next = loop->operations;
        loop->operations = asked;
        uv_async_send(&loop->wake); /* under the lock: the loop is not closed meanwhile */
    }
    pthread_mutex_unlock(&api->mutex);
    if (loop == NULL)
        free_asked(asked);
}

static void cancelled(struct el_http_request *request, void *user)
{
    (void)request;
    struct el_api_operate *asked = user;
    asked->request = NULL; /* the operation goes on all the same */
}

/* ---- the request ---- */

/* "ann", "uid 1007" where the system knows no name, "127.0.0.1 with the token". NULL: no memory. */
static char *name_of(const struct el_http_request *request)
{
    struct el_http_peer peer;
    char text[160], room[4096];
    struct passwd user, *found = NULL;
    if (!el_http_peer(request, &peer))
        snprintf(text, sizeof text, "somebody");
    else if (!peer.is_local)
        snprintf(text, sizeof text, "%s with the token", peer.address);
    else if (getpwuid_r(peer.uid, &user, room, sizeof room, &found) == 0 && found != NULL)
        snprintf(text, sizeof text, "%s", user.pw_name);
    else
        snprintf(text, sizeof text, "uid %lld", (long long)peer.uid);
    return strdup(text);
}

static struct el_status *wrong(const char *field, const char *expected)
{
    return el_status_new(EL_INVALID_ARGUMENT, "the field \"%s\": expected %s", field, expected);
}

static struct el_status *read_field(struct el_api_operate *asked, const char *name, const json_t *value)
{
    const bool rollback = asked->operation.kind == EL_OPERATE_ROLLBACK;
    const bool version = strcmp(name, rollback ? "to" : "version") == 0 &&
                         (rollback || el_operation_takes_version(asked->operation.kind));
    if (version) {
        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return wrong(name, "the number of a version");
        asked->operation.version = json_integer_value(value);
    } else if (strcmp(name, "reason") == 0) {
        const char *text = json_string_value(value);
        if (text == NULL || strlen(text) > MAX_REASON || strpbrk(text, "\r\n") != NULL)
            return wrong(name, "one line of at most 500 bytes");
        asked->reason = strdup(text);
    } else if (strcmp(name, "all") == 0 && asked->operation.kind == EL_OPERATE_PROMOTE) {
        if (!json_is_boolean(value))
            return wrong(name, "true or false");
        asked->operation.all = json_is_true(value);
    } else if (strcmp(name, "wait_s") == 0) {
        const double seconds = json_number_value(value);
        if (!json_is_number(value) || !(seconds >= 0 && seconds <= MAX_WAIT_S))
            return wrong(name, "seconds from 0 to 3600");
        asked->wait_ms = (uint64_t)(seconds * 1000);
    } else {
        return el_status_new(EL_INVALID_ARGUMENT,
                             "the field \"%s\": a %s has no such field; docs/admin-api.md lists them", name,
                             el_operation_name(asked->operation.kind));
    }
    return NULL;
}

static struct el_status *read_body(struct el_api_operate *asked, const uint8_t *bytes, size_t size)
{
    if (size == 0)
        return NULL;
    json_error_t error;
    json_t *json = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, &error);
    struct el_status *status = NULL;
    if (!json_is_object(json))
        status = el_status_new(EL_INVALID_ARGUMENT, "the body: expected a JSON object%s%s", json == NULL ? ": " : "",
                               json == NULL ? error.text : "");
    const char *name;
    json_t *value;
    if (status == NULL) {
        json_object_foreach (json, name, value) {
            if (status == NULL)
                status = read_field(asked, name, value);
        }
    }
    json_decref(json);
    return status;
}

static struct el_status *take_place(struct el_api *api)
{
    pthread_mutex_lock(&api->mutex);
    const bool full = api->operation_count == MAX_WAITING;
    if (!full)
        api->operation_count++;
    pthread_mutex_unlock(&api->mutex);
    return full ? el_status_new(EL_RESOURCE_EXHAUSTED, "%d operations are under way already", MAX_WAITING) : NULL;
}

static struct el_status *start(struct el_http_request *request, struct el_api *api, struct el_api_operate *asked)
{
    size_t size;
    const uint8_t *body = el_http_body(request, &size);
    EL_TRY(read_body(asked, body, size));
    if (el_operation_needs_version(asked->operation.kind) && asked->operation.version < 0)
        return wrong("version", "the number of a version, and it is missing");
    if (asked->reason == NULL)
        asked->reason = strdup("");
    asked->by = name_of(request);
    if (asked->reason == NULL || asked->by == NULL)
        return el_status_no_memory();
    EL_TRY(take_place(api));
    asked->operation.model = asked->model;
    asked->operation.by = asked->by;
    asked->operation.reason = asked->reason;
    asked->api = api;
    asked->loop = el_api_http_loop(request)->index;
    asked->request = request;
    el_http_set_user(request, asked);
    el_http_on_cancel(request, cancelled);
    api->options.operate(asked, api->options.operate_argument);
    return NULL;
}

void el_api_admin_operate(struct el_http_request *request, struct el_api *api, enum el_operation_kind kind,
                          const char *name, size_t size)
{
    struct el_api_operate *asked = calloc(1, sizeof *asked);
    struct el_status *status = NULL;
    size_t decoded;
    if (asked == NULL) {
        status = el_status_no_memory();
    } else {
        asked->operation = (struct el_operation){ .kind = kind, .version = EL_OPERATE_NO_VERSION };
        asked->model = el_api_percent_decode(name, size, &decoded);
        status = asked->model == NULL ? el_status_no_memory() : start(request, api, asked);
    }
    if (status == NULL)
        return;
    el_api_rest_fail(request, status);
    el_status_free(status);
    if (asked != NULL)
        free_asked(asked);
}
