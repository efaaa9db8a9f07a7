/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gcc's and clang's static analyzers cannot see and must believe: a status that is made is never NULL. Without it they
 * follow paths on which an error was returned and then not noticed. tools/lint-units includes this before every file; the build
 * never does.
 */
#ifndef EL_TOOLS_ANALYZER_H
#define EL_TOOLS_ANALYZER_H

#define EL_NEVER_NULL /* gcc would drop the comparison below, and its analyzer, which comes later, would see none */

#include "base/status.h"

/* In place, not in a function: clang looks only so many calls deep. */
#define EL_BELIEVE(made)                  \
    ({                                    \
        struct el_status *el_made = made; \
        if (el_made == (void *)0)         \
            __builtin_abort();            \
        el_made;                          \
    })

#define el_status_new(...) EL_BELIEVE(el_status_new(__VA_ARGS__))
#define el_status_errno(...) EL_BELIEVE(el_status_errno(__VA_ARGS__))
#define el_status_no_memory() EL_BELIEVE(el_status_no_memory())

#endif
