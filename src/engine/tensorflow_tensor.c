/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/tensorflow.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)EL_FLOAT == (int)TF_FLOAT && (int)EL_STRING == (int)TF_STRING && (int)EL_UINT64 == (int)TF_UINT64 &&
                   (int)EL_HALF == (int)TF_HALF && (int)EL_BFLOAT16 == (int)TF_BFLOAT16,
               "dtypes have TensorFlow's numbers");

/* ---- in ---- */

static void free_strings(void *data, size_t size, void *unused)
{
    (void)unused;
    TF_TString *strings = data;
    for (size_t i = 0; i < size / sizeof *strings; i++)
        TF_StringDealloc(&strings[i]);
    free(strings);
}

static struct el_status *make_strings(const struct el_tensor *tensor, TF_Tensor **made)
{
    size_t count, size;
    EL_TRY(el_shape_elements(&tensor->shape, &count));
    if (__builtin_mul_overflow(count, sizeof(TF_TString), &size))
        return el_status_new(EL_RESOURCE_EXHAUSTED, "%zu strings do not fit into memory", count);
    TF_TString *strings = malloc(size == 0 ? 1 : size);
    if (strings == NULL)
        return el_status_no_memory();
    for (size_t i = 0; i < count; i++) {
        size_t length;
        const char *text = el_tensor_string(tensor, i, &length);
        TF_StringInit(&strings[i]);
        TF_StringCopy(&strings[i], text, length);
    }
    *made = TF_NewTensor(TF_STRING, tensor->shape.dims, tensor->shape.rank, strings, size, free_strings, NULL);
    if (*made == NULL) {
        free_strings(strings, size, NULL);
        return el_status_no_memory();
    }
    return NULL;
}

struct el_status *tf_tensor_make(const struct everlit_tensor *tensor, TF_Tensor **made)
{
    if (tensor->dtype == EL_STRING) {
        const struct el_tensor view = el_plugin_tensor(tensor);
        return make_strings(&view, made);
    }
    *made = TF_AllocateTensor((TF_DataType)tensor->dtype, tensor->dims, tensor->rank, (size_t)tensor->size);
    if (*made == NULL)
        return el_status_no_memory();
    void *to = TF_TensorData(*made);
    if (tensor->size > 0 && to == NULL)
        return el_status_no_memory(); /* the caller ends what was made */
    if (tensor->size > 0)
        memcpy(to, tensor->data, (size_t)tensor->size);
    return NULL;
}

/* ---- out ---- */

static struct el_status *ask_host(const struct everlit_run *run, const struct everlit_tensor *tensor, void **to)
{
    *to = run->output(run->host, tensor);
    if (*to == NULL)
        return el_status_new(EL_RESOURCE_EXHAUSTED, "there is no memory for its %" PRIu64 " bytes", tensor->size);
    return NULL;
}

static struct el_status *give_strings(const TF_Tensor *from, struct everlit_tensor *tensor,
                                      const struct everlit_run *run)
{
    const TF_TString *strings = TF_TensorData(from);
    const size_t count = (size_t)TF_TensorElementCount(from);
    uint64_t offset = ((uint64_t)count + 1) * sizeof offset;
    tensor->size = offset;
    for (size_t i = 0; i < count; i++)
        tensor->size += TF_StringGetSize(&strings[i]);
    void *to;
    EL_TRY(ask_host(run, tensor, &to));
    uint64_t *offsets = to;
    for (size_t i = 0; i < count; i++) {
        const size_t length = TF_StringGetSize(&strings[i]);
        offsets[i] = offset;
        if (length > 0)
            memcpy((char *)to + offset, TF_StringGetDataPointer(&strings[i]), length);
        offset += length;
    }
    offsets[count] = offset;
    return NULL;
}

struct el_status *tf_tensor_give(const TF_Tensor *from, uint32_t index, const struct everlit_run *run)
{
    struct everlit_tensor tensor = { .index = index, .dtype = (int32_t)TF_TensorType(from) };
    const int rank = TF_NumDims(from);
    if (rank < 0 || rank > EVERLIT_MAX_RANK)
        return el_status_new(EL_UNIMPLEMENTED, "it has %d dimensions, at most %d are possible", rank, EVERLIT_MAX_RANK);
    tensor.rank = rank;
    for (int i = 0; i < rank; i++)
        tensor.dims[i] = TF_Dim(from, i);
    if (tensor.dtype == EL_STRING)
        return give_strings(from, &tensor, run);
    if (!el_dtype_is_data((enum el_dtype)tensor.dtype))
        return el_status_new(EL_UNIMPLEMENTED, "it is of the dtype %d, which cannot be handed out", tensor.dtype);
    tensor.size = TF_TensorByteSize(from);
    void *to;
    EL_TRY(ask_host(run, &tensor, &to));
    if (tensor.size > 0)
        memcpy(to, TF_TensorData(from), (size_t)tensor.size);
    return NULL;
}
