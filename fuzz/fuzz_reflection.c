/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a ServerReflectionRequest. What is answered must be a message again, hold the request as it was, and name
 * only files that are embedded.
 */
#include "api/descriptors.h"
#include "api/reflection.h"
#include "tensor/wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool fine)
{
    if (!fine)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct el_grpc_method methods[] = {
        { .path = "/a.B/C" }, { .path = "/a.B/D" }, { .path = "/a.E/F" }, { .path = "/" }
    };
    struct el_buf answer = { 0 };
    if (el_reflection_answer(data, size, methods, sizeof(methods) / sizeof(methods[0]), &answer)) {
        struct el_wire wire = el_wire_of(answer.data, answer.size);
        bool has_request = false, has_answer = false;
        while (!el_wire_done(&wire)) {
            uint32_t number;
            enum el_wire_type type;
            struct el_span value;
            check(el_wire_tag(&wire, &number, &type) && type == EL_WIRE_BYTES && el_wire_span(&wire, &value));
            if (number == 2) {
                check(value.size == size && (size == 0 || memcmp(value.data, data, size) == 0));
                has_request = true;
            }
            has_answer |= number >= 4 && number <= 7;
        }
        check(has_request && has_answer && !answer.failed);
    } else {
        check(answer.size == 0);
    }
    el_buf_free(&answer);
    return 0;
}
