/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/probe_judge.h"

#include "swap/spread.h"

#include <string.h>

#define MAIN_SIGNATURE "serving_default"

static const struct el_signature *signature_of(const struct el_judged *judged, const struct el_pass *pass)
{
    return &judged->signatures->list[pass->signature];
}

const struct el_pass *el_judged_find(const struct el_judged *judged, const char *signature, int64_t batch)
{
    for (uint32_t i = 0; judged->signatures != NULL && i < judged->pass_count; i++)
        if (judged->passes[i].batch == batch && strcmp(signature_of(judged, &judged->passes[i])->name, signature) == 0)
            return &judged->passes[i];
    return NULL;
}

static bool is_constant(const struct el_tensor *output)
{
    struct el_variety variety = { 0 };
    el_variety_add(&variety, output);
    return variety.rows > 1 && !variety.varies;
}

bool el_probe_suspicious(const struct el_judged *judged)
{
    for (uint32_t i = 0; i < judged->pass_count; i++) {
        const struct el_pass *pass = &judged->passes[i];
        if (pass->status != NULL)
            return true;
        for (uint32_t o = 0; o < pass->output_count; o++)
            if (el_tensor_first_nonfinite(&pass->outputs[o]) >= 0 || is_constant(&pass->outputs[o]))
                return true;
    }
    return false;
}

static struct el_status *check_output(const struct el_signature *signature, const struct el_pass *pass, uint32_t index,
                                      const struct el_tensor_info *served, const struct el_tensor *served_output)
{
    const struct el_tensor_info *declared = &signature->outputs[index];
    const struct el_tensor *output = &pass->outputs[index];
    char expected[400], found[400];
    if (output->dtype != declared->dtype)
        return el_status_new(EL_FAILED_PRECONDITION,
                             "probe of signature \"%s\": output \"%s\" is declared %s but came as %s", signature->name,
                             declared->name, el_dtype_short_name(declared->dtype), el_dtype_short_name(output->dtype));
    if (!el_shape_fits(&declared->shape, &output->shape))
        return el_status_new(
            EL_FAILED_PRECONDITION,
            "probe of signature \"%s\": output \"%s\" is declared with shape %s but came with shape %s",
            signature->name, declared->name, el_shape_print(&declared->shape, expected, sizeof expected),
            el_shape_print(&output->shape, found, sizeof found));
    if (served != NULL && !el_shape_fits(&served->shape, &output->shape))
        return el_status_new(
            EL_FAILED_PRECONDITION,
            "probe of signature \"%s\": output \"%s\" came with shape %s; the serving version declares shape %s",
            signature->name, declared->name, el_shape_print(&output->shape, found, sizeof found),
            el_shape_print(&served->shape, expected, sizeof expected));
    int64_t bad = el_tensor_first_nonfinite(output);
    if (bad >= 0 && (served_output == NULL || el_tensor_first_nonfinite(served_output) < 0))
        return el_status_new(EL_FAILED_PRECONDITION,
                             "probe of signature \"%s\": output \"%s\" is not finite (element %lld is NaN or infinite)",
                             signature->name, declared->name, (long long)bad);
    return NULL;
}

static struct el_status *check_outputs(const struct el_signature *signature, const struct el_pass *pass,
                                       const struct el_signature *served, const struct el_pass *served_pass)
{
    if (pass->output_count != signature->output_count)
        return el_status_new(EL_FAILED_PRECONDITION, "probe of signature \"%s\": %u of %u outputs came",
                             signature->name, pass->output_count, signature->output_count);
    for (uint32_t i = 0; i < pass->output_count; i++) {
        const char *name = signature->outputs[i].name;
        int at = served != NULL ? el_tensor_info_find(served->outputs, served->output_count, name, strlen(name)) : -1;
        bool answered = at >= 0 && served_pass != NULL && (uint32_t)at < served_pass->output_count;
        EL_TRY(check_output(signature, pass, i, at >= 0 ? &served->outputs[at] : NULL,
                            answered ? &served_pass->outputs[at] : NULL));
    }
    return NULL;
}

/* Not for an input that no request can carry (a resource, a variant): no client can be hurt by what that signature does. */
static bool can_be_asked(const struct el_signature *signature)
{
    for (uint32_t i = 0; i < signature->input_count; i++)
        if (!el_dtype_is_data(signature->inputs[i].dtype))
            return false;
    return true;
}

/* TensorFlow refuses to fetch a tensor that is fed: a signature whose output is an input never answers, in any version. */
static bool gives_an_input_back(const struct el_signature *signature)
{
    for (uint32_t o = 0; o < signature->output_count; o++)
        for (uint32_t i = 0; i < signature->input_count; i++)
            if (signature->outputs[o].tensor_name[0] != '\0' &&
                strcmp(signature->outputs[o].tensor_name, signature->inputs[i].tensor_name) == 0)
                return true;
    return false;
}

/* An operation in an output's place, as in __saved_model_init_op: TensorFlow refuses to fetch what has no value, in any version. */
static bool gives_no_value(const struct el_signature *signature)
{
    for (uint32_t o = 0; o < signature->output_count; o++)
        if (!el_dtype_is_data(signature->outputs[o].dtype))
            return true;
    return false;
}

static bool answers_something(const struct el_judged *judged)
{
    for (uint32_t i = 0; i < judged->pass_count; i++)
        if (judged->passes[i].status == NULL)
            return true;
    return false;
}

/* A pass that failed: the version's fault, or that of the made-up inputs? */
static struct el_status *excuse(const struct el_judged *judged, const struct el_pass *pass,
                                const struct el_pass *served_pass, struct el_buf *warning)
{
    const struct el_signature *signature = signature_of(judged, pass);
    enum el_code code = el_status_code(pass->status);
    bool excused = false;
    if (served_pass != NULL) {
        excused = el_status_code(served_pass->status) == code;
    } else if (el_probe_refuses(signature, code)) {
        const struct el_pass *one = el_judged_find(judged, signature->name, 1);
        excused = el_probe_is_guess(signature) || gives_an_input_back(signature) || gives_no_value(signature) ||
                  (pass->batch > 1 && one != NULL && one->status == NULL);
    } else {
        /* Not the version's fault either: a signature beside the main one that this engine cannot run (strings, with
         * OpenVINO), while others answer. Its clients are told so; with engine auto it makes TensorFlow the choice. Who
         * forces OpenVINO has it with the main one, too. */
        const bool dispensable = judged->partial || strcmp(signature->name, MAIN_SIGNATURE) != 0;
        excused = code == EL_UNIMPLEMENTED && (!can_be_asked(signature) || (dispensable && answers_something(judged)));
    }
    if (!excused)
        return el_status_prefix(el_status_copy(pass->status), "probe of signature \"%s\" with a batch of %lld",
                                signature->name, (long long)pass->batch);
    el_buf_printf(warning, "%ssignature \"%s\" could not be probed with a batch of %lld%s: %s",
                  warning->size > 0 ? "; " : "", signature->name, (long long)pass->batch,
                  served_pass != NULL ? " (nor could the serving version's)" : "", el_status_text(pass->status));
    return NULL;
}

struct el_status *el_probe_judge_runs(const struct el_judged *judged, const struct el_judged *serving,
                                      struct el_buf *warning)
{
    for (uint32_t i = 0; i < judged->pass_count; i++) {
        const struct el_pass *pass = &judged->passes[i];
        if (pass->status != NULL)
            EL_TRY(
                excuse(judged, pass, el_judged_find(serving, signature_of(judged, pass)->name, pass->batch), warning));
    }
    return NULL;
}

struct el_status *el_probe_judge_sane(const struct el_judged *judged, const struct el_judged *serving)
{
    for (uint32_t i = 0; i < judged->pass_count; i++) {
        const struct el_pass *pass = &judged->passes[i];
        const struct el_signature *signature = signature_of(judged, pass);
        const struct el_signature *served = serving->signatures != NULL
                                                ? el_signatures_find(serving->signatures, signature->name,
                                                                     strlen(signature->name), NULL)
                                                : NULL;
        const struct el_pass *served_pass = el_judged_find(serving, signature->name, pass->batch);
        if (pass->status == NULL)
            EL_TRY(check_outputs(signature, pass, served,
                                 served_pass != NULL && served_pass->status == NULL ? served_pass : NULL));
    }
    return NULL;
}

static struct el_status *check_varies(const struct el_signature *signature, const struct el_pass *pass,
                                      const struct el_signature *served, const struct el_pass *served_pass)
{
    for (uint32_t i = 0; i < pass->output_count && i < signature->output_count; i++) {
        const char *name = signature->outputs[i].name;
        const int at = el_tensor_info_find(served->outputs, served->output_count, name, strlen(name));
        struct el_variety found = { 0 }, expected = { 0 };
        if (at < 0 || (uint32_t)at >= served_pass->output_count)
            continue;
        el_variety_add(&found, &pass->outputs[i]);
        el_variety_add(&expected, &served_pass->outputs[at]);
        if (el_variety_lost(&found, &expected))
            return el_status_new(EL_FAILED_PRECONDITION,
                                 "probe of signature \"%s\": output \"%s\" is the same in all %llu rows of different "
                                 "inputs; the serving version's differ",
                                 signature->name, name, (unsigned long long)found.rows);
    }
    return NULL;
}

struct el_status *el_probe_judge_varies(const struct el_judged *judged, const struct el_judged *serving)
{
    for (uint32_t i = 0; i < judged->pass_count; i++) {
        const struct el_pass *pass = &judged->passes[i];
        const struct el_signature *signature = signature_of(judged, pass);
        const struct el_pass *served_pass = el_judged_find(serving, signature->name, pass->batch);
        if (pass->status == NULL && served_pass != NULL && served_pass->status == NULL)
            EL_TRY(check_varies(signature, pass, signature_of(serving, served_pass), served_pass));
    }
    return NULL;
}
