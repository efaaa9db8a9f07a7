/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Shows ThreadSanitizer what libuv closes: loaded (LD_PRELOAD) into every process of the tests under it.
 *
 * libuv closes a descriptor by syscall(SYS_close), which ThreadSanitizer does not intercept. When the number is given
 * out again it would take the new descriptor for the old one, and report a race between who used the old one and who
 * closes the new one. So that call becomes close() here, which it does see.
 */

#include <dlfcn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef long make_call(long number, ...);

__attribute__((visibility("default"))) long syscall(long number, ...)
{
    static _Atomic uintptr_t known; /* relaxed: whoever finds it unset finds the same address */
    va_list list;
    long a[6];
    va_start(list, number);
    for (int i = 0; i < 6; i++) /* as many as there are at most: what the caller did not give is not looked at */
        a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_close)
        return close((int)a[0]);
    uintptr_t address = atomic_load_explicit(&known, memory_order_relaxed);
    if (address == 0) {
        address = (uintptr_t)dlsym(RTLD_NEXT, "syscall");
        atomic_store_explicit(&known, address, memory_order_relaxed);
    }
    make_call *next;
    memcpy(&next, &address, sizeof next);
    return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
