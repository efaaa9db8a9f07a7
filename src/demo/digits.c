/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/digits.h"

#include "base/file.h"
#include "demo/places.h"
#include "tensor/predict_proto.h"

#include <jansson.h>
#include <string.h>

/* Fields of PredictRequest, PredictResponse and the entries of their maps. */
enum { REQUEST_SPEC = 1, REQUEST_INPUTS = 2, RESPONSE_OUTPUTS = 1, RESPONSE_SPEC = 2, ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum { SPEC_NAME = 1, SPEC_VERSION = 2, INT64_VALUE = 1 };

/* ---- files ---- */

static struct el_status *read_pixels(const char *root, struct digits *digits)
{
    char path[PATH_MAX];
    struct el_buf bytes = { 0 };
    EL_TRY(files_path(path, "%s/test/data/digits_test.u8", root));
    EL_TRY(el_file_read(path, sizeof digits->pixels, &bytes));
    struct el_status *status = NULL;
    if (bytes.size != (size_t)DIGITS * PIXELS)
        status = el_status_new(EL_DATA_LOSS, "%s: %zu bytes; expected %d pictures of %d", path, bytes.size, DIGITS,
                               PIXELS);
    for (size_t i = 0; status == NULL && i < bytes.size; i++)
        digits->pixels[i / PIXELS][i % PIXELS] = (float)bytes.data[i] / 16;
    el_buf_free(&bytes);
    return status;
}

static struct el_status *read_labels(const char *root, struct digits *digits)
{
    char path[PATH_MAX];
    struct el_buf bytes = { 0 };
    EL_TRY(files_path(path, "%s/test/data/digits_test.labels", root));
    EL_TRY(el_file_read(path, 64 * DIGITS, &bytes));
    size_t count = 0;
    for (size_t i = 0; i < bytes.size && count < DIGITS; i++) {
        if (bytes.data[i] >= '0' && bytes.data[i] <= '9')
            digits->labels[count++] = (uint8_t)(bytes.data[i] - '0');
    }
    el_buf_free(&bytes);
    if (count != DIGITS)
        return el_status_new(EL_DATA_LOSS, "%s: %zu digits; expected %d", path, count, DIGITS);
    return NULL;
}

struct el_status *digits_read(const char *root, struct digits *digits)
{
    EL_TRY(read_pixels(root, digits));
    return read_labels(root, digits);
}

/* ---- questions ---- */

static void put_spec(const char *model, int64_t version, struct el_buf *message)
{
    struct el_buf spec = { 0 }, number = { 0 };
    el_wire_put_text(&spec, SPEC_NAME, model);
    if (version != 0) {
        el_wire_put_uint(&number, INT64_VALUE, (uint64_t)version);
        el_wire_put_bytes(&spec, SPEC_VERSION, number.data, number.size);
    }
    el_wire_put_bytes(message, REQUEST_SPEC, spec.data, spec.size);
    message->failed = message->failed || spec.failed || number.failed;
    el_buf_free(&spec);
    el_buf_free(&number);
}

void digits_grpc_question(const struct digits *digits, size_t first, size_t count, const char *model, int64_t version,
                          struct el_buf *message)
{
    const struct el_tensor tensor = {
        .dtype = EL_FLOAT,
        .shape = { .rank = 2, .dims = { (int64_t)count, PIXELS } },
        .data = digits->pixels[first],
        .size = count * sizeof digits->pixels[0],
    };
    struct el_buf entry = { 0 }, value = { 0 };
    put_spec(model, version, message);
    el_tensor_proto_write(&value, &tensor, EL_TENSOR_AS_CONTENT);
    el_wire_put_text(&entry, ENTRY_KEY, "input");
    el_wire_put_bytes(&entry, ENTRY_VALUE, value.data, value.size);
    el_wire_put_bytes(message, REQUEST_INPUTS, entry.data, entry.size);
    message->failed = message->failed || entry.failed || value.failed;
    el_buf_free(&entry);
    el_buf_free(&value);
}

void digits_http_question(const struct digits *digits, size_t digit, struct el_buf *body)
{
    el_buf_text(body, "{\"instances\":[[");
    for (size_t i = 0; i < PIXELS; i++) /* sixteenths: four decimals are exact */
        el_buf_printf(body, "%s%g", i > 0 ? "," : "", (double)digits->pixels[digit][i]);
    el_buf_text(body, "]]}");
}

/* ---- answers ---- */

static bool read_predictions(struct el_wire bytes, size_t count, float (*predictions)[CLASSES])
{
    struct el_tensor_proto proto;
    const size_t size = count * sizeof *predictions;
    if (!el_tensor_proto_scan(bytes.at, (size_t)(bytes.end - bytes.at), &proto))
        return false;
    struct el_status *status = el_tensor_proto_head(&proto, "prediction", sizeof "prediction" - 1, size);
    const bool good = status == NULL && proto.dtype == EL_FLOAT && proto.shape.rank == 2 &&
                      proto.shape.dims[0] == (int64_t)count && proto.shape.dims[1] == CLASSES && proto.size == size;
    el_status_free(status);
    if (good)
        el_tensor_proto_decode(&proto, predictions);
    return good;
}

static bool read_output(struct el_wire entry, size_t count, float (*predictions)[CLASSES], bool *found)
{
    struct el_span key = { 0 };
    struct el_wire value = { 0 };
    while (!el_wire_done(&entry)) {
        uint32_t field;
        enum el_wire_type type;
        if (!el_wire_tag(&entry, &field, &type))
            return false;
        const bool good = field == ENTRY_KEY && type == EL_WIRE_BYTES     ? el_wire_text(&entry, &key)
                          : field == ENTRY_VALUE && type == EL_WIRE_BYTES ? el_wire_bytes(&entry, &value)
                                                                          : el_wire_skip(&entry, field, type);
        if (!good)
            return false;
    }
    if (value.at == NULL || !el_span_equal(key, el_span_text("prediction")))
        return true;
    *found = true;
    return read_predictions(value, count, predictions);
}

bool digits_grpc_answer(const uint8_t *bytes, size_t size, size_t count, float (*predictions)[CLASSES],
                        int64_t *version)
{
    struct el_wire wire = el_wire_of(bytes, size);
    struct el_model_spec spec = { 0 };
    bool found = false;
    while (!el_wire_done(&wire)) {
        uint32_t field;
        enum el_wire_type type;
        struct el_wire inside;
        if (!el_wire_tag(&wire, &field, &type))
            return false;
        if (type == EL_WIRE_BYTES && field == RESPONSE_OUTPUTS) {
            if (!el_wire_bytes(&wire, &inside) || !read_output(inside, count, predictions, &found))
                return false;
        } else if (type == EL_WIRE_BYTES && field == RESPONSE_SPEC) {
            if (!el_wire_bytes(&wire, &inside) || !el_model_spec_merge(inside, &spec))
                return false;
        } else if (!el_wire_skip(&wire, field, type)) {
            return false;
        }
    }
    *version = spec.version;
    return found && spec.has_version;
}

bool digits_http_answer(const uint8_t *bytes, size_t size, float prediction[CLASSES])
{
    json_t *body = json_loadb((const char *)bytes, size, 0, NULL);
    const json_t *predictions = json_object_get(body, "predictions");
    const json_t *row = json_array_get(predictions, 0);
    bool good = json_array_size(predictions) == 1 && json_array_size(row) == CLASSES;
    for (size_t i = 0; good && i < CLASSES; i++) {
        const json_t *value = json_array_get(row, i);
        good = json_is_number(value);
        prediction[i] = (float)json_number_value(value);
    }
    json_decref(body);
    return good;
}

unsigned digits_best(const float prediction[CLASSES])
{
    unsigned best = 0;
    for (unsigned i = 1; i < CLASSES; i++) {
        if (prediction[i] > prediction[best])
            best = i;
    }
    return best;
}
