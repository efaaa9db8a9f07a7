/* SPDX-License-Identifier: Apache-2.0 */
#include "api/generation.h"

#include "api/internal.h"

#include <inttypes.h>
#include <stdio.h>

#define DIGITS 19 /* of a number that fits in any case */

struct el_status *el_api_read_generation(const char *text, uint64_t *generation)
{
    *generation = 0;
    if (text == NULL)
        return NULL;
    size_t size = 0;
    uint64_t number = 0;
    while (size <= DIGITS && text[size] >= '0' && text[size] <= '9')
        number = number * 10 + (uint64_t)(text[size++] - '0');
    if (number == 0 || size > DIGITS || text[size] != '\0')
        return el_status_new(EL_INVALID_ARGUMENT,
                             EL_GENERATION_HEADER " is \"%.32s\"; expected the number that an answer gave", text);
    *generation = number;
    return NULL;
}

void el_api_put_grpc_generation(struct el_grpc_call *call, const struct el_request *request)
{
    if (request->generation == 0)
        return;
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, request->generation);
    el_grpc_add_metadata(call, EL_GENERATION_HEADER, text);
}

void el_api_put_http_generation(struct el_http_request *http, const struct el_request *request)
{
    if (request->generation == 0)
        return;
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, request->generation);
    el_http_add_header(http, EL_GENERATION_HEADER, text);
}

void el_api_fail_http_generation(struct el_http_request *http, const struct el_request *request,
                                 const struct el_status *status)
{
    const bool not_there = request->wanted_generation != 0 && request->generation == 0 &&
                           el_status_code(status) == EL_FAILED_PRECONDITION;
    el_api_rest_fail_as(http, not_there ? 412 : el_api_http_code(el_status_code(status)), status);
}
