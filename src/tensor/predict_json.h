/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_TENSOR_PREDICT_JSON_H
#define EL_TENSOR_PREDICT_JSON_H

/*
 * The bodies of REST `:predict`: JSON straight into tensors, tensors straight
 * into JSON, by TensorFlow Serving's rules and with its texts.
 *
 *     el_predict_json_open     checks the text, finds signature_name (before the model is looked up)
 *     (the caller finds model, version and signature)
 *     el_predict_json_plan     shapes and sizes of the inputs
 *     el_predict_json_decode   all values into memory of the caller's choice
 *     el_predict_json_write    outputs -> the answer, in the form of the question
 *
 * On the event loops; pure but for memory that el_predict_json_free() gives back.
 * The text must stay until after decode.
 */

#include "tensor/json.h"
#include "tensor/names.h"
#include "tensor/predict_proto.h"

enum el_predict_form {
    EL_PREDICT_ROWS,    /* "instances" -> "predictions" */
    EL_PREDICT_COLUMNS, /* "inputs" -> "outputs" */
};

#define EL_PREDICT_JSON_FEW 8 /* inputs that need no allocation */

/* What a signature wants of one input: dtype, and after plan what the request has for it. */
struct el_predict_json_input {
    enum el_dtype dtype;   /* set by the caller before plan */
    bool present;          /* plan: the request has it; false only in a request that plan refuses */
    struct el_shape shape; /* plan */
    size_t size;           /* plan: bytes of data */
    void *data;            /* set by the caller before decode: room for size bytes, aligned for the dtype; not owned */
    /* For predict_json*.c. */
    struct el_shape row; /* shape of one row (ROWS), of all (COLUMNS) */
    const char *value;   /* COLUMNS: where it is */
    size_t elements;     /* of all rows */
    size_t done;         /* elements decoded */
    size_t string_bytes; /* STRING: decoded bytes of what was measured */
    uint8_t *at;         /* where the next value (STRING: the next string's bytes) goes */
    uint64_t seen_in;    /* ROWS: number of the last row that had it, and one */
};

struct el_predict_json {
    struct el_json json;
    struct el_span signature_name;        /* unescaped; "" if not given */
    enum el_predict_form form;            /* after plan */
    struct el_predict_json_input *inputs; /* after begin: one per input of the signature, same order */
    uint32_t input_count;
    /* For predict_json*.c. */
    const char *value; /* of "instances" or "inputs" */
    size_t rows;
    bool objects;    /* ROWS: each row is an object with named inputs */
    char *long_name; /* owned: signature_name, when name_few is too small */
    char few_name[64];
    struct el_names names;
    struct el_predict_json_input few[EL_PREDICT_JSON_FEW];
};

/* Empties *request (any content before): as if there were no body. */
void el_predict_json_init(struct el_predict_json *request);

/* Checks body and fills *request (any content before). To be freed in any case, and not to be moved. INVALID_ARGUMENT. */
struct el_status *el_predict_json_open(const char *body, size_t size, struct el_predict_json *request) EL_MUST_USE;

void el_predict_json_free(struct el_predict_json *request);

/*
 * Makes request->inputs for the signature's inputs; the caller then sets dtype in each. INVALID_ARGUMENT for a signature without
 * inputs, RESOURCE_EXHAUSTED when memory is short. signature's arrays must stay until after decode.
 */
struct el_status *el_predict_json_begin(struct el_predict_json *request,
                                        const struct el_predict_signature *signature) EL_MUST_USE;

/*
 * Finds form, and shape and size of each input. Missing and surplus names, wrong places of lists and wrong values (some
 * of them only in decode): INVALID_ARGUMENT, UNIMPLEMENTED for dtypes that JSON cannot carry (in columns). RESOURCE_EXHAUSTED if all inputs
 * together take more than max_bytes.
 */
struct el_status *el_predict_json_plan(struct el_predict_json *request, const struct el_predict_signature *signature,
                                       size_t max_bytes) EL_MUST_USE;

/* Writes the data of every input that is present to its `data`. Errors as in plan. */
struct el_status *el_predict_json_decode(struct el_predict_json *request) EL_MUST_USE;

/*
 * Appends the answer to buf: outputs sorted by name by the caller. INVALID_ARGUMENT for dtypes that JSON cannot carry and, for ROWS,
 * outputs without a common first dimension; buf then has part of an answer: clear it.
 */
struct el_status *el_predict_json_write(struct el_buf *buf, enum el_predict_form form,
                                        const struct el_named_tensor *outputs, uint32_t output_count) EL_MUST_USE;

#endif
