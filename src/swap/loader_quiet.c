/* SPDX-License-Identifier: Apache-2.0 */
/* What a load cost the others: p99 of the other models' serving versions while it went on, against theirs before. */
#include "swap/loader_state.h"
#include "swap/manager.h"
#include "swap/view.h"

#include <stdio.h>
#include <stdlib.h>

#define MOST_OTHERS 16    /* models that are looked at: those that come first in the config */
#define FEWEST 200        /* requests, before and during: below, a p99 says nothing */
#define FLOOR_NS 2000000u /* a rise by less than this hurts nobody */

/* One other model: what its version had answered when the load began. */
struct el_quiet_other {
    struct el_servable *servable; /* owned with others */
    const struct el_model *model; /* only compared */
    struct el_histogram before;
};

static void copy(const struct el_histogram *from, struct el_histogram *to)
{
    for (unsigned i = 0; i < EL_HISTOGRAM_BUCKETS; i++)
        atomic_store_explicit(&to->buckets[i], atomic_load_explicit(&from->buckets[i], memory_order_relaxed),
                              memory_order_relaxed);
}

/* What came since: to holds the beginning, and then the difference. Returns how many. */
static uint64_t subtract(const struct el_histogram *now, const struct el_histogram *before, struct el_histogram *to,
                         uint64_t *count_before)
{
    uint64_t count = 0;
    *count_before = 0;
    for (unsigned i = 0; i < EL_HISTOGRAM_BUCKETS; i++) {
        const uint64_t was = atomic_load_explicit(&before->buckets[i], memory_order_relaxed);
        const uint64_t is = atomic_load_explicit(&now->buckets[i], memory_order_relaxed);
        const uint64_t more = is > was ? is - was : 0;
        atomic_store_explicit(&to->buckets[i], more, memory_order_relaxed);
        count += more;
        *count_before += was;
    }
    return count;
}

void el_quiet_begin(struct el_load *load)
{
    struct el_swap *swap = load->version->model->swap;
    if (el_load_mode(load, EL_CHECK_QUIET) == EL_CHECK_OFF || el_swap_starts(swap))
        return;
    load->others = calloc(MOST_OTHERS, sizeof *load->others);
    if (load->others == NULL)
        return; /* not measured */
    struct el_model *model;
    el_list_each (model, &swap->models, in_swap) {
        struct el_version *serving = el_model_serving(model);
        if (load->other_count == MOST_OTHERS)
            break;
        if (model == load->version->model || serving == NULL ||
            atomic_load_explicit(&serving->servable->stats.requests, memory_order_relaxed) < FEWEST)
            continue;
        struct el_quiet_other *other = &load->others[load->other_count++];
        other->servable = serving->servable;
        other->model = model;
        el_servable_own(other->servable);
        copy(&serving->servable->stats.latency, &other->before);
    }
}

struct el_status *el_quiet_end(struct el_load *load)
{
    struct el_histogram *during = load->other_count > 0 ? calloc(1, sizeof *during) : NULL;
    double worst = 0;
    for (uint32_t i = 0; during != NULL && i < load->other_count; i++) {
        const struct el_quiet_other *other = &load->others[i];
        uint64_t before;
        const uint64_t count = subtract(&other->servable->stats.latency, &other->before, during, &before);
        if (count < FEWEST || before < FEWEST)
            continue;
        const uint64_t was_ns = el_histogram_quantile(&other->before, 0.99);
        const uint64_t is_ns = el_histogram_quantile(during, 0.99);
        const double ratio = was_ns > 0 ? (double)is_ns / (double)was_ns : 0;
        if (ratio <= worst)
            continue;
        worst = ratio;
        load->disturbed = (struct el_disturbance){ .was_ns = was_ns, .is_ns = is_ns, .requests = count };
        /* It may have left the config since, and its memory with it. */
        struct el_model *model;
        el_list_each (model, &load->version->model->swap->models, in_swap) {
            if (model == other->model)
                snprintf(load->disturbed.name, sizeof load->disturbed.name, "%s", model->settings.name);
        }
    }
    free(during);
    if (load->disturbed.requests > 0 && load->version->disturbed == NULL)
        load->version->disturbed = malloc(sizeof *load->version->disturbed); /* without memory the report lacks it */
    if (load->disturbed.requests > 0 && load->version->disturbed != NULL)
        *load->version->disturbed = load->disturbed;
    const struct el_disturbance *most = &load->disturbed;
    const double limit = load->version->model->settings.update.probe.max_disturbance_ratio;
    if (worst <= limit || most->is_ns <= most->was_ns + FLOOR_NS)
        return NULL;
    return el_status_new(EL_FAILED_PRECONDITION,
                         "while it was loaded p99 of model %s was %.3g ms, %.3g ms before; %.3g times is allowed "
                         "(max_disturbance_ratio)",
                         most->name, (double)most->is_ns / 1e6, (double)most->was_ns / 1e6, limit);
}

void el_quiet_free(struct el_load *load)
{
    for (uint32_t i = 0; i < load->other_count; i++)
        el_servable_disown(load->others[i].servable, &load->version->model->swap->lingering);
    free(load->others);
    load->others = NULL;
    load->other_count = 0;
}
