/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header is a line of Python: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 784), }. The keys come in any order;
 * nothing else of Python is understood.
 */
#include "tensor/npy.h"

#include <stdarg.h>
#include <string.h>

#define MAGIC "\x93NUMPY"
#define MAGIC_SIZE 6

struct header {
    const char *name; /* of the file */
    const char *at, *end;
};

static __attribute__((format(printf, 2, 3))) struct el_status *wrong(const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct el_status *status = el_status_newv(EL_INVALID_ARGUMENT, format, args);
    va_end(args);
    return el_status_prefix(status, "%s", name);
}

static void skip_blanks(struct header *header)
{
    while (header->at < header->end && (*header->at == ' ' || *header->at == '\n' || *header->at == '\t'))
        header->at++;
}

static bool take(struct header *header, char c)
{
    skip_blanks(header);
    if (header->at == header->end || *header->at != c)
        return false;
    header->at++;
    return true;
}

static bool take_word(struct header *header, const char *word)
{
    skip_blanks(header);
    const size_t size = strlen(word);
    if ((size_t)(header->end - header->at) < size || memcmp(header->at, word, size) != 0)
        return false;
    header->at += size;
    return true;
}

/* '...' without escapes, cut at the room there is; what is longer matches no key and no dtype. */
static bool take_string(struct header *header, char text[24])
{
    skip_blanks(header);
    if (header->at == header->end || (*header->at != '\'' && *header->at != '"'))
        return false;
    const char quote = *header->at++;
    size_t used = 0;
    while (header->at < header->end && *header->at != quote) {
        if (used < 23)
            text[used++] = *header->at;
        header->at++;
    }
    text[used] = '\0';
    return take(header, quote);
}

static const struct {
    const char *descr;
    enum el_dtype dtype;
} dtypes[] = {
    { "<f4", EL_FLOAT },     { "<f8", EL_DOUBLE },      { "<f2", EL_HALF },   { "|b1", EL_BOOL },
    { "|i1", EL_INT8 },      { "<i2", EL_INT16 },       { "<i4", EL_INT32 },  { "<i8", EL_INT64 },
    { "|u1", EL_UINT8 },     { "<u2", EL_UINT16 },      { "<u4", EL_UINT32 }, { "<u8", EL_UINT64 },
    { "<c8", EL_COMPLEX64 }, { "<c16", EL_COMPLEX128 },
};

const char *el_npy_descr(enum el_dtype dtype)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        if (dtypes[i].dtype == dtype)
            return dtypes[i].descr;
    }
    return NULL;
}

static struct el_status *read_dtype(struct header *header, struct el_npy *array)
{
    char text[24];
    if (!take_string(header, text))
        return wrong(header->name, "the array has fields; expected plain numbers");
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        if (strcmp(dtypes[i].descr, text) == 0) {
            array->dtype = dtypes[i].dtype;
            return NULL;
        }
    }
    return wrong(
        header->name,
        "the array's dtype is '%s'; expected little-endian numbers or booleans (in NumPy: array.astype('<f4'))", text);
}

static struct el_status *read_order(struct header *header, bool *fortran)
{
    *fortran = take_word(header, "True");
    return *fortran || take_word(header, "False")
               ? NULL
               : wrong(header->name, "the header's fortran_order is neither True nor False");
}

/* (), (3,), (3, 784) */
static struct el_status *read_shape(struct header *header, struct el_shape *shape)
{
    *shape = (struct el_shape){ 0 };
    if (!take(header, '('))
        return wrong(header->name, "the header's shape is not written as (..)");
    while (!take(header, ')')) {
        skip_blanks(header);
        int64_t dim = 0;
        const char *start = header->at;
        for (; header->at < header->end && *header->at >= '0' && *header->at <= '9'; header->at++) {
            if (__builtin_mul_overflow(dim, 10, &dim) || __builtin_add_overflow(dim, *header->at - '0', &dim))
                return wrong(header->name, "the header's shape does not fit");
        }
        if (header->at == start)
            return wrong(header->name, "the header's shape is not made of numbers");
        if (shape->rank == EL_MAX_RANK)
            return wrong(header->name, "the array has more than %d dimensions", EL_MAX_RANK);
        shape->dims[shape->rank++] = dim;
        if (!take(header, ',') && (header->at == header->end || *header->at != ')'))
            return wrong(header->name, "the header's shape is not closed");
    }
    return NULL;
}

static struct el_status *read_header(struct header *header, struct el_npy *array)
{
    bool has_dtype = false, has_order = false, has_shape = false, fortran = false;
    if (!take(header, '{'))
        return wrong(header->name, "the header does not begin with {");
    while (!take(header, '}')) {
        char key[24];
        if (!take_string(header, key) || !take(header, ':'))
            return wrong(header->name, "the header is no dictionary of 'descr', 'fortran_order' and 'shape'");
        if (strcmp(key, "descr") == 0 && !has_dtype) {
            EL_TRY(read_dtype(header, array));
            has_dtype = true;
        } else if (strcmp(key, "fortran_order") == 0 && !has_order) {
            EL_TRY(read_order(header, &fortran));
            has_order = true;
        } else if (strcmp(key, "shape") == 0 && !has_shape) {
            EL_TRY(read_shape(header, &array->shape));
            has_shape = true;
        } else {
            return wrong(header->name, "the header has '%s', which it should not (again)", key);
        }
        take(header, ',');
    }
    if (!has_dtype || !has_order || !has_shape)
        return wrong(header->name, "the header lacks 'descr', 'fortran_order' or 'shape'");
    if (fortran && array->shape.rank > 1)
        return wrong(header->name,
                     "the array is in Fortran order; expected C order (in NumPy: numpy.ascontiguousarray(array))");
    return NULL;
}

bool el_npy_is(const uint8_t *bytes, size_t size)
{
    return size >= MAGIC_SIZE && memcmp(bytes, MAGIC, MAGIC_SIZE) == 0;
}

struct el_status *el_npy_read(const char *name, const uint8_t *bytes, size_t size, struct el_npy *array)
{
    *array = (struct el_npy){ 0 };
    if (size < MAGIC_SIZE + 4 || !el_npy_is(bytes, size))
        return wrong(name, "is no .npy file; expected one that numpy.save() wrote");
    const unsigned version = bytes[MAGIC_SIZE];
    if (version < 1 || version > 3)
        return wrong(name, "is a .npy file of version %u; expected 1, 2 or 3", version);
    const size_t length_bytes = version == 1 ? 2 : 4, start = MAGIC_SIZE + 2 + length_bytes;
    if (size < start)
        return wrong(name, "ends in its header");
    size_t length = 0;
    for (size_t i = 0; i < length_bytes; i++)
        length |= (size_t)bytes[MAGIC_SIZE + 2 + i] << (8 * i);
    if (size - start < length)
        return wrong(name, "ends in its header");
    struct header header = { .name = name,
                             .at = (const char *)bytes + start,
                             .end = (const char *)bytes + start + length };
    EL_TRY(read_header(&header, array));

    size_t expected;
    EL_TRY(el_status_prefix(el_shape_elements(&array->shape, &array->elements), "%s", name));
    if (__builtin_mul_overflow(array->elements, el_dtype_size(array->dtype), &expected) ||
        size - start - length != expected)
        return wrong(name, "has %zu bytes after the header, which is not what %zu elements of %zu bytes take",
                     size - start - length, array->elements, el_dtype_size(array->dtype));
    array->data = bytes + start + length;
    return NULL;
}

/* The header is filled up with blanks so that the data begins at a multiple of 64 bytes, as NumPy's own does. */
#define HEADER_ALIGN 64

struct el_status *el_npy_write(struct el_buf *buf, const char *name, const struct el_tensor *tensor)
{
    const char *descr = el_npy_descr(tensor->dtype);
    if (descr == NULL)
        return el_status_new(EL_INVALID_ARGUMENT, "%s is %s, which NumPy's files cannot hold", name,
                             el_dtype_name(tensor->dtype));
    struct el_buf header = { 0 };
    el_buf_printf(&header, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int32_t i = 0; i < tensor->shape.rank; i++)
        el_buf_printf(&header, i == 0 ? "%lld," : " %lld,", (long long)tensor->shape.dims[i]);
    if (tensor->shape.rank > 1 && !header.failed)
        header.size--; /* (3, 784), but (3,) */
    el_buf_text(&header, "), }");
    while (!header.failed && (MAGIC_SIZE + 4 + header.size + 1) % HEADER_ALIGN != 0)
        el_buf_byte(&header, ' ');
    el_buf_byte(&header, '\n');
    const uint8_t start[] = { 1, 0, (uint8_t)header.size, (uint8_t)(header.size >> 8) };
    el_buf_append(buf, MAGIC, MAGIC_SIZE);
    el_buf_append(buf, start, sizeof start);
    if (!header.failed)
        el_buf_append(buf, header.data, header.size);
    if (tensor->size > 0)
        el_buf_append(buf, tensor->data, tensor->size);
    struct el_status *status = el_buf_status(&header);
    el_buf_free(&header);
    return status != NULL ? status : el_buf_status(buf);
}
