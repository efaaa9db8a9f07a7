/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_DEMO_PAGE_H
#define EL_DEMO_PAGE_H

/*
 * The page: what is going on, at a glance, on one screen. Drawn from the script
 * and nothing else; main thread.
 */

#include "demo/script.h"
#include "demo/terminal.h"

#define PAGE_SAMPLES 512

struct page {
    struct canvas canvas;
    double accuracy[PAGE_SAMPLES]; /* once a second while there is traffic, the last one at count - 1; a ring */
    double rate[PAGE_SAMPLES];     /* answers in that second */
    uint64_t samples;
    uint64_t sampled_ns, answers_then;
    double rate_now;
};

/* Draws it once. */
void page_draw(struct page *page, const struct terminal *terminal, const struct script *script);

void page_free(struct page *page);

/* "1,234,567" into a place of 32 bytes; returns it. */
const char *page_count(char text[32], uint64_t number);

#endif
