/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/agreement.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static double half_to_double(uint16_t bits)
{
    int exponent = (bits >> 10) & 31;
    double fraction = bits & 0x3ff;
    double value;
    if (exponent == 31)
        value = fraction > 0 ? (double)NAN : (double)INFINITY;
    else if (exponent == 0)
        value = ldexp(fraction, -24);
    else
        value = ldexp(fraction + 1024, exponent - 25);
    return (bits & 0x8000) != 0 ? -value : value;
}

static bool is_complex(enum el_dtype dtype)
{
    return dtype == EL_COMPLEX64 || dtype == EL_COMPLEX128;
}

static size_t element_size(const struct el_tensor *tensor)
{
    const size_t size = el_dtype_size(tensor->dtype);
    return is_complex(tensor->dtype) ? size / 2 : size;
}

double el_element_number(const struct el_tensor *tensor, size_t i)
{
    const unsigned char *data = (const unsigned char *)tensor->data + i * element_size(tensor);
    union {
        float f;
        double d;
        uint32_t u;
    } value;
    uint16_t half;
    switch (tensor->dtype) {
    case EL_DOUBLE:
    case EL_COMPLEX128:
        memcpy(&value.d, data, sizeof value.d);
        return value.d;
    case EL_HALF:
        memcpy(&half, data, sizeof half);
        return half_to_double(half);
    case EL_BFLOAT16:
        memcpy(&half, data, sizeof half);
        value.u = (uint32_t)half << 16;
        return (double)value.f;
    default:
        memcpy(&value.f, data, sizeof value.f);
        return (double)value.f;
    }
}

size_t el_element_count(const struct el_tensor *tensor)
{
    size_t elements = 1;
    if (tensor->dtype != EL_STRING)
        return tensor->size / element_size(tensor);
    for (int32_t d = 0; d < tensor->shape.rank; d++)
        elements *= (size_t)tensor->shape.dims[d]; /* checked: the product fits */
    return elements;
}

static bool same_kind(const struct el_tensor *a, const struct el_tensor *b)
{
    bool same = a->dtype == b->dtype && a->shape.rank == b->shape.rank;
    for (int32_t d = 0; same && d < a->shape.rank; d++)
        same = a->shape.dims[d] == b->shape.dims[d];
    return same && (a->dtype == EL_STRING || a->size == b->size);
}

static bool same_element(const struct el_tensor *a, const struct el_tensor *b, size_t i)
{
    if (a->dtype == EL_STRING) {
        size_t a_size, b_size;
        const char *x = el_tensor_string(a, i, &a_size), *y = el_tensor_string(b, i, &b_size);
        return a_size == b_size && (a_size == 0 || memcmp(x, y, a_size) == 0);
    }
    const size_t size = el_dtype_size(a->dtype);
    return memcmp((const char *)a->data + i * size, (const char *)b->data + i * size, size) == 0;
}

static int64_t add_others(struct el_agreement *sum, const struct el_tensor *found, const struct el_tensor *expected)
{
    int64_t first = EL_AGREES;
    const size_t count = el_element_count(found);
    for (size_t i = 0; i < count; i++) {
        const bool same = same_element(found, expected, i);
        sum->rows++;
        sum->same += same;
        if (!same && first == EL_AGREES)
            first = (int64_t)i;
    }
    return first;
}

static size_t highest(const struct el_tensor *tensor, size_t from, size_t count)
{
    size_t at = 0;
    for (size_t i = 1; i < count; i++)
        if (el_element_number(tensor, from + i) > el_element_number(tensor, from + at))
            at = i;
    return at;
}

static void add_rows(struct el_agreement *sum, const struct el_tensor *found, const struct el_tensor *expected,
                     size_t count)
{
    const int32_t rank = found->shape.rank;
    const size_t classes = rank > 0 ? (size_t)found->shape.dims[rank - 1] : 0;
    if (classes < 2 || is_complex(found->dtype))
        return; /* no choice between places */
    for (size_t row = 0; row + classes <= count; row += classes) {
        sum->rows++;
        sum->same += highest(found, row, classes) == highest(expected, row, classes);
    }
}

int64_t el_agreement_add(struct el_agreement *sum, const struct el_tensor *found, const struct el_tensor *expected,
                         const struct el_tolerance *tolerance)
{
    sum->answers++;
    if (!same_kind(found, expected)) {
        sum->other++;
        return EL_AGREES_NOT_IN_KIND;
    }
    if (!el_dtype_is_floating(found->dtype))
        return add_others(sum, found, expected);
    int64_t first = EL_AGREES;
    const size_t count = el_element_count(found);
    for (size_t i = 0; i < count; i++) {
        const double x = el_element_number(found, i), y = el_element_number(expected, i);
        const bool both = (isnan(x) && isnan(y)) || (isinf(x) && isinf(y) && signbit(x) == signbit(y));
        const double difference = both ? 0 : isfinite(x) && isfinite(y) ? fabs(x - y) : (double)INFINITY;
        sum->values++;
        sum->sum += difference;
        sum->squares += difference * difference;
        sum->expected_squares += isfinite(y) ? y * y : 0;
        if (difference > sum->largest)
            sum->largest = difference;
        const double allowed = tolerance->absolute + tolerance->relative * (isfinite(y) ? fabs(y) : 0);
        if (difference > allowed && first == EL_AGREES)
            first = (int64_t)i;
    }
    add_rows(sum, found, expected, count);
    return first;
}

double el_agreement_share(const struct el_agreement *sum)
{
    return sum->rows > 0 ? (double)sum->same / (double)sum->rows : 1;
}

double el_agreement_mean(const struct el_agreement *sum)
{
    return sum->values > 0 ? sum->sum / (double)sum->values : 0;
}

char *el_element_print(const struct el_tensor *tensor, size_t i, char *text, size_t size)
{
    if (tensor->dtype == EL_STRING) {
        size_t length;
        const char *data = el_tensor_string(tensor, i, &length);
        snprintf(text, size, "\"%.*s\"%s", (int)(length < 40 ? length : 40), data, length > 40 ? "..." : "");
        return text;
    }
    if (el_dtype_is_floating(tensor->dtype)) {
        snprintf(text, size, "%.6g", el_element_number(tensor, i));
        return text;
    }
    const size_t element = el_dtype_size(tensor->dtype);
    const bool is_signed = tensor->dtype == EL_INT8 || tensor->dtype == EL_INT16 || tensor->dtype == EL_INT32 ||
                           tensor->dtype == EL_INT64;
    uint64_t bits = 0;
    memcpy(&bits, (const char *)tensor->data + i * element, element < sizeof bits ? element : sizeof bits);
    const unsigned unused = element < sizeof bits ? 8 * (unsigned)(sizeof bits - element) : 0;
    if (is_signed)
        snprintf(text, size, "%" PRId64, (int64_t)(bits << unused) >> unused);
    else
        snprintf(text, size, "%" PRIu64, bits);
    return text;
}
