/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with a value of a `:predict` body, by the rules of TensorFlow Serving's FillTensorProto, AddValueToTensor
 * and AddInstanceItem: the error that these would have met first, in their words.
 *
 * The recursion is as deep as the rank of a tensor: at most EL_MAX_RANK.
 */
#include "tensor/predict_json_check.h"
#include "tensor/predict_json_fill.h"

static struct el_status *type_error(const char *value, enum el_dtype dtype)
{
    return el_json_value_error(value, " Type: %s is not of expected type: %s", el_json_type_name(el_json_type(value)),
                               el_dtype_short_name(dtype));
}

static struct el_status *cannot_convert(const char *value, enum el_dtype dtype)
{
    struct el_buf text = { 0 };
    el_json_print_debug(&text, value);
    el_buf_byte(&text, 0);
    struct el_status *status = text.failed ? el_status_no_memory()
                                           : el_status_new(EL_UNIMPLEMENTED, "Conversion of JSON Value: %s to type: %s",
                                                           (const char *)text.data, el_dtype_short_name(dtype));
    el_buf_free(&text);
    return status;
}

static struct el_status *check_object(const char *value, enum el_dtype dtype)
{
    if (dtype != EL_STRING)
        return type_error(value, dtype);
    const char *string = el_json_base64_string(value);
    if (string == NULL)
        return el_json_value_error(value, " not formatted correctly for base64 data");
    if (el_json_base64_size(string) < 0)
        return el_status_new(EL_INVALID_ARGUMENT, "Unable to base64 decode");
    return NULL;
}

static struct el_status *check_scalar(const char *value, enum el_dtype dtype)
{
    struct el_json_number number;
    bool good;
    if (*value == '{')
        return check_object(value, dtype);
    switch (dtype) {
    case EL_FLOAT:
    case EL_DOUBLE:
        good = el_json_is_number(*value);
        break;
    case EL_BOOL:
        good = *value == 't' || *value == 'f';
        break;
    case EL_STRING:
        good = *value == '"';
        break;
    case EL_INT32:
    case EL_INT16:
    case EL_INT8:
    case EL_UINT8:
    case EL_INT64:
    case EL_UINT32:
    case EL_UINT64:
        good = el_json_is_number(*value);
        if (good) {
            el_json_number(value, &number);
            good = el_json_in_range(dtype, &number);
        }
        break;
    default:
        return cannot_convert(value, dtype);
    }
    return good ? NULL : type_error(value, dtype);
}

/* Goes over a value whose shape should be `shape`; *count grows by its elements. */
struct el_status *el_json_check_value(const char *value, enum el_dtype dtype, const struct el_shape *shape,
                                      int32_t level, size_t *count)
{
    if (*value != '[') {
        if (level != shape->rank)
            return el_json_value_error(value, " found at incorrect level: %d in the JSON DOM. Expected at level: %d",
                                       (int)level + 1, (int)shape->rank);
        EL_TRY(check_scalar(value, dtype));
        ++*count;
        return NULL;
    }
    if (level >= shape->rank)
        return el_status_new(EL_INVALID_ARGUMENT, "Encountered list at unexpected level: %d expected < %d", (int)level,
                             (int)shape->rank);
    size_t size = el_json_count(value);
    if (size != (size_t)shape->dims[level])
        return el_status_new(EL_INVALID_ARGUMENT,
                             "Encountered list at unexpected size: %zu at level: %d expected size: %lld", size,
                             (int)level, (long long)shape->dims[level]);
    for (value = el_json_first(value); value != NULL; value = el_json_next(value))
        EL_TRY(el_json_check_value(value, dtype, shape, level + 1, count));
    return NULL;
}

/* A row of an input that is not as the first: why (TensorFlow Serving's AddInstanceItem). NULL: nothing is wrong. */
struct el_status *el_json_check_row(const struct el_predict_json_input *input, const char *value, const char *end)
{
    struct el_shape shape;
    size_t count = 0, wanted = 0;
    char expected[400], found[400];
    if (!el_json_shape(value, end, EL_MAX_RANK, &shape))
        return el_status_new(EL_INVALID_ARGUMENT, "Encountered list at unexpected level: %d expected < %d", EL_MAX_RANK,
                             EL_MAX_RANK);
    EL_TRY(el_json_check_value(value, input->dtype, &shape, 0, &count));
    EL_TRY(el_shape_elements(&input->row, &wanted));
    if (count != wanted)
        return el_status_new(EL_INVALID_ARGUMENT, "Expecting tensor size: %zu but got: %zu", wanted, count);
    if (!el_shape_fits(&input->row, &shape))
        return el_status_new(EL_INVALID_ARGUMENT, "Expecting shape %s but got: %s",
                             el_shape_print(&input->row, expected, sizeof expected),
                             el_shape_print(&shape, found, sizeof found));
    return NULL;
}
