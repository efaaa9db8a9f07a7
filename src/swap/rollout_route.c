/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/rollout_route.h"

#include "base/random.h"
#include "config/rollout_config.h"

#include <string.h>

/* Each loop has its own sequence. */
uint64_t el_rollout_draw(struct el_swap_loop *loop)
{
    return el_random_next(&loop->random);
}

/* Mixes eight bytes at a time, as MurmurHash64A (A. Appleby, public domain) does. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
    const uint64_t factor = UINT64_C(0xc6a4a7935bd1e995);
    word *= factor;
    word ^= word >> 47;
    return (hash ^ (word * factor)) * factor;
}

static uint64_t hash_of(uint64_t seed, const void *bytes, size_t size)
{
    uint64_t hash = mix(seed, size);
    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word = 0;
        memcpy(&word, (const char *)bytes + at, size - at < sizeof word ? size - at : sizeof word);
        hash = mix(hash, word);
    }
    hash ^= hash >> 47;
    return mix(hash, hash >> 32);
}

/* Who is with the new version in one step is in the next ones, too; with another version it is others. */
static uint32_t ticket_of(const struct el_request *request, const struct el_rollout_view *rollout)
{
    const struct el_request_origin *origin = request->origin;
    const void *bytes = NULL;
    size_t size = 0;
    if (origin != NULL && rollout->sticky == EL_ROLLOUT_BY_HEADER) {
        const char *value = origin->header(request->origin_of, rollout->header);
        bytes = value;
        size = value != NULL ? strlen(value) : 0;
    } else if (origin != NULL && rollout->sticky == EL_ROLLOUT_BY_INPUT) {
        bytes = origin->body(request->origin_of, &size);
    }
    if (bytes == NULL || size == 0)
        return (uint32_t)(el_rollout_draw(request->loop) >> 32);
    return (uint32_t)(hash_of((uint64_t)rollout->version, bytes, size) >> 32);
}

const struct el_version_view *el_rollout_choose(struct el_request *request, const struct el_model_view *model,
                                                const struct el_version_view *serving)
{
    const struct el_rollout_view *rollout = &model->rollout;
    if (serving->version != rollout->old)
        return serving;
    if (request->ticket == 0)
        request->ticket = ticket_of(request, rollout) | 1;
    if (request->ticket >= rollout->share)
        return serving;
    const struct el_version_view *new_ = el_view_version(model, rollout->version);
    return new_ != NULL && el_view_answers(new_) ? new_ : serving;
}
