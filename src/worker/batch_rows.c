/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One walk over the rows serves both numbers and strings, measuring and writing: it hands runs of neighbouring elements
 * to a sink. Strings lie as offsets and bytes, so a run of them is one run of bytes and offsets moved by a constant.
 */
#include "worker/batch_rows.h"

#include "tensor/tensor.h"

#include <string.h>

struct sink {
    bool strings;
    uint64_t element_size; /* numbers */
    uint8_t *data;         /* NULL: only measures */
    uint64_t elements;     /* so far */
    uint64_t at;           /* numbers: bytes so far; strings: offset of the next string */
};

static const uint64_t *offsets_of(const struct everlit_tensor *tensor)
{
    return tensor->data;
}

/* ---- the sink ---- */

static void put_string(struct sink *sink, const uint8_t *bytes, uint64_t size)
{
    if (sink->data != NULL) {
        if (size > 0)
            memcpy(sink->data + sink->at, bytes, size);
        ((uint64_t *)(void *)sink->data)[sink->elements + 1] = sink->at + size;
    }
    sink->at += size;
    sink->elements++;
}

/* count elements of tensor from first on. */
static void put_run(struct sink *sink, const struct everlit_tensor *tensor, uint64_t first, uint64_t count)
{
    if (count == 0)
        return;
    if (!sink->strings) {
        const uint64_t bytes = count * sink->element_size;
        if (sink->data != NULL)
            memcpy(sink->data + sink->at, (const uint8_t *)tensor->data + first * sink->element_size, bytes);
        sink->at += bytes;
        sink->elements += count;
        return;
    }
    const uint64_t *offsets = offsets_of(tensor);
    const uint64_t bytes = offsets[first + count] - offsets[first];
    if (sink->data != NULL) {
        uint64_t *own = (uint64_t *)(void *)sink->data;
        memcpy(sink->data + sink->at, (const uint8_t *)tensor->data + offsets[first], bytes);
        for (uint64_t i = 0; i < count; i++)
            own[sink->elements + i + 1] = sink->at + (offsets[first + i + 1] - offsets[first]);
    }
    sink->at += bytes;
    sink->elements += count;
}

/* count times element number of tensor; zeros or empty strings if it has none. */
static void put_padding(struct sink *sink, const struct everlit_tensor *tensor, bool none, uint64_t number,
                        uint64_t count)
{
    static const uint8_t zero[16];
    for (uint64_t i = 0; i < count; i++) {
        if (!none) {
            put_run(sink, tensor, number, 1);
        } else if (sink->strings) {
            put_string(sink, zero, 0);
        } else {
            if (sink->data != NULL)
                memcpy(sink->data + sink->at, zero, sink->element_size);
            sink->at += sink->element_size;
            sink->elements++;
        }
    }
}

/* ---- the walk ---- */

/* Elements under one index of dim from - 1. */
static uint64_t elements_from(const struct everlit_tensor *tensor, int32_t from)
{
    uint64_t elements = 1;
    for (int32_t d = from; d < tensor->rank; d++)
        elements *= (uint64_t)tensor->dims[d];
    return elements;
}

static bool same_inner(const struct everlit_tensor *a, const struct everlit_tensor *b)
{
    for (int32_t d = 1; d < a->rank; d++)
        if (a->dims[d] != b->dims[d])
            return false;
    return true;
}

/* One row of tensor, made as large as merged's rows; both have a rank of 2 or more. pad: the number of the element to pad with. */
static void put_padded_row(struct sink *sink, const struct everlit_tensor *tensor, uint64_t row, uint64_t pad,
                           const struct everlit_tensor *merged)
{
    const int32_t last = merged->rank - 1;
    const uint64_t row_elements = elements_from(tensor, 1);
    const uint64_t have = (uint64_t)tensor->dims[last], want = (uint64_t)merged->dims[last];
    uint64_t runs = 1;
    for (int32_t d = 1; d < last; d++)
        runs *= (uint64_t)merged->dims[d];
    for (uint64_t run = 0; run < runs; run++) {
        uint64_t rest = run, from = 0, stride = have;
        bool inside = true;
        for (int32_t d = last - 1; d >= 1; d--) {
            const uint64_t index = rest % (uint64_t)merged->dims[d];
            rest /= (uint64_t)merged->dims[d];
            inside = inside && index < (uint64_t)tensor->dims[d];
            from += index * stride;
            stride *= (uint64_t)tensor->dims[d];
        }
        const uint64_t copied = inside ? have : 0;
        put_run(sink, tensor, row * row_elements + from, copied);
        put_padding(sink, tensor, row_elements == 0, pad, want - copied);
    }
}

static void put_rows(struct sink *sink, const struct everlit_tensor *tensor, uint64_t first, uint64_t count,
                     uint64_t pad_row, const struct everlit_tensor *merged)
{
    const uint64_t row_elements = elements_from(tensor, 1);
    if (same_inner(tensor, merged)) {
        put_run(sink, tensor, first * row_elements, count * row_elements);
        return;
    }
    for (uint64_t row = first; row < first + count; row++)
        put_padded_row(sink, tensor, row, pad_row * row_elements, merged);
}

static void put_all(struct sink *sink, const struct el_rows *list, uint32_t count, uint64_t extra,
                    const struct everlit_tensor *merged)
{
    for (uint32_t i = 0; i < count; i++)
        put_rows(sink, &list[i].tensor, list[i].first, list[i].count, list[i].first, merged);
    const struct el_rows *last = &list[count - 1];
    for (uint64_t i = 0; i < extra; i++)
        put_rows(sink, &last->tensor, last->first, 1, last->first, merged);
}

static struct sink new_sink(const struct everlit_tensor *merged, uint64_t elements, uint8_t *data)
{
    struct sink sink = { .strings = merged->dtype == EL_STRING, .data = data };
    sink.element_size = sink.strings ? 0 : el_dtype_size((enum el_dtype)merged->dtype);
    if (sink.strings) {
        sink.at = (elements + 1) * sizeof(uint64_t);
        if (data != NULL)
            *(uint64_t *)(void *)data = sink.at;
    }
    return sink;
}

bool el_rows_plan(const struct el_rows *list, uint32_t count, uint64_t extra, struct everlit_tensor *merged)
{
    *merged = list[0].tensor;
    merged->data = NULL;
    uint64_t rows = extra;
    for (uint32_t i = 0; i < count; i++) {
        rows += list[i].count;
        for (int32_t d = 1; d < merged->rank; d++)
            if (list[i].tensor.dims[d] > merged->dims[d])
                merged->dims[d] = list[i].tensor.dims[d];
    }
    merged->dims[0] = (int64_t)rows;
    struct el_shape shape = { .rank = merged->rank };
    memcpy(shape.dims, merged->dims, (size_t)merged->rank * sizeof *shape.dims);
    size_t elements, bytes;
    struct el_status *status = el_shape_elements(&shape, &elements);
    if (status == NULL && merged->dtype != EL_STRING)
        status = el_tensor_bytes((enum el_dtype)merged->dtype, &shape, &bytes);
    const bool fits = status == NULL && elements < SIZE_MAX / 32;
    el_status_free(status);
    if (!fits)
        return false;
    if (merged->dtype != EL_STRING) {
        merged->size = bytes;
        return true;
    }
    struct sink sink = new_sink(merged, elements, NULL);
    put_all(&sink, list, count, extra, merged);
    merged->size = sink.at;
    return true;
}

void el_rows_merge(const struct el_rows *list, uint32_t count, uint64_t extra, const struct everlit_tensor *merged,
                   void *data)
{
    struct sink sink = new_sink(merged, elements_from(merged, 0), data);
    put_all(&sink, list, count, extra, merged);
}

bool el_rows_alike(const struct everlit_tensor *a, const struct everlit_tensor *b)
{
    return a->dtype == b->dtype && a->rank == b->rank && same_inner(a, b);
}

const char *el_rows_output_wrong(int32_t rank, const int64_t *dims, uint64_t rows)
{
    if (rank == 0)
        return "Batched output tensor has 0 dimensions";
    if ((uint64_t)dims[0] != rows)
        return "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input "
               "tensors";
    return NULL;
}
