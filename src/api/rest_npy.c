/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rest_npy.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The value of key in the target's query, decoded; *value stays NULL where it is not there. */
static struct el_status *query(const char *target, const char *key, char **value)
{
    const char *at = strchr(target, '?');
    const char *end = target + strcspn(target, "#");
    const size_t key_size = strlen(key);
    while (at != NULL && at < end) {
        const char *name = at + 1;
        size_t size = strcspn(name, "&#");
        if (size > key_size && strncmp(name, key, key_size) == 0 && name[key_size] == '=') {
            size_t decoded;
            *value = el_api_percent_decode(name + key_size + 1, size - key_size - 1, &decoded);
            if (*value == NULL)
                return el_status_no_memory();
            return strlen(*value) == decoded
                       ? NULL
                       : el_status_new(EL_INVALID_ARGUMENT, "%s in the query has a zero byte", key);
        }
        at = name[size] == '&' ? name + size : NULL;
    }
    return NULL;
}

static bool names(const char *header, const char *type)
{
    return header != NULL && strcasestr(header, type) != NULL;
}

struct el_status *el_rest_npy_read(struct el_http_request *http, struct el_rest_npy *npy)
{
    size_t size;
    const uint8_t *body = el_http_body(http, &size);
    const char *accept = el_http_header(http, "Accept");
    *npy = (struct el_rest_npy){ .question = el_npy_is(body, size) ||
                                             names(el_http_header(http, "Content-Type"), EL_NPY_CONTENT_TYPE) };
    npy->answer = names(accept, EL_NPY_CONTENT_TYPE) || (npy->question && !names(accept, "application/json"));
    if (npy->answer)
        EL_TRY(query(el_http_target(http), "output", &npy->output));
    if (!npy->question)
        return NULL;
    EL_TRY(query(el_http_target(http), "signature_name", &npy->signature_name));
    return el_npy_read("the request's body", body, size, &npy->array);
}

void el_rest_npy_free(struct el_rest_npy *npy)
{
    free(npy->signature_name);
    free(npy->output);
    *npy = (struct el_rest_npy){ 0 };
}

struct el_status *el_rest_npy_fill(const struct el_rest_npy *npy, const struct el_signature *signature,
                                   struct el_call *call)
{
    const struct el_npy *array = &npy->array;
    if (signature->input_count != 1)
        return el_status_new(EL_INVALID_ARGUMENT,
                             "signature \"%s\" has %u inputs, and a .npy body is one: send JSON, or Predict over gRPC",
                             signature->name, signature->input_count);
    const struct el_tensor_info *input = &signature->inputs[0];
    if (array->dtype != input->dtype) {
        const char *wanted = el_npy_descr(input->dtype);
        return el_status_new(EL_INVALID_ARGUMENT,
                             wanted != NULL
                                 ? "input \"%s\" is %s, the array's dtype is %s (in NumPy: array.astype('%s'))"
                                 : "input \"%s\" is %s, which NumPy's files cannot hold: send JSON",
                             input->name, el_dtype_name(input->dtype), el_npy_descr(array->dtype), wanted);
    }
    const size_t size = array->elements * el_dtype_size(array->dtype); /* the body has as many */
    void *data;
    EL_TRY(el_call_input(call, 0, array->dtype, &array->shape, size, &data));
    if (size > 0)
        memcpy(data, array->data, size);
    return NULL;
}

struct el_status *el_rest_npy_output(const struct el_rest_npy *npy, const struct el_signature *signature,
                                     uint32_t *output)
{
    *output = 0;
    if (npy->output == NULL && signature->output_count == 1)
        return NULL;
    const struct el_names known = EL_NAMES(signature->outputs, signature->output_count, name);
    const int64_t found = npy->output == NULL ? -1 : el_names_find(&known, npy->output, strlen(npy->output));
    if (found >= 0) {
        *output = (uint32_t)found;
        return NULL;
    }
    struct el_buf list = { 0 };
    el_names_join(&known, &list);
    char *text = el_buf_take_text(&list);
    if (text == NULL)
        return el_status_no_memory();
    struct el_status *status =
        npy->output == NULL
            ? el_status_new(EL_INVALID_ARGUMENT,
                            "signature \"%s\" has the outputs %s, and a .npy answer is one: name it (?output=NAME)",
                            signature->name, text)
            : el_status_new(EL_INVALID_ARGUMENT, "signature \"%s\" has no output \"%s\", but %s", signature->name,
                            npy->output, text);
    free(text);
    return status;
}
