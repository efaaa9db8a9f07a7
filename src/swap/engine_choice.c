/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/engine_choice.h"

#include "swap/agreement.h"

#include <math.h>
#include <string.h>

double el_tensor_difference(const struct el_tensor *a, const struct el_tensor *b, double tolerance, bool *within)
{
    *within = true;
    if (a->size != b->size) {
        *within = false;
        return (double)INFINITY;
    }
    if (!el_dtype_is_floating(a->dtype)) {
        *within = a->size == 0 || memcmp(a->data, b->data, a->size) == 0;
        return *within ? 0 : (double)INFINITY;
    }
    const size_t count = el_element_count(a);
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        double x = el_element_number(a, i);
        double y = el_element_number(b, i);
        if ((isnan(x) && isnan(y)) || (isinf(x) && isinf(y) && signbit(x) == signbit(y)))
            continue;
        double difference = fabs(x - y);
        if (!(difference <= tolerance + tolerance * fabs(y)))
            *within = false;
        if (!(difference <= largest))
            largest = difference;
    }
    return largest;
}

static bool same_tensors(const struct el_tensor_info *a, uint32_t a_count, const struct el_tensor_info *b,
                         uint32_t b_count)
{
    if (a_count != b_count)
        return false;
    for (uint32_t i = 0; i < a_count; i++)
        if (strcmp(a[i].name, b[i].name) != 0 || a[i].dtype != b[i].dtype)
            return false;
    return true;
}

static bool compare_outputs(const char *fast, const struct el_signature *signature, const struct el_pass *a,
                            const struct el_pass *b, double tolerance, double *largest, struct el_buf *reason)
{
    for (uint32_t i = 0; i < b->output_count; i++) {
        const struct el_tensor *x = &a->outputs[i], *y = &b->outputs[i];
        const char *name = signature->outputs[i].name;
        bool same = x->dtype == y->dtype && x->shape.rank == y->shape.rank;
        for (int32_t d = 0; same && d < y->shape.rank; d++)
            same = x->shape.dims[d] == y->shape.dims[d];
        if (!same) {
            char found[400], expected[400];
            el_buf_printf(reason, "%s answers %s %s for output \"%s\" of signature \"%s\", tensorflow %s %s", fast,
                          el_dtype_short_name(x->dtype), el_shape_print(&x->shape, found, sizeof found), name,
                          signature->name, el_dtype_short_name(y->dtype),
                          el_shape_print(&y->shape, expected, sizeof expected));
            return false;
        }
        bool within;
        double difference = el_tensor_difference(x, y, tolerance, &within);
        if (difference > *largest || isnan(difference))
            *largest = difference;
        if (!within) {
            el_buf_printf(reason,
                          "%s differs from tensorflow by %.2g in output \"%s\" of signature \"%s\" (tolerance %g)",
                          fast, difference, name, signature->name, tolerance);
            return false;
        }
    }
    return true;
}

static bool compare_pass(const char *fast, const struct el_judged *a, const struct el_judged *tensorflow,
                         const struct el_pass *b_pass, double tolerance, double *largest, struct el_buf *reason)
{
    const struct el_signature *b = &tensorflow->signatures->list[b_pass->signature];
    const struct el_pass *a_pass = el_judged_find(a, b->name, b_pass->batch);
    if (a_pass == NULL) {
        el_buf_printf(reason, "%s does not have signature \"%s\"", fast, b->name);
        return false;
    }
    const struct el_signature *is = &a->signatures->list[a_pass->signature];
    if (!same_tensors(is->inputs, is->input_count, b->inputs, b->input_count) ||
        !same_tensors(is->outputs, is->output_count, b->outputs, b->output_count)) {
        el_buf_printf(reason, "%s reads other inputs or outputs in signature \"%s\"", fast, b->name);
        return false;
    }
    if (a_pass->status != NULL && b_pass->status == NULL) {
        el_buf_printf(reason, "%s cannot run signature \"%s\": %s", fast, b->name, el_status_text(a_pass->status));
        return false;
    }
    if (a_pass->status == NULL && b_pass->status != NULL) {
        el_buf_printf(reason, "%s answers signature \"%s\" where tensorflow says: %s", fast, b->name,
                      el_status_text(b_pass->status));
        return false;
    }
    if (b_pass->status != NULL)
        return true;
    if (a_pass->output_count != b_pass->output_count) {
        el_buf_printf(reason, "%s gives %u outputs for signature \"%s\", tensorflow %u", fast, a_pass->output_count,
                      b->name, b_pass->output_count);
        return false;
    }
    return compare_outputs(fast, b, a_pass, b_pass, tolerance, largest, reason);
}

bool el_engines_agree(const char *fast, const struct el_judged *a, const struct el_judged *tensorflow, double tolerance,
                      struct el_buf *reason)
{
    double largest = 0;
    for (uint32_t i = 0; i < tensorflow->pass_count; i++)
        if (!compare_pass(fast, a, tensorflow, &tensorflow->passes[i], tolerance, &largest, reason))
            return false;
    el_buf_printf(reason, "%s agrees with tensorflow within %g (largest difference %.2g)", fast, tolerance, largest);
    return true;
}
