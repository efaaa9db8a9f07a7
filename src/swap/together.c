/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/together.h"

#include "base/clock.h"
#include "swap/manager.h"
#include "swap/remember.h"
#include "swap/view.h"

/* True if waiting for it would bring nothing. */
static bool is_decided(const struct el_model *model, const struct el_version *version)
{
    if (version->state == EL_LIFE_NEW || version->state == EL_LIFE_LOADING || version->state == EL_LIFE_PROBING)
        return false;
    if (version->state != EL_LIFE_VERIFYING)
        return true;
    const struct el_source_version *seen = el_model_seen(model, version->number);
    return seen == NULL || seen->seen == EL_SEEN_NOT_YET || version->short_of_memory;
}

static bool is_prepared(const struct el_model *model)
{
    if (model->source == NULL)
        return true;
    if (!model->looked_at)
        return false;
    const struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        if (!is_decided(model, version))
            return false;
    }
    return true;
}

static void release(struct el_swap *swap)
{
    struct el_model *model;
    swap->together_until_ns = 0;
    el_list_each (model, &swap->models, in_swap) {
        const enum el_together was = model->together;
        if (was == EL_TOGETHER_NOT)
            continue;
        model->together = EL_TOGETHER_NOT;
        el_model_changed(model);
        if (was == EL_TOGETHER_LEAVES && !model->removed)
            el_model_remove(model);
        else
            el_model_touch(model);
    }
}

void el_together_begin(struct el_swap *swap)
{
    size_t members = 0, changing = 0;
    uint32_t longest_ms = 0;
    const struct el_model *model;
    el_list_each (model, &swap->models, in_swap) {
        if (model->together == EL_TOGETHER_NOT)
            continue;
        members++;
        changing += model->together == EL_TOGETHER_CHANGES;
        if (model->settings.update.load_timeout_ms > longest_ms)
            longest_ms = model->settings.update.load_timeout_ms;
    }
    if (changing == 0 || members < 2)
        release(swap);
    else
        swap->together_until_ns = el_after_ns(el_now_ns(), longest_ms * EL_NS_PER_MS);
}

void el_together_look(struct el_swap *swap, uint64_t now_ns)
{
    if (swap->together_until_ns == 0 || swap->stopping)
        return;
    const struct el_model *model;
    el_list_each (model, &swap->models, in_swap) {
        if (model->together != EL_TOGETHER_CHANGES || is_prepared(model))
            continue;
        if (now_ns < swap->together_until_ns) {
            el_swap_alarm(swap, swap->together_until_ns);
            return;
        }
        el_tell(swap, EL_LOG_WARNING, "reconfigured", model, NULL,
                "the other models of the reload do not wait for its new version any longer");
    }
    release(swap);
}

bool el_together_holds(const struct el_model *model)
{
    int64_t pin;
    if (el_remember_pin(model, &pin) && el_model_aspires(model, pin))
        return false; /* an operator's word waits for nobody */
    /* With nobody to answer its requests it waits for nobody (availability "resource", or what answered has died). */
    return model->swap->together_until_ns != 0 && model->together == EL_TOGETHER_CHANGES &&
           (!model->has_served || el_model_serving(model) != NULL);
}
