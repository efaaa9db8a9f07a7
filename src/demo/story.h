/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_DEMO_STORY_H
#define EL_DEMO_STORY_H

/*
 * What happened, line by line: written by the script, read by the page (the
 * last few lines) and by the plain output (every line, as it comes). Main thread.
 */

#include <stddef.h>
#include <stdint.h>

#define STORY_LINES 64 /* the last ones are kept */

enum mood { MOOD_NOTE, MOOD_OFFER, MOOD_GOOD, MOOD_REFUSED, MOOD_HURT, MOOD_BAD };

struct story_line {
    uint64_t at_ns;
    enum mood mood;
    char text[1200];
};

struct story {
    struct story_line lines[STORY_LINES]; /* a ring */
    uint64_t count;                       /* told so far; line i is lines[i % STORY_LINES] */
    uint64_t begin_ns;                    /* the clock of the page starts here */
};

void story_tell(struct story *story, enum mood mood, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Seconds since the beginning. */
double story_seconds(const struct story *story, uint64_t at_ns);

#endif
