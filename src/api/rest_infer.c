/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST :classify and :regress. As with :predict, the body is checked before the
 * model is looked up.
 */
#include "api/generation.h"
#include "api/infer.h"
#include "api/log_records.h"
#include "api/origin.h"

#include "base/clock.h"
#include "tensor/predict_json.h"

#include <stdlib.h>

#define JSON "application/json"

struct rest_infer {
    struct el_http_request *http;
    struct el_infer *infer;
    struct el_rest_target target; /* owned copy */
    uint64_t arrived_ns;
    enum el_infer_method method;
    struct el_predict_json json; /* for what every body has: that it is an object, and its signature_name */
};

static void release(struct rest_infer *rest)
{
    if (rest->infer != NULL)
        el_infer_free(rest->infer);
    el_predict_json_free(&rest->json);
    free(rest->target.model);
    free(rest->target.label);
    free(rest);
}

static void count(const struct rest_infer *rest, const struct el_status *status, uint64_t ran_ns)
{
    el_api_count_request(el_api_http_loop(rest->http),
                         rest->method == EL_CLASSIFY ? EL_COUNT_REST_CLASSIFY : EL_COUNT_REST_REGRESS,
                         (struct el_span){ rest->target.model, rest->target.model_size }, el_status_code(status),
                         rest->arrived_ns, ran_ns);
}

static void reply(struct rest_infer *rest, const struct el_status *status)
{
    const uint64_t ran_ns = status == NULL ? el_now_ns() - rest->infer->tasks[0].request.started_ns : 0;
    struct el_infer_result result;
    struct el_status *failure = status == NULL ? el_infer_result(&rest->infer->tasks[0], &result) : NULL;
    if (status == NULL && failure == NULL) {
        struct el_buf *buf = el_http_reply_buf(rest->http);
        el_infer_put_json(buf, &result);
        failure = el_buf_status(buf);
    }
    count(rest, status != NULL ? status : failure, ran_ns);
    if (status == NULL && failure == NULL)
        el_log_rest_infer(el_api_http_loop(rest->http), &rest->infer->tasks[0], &result);
    el_api_put_http_generation(rest->http, &rest->infer->tasks[0].request);
    if (status == NULL && failure == NULL)
        el_http_reply(rest->http, 200, JSON);
    else
        el_api_fail_http_generation(rest->http, &rest->infer->tasks[0].request, status != NULL ? status : failure);
    el_status_free(failure);
}

static void done(struct el_infer *infer, const struct el_status *status)
{
    struct rest_infer *rest = infer->owner;
    if (!infer->cancelled)
        reply(rest, status);
    release(rest);
}

static void cancelled(struct el_http_request *http, void *user)
{
    (void)http;
    struct rest_infer *rest = user;
    el_infer_cancel(rest->infer);
}

static void start(struct rest_infer *rest, const struct el_api *api, enum el_infer_method method, uint64_t generation)
{
    const struct el_rest_target *target = &rest->target;
    const uint32_t timeout_ms = api->options.rest_timeout_ms;
    struct el_request request = {
        .model = target->model,
        .model_size = target->model_size,
        .has_version = target->has_version,
        .version = target->version,
        .label = target->label,
        .label_size = target->label_size,
        .wanted_generation = generation,
        .deadline_ns = timeout_ms == 0 ? EL_NEVER_NS : el_after_ns(el_now_ns(), timeout_ms * EL_NS_PER_MS),
    };
    el_api_http_origin(&request, rest->http);
    rest->infer->tasks[0].method = method;
    rest->infer->tasks[0].signature_name = rest->json.signature_name;
    rest->infer->owner = rest;
    rest->infer->done = done;
    el_http_set_user(rest->http, rest);
    el_http_on_cancel(rest->http, cancelled);
    el_infer_start(rest->infer, &request);
}

void el_api_rest_infer(struct el_http_request *request, struct el_api *api, struct el_rest_target *target, bool regress)
{
    struct rest_infer *rest = calloc(1, sizeof *rest);
    if (rest == NULL) {
        struct el_status *status = el_status_no_memory();
        el_api_rest_fail(request, status);
        return;
    }
    rest->http = request;
    rest->arrived_ns = el_now_ns();
    rest->method = regress ? EL_REGRESS : EL_CLASSIFY;
    rest->target = *target;
    target->model = NULL; /* taken over */
    target->label = NULL;
    size_t size;
    const uint8_t *body = el_http_body(request, &size);
    struct el_status *status = el_predict_json_open((const char *)body, size, &rest->json);
    if (status == NULL) {
        rest->infer = el_infer_new(el_api_http_loop(request), 1);
        status = rest->infer == NULL ? el_status_no_memory()
                                     : el_examples_read_json(&rest->infer->examples, &rest->json.json);
    }
    uint64_t generation = 0;
    if (status == NULL)
        status = el_api_read_generation(el_http_header(request, EL_GENERATION_HEADER), &generation);
    if (status == NULL) {
        start(rest, api, regress ? EL_REGRESS : EL_CLASSIFY, generation);
        return;
    }
    count(rest, status, 0);
    el_api_rest_fail(request, status);
    el_status_free(status);
    release(rest);
}
