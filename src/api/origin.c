/* SPDX-License-Identifier: Apache-2.0 */
#include "api/origin.h"

static const char *grpc_header(const void *of, const char *name)
{
    return el_grpc_metadata(of, name);
}

static const uint8_t *grpc_body(const void *of, size_t *size)
{
    return el_grpc_message(of, size);
}

static const char *http_header(const void *of, const char *name)
{
    return el_http_header(of, name);
}

static const uint8_t *http_body(const void *of, size_t *size)
{
    return el_http_body(of, size);
}

void el_api_grpc_origin(struct el_request *request, const struct el_grpc_call *call)
{
    static const struct el_request_origin origin = { .header = grpc_header, .body = grpc_body };
    request->origin = &origin;
    request->origin_of = call;
}

void el_api_http_origin(struct el_request *request, const struct el_http_request *http)
{
    static const struct el_request_origin origin = { .header = http_header, .body = http_body };
    request->origin = &origin;
    request->origin_of = http;
}
