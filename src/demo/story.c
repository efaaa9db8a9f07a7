/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/story.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>

void story_tell(struct story *story, enum mood mood, const char *format, ...)
{
    struct story_line *line = &story->lines[story->count++ % STORY_LINES];
    line->at_ns = el_now_ns();
    line->mood = mood;
    va_list args;
    va_start(args, format);
    vsnprintf(line->text, sizeof line->text, format, args);
    va_end(args);
}

double story_seconds(const struct story *story, uint64_t at_ns)
{
    return at_ns > story->begin_ns ? (double)(at_ns - story->begin_ns) / 1e9 : 0;
}
