/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/compatibility.h"

#include "swap/probe.h"

#include <string.h>

#define MOST_TEXT 1500 /* bytes of differences; a status is read by people */

/* Every shape that fits old must fit new: an input may be loosened, never tightened. */
static bool takes_all(const struct el_shape *new_, const struct el_shape *old)
{
    if (new_->rank < 0)
        return true;
    if (old->rank != new_->rank)
        return false;
    for (int32_t d = 0; d < old->rank; d++)
        if (new_->dims[d] >= 0 && new_->dims[d] != old->dims[d])
            return false;
    return true;
}

/* Some shape fits both: an output may be declared more or less exactly; what really comes out is probed. */
static bool may_be_same(const struct el_shape *a, const struct el_shape *b)
{
    if (a->rank < 0 || b->rank < 0)
        return true;
    if (a->rank != b->rank)
        return false;
    for (int32_t d = 0; d < a->rank; d++)
        if (a->dims[d] >= 0 && b->dims[d] >= 0 && a->dims[d] != b->dims[d])
            return false;
    return true;
}

static void say(struct el_buf *text, char sign, const char *signature, const char *kind,
                const struct el_tensor_info *info)
{
    char shape[400];
    if (text->size > MOST_TEXT)
        return;
    el_buf_printf(text, "%s%s: %c %s \"%s\" %s %s", text->size > 0 ? ", " : "", signature, sign, kind, info->name,
                  el_dtype_short_name(info->dtype), el_shape_print(&info->shape, shape, sizeof shape));
}

static int find(const struct el_tensor_info *list, uint32_t count, const char *name)
{
    return el_tensor_info_find(list, count, name, strlen(name));
}

static void compare_inputs(struct el_buf *text, const struct el_signature *old, const struct el_signature *new_)
{
    for (uint32_t i = 0; i < old->input_count; i++) {
        const struct el_tensor_info *was = &old->inputs[i];
        const int at = find(new_->inputs, new_->input_count, was->name);
        if (at >= 0 && new_->inputs[at].dtype == was->dtype && takes_all(&new_->inputs[at].shape, &was->shape))
            continue;
        say(text, '-', old->name, "input", was);
        if (at >= 0)
            say(text, '+', old->name, "input", &new_->inputs[at]);
    }
    for (uint32_t i = 0; i < new_->input_count; i++)
        if (find(old->inputs, old->input_count, new_->inputs[i].name) < 0)
            say(text, '+', old->name, "input", &new_->inputs[i]);
}

static void compare_outputs(struct el_buf *text, const struct el_signature *old, const struct el_signature *new_)
{
    for (uint32_t i = 0; i < old->output_count; i++) {
        const struct el_tensor_info *was = &old->outputs[i];
        const int at = find(new_->outputs, new_->output_count, was->name);
        if (at >= 0 && new_->outputs[at].dtype == was->dtype && may_be_same(&new_->outputs[at].shape, &was->shape))
            continue;
        say(text, '-', old->name, "output", was);
        if (at >= 0)
            say(text, '+', old->name, "output", &new_->outputs[at]);
    }
}

struct el_status *el_compatible(const struct el_signatures *old, int64_t old_version, const struct el_signatures *new_,
                                int64_t new_version)
{
    struct el_buf text = { 0 };
    for (uint32_t i = 0; i < old->count; i++) {
        const struct el_signature *was = &old->list[i];
        if (!el_probe_runs(was))
            continue;
        const struct el_signature *is = el_signatures_find(new_, was->name, strlen(was->name), NULL);
        if (is == NULL) {
            el_buf_printf(&text, "%s- signature \"%s\"", text.size > 0 ? ", " : "", was->name);
            continue;
        }
        compare_inputs(&text, was, is);
        compare_outputs(&text, was, is);
    }
    struct el_status *status = el_buf_status(&text);
    if (status == NULL && text.size > 0)
        status = el_status_new(
            EL_FAILED_PRECONDITION,
            "clients of version %lld could not use version %lld; differences in name, dtype or shape "
            "(- is now, + would be): %.*s",
            (long long)old_version, (long long)new_version, (int)text.size, (const char *)text.data);
    el_buf_free(&text);
    return status;
}
