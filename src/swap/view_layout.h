/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_VIEW_LAYOUT_H
#define EL_SWAP_VIEW_LAYOUT_H

/*
 * How views are laid out in memory, and the block of one model. The room's own: view.c puts the blocks together, view_model.c makes them.
 *
 * What is laid out is walked twice by the same code: the first time with no memory, to learn how much there must be, the second time to
 * fill it. So a block is allocated at once or not at all, and freed at once. Swap thread.
 */

#include "swap/state.h"

/* One model as the current view shows it. */
struct el_shown {
    struct el_model_view view;
    struct el_swap *swap;
    struct el_servable **servables; /* owned with others */
    size_t servable_count;
    struct el_deferred deferred;
};

struct el_layout {
    unsigned char *base; /* NULL: only measuring */
    size_t used;
};

static inline void *el_layout_place(struct el_layout *layout, size_t size)
{
    size_t at = (layout->used + 15) & ~(size_t)15;
    layout->used = at + size;
    return layout->base != NULL ? layout->base + at : NULL;
}

/* The model as it is now; it owns its servables with others. NULL: no memory. */
struct el_shown *el_shown_new(const struct el_model *model);

/* No reader sees it any more. shown: struct el_shown, as el_swap_defer() takes it. */
void el_shown_free(void *shown);

#endif
