/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/rollout_route.h"

/* Each loop has its own sequence: xorshift64 (G. Marsaglia, J. Stat. Softw. 8, 2003). */
static uint32_t draw(struct el_swap_loop *loop)
{
    uint64_t x = loop->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    loop->random = x;
    return (uint32_t)(x >> 32);
}

const struct el_version_view *el_rollout_choose(struct el_request *request, const struct el_model_view *model,
                                                const struct el_version_view *serving)
{
    const struct el_rollout_view *rollout = &model->rollout;
    if (serving->version != rollout->old)
        return serving;
    if (request->ticket == 0)
        request->ticket = draw(request->loop) | 1;
    if (request->ticket >= rollout->share)
        return serving;
    const struct el_version_view *new_ = el_view_version(model, rollout->version);
    return new_ != NULL && el_view_answers(new_) ? new_ : serving;
}
