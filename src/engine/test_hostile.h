/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_ENGINE_TEST_HOSTILE_H
#define EL_ENGINE_TEST_HOSTILE_H

/*
 * For engines that play a hostile worker, when they begin: from then on their process may be ended by whatever it wrote
 * over its own memory, and a sanitizer's report about that is nobody's fault. It goes to stderr instead of the file that
 * tools/run-tests counts as a failure. What the front makes of such a worker is reported as ever.
 */

#include <stddef.h>
#include <stdint.h>

/* Of a sanitizer's runtime; NULL in other builds. */
__attribute__((weak)) void __sanitizer_set_report_fd(void *fd);

static inline void el_hostile_begin(void)
{
    if (__sanitizer_set_report_fd != NULL)
        __sanitizer_set_report_fd((void *)(uintptr_t)2);
}

#endif
