/* SPDX-License-Identifier: Apache-2.0 */
/* GET /admin/v1/models/NAME/reports?version=V: the swap reports of a model, newest first, one JSON object a line. */
#include "api/admin.h"

#include <stdlib.h>

static void put_line(const char *document, void *argument)
{
    struct el_buf *out = argument;
    el_buf_text(out, document);
    el_buf_byte(out, '\n');
}

void el_api_admin_reports(struct el_http_request *request, struct el_api *api, const char *name, size_t size)
{
    size_t decoded;
    char *model = el_api_percent_decode(name, size, &decoded);
    char *asked = el_api_query_text(el_http_target(request), "version");
    if (model == NULL) {
        struct el_status *status = el_status_no_memory();
        el_api_rest_fail(request, status);
    } else {
        el_swap_reports(api->options.swap, model, decoded, asked != NULL ? strtoll(asked, NULL, 10) : -1, put_line,
                        el_http_reply_buf(request));
        el_http_reply(request, 200, "application/x-ndjson");
    }
    free(model);
    free(asked);
}
