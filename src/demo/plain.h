/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_DEMO_PLAIN_H
#define EL_DEMO_PLAIN_H

/* The demo without a terminal: each line of the story as it comes, and the figures every few seconds. Main thread. */

#include "demo/script.h"
#include "demo/terminal.h"

struct plain {
    struct canvas canvas;
    uint64_t told;       /* lines of the story that were printed */
    uint64_t figures_ns; /* when figures were printed last */
    uint64_t answers_then;
};

/* Prints what is new. */
void plain_print(struct plain *plain, const struct terminal *terminal, const struct script *script);

void plain_free(struct plain *plain);

#endif
