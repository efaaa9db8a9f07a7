/* SPDX-License-Identifier: Apache-2.0 */
/* GET /admin/v1/config: the models' config in force, as text format, and where it is from. */
#include "api/admin.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

void el_api_set_config(struct el_api *api, char *text, const char *from)
{
    pthread_mutex_lock(&api->mutex);
    char *former = api->config;
    api->config = text;
    api->config_from = from;
    pthread_mutex_unlock(&api->mutex);
    free(former);
}

void el_api_admin_config(struct el_http_request *request, struct el_api *api)
{
    pthread_mutex_lock(&api->mutex);
    json_t *json = json_pack("{s:s, s:s}", "config", api->config != NULL ? api->config : "", "from",
                             api->config_from != NULL ? api->config_from : "");
    pthread_mutex_unlock(&api->mutex);
    if (json == NULL || json_dump_callback(json, el_api_append_json, el_http_reply_buf(request), JSON_COMPACT) != 0) {
        struct el_status *status = el_status_new(
            EL_INTERNAL, "the config cannot be written as JSON: it holds text that is not UTF-8, or memory is short");
        el_buf_clear(el_http_reply_buf(request));
        el_api_rest_fail(request, status);
        el_status_free(status);
    } else {
        el_buf_byte(el_http_reply_buf(request), '\n');
        el_http_reply(request, 200, "application/json");
    }
    json_decref(json);
}
