/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_ENGINE_HOST_OP_H
#define EL_ENGINE_HOST_OP_H

/*
 * The ops that the plug-in for OpenVINO runs itself, before and after the network: what OpenVINO cannot express (strings, tf.Examples,
 * tables, complex numbers) and the little arithmetic on sizes that goes with it. Results and the texts of errors are TensorFlow's.
 *
 *     host_op_text.c      strings
 *     host_op_format.c    numbers to strings and back
 *     host_op_array.c     moving elements, of any dtype
 *     host_op_slice.c     StridedSlice
 *     host_op_cast.c      numbers to numbers of another dtype
 *     host_op_math.c      arithmetic: double, and the integers of shapes
 *     host_op_example.c   ParseExample
 *     host_op_table.c     tables that are filled when the model is opened
 *     host_op_assert.c    Assert
 *
 * make is called when a model is opened; run by several threads at once. What a graph says is a file's and is checked.
 */

#include "engine/host_node.h"
#include "engine/host_value.h"

/* One run of one op. */
struct host_call {
    const void *state; /* what make made */
    const struct host_value *const *inputs;
    uint32_t input_count;
    struct host_value *outputs; /* empty; who called frees them, also after a failure */
    uint32_t output_count;
};

struct host_op {
    const char *name;
    const char *type_attr; /* the attribute that is the dtype of the output; NULL: it is type */
    enum el_dtype type;
    bool always;              /* also where OpenVINO has all dtypes of the node */
    uint32_t shape_of;        /* the number of the input whose shape the output has, counted from 1; 0: of none */
    uint32_t inputs;          /* at least so many */
    const char *first_attr;   /* the attribute that is the dtype of the first input; NULL: it is first_type */
    enum el_dtype first_type; /* INVALID: run looks itself */
    struct el_status *(*make)(const struct host_def *def, void **state); /* NULL: there is nothing to know */
    struct el_status *(*run)(const struct host_call *call);
    void (*end)(void *state); /* NULL: free() */
};

/* NULL: there is none of that name. */
const struct host_op *host_op_find(struct el_span name);

/* How many outputs the node has, and the dtype and declared shape of one of them (rank -1: not known beforehand). */
uint32_t host_op_outputs(const struct host_op *op, const struct host_def *def);
enum el_dtype host_op_type(const struct host_op *op, const struct host_def *def, uint32_t output);
struct el_shape host_op_shape(const struct host_op *op, const struct host_def *def, uint32_t output);

/* Each ends with an entry without a name. */
extern const struct host_op host_text_ops[], host_format_ops[], host_array_ops[], host_slice_ops[], host_cast_ops[],
    host_math_ops[], host_example_ops[], host_table_ops[];

/* The end of the ops of tables, whose state, the table, belongs to the plan. */
void host_table_end(void *state);

/* host_op_example.c: the outputs of ParseExample and ParseExampleV2. */
uint32_t host_example_outputs(const struct host_def *def);
enum el_dtype host_example_type(const struct host_def *def, uint32_t output);
struct el_shape host_example_shape(const struct host_def *def, uint32_t output);

/* The dims that the values of a vector or scalar of int32 or int64 name; INVALID_ARGUMENT for too many. */
struct el_status *host_shape_of(const struct host_value *value, struct el_shape *shape) EL_MUST_USE;

/* A number as double, and its imaginary part: 0 where the dtype has none. Wrong for strings. */
double host_number(const struct host_value *value, size_t i);
double host_imaginary(const struct host_value *value, size_t i);

/* The shape that two broadcast to; INVALID_ARGUMENT "Incompatible shapes". */
struct el_status *host_broadcast(const struct el_shape *a, const struct el_shape *b,
                                 struct el_shape *shape) EL_MUST_USE;

/* What GatherV2 looks at first. */
struct el_status *host_gather_check(const struct host_value *indices, int64_t limit) EL_MUST_USE;

float host_half_to_float(uint16_t half);
float host_bfloat16_to_float(uint16_t half);

#endif
