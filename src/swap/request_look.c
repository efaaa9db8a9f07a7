/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/request_look.h"

#include "base/clock.h"
#include "swap/rerun.h"
#include "swap/rollout_route.h"
#include "swap/view.h"

#include <string.h>

#define RESPAWN_WAIT_NS (10 * EL_NS_PER_S) /* for a worker, where the request has no deadline */

static const struct el_signature *find_signature(const struct el_request *request,
                                                 const struct el_version_view *version, uint32_t *index)
{
    if (request->tensors != NULL)
        return &request->tensors->names;
    return el_signatures_find(&version->servable->signatures, request->signature_name, request->signature_name_size,
                              index);
}

/* True if a request that was decoded already can go on there. */
static bool takes_replay(const struct el_request *request, const struct el_version_view *version)
{
    if (request->replay_call == NULL || request->replay_from == version->servable)
        return true;
    const struct el_signature *signature = find_signature(request, version, NULL);
    return signature != NULL && el_rerun_fits(request, signature);
}

static struct el_worker *worker_of(const struct el_version_view *version)
{
    return atomic_load_explicit(&version->servable->worker, memory_order_acquire);
}

/* It is the version under guard that another opinion is wanted of. */
static bool failed_there(const struct el_request *request, const struct el_version_view *version)
{
    return el_rerun_is_second_opinion(request) && request->replay_from == version->servable;
}

/* Another version that answers while the chosen one has no worker: the highest that can. */
static const struct el_version_view *last_good(const struct el_request *request, const struct el_model_view *model,
                                               const struct el_version_view *chosen)
{
    for (size_t i = 0; i < model->version_count; i++) {
        const struct el_version_view *other = &model->versions[i];
        if (other != chosen && el_view_answers(other) && !failed_there(request, other) && worker_of(other) != NULL &&
            takes_replay(request, other) && find_signature(request, other, NULL) != NULL)
            return other;
    }
    return NULL;
}

static void look_wait(struct el_look *look, const struct el_model_view *model, uint64_t wait_ns)
{
    if (el_lobby_enter(model->lobby)) {
        look->lobby = model->lobby;
        look->wait_ns = wait_ns;
        return;
    }
    look->status = el_status_new(EL_RESOURCE_EXHAUSTED, "model %s: %d requests wait for its worker already",
                                 model->name, EL_LOBBY_SEATS);
}

/* Begins a call there. Neither call nor status: it has no worker that can take it now. */
static void look_begin(struct el_request *request, const struct el_version_view *version, struct el_look *look)
{
    uint32_t index = 0;
    const struct el_signature *signature = find_signature(request, version, &index);
    if (signature == NULL) {
        const char *name = request->signature_name_size > 0 ? request->signature_name : "serving_default";
        size_t size = request->signature_name_size > 0 ? request->signature_name_size : strlen(name);
        look->status = request->no_signature != NULL
                           ? request->no_signature(name, size)
                           : el_status_new(EL_FAILED_PRECONDITION, "Serving signature key \"%.*s\" not found.",
                                           (int)size, name);
        return;
    }
    struct el_worker *worker = takes_replay(request, version) ? worker_of(version) : NULL;
    if (worker == NULL)
        return;
    look->status = request->tensors == NULL
                       ? el_call_begin(worker, request->loop->completions, index, &look->call)
                       : el_call_begin_tensors(worker, request->loop->completions, request->tensors, &look->call);
    if (el_status_code(look->status) == EL_UNAVAILABLE) {
        /* It died and the swap thread does not know yet: the wake-up after the respawn will come for us, too. */
        el_status_free(look->status);
        look->status = NULL;
        look->call = NULL;
        return;
    }
    if (look->status != NULL)
        return;
    el_servable_pin(version->servable);
    request->servable = version->servable;
    request->served_version = version->version;
    request->signature = signature;
    request->signature_index = index;
}

/* Under which number its group's other models answer alike: the one that answers now, or the last that did. */
static uint64_t generation_of(const struct el_request *request, const struct el_model_view *model)
{
    for (size_t i = 0; i < model->generation_count; i++)
        if (model->generations[i].version == request->served_version &&
            (request->wanted_generation == 0 || request->wanted_generation == model->generations[i].number))
            return model->generations[i].number;
    return 0;
}

/*
 * Of a model with a rollout. True: it runs, or ends. What the new version cannot take, for its queue or its signatures, is the old
 * one's.
 */
static bool look_shared(struct el_request *request, const struct el_model_view *model,
                        const struct el_version_view *serving, struct el_look *look)
{
    const struct el_version_view *chosen = el_rollout_choose(request, model, serving);
    if (!failed_there(request, chosen))
        look_begin(request, chosen, look);
    if (request->tries == 0)
        request->shared = look->call != NULL;
    if (chosen != serving && look->call == NULL) {
        el_status_free(look->status);
        look->status = NULL;
        look_begin(request, serving, look);
    }
    return look->status != NULL || look->call != NULL;
}

static void look_at_model(struct el_request *request, const struct el_model_view *model,
                          const struct el_version_view *version, struct el_look *look)
{
    if (el_rollout_shares(model, request)) {
        if (look_shared(request, model, version, look))
            return;
    } else if (!failed_there(request, version)) {
        look_begin(request, version, look);
    }
    if (look->status != NULL || look->call != NULL)
        return;
    const struct el_version_view *other = el_request_may_go_elsewhere(request) ? last_good(request, model, version)
                                                                               : NULL;
    if (other != NULL)
        look_begin(request, other, look);
    if (look->status == NULL && look->call == NULL && !el_rerun_is_second_opinion(request))
        look_wait(look, model, RESPAWN_WAIT_NS);
}

void el_request_look(struct el_request *request, struct el_look *look)
{
    const struct el_view *view = atomic_load_explicit(&request->loop->swap->view, memory_order_acquire);
    const struct el_model_view *model;
    const struct el_version_view *version;
    look->status = el_route_choose(view, request, &model, &version);
    if (look->status != NULL)
        return;
    if (version == NULL) {
        if (!el_rerun_is_second_opinion(request))
            look_wait(look, model, model->hold_ns);
        return;
    }
    request->logged = model->logging.prefix != NULL;
    look_at_model(request, model, version, look);
    if (look->call != NULL)
        request->generation = generation_of(request, model);
}
