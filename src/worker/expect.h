/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_EXPECT_H
#define EL_WORKER_EXPECT_H

/*
 * The next call, while an event loop has none at any worker.
 *
 * A client that asks again as soon as it is answered comes back within some 100 µs. A loop that slept meanwhile would be
 * woken for it, and often on the very CPU on which a runner is looking, so that the two wait for each other through the
 * whole call. So the loop learns how long the next call takes to come, looks at its sockets for about that long,
 * and offers its CPU between two looks (see spin.h). A loop whose clients pause sleeps, and costs nothing.
 *
 * Where somebody takes the CPU for long, the machine is busy with something else, and a loop that sleeps is woken sooner
 * than one that offered its CPU. Then no call is expected for a while, and for twice as long each time that it happens again
 * before looking went well for long: a machine that is busy for long is tried every ten seconds only, while one where it happens
 * now and then loses little. How long looking went well is counted in offers, because the time between two looks proves
 * nothing. What is at a worker is looked for all the same, by spin.h's own rule: there an answer is sure to come.
 *
 * All on the loop's thread.
 */

#include "worker/spin.h"

#define EL_EXPECT_OFF_MAX_NS UINT64_C(10000000000)
#define EL_EXPECT_GOOD 1024 /* offers that went well: some 10 ms of looking; on a busy machine it is five */

struct el_expect {
    struct el_spin spin;   /* how long the next call takes to come */
    uint64_t since_ns;     /* the last call was answered then */
    uint64_t until_ns;     /* the next call is expected until then; 0: it is not looked for */
    uint64_t off_until_ns; /* none is looked for before */
    uint64_t off_ns;       /* for how long the last time; 0: never */
    uint32_t good;         /* offers since that nobody took for long; counted up to EL_EXPECT_GOOD */
};

static inline void el_expect_init(struct el_expect *expect)
{
    *expect = (struct el_expect){ 0 };
    el_spin_init(&expect->spin);
}

/* The last call was answered at answered_ns. True: the next one is worth looking for. offers: of the loop's CPU while calls are
 * at workers. */
static inline bool el_expect_begin(struct el_expect *expect, const struct el_spin *offers, uint64_t answered_ns)
{
    const bool off = answered_ns < expect->off_until_ns || el_spin_is_off(offers, answered_ns);
    const uint64_t span = off ? 0 : el_spin_time(&expect->spin);
    expect->since_ns = answered_ns;
    expect->until_ns = span == 0 ? 0 : answered_ns + span;
    return span != 0;
}

/* A call is sent at now_ns, and it is the only one. */
static inline void el_expect_met(struct el_expect *expect, uint64_t now_ns)
{
    el_spin_learn(&expect->spin, now_ns - expect->since_ns);
    if (expect->until_ns != 0)
        el_spin_result(&expect->spin, true);
    expect->until_ns = 0;
}

/* Somebody else had this CPU for long, until now_ns: expects nothing for a while. */
static inline void el_expect_away(struct el_expect *expect, uint64_t now_ns)
{
    uint64_t off_ns = EL_SPIN_OFF_NS;
    if (expect->off_ns != 0 && expect->good < EL_EXPECT_GOOD)
        off_ns = expect->off_ns * 2 < EL_EXPECT_OFF_MAX_NS ? expect->off_ns * 2 : EL_EXPECT_OFF_MAX_NS;
    expect->good = 0;
    expect->off_ns = off_ns;
    expect->off_until_ns = now_ns + off_ns;
}

/* Nobody had this CPU for long. */
static inline void el_expect_kept(struct el_expect *expect)
{
    if (expect->good < EL_EXPECT_GOOD)
        expect->good++;
}

/* Lets others have the CPU for a moment. True: the sockets are to be looked at once more; false: the loop may sleep. */
static inline bool el_expect_look(struct el_expect *expect)
{
    const uint64_t now = el_now_ns();
    if (now < expect->until_ns) {
        sched_yield();
        const uint64_t after = el_now_ns();
        if (after - now < EL_SPIN_AWAY_NS)
            el_expect_kept(expect);
        else
            el_expect_away(expect, after);
        if (after < expect->until_ns)
            return true;
    }
    if (expect->until_ns != 0)
        el_spin_result(&expect->spin, false);
    expect->until_ns = 0;
    return false;
}

#endif
