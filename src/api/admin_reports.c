/* SPDX-License-Identifier: Apache-2.0 */
/* GET /admin/v1/models/NAME/reports?version=V: the swap reports of a model, newest first, one JSON object a line. */
#include "api/internal.h"

#include <stdlib.h>
#include <string.h>

static void put_line(const char *document, void *argument)
{
    struct el_buf *out = argument;
    el_buf_text(out, document);
    el_buf_byte(out, '\n');
}

bool el_api_admin_reports(struct el_http_request *request, struct el_api *api)
{
    static const char prefix[] = "/admin/v1/models/", tail[] = "/reports";
    const char *target = el_http_target(request);
    const size_t head = sizeof prefix - 1, end = sizeof tail - 1, path = strcspn(target, "?");
    if (path <= head + end || strncmp(target, prefix, head) != 0 || strncmp(target + path - end, tail, end) != 0 ||
        strcmp(el_http_method(request), "GET") != 0)
        return false;
    const char *asked = strstr(target + path, "version=");
    const int64_t version = asked != NULL ? strtoll(asked + strlen("version="), NULL, 10) : -1;
    struct el_buf *out = el_http_reply_buf(request);
    el_swap_reports(api->options.swap, target + head, path - head - end, version, put_line, out);
    el_http_reply(request, 200, "application/x-ndjson");
    return true;
}
