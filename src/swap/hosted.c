/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/hosted.h"

#include "swap/batching.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void hosted_free(void *argument)
{
    struct el_hosted *hosted = argument;
    el_worker_free(hosted->worker);
    free(hosted->own_batching);
    free(hosted);
}

static void on_worker_event(struct el_worker *worker, const struct el_worker_event *event, void *argument)
{
    struct el_hosted *hosted = argument;
    struct el_swap *swap = hosted->swap;
    struct el_model *model = hosted->model;
    hosted->worker = worker;
    if (event->type == EL_WORKER_LOADED)
        hosted->loaded = true;
    else
        hosted->dead = true;
    if (hosted->owner != NULL)
        hosted->on_event(hosted, event, hosted->owner);
    if (event->type == EL_WORKER_GONE) {
        /* Views that show it are older than the next publication: it is freed when no reader can have one. */
        hosted->owner = NULL;
        el_list_remove(&hosted->in_swap);
        swap->unpublished = true;
        if (hosted->model != NULL)
            el_model_changed(hosted->model);
        el_swap_defer(swap, &hosted->deferred, hosted_free, hosted);
    }
    if (model != NULL)
        el_model_touch(model);
    el_swap_touch(swap);
}

struct el_status *el_hosted_start(struct el_version *version, const char *engine, bool idle_priority,
                                  void (*on_event)(struct el_hosted *hosted, const struct el_worker_event *event,
                                                   void *owner),
                                  void *owner, struct el_hosted **made)
{
    struct el_swap *swap = version->model->swap;
    const struct el_update_config *update = &version->model->settings.update;
    struct el_batching batching, *own;
    uint32_t threads;
    EL_TRY(el_batching_of_version(swap, version->path, &own));
    el_batching_choose(swap, version->model, own, &batching, &threads);
    struct el_hosted *hosted = calloc(1, sizeof *hosted);
    if (hosted == NULL) {
        free(own);
        return el_status_no_memory();
    }
    *hosted = (struct el_hosted){
        .swap = swap, .model = version->model, .on_event = on_event, .owner = owner, .own_batching = own
    };
    snprintf(hosted->engine, sizeof hosted->engine, "%s", engine);
    const struct el_worker_options options = {
        .model = version->model->settings.name,
        .version = version->number,
        .path = version->path,
        .engine = engine,
        .isolation = strcmp(update->isolation, "none") == 0 ? EL_ISOLATION_NONE : EL_ISOLATION_PROCESS,
        .precision = update->precision,
        .concurrency = update->concurrency > 0 ? update->concurrency : threads,
        .batching = &batching,
        .memory_limit_bytes = update->memory_limit_bytes,
        .load_timeout_ms = update->load_timeout_ms,
        .hang_timeout_ms = update->hang_timeout_ms,
        .max_run_ms = update->max_run_ms,
        .alone = strcmp(update->engine, "auto") != 0,
        .idle_priority = idle_priority,
    };
    struct el_status *status = el_worker_start(swap->options.workers, &options, on_worker_event, hosted,
                                               &hosted->worker);
    if (status != NULL) {
        free(hosted->own_batching);
        free(hosted);
        return status;
    }
    el_list_add_before(&hosted->in_swap, &swap->hosted);
    *made = hosted;
    return NULL;
}

void el_hosted_leave(struct el_hosted *hosted, uint32_t grace_ms)
{
    if (hosted == NULL)
        return;
    hosted->owner = NULL;
    if (!hosted->dead)
        el_worker_stop(hosted->worker, grace_ms);
}

void el_hosted_kill(struct el_hosted *hosted, struct el_status *why)
{
    if (hosted == NULL) {
        el_status_free(why);
        return;
    }
    hosted->owner = NULL;
    if (hosted->dead)
        el_status_free(why);
    else
        el_worker_kill(hosted->worker, why);
}

uint64_t el_hosted_resident_bytes(const struct el_model *model)
{
    const struct el_hosted *hosted;
    uint64_t sum = 0;
    el_list_each (hosted, &model->swap->hosted, in_swap) {
        if (hosted->model == model && !hosted->dead)
            sum += el_worker_resident_bytes(hosted->worker);
    }
    return sum;
}
