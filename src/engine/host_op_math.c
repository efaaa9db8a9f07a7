/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic where OpenVINO has no numbers of the kind: it computes double as float. And on the whole numbers of shapes, which strings
 * are tiled and sliced by. Broadcasting, and its error, are TensorFlow's.
 */
#include "engine/host_op.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- one input ---- */

typedef double unary(double x);

static double negative(double x)
{
    return -x;
}

static double square(double x)
{
    return x * x;
}

static double reciprocal(double x)
{
    return 1 / x;
}

static double rsqrt(double x)
{
    return 1 / sqrt(x);
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double relu(double x)
{
    return x > 0 || isnan(x) ? x : 0;
}

/* The state is what to do: a table's entry, not to be freed. */
struct operation {
    const char *op;
    unary *one;
    double (*two)(double, double);
};

static double add(double a, double b)
{
    return a + b;
}

static double subtract(double a, double b)
{
    return a - b;
}

static double multiply(double a, double b)
{
    return a * b;
}

static double divide(double a, double b)
{
    return a / b;
}

static double larger(double a, double b)
{
    return a < b || isnan(b) ? b : a;
}

static double smaller(double a, double b)
{
    return b < a || isnan(b) ? b : a;
}

static const struct operation operations[] = {
    { "Neg", negative, NULL },
    { "Abs", fabs, NULL },
    { "Square", square, NULL },
    { "Sqrt", sqrt, NULL },
    { "Rsqrt", rsqrt, NULL },
    { "Exp", exp, NULL },
    { "Log", log, NULL },
    { "Log1p", log1p, NULL },
    { "Expm1", expm1, NULL },
    { "Sin", sin, NULL },
    { "Cos", cos, NULL },
    { "Tan", tan, NULL },
    { "Tanh", tanh, NULL },
    { "Floor", floor, NULL },
    { "Ceil", ceil, NULL },
    { "Inv", reciprocal, NULL },
    { "Reciprocal", reciprocal, NULL },
    { "Sigmoid", sigmoid, NULL },
    { "Relu", relu, NULL },
    { "Add", NULL, add },
    { "AddV2", NULL, add },
    { "Sub", NULL, subtract },
    { "Mul", NULL, multiply },
    { "RealDiv", NULL, divide },
    { "Div", NULL, divide },
    { "Maximum", NULL, larger },
    { "Minimum", NULL, smaller },
    { "Pow", NULL, pow },
};

/* double; for what shapes are made of, the integers, where no result is a fraction. */
static struct el_status *make(const struct host_def *def, void **state)
{
    const enum el_dtype type = host_attr_type(def, "T", EL_DTYPE_INVALID);
    const bool is_integer = type == EL_INT32 || type == EL_INT64;
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        const struct operation *operation = &operations[i];
        if (!host_text_is(def->op, operation->op))
            continue;
        const bool is_simple = operation->two == add || operation->two == subtract || operation->two == multiply;
        if (type != EL_DOUBLE && !(is_integer && is_simple))
            break;
        const struct operation **own = malloc(sizeof(*own));
        if (own == NULL)
            return el_status_no_memory();
        *own = operation;
        *state = own;
        return NULL;
    }
    return el_status_new(EL_UNIMPLEMENTED, "%.*s of %s", (int)def->op.size, def->op.data, el_dtype_short_name(type));
}

static const struct operation *operation_of(const struct host_call *call)
{
    return *(const struct operation *const *)call->state;
}

static struct el_status *run_unary(const struct host_call *call)
{
    const struct host_value *from = call->inputs[0];
    unary *one = operation_of(call)->one;
    void *data;
    EL_TRY(host_value_make(EL_DOUBLE, &from->tensor.shape, &call->outputs[0], &data));
    for (size_t i = 0; i < from->elements; i++)
        ((double *)data)[i] = one(((const double *)from->tensor.data)[i]);
    return NULL;
}

/* ---- two inputs ---- */

/* "Incompatible shapes: [3,1] vs. [2,2]", as TensorFlow; *shape: of the result. */
struct el_status *host_broadcast(const struct el_shape *a, const struct el_shape *b, struct el_shape *shape)
{
    *shape = (struct el_shape){ .rank = a->rank > b->rank ? a->rank : b->rank };
    for (int32_t i = 0; i < shape->rank; i++) {
        const int64_t one = i < a->rank ? a->dims[a->rank - 1 - i] : 1;
        const int64_t two = i < b->rank ? b->dims[b->rank - 1 - i] : 1;
        char x[400], y[400];
        if (one != two && one != 1 && two != 1)
            return el_status_new(EL_INVALID_ARGUMENT, "Incompatible shapes: %s vs. %s", el_shape_print(a, x, sizeof x),
                                 el_shape_print(b, y, sizeof y));
        shape->dims[shape->rank - 1 - i] = one == 1 ? two : one;
    }
    return NULL;
}

/* Which element of an input of that shape is element number of the broadcast shape. */
static size_t place_in(const struct el_shape *input, const struct el_shape *shape, size_t number)
{
    size_t at = 0, step = 1;
    for (int32_t i = 0; i < input->rank; i++) {
        const size_t size = (size_t)input->dims[input->rank - 1 - i];
        const size_t out = (size_t)shape->dims[shape->rank - 1 - i];
        at += (size == 1 ? 0 : number % out) * step;
        number /= out;
        step *= size;
    }
    return at;
}

static struct el_status *run_binary(const struct host_call *call)
{
    const struct host_value *a = call->inputs[0], *b = call->inputs[1];
    double (*const two)(double, double) = operation_of(call)->two;
    const enum el_dtype type = a->tensor.dtype;
    struct el_shape shape;
    void *data;
    if (b->tensor.dtype != type)
        return el_status_new(EL_INVALID_ARGUMENT, "%s and %s are computed with", el_dtype_short_name(type),
                             el_dtype_short_name(b->tensor.dtype));
    EL_TRY(host_broadcast(&a->tensor.shape, &b->tensor.shape, &shape));
    EL_TRY(host_value_make(type, &shape, &call->outputs[0], &data));
    for (size_t i = 0; i < call->outputs[0].elements; i++) {
        const size_t at = place_in(&a->tensor.shape, &shape, i), bt = place_in(&b->tensor.shape, &shape, i);
        if (type == EL_DOUBLE) {
            ((double *)data)[i] = two(((const double *)a->tensor.data)[at], ((const double *)b->tensor.data)[bt]);
            continue;
        }
        /* Whole numbers wrap around. */
        const uint64_t x = (uint64_t)host_value_integer(a, at), y = (uint64_t)host_value_integer(b, bt);
        const uint64_t result = two == add ? x + y : two == subtract ? x - y : x * y;
        if (type == EL_INT64)
            ((uint64_t *)data)[i] = result;
        else
            ((uint32_t *)data)[i] = (uint32_t)result;
    }
    return NULL;
}

#define ONE(op)                                                                                                     \
    {                                                                                                               \
        .name = op, .type_attr = "T", .shape_of = 1, .inputs = 1, .first_attr = "T", .make = make, .run = run_unary \
    }
#define TWO(op)                                                                                       \
    {                                                                                                 \
        .name = op, .type_attr = "T", .inputs = 2, .first_attr = "T", .make = make, .run = run_binary \
    }

const struct host_op host_math_ops[] = {
    ONE("Neg"),     ONE("Abs"),     ONE("Square"),  ONE("Sqrt"), ONE("Rsqrt"),     ONE("Exp"),
    ONE("Log"),     ONE("Log1p"),   ONE("Expm1"),   ONE("Sin"),  ONE("Cos"),       ONE("Tan"),
    ONE("Tanh"),    ONE("Floor"),   ONE("Ceil"),    ONE("Inv"),  ONE("Relu"),      ONE("Reciprocal"),
    ONE("Sigmoid"), TWO("Add"),     TWO("AddV2"),   TWO("Sub"),  TWO("Mul"),       TWO("Div"),
    TWO("RealDiv"), TWO("Maximum"), TWO("Minimum"), TWO("Pow"),  { .name = NULL },
};
