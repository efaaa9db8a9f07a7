/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/probe_inputs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BYTES ((size_t)64 << 20)
#define MOST_TELLING 24 /* variants whose integers are not all 0; there is room for some of zeros after them */

static const int64_t sizes[] = { 1, 8, 32, 128, 224, 3 };
static const int32_t ranks[] = { 1, 2, 0, 4 };

static bool has_open_dims(const struct el_signature *signature)
{
    for (uint32_t i = 0; i < signature->input_count; i++)
        for (int32_t d = 1; d < signature->inputs[i].shape.rank; d++)
            if (signature->inputs[i].shape.dims[d] < 0)
                return true;
    return false;
}

static bool has_open_rank(const struct el_signature *signature)
{
    for (uint32_t i = 0; i < signature->input_count; i++)
        if (signature->inputs[i].shape.rank < 0)
            return true;
    return false;
}

static bool has_strings(const struct el_signature *signature)
{
    for (uint32_t i = 0; i < signature->input_count; i++)
        if (signature->inputs[i].dtype == EL_STRING)
            return true;
    return false;
}

static bool has_integers(const struct el_signature *signature)
{
    for (uint32_t i = 0; i < signature->input_count; i++) {
        const enum el_dtype dtype = signature->inputs[i].dtype;
        if (el_dtype_is_data(dtype) && !el_dtype_is_floating(dtype) && dtype != EL_STRING && dtype != EL_BOOL)
            return true;
    }
    return false;
}

bool el_probe_has_batch(const struct el_signature *signature)
{
    for (uint32_t i = 0; i < signature->input_count; i++)
        if (signature->inputs[i].shape.rank < 0 ||
            (signature->inputs[i].shape.rank > 0 && signature->inputs[i].shape.dims[0] < 0))
            return true;
    return false;
}

bool el_probe_may_point(const struct el_signature *signature)
{
    return has_integers(signature) && signature->input_count > 1;
}

bool el_probe_is_guess(const struct el_signature *signature)
{
    return has_strings(signature) || has_open_dims(signature) || has_open_rank(signature) ||
           el_probe_may_point(signature);
}

uint32_t el_probe_variants(const struct el_signature *signature, int64_t batch,
                           struct el_probe_variant variants[EL_PROBE_VARIANTS])
{
    bool open_rank = has_open_rank(signature);
    size_t rank_count = open_rank ? sizeof ranks / sizeof ranks[0] : 1;
    size_t size_count = has_open_dims(signature) ? sizeof sizes / sizeof sizes[0] : open_rank ? 2 : 1;
    int texts = has_strings(signature) ? 2 : 1;
    int kinds = has_integers(signature) ? 2 : 1;
    uint32_t count = 0;
    for (int z = 0; z < kinds; z++)
        for (size_t r = 0; r < rank_count; r++)
            for (size_t s = 0; s < size_count; s++)
                for (int t = 0; t < texts && count < (z == 0 ? MOST_TELLING : EL_PROBE_VARIANTS); t++)
                    variants[count++] = (struct el_probe_variant){
                        .batch = batch, .size = sizes[s], .rank = ranks[r], .text = t == 1, .zeros = z == 1
                    };
    return count;
}

/* ---- numbers ---- */

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* FNV-1a */
static uint64_t seed_of(const char *name)
{
    uint64_t seed = UINT64_C(0xcbf29ce484222325);
    for (; *name != '\0'; name++)
        seed = (seed ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return seed;
}

static float next_float(uint64_t *state)
{
    return (float)(next_random(state) >> 40) / (float)(1 << 24);
}

/* n / 1024 for n below 1024 is exact in half precision. */
static uint16_t next_half(uint64_t *state)
{
    uint32_t n = (uint32_t)(next_random(state) >> 54);
    if (n == 0)
        return 0;
    uint32_t exponent = 15 - 10; /* bias, and 1024 is 2^10 */
    uint32_t top = 31 - (uint32_t)__builtin_clz(n);
    return (uint16_t)(((exponent + top) << 10) | ((n << (10 - top)) & 0x3ff));
}

static uint16_t next_bfloat16(uint64_t *state)
{
    float value = next_float(state);
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static void fill_numbers(enum el_dtype dtype, uint64_t seed, unsigned char *data, size_t size)
{
    size_t element = el_dtype_size(dtype);
    uint64_t state = seed;
    if (dtype == EL_COMPLEX64 || dtype == EL_COMPLEX128)
        element /= 2;
    for (size_t at = 0; at + element <= size; at += element) {
        switch (dtype) {
        case EL_FLOAT:
        case EL_COMPLEX64: {
            float value = next_float(&state);
            memcpy(data + at, &value, sizeof value);
            break;
        }
        case EL_DOUBLE:
        case EL_COMPLEX128: {
            double value = (double)next_float(&state);
            memcpy(data + at, &value, sizeof value);
            break;
        }
        case EL_HALF: {
            uint16_t value = next_half(&state);
            memcpy(data + at, &value, sizeof value);
            break;
        }
        case EL_BFLOAT16: {
            uint16_t value = next_bfloat16(&state);
            memcpy(data + at, &value, sizeof value);
            break;
        }
        default: /* integers are little-endian: a small one is its lowest byte */
            memset(data + at, 0, element);
            data[at] = (unsigned char)(next_random(&state) % (dtype == EL_BOOL ? 2 : 3));
            break;
        }
    }
}

static struct el_status *make_strings(size_t elements, bool text, struct el_tensor *tensor)
{
    static const char word[] = "probe";
    size_t length = text ? sizeof word - 1 : 0;
    size_t size;
    if (elements > MOST_BYTES / 32)
        return el_status_new(EL_RESOURCE_EXHAUSTED, "%zu strings are too many for a probe", elements);
    size = (elements + 1) * sizeof(uint64_t) + elements * length;
    unsigned char *data = malloc(size);
    if (data == NULL)
        return el_status_no_memory();
    uint64_t offset = (elements + 1) * sizeof offset;
    for (size_t i = 0; i <= elements; i++) {
        memcpy(data + i * sizeof offset, &offset, sizeof offset);
        if (i < elements)
            memcpy(data + offset, word, length);
        offset += length;
    }
    tensor->data = data;
    tensor->size = size;
    return NULL;
}

static void choose_shape(const struct el_tensor_info *info, const struct el_probe_variant *variant,
                         struct el_shape *shape)
{
    *shape = info->shape;
    if (shape->rank < 0) {
        shape->rank = variant->rank;
        for (int32_t d = 0; d < shape->rank; d++)
            shape->dims[d] = -1;
    }
    for (int32_t d = 0; d < shape->rank; d++)
        if (shape->dims[d] < 0)
            shape->dims[d] = d == 0 ? variant->batch : variant->size;
}

static struct el_status *make_one(const struct el_tensor_info *info, const struct el_probe_variant *variant,
                                  struct el_tensor *tensor)
{
    tensor->dtype = info->dtype;
    choose_shape(info, variant, &tensor->shape);
    if (!el_dtype_is_data(info->dtype))
        return el_status_new(EL_UNIMPLEMENTED, "input \"%s\" has the dtype %s, which no request can carry", info->name,
                             el_dtype_name(info->dtype));
    size_t elements;
    EL_TRY(el_shape_elements(&tensor->shape, &elements));
    if (info->dtype == EL_STRING)
        return make_strings(elements, variant->text, tensor);
    size_t size;
    EL_TRY(el_tensor_bytes(info->dtype, &tensor->shape, &size));
    if (size > MOST_BYTES)
        return el_status_new(EL_RESOURCE_EXHAUSTED, "input \"%s\" would have %zu bytes, too many for a probe",
                             info->name, size);
    unsigned char *data = malloc(size > 0 ? size : 1);
    if (data == NULL)
        return el_status_no_memory();
    if (variant->zeros && !el_dtype_is_floating(info->dtype))
        memset(data, 0, size);
    else
        fill_numbers(info->dtype, seed_of(info->name), data, size);
    tensor->data = data;
    tensor->size = size;
    return NULL;
}

struct el_status *el_probe_inputs_make(const struct el_signature *signature, const struct el_probe_variant *variant,
                                       struct el_probe_inputs *inputs)
{
    *inputs = (struct el_probe_inputs){ 0 };
    if (signature->input_count == 0)
        return NULL;
    inputs->list = calloc(signature->input_count, sizeof *inputs->list);
    if (inputs->list == NULL)
        return el_status_no_memory();
    inputs->count = signature->input_count;
    for (uint32_t i = 0; i < inputs->count; i++) {
        struct el_status *status = make_one(&signature->inputs[i], variant, &inputs->list[i]);
        if (status != NULL) {
            el_probe_inputs_free(inputs);
            return status;
        }
    }
    return NULL;
}

void el_probe_inputs_free(struct el_probe_inputs *inputs)
{
    for (uint32_t i = 0; i < inputs->count; i++) {
        union {
            const void *constant;
            void *owned;
        } data = { .constant = inputs->list[i].data };
        free(data.owned);
    }
    free(inputs->list);
    *inputs = (struct el_probe_inputs){ 0 };
}
