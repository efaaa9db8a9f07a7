/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BASE_TSAN_H
#define EL_BASE_TSAN_H

/*
 * Tells ThreadSanitizer of an order between threads that it cannot see: because another process brings it about, or a
 * library that is not instrumented. Any thread. Nothing in other builds.
 *
 * What el_tsan_release(mark) follows comes before what follows a later el_tsan_acquire(mark). Write beside each pair by
 * what the order really comes about: without that, the pair hides a race.
 */

#if defined(__SANITIZE_THREAD__)
#    define EL_TSAN 1
#elif defined(__has_feature)
#    if __has_feature(thread_sanitizer)
#        define EL_TSAN 1
#    endif
#endif

#ifdef EL_TSAN
void __tsan_acquire(void *mark);
void __tsan_release(void *mark);
#endif

static inline void el_tsan_release(void *mark)
{
#ifdef EL_TSAN
    __tsan_release(mark);
#else
    (void)mark;
#endif
}

static inline void el_tsan_acquire(void *mark)
{
#ifdef EL_TSAN
    __tsan_acquire(mark);
#else
    (void)mark;
#endif
}

#endif
