/* SPDX-License-Identifier: Apache-2.0 */
/* GET /admin/v1/golden?model=NAME&count=N: recent requests of the version that serves, with its answers, as TFRecords. */
#include "api/admin.h"
#include "api/internal.h"

#include <stdlib.h>
#include <string.h>

/* Inside the read section: it only takes hold of what is encoded later. */
static struct el_status *take(const struct el_view *view, const char *name, struct el_swap_samples *samples)
{
    const struct el_model_view *model = el_view_model(view, name, strlen(name));
    if (model == NULL)
        return el_status_new(EL_NOT_FOUND, "there is no model \"%.100s\"", name);
    for (size_t i = 0; i < model->version_count; i++) {
        if (model->versions[i].version != model->serving)
            continue;
        el_swap_take_samples(&model->versions[i], samples);
        if (samples->count > 0)
            return NULL;
        return el_status_new(EL_FAILED_PRECONDITION,
                             "model %s version %lld: no request of clients is kept: it has had none, its runs change "
                             "what later ones see, or replay_records is 0",
                             name, (long long)model->serving);
    }
    return el_status_new(EL_FAILED_PRECONDITION, "no version of model %s serves", name);
}

void el_api_admin_golden(struct el_http_request *request, struct el_api *api)
{
    const char *target = el_http_target(request);
    const uint64_t count = el_api_query_number(target, "count");
    char *name = el_api_query_text(target, "model");
    struct el_status *status;
    if (name == NULL) {
        status = el_status_new(EL_INVALID_ARGUMENT, "%s: expected ?model=NAME", target);
    } else {
        const struct el_view *view = el_view_get(api->options.swap);
        struct el_swap_samples samples = { 0 };
        status = take(view, name, &samples);
        el_view_put(api->options.swap, view);
        if (samples.servable != NULL)
            el_swap_put_samples(api->options.swap, &samples, name,
                                count == 0 || count > UINT32_MAX ? UINT32_MAX : (uint32_t)count,
                                el_http_reply_buf(request));
    }
    free(name);
    if (status == NULL)
        el_http_reply(request, 200, "application/octet-stream");
    else
        el_api_rest_fail(request, status);
    el_status_free(status);
}
