/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the server is to get requests, for load balancers and Kubernetes:
 *
 *     /livez          200 as long as it answers at all
 *     /readyz         200 if it is not stopping and every model has a version that answers, else 503
 *     /readyz/MODEL   the same of one model; 404 if there is none of that name
 *
 * The body of a 503 is JSON and says which models do not answer, the first ones of them, and why as far as it is known.
 */
#include "api/internal.h"

#include "tensor/json.h"

#include <string.h>

#define JSON "application/json"
#define READY "/readyz"
#define MOST_NAMED 10 /* of a thousand models that start, the probe of an orchestrator wants no list */

static const char *reason_of(const struct el_model_view *model)
{
    if (*model->source_error != 0)
        return model->source_error;
    for (size_t i = 0; i < model->version_count; i++)
        if (*model->versions[i].reason != 0)
            return model->versions[i].reason;
    return model->version_count == 0 ? "it has no version yet" : "no version answers yet";
}

static void put_model(struct el_buf *out, const struct el_model_view *model, bool first)
{
    const char *reason = reason_of(model);
    el_buf_text(out, first ? "{\"model\": " : ", {\"model\": ");
    el_json_put_string(out, model->name, strlen(model->name));
    el_buf_text(out, ", \"reason\": ");
    el_json_put_string(out, reason, strlen(reason));
    el_buf_byte(out, '}');
}

static void answer(struct el_http_request *request, struct el_api *api, const char *name, size_t name_size)
{
    struct el_buf *out = el_http_reply_buf(request);
    const bool up = atomic_load_explicit(&api->ready, memory_order_relaxed);
    const struct el_view *view = el_view_get(api->options.swap);
    const struct el_model_view *only = name_size > 0 ? el_view_model(view, name, name_size) : NULL;
    size_t missing = 0;
    el_buf_printf(out, "{\"ready\": false, \"stopping_or_starting\": %s, \"models\": [", up ? "false" : "true");
    for (size_t i = 0; i < view->model_count; i++) {
        const struct el_model_view *model = view->models[i];
        if (model->serving >= 0 || (name_size > 0 && model != only))
            continue;
        if (missing < MOST_NAMED)
            put_model(out, model, missing == 0);
        missing++;
    }
    el_buf_printf(out, "], \"models_not_ready\": %zu}\n", missing);
    el_view_put(api->options.swap, view);
    const bool unknown = name_size > 0 && only == NULL;
    if (up && missing == 0 && !unknown) {
        el_buf_clear(out);
        el_buf_text(out, "{\"ready\": true}\n");
    } else if (unknown) {
        el_buf_clear(out);
        el_buf_text(out, "{\"ready\": false, \"reason\": \"there is no model of that name\"}\n");
    }
    el_http_reply(request, unknown ? 404 : up && missing == 0 ? 200 : 503, JSON);
}

bool el_api_ready(struct el_http_request *request, struct el_api *api, const char *path, const char *end)
{
    const size_t size = (size_t)(end - path);
    if (size == 6 && memcmp(path, "/livez", size) == 0) {
        el_buf_text(el_http_reply_buf(request), "{\"alive\": true}\n");
        el_http_reply(request, 200, JSON);
        return true;
    }
    if (size < sizeof READY - 1 || memcmp(path, READY, sizeof READY - 1) != 0)
        return false;
    const char *name = path + sizeof READY - 1;
    if (name != end && (*name != '/' || name + 1 == end))
        return false;
    answer(request, api, name == end ? "" : name + 1, name == end ? 0 : (size_t)(end - name) - 1);
    return true;
}
