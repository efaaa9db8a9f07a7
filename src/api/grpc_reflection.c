/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc.reflection.v1.ServerReflection, and the same under v1alpha: what the server's services and messages look like,
 * so that grpcurl and its like need no .proto files. The answers come from the descriptors that the build embeds.
 *
 * Every answer about a file holds that file and all that it imports: the client needs them, and nothing has to be
 * remembered from one request of a stream to the next.
 */
#include "api/descriptors.h"
#include "api/internal.h"
#include "api/reflection.h"
#include "tensor/wire.h"

#include <string.h>

#define MAX_FILES 64 /* bits of a set; the build has fewer, the test would show it */

enum request_field {
    HOST = 1,
    FILE_BY_NAME = 3,
    FILE_WITH_SYMBOL = 4,
    FILE_WITH_EXTENSION = 5,
    EXTENSIONS_OF = 6,
    SERVICES = 7
};
enum response_field {
    VALID_HOST = 1,
    ORIGINAL_REQUEST = 2,
    FILES = 4,
    EXTENSION_NUMBERS = 5,
    SERVICE_LIST = 6,
    ERROR = 7
};

struct request {
    struct el_span host;
    uint32_t what; /* enum request_field of the oneof; 0: nothing was asked */
    struct el_span text;
};

static bool read_request(const uint8_t *bytes, size_t size, struct request *request)
{
    struct el_wire wire = el_wire_of(bytes, size);
    *request = (struct request){ 0 };
    while (!el_wire_done(&wire)) {
        uint32_t number;
        enum el_wire_type type;
        if (!el_wire_tag(&wire, &number, &type))
            return false;
        if (type != EL_WIRE_BYTES || number > SERVICES) {
            if (!el_wire_skip(&wire, number, type))
                return false;
        } else if (number == HOST) {
            if (!el_wire_text(&wire, &request->host))
                return false;
        } else if (number == FILE_WITH_EXTENSION) {
            if (!el_wire_span(&wire, &request->text))
                return false;
            request->what = number;
        } else if (number != 2) {
            if (!el_wire_text(&wire, &request->text))
                return false;
            request->what = number;
        } else if (!el_wire_skip(&wire, number, type)) {
            return false;
        }
    }
    return true;
}

static const struct el_descriptor_file *find_file(struct el_span name)
{
    for (size_t i = 0; i < el_descriptor_file_count; i++) {
        if (el_span_equal(name, el_span_text(el_descriptor_files[i].name)))
            return &el_descriptor_files[i];
    }
    return NULL;
}

static int compare(struct el_span name, const char *with)
{
    const size_t length = strlen(with), common = name.size < length ? name.size : length;
    const int order = common == 0 ? 0 : memcmp(name.data, with, common);
    return order != 0 ? order : (name.size > length) - (name.size < length);
}

static const struct el_descriptor_file *find_symbol(struct el_span name)
{
    size_t least = 0, beyond = el_descriptor_symbol_count;
    while (least < beyond) {
        const size_t middle = least + (beyond - least) / 2;
        const int order = compare(name, el_descriptor_symbols[middle].name);
        if (order == 0)
            return &el_descriptor_files[el_descriptor_symbols[middle].file];
        if (order < 0)
            beyond = middle;
        else
            least = middle + 1;
    }
    return NULL;
}

static void put_error(struct el_buf *to, enum el_code code, const char *text)
{
    const size_t length = strlen(text);
    el_wire_put_length(to, ERROR, 1 + el_wire_varint_size((uint64_t)code) + 1 + el_wire_varint_size(length) + length);
    el_wire_put_uint(to, 1, (uint64_t)code);
    el_wire_put_text(to, 2, text);
}

/* Imports have lower indices than the file that names them: one pass downwards finds all. */
static uint64_t with_imports(size_t file)
{
    uint64_t set = (uint64_t)1 << file;
    for (size_t i = file + 1; i-- > 0;) {
        if ((set >> i & 1) == 0)
            continue;
        for (size_t j = 0; j < el_descriptor_files[i].import_count; j++)
            set |= (uint64_t)1 << el_descriptor_files[i].imports[j];
    }
    return set;
}

static void put_files(struct el_buf *to, const struct el_descriptor_file *file)
{
    if (file == NULL) {
        put_error(to, EL_NOT_FOUND, "no such file or symbol");
        return;
    }
    const size_t index = (size_t)(file - el_descriptor_files);
    if (index >= MAX_FILES) {
        put_error(to, EL_INTERNAL, "more files are embedded than reflection can tell apart");
        return;
    }
    const uint64_t set = with_imports(index);
    size_t size = 0;
    for (size_t i = 0; i <= index; i++) {
        if ((set >> i & 1) != 0)
            size += 1 + el_wire_varint_size(el_descriptor_files[i].size) + el_descriptor_files[i].size;
    }
    el_wire_put_length(to, FILES, size);
    for (size_t i = index + 1; i-- > 0;) { /* the one that was asked for comes first */
        if ((set >> i & 1) != 0)
            el_wire_put_bytes(to, 1, el_descriptor_files[i].bytes, el_descriptor_files[i].size);
    }
}

/* "/package.Service/Method": the part in the middle. */
static struct el_span service_of(const struct el_grpc_method *method)
{
    const char *name = method->path + 1;
    return (struct el_span){ name, strcspn(name, "/") };
}

static bool is_first_of_service(const struct el_grpc_method *methods, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (el_span_equal(service_of(&methods[i]), service_of(&methods[index])))
            return false;
    }
    return true;
}

static void put_services(struct el_buf *to, const struct el_grpc_method *methods, size_t count)
{
    struct el_buf list = { 0 };
    for (size_t i = 0; i < count; i++) {
        const struct el_span name = service_of(&methods[i]);
        if (!is_first_of_service(methods, i))
            continue;
        el_wire_put_length(&list, 1, 1 + el_wire_varint_size(name.size) + name.size);
        el_wire_put_bytes(&list, 1, name.data, name.size);
    }
    el_wire_put_bytes(to, SERVICE_LIST, list.data, list.size);
    to->failed |= list.failed;
    el_buf_free(&list);
}

bool el_reflection_answer(const uint8_t *request_bytes, size_t size, const struct el_grpc_method *methods,
                          size_t method_count, struct el_buf *to)
{
    struct request request;
    if (!read_request(request_bytes, size, &request))
        return false;
    if (request.host.size > 0)
        el_wire_put_bytes(to, VALID_HOST, request.host.data, request.host.size);
    el_wire_put_bytes(to, ORIGINAL_REQUEST, request_bytes, size);
    switch (request.what) {
    case FILE_BY_NAME:
        put_files(to, find_file(request.text));
        break;
    case FILE_WITH_SYMBOL:
        put_files(to, find_symbol(request.text));
        break;
    case FILE_WITH_EXTENSION:
        put_error(to, EL_NOT_FOUND, "no extensions are known here");
        break;
    case EXTENSIONS_OF:
        if (find_symbol(request.text) == NULL) {
            put_error(to, EL_NOT_FOUND, "no such file or symbol");
        } else {
            el_wire_put_length(to, EXTENSION_NUMBERS, 1 + el_wire_varint_size(request.text.size) + request.text.size);
            el_wire_put_bytes(to, 1, request.text.data, request.text.size);
        }
        break;
    case SERVICES:
        put_services(to, methods, method_count);
        break;
    default:
        put_error(to, EL_INVALID_ARGUMENT, "the request asks for nothing that reflection knows");
        break;
    }
    return true;
}

void el_api_grpc_reflection(struct el_grpc_call *call, void *argument)
{
    const struct el_api *api = argument;
    size_t size, method_count;
    const uint8_t *message = el_grpc_message(call, &size);
    const struct el_grpc_method *methods = el_api_methods(api, &method_count);
    if (el_reflection_answer(message, size, methods, method_count, el_grpc_reply_buf(call))) {
        el_grpc_send(call);
        return;
    }
    struct el_status *status = el_status_new(EL_INTERNAL, "the request is no ServerReflectionRequest");
    el_grpc_fail(call, status);
    el_status_free(status);
}
