/* SPDX-License-Identifier: Apache-2.0 */
/* A rollout's verdict by itself, on simulated rollouts: how often it is wrong about good versions, and how soon right about bad ones. */
#include "swap/rollout_judge.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROLLOUTS 10000
#define STEP_REQUESTS 100 /* of the defaults, like the steps */

static const double shares[] = { 0.01, 0.1, 0.5 };
enum { STEPS = sizeof shares / sizeof shares[0] };

static const struct el_rollout_limits limits = {
    .max_error_rate = 1e-3, .max_non_finite_rate = 1e-3, .max_latency_ratio = 5, .min_agreement = 0.98, .max_drift = 0.1
};

static double next_double(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return ((double)(*state >> 11) + 0.5) / 9007199254740992.0;
}

static bool condemned(const struct el_rollout_seen *seen)
{
    enum el_rollback_reason reason;
    struct el_status *why = el_rollout_judge(&limits, seen, &reason);
    const bool bad = why != NULL;
    el_status_free(why);
    return bad;
}

/* What the two do: shares of bad answers. */
struct rates {
    double new_, old;
    double burst; /* for a tenth of the time both fail so often, whatever they are */
};

/* One request, shared out by chance, to one that is bad by chance. True: condemned. */
static bool ask(uint64_t *state, const struct rates *rates, struct el_rollout_seen *seen, uint64_t number)
{
    const bool to_new = next_double(state) < seen->share;
    const bool burst = rates->burst > 0 && number / 50 % 10 == 0;
    const double rate = burst ? rates->burst : to_new ? rates->new_ : rates->old;
    struct el_rollout_arm *arm = to_new ? &seen->new_ : &seen->old;
    arm->answers++;
    if (next_double(state) >= rate)
        return false;
    arm->faults++;
    return to_new && condemned(seen); /* looked at after each */
}

/* True: taken back; *asked requests of the new one were answered by then. */
static bool roll_out(uint64_t *state, const struct rates *rates, uint64_t step_requests, uint64_t *asked)
{
    *asked = 0;
    for (int step = 0; step < STEPS; step++) {
        struct el_rollout_seen seen = { .share = shares[step], .steps = STEPS };
        for (uint64_t i = 0; seen.new_.answers < step_requests || seen.old.answers < step_requests; i++) {
            if (!ask(state, rates, &seen, i))
                continue;
            *asked += seen.new_.answers;
            return true;
        }
        *asked += seen.new_.answers;
    }
    return false;
}

static unsigned taken_back(const struct rates *rates, unsigned rollouts, uint64_t step_requests)
{
    uint64_t state = 88172645463325252u, asked;
    unsigned count = 0;
    for (unsigned i = 0; i < rollouts; i++)
        count += roll_out(&state, rates, step_requests, &asked);
    return count;
}

static void of_10000_good_versions_hardly_one_is_taken_back(void **unused)
{
    (void)unused;
    static const struct {
        const char *what;
        struct rates rates;
    } cases[] = { { "without errors but at the limit", { 1e-3, 0, 0 } },
                  { "both fail in 2 %", { 0.02, 0.02, 0 } },
                  { "both fail in 30 %", { 0.3, 0.3, 0 } },
                  { "better than the old one", { 0.01, 0.05, 0 } },
                  { "both fail in bursts", { 1e-4, 1e-4, 0.5 } } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const unsigned count = taken_back(&cases[i].rates, ROLLOUTS, STEP_REQUESTS);
        printf("taken back of %d good versions: %u (%s)\n", ROLLOUTS, count, cases[i].what);
        assert_true(count <= ROLLOUTS * EL_ROLLOUT_FALSE_ALARMS);
    }
}

/* Spells in which either version is slow by chance, and such in which the whole machine is. */
static void a_busy_machine_is_no_slow_version(void **unused)
{
    (void)unused;
    uint64_t state = 88172645463325252u;
    unsigned count = 0;
    for (int i = 0; i < ROLLOUTS; i++) {
        struct el_rollout_seen seen = { .share = 0.1, .steps = STEPS, .slow_ns = 1 };
        bool bad = false;
        for (int window = 0; window < 240 && !bad; window++) {
            const bool all = next_double(&state) < 0.3;
            const struct el_guard_counts slow = { .all = 100, .bad = 50 }, fast = { .all = 100, .bad = 1 };
            const bool ended = el_rollout_window(&seen.windows, all || next_double(&state) < 0.1 ? slow : fast,
                                                 all || next_double(&state) < 0.1 ? slow : fast);
            assert_true(ended);
            bad = condemned(&seen);
        }
        count += bad;
    }
    printf("taken back of %d good versions on a busy machine: %u\n", ROLLOUTS, count);
    assert_true(count <= ROLLOUTS * EL_ROLLOUT_FALSE_ALARMS);
}

/* In shadow: the same requests, and answers that differ now and then. */
static void a_good_version_may_differ_as_much_as_allowed(void **unused)
{
    (void)unused;
    uint64_t state = 88172645463325252u;
    unsigned count = 0;
    for (int i = 0; i < ROLLOUTS; i++) {
        struct el_rollout_seen seen = { .share = 0, .steps = 1 };
        bool bad = false;
        for (int answer = 0; answer < 2000 && !bad; answer++) {
            seen.differs.all++;
            seen.drifted.all++;
            const bool differs = next_double(&state) < 0.02, drifts = next_double(&state) < EL_ROLLOUT_DRIFT_RATE;
            seen.differs.bad += differs;
            seen.drifted.bad += drifts;
            bad = (differs || drifts) && condemned(&seen);
        }
        count += bad;
    }
    printf("taken back of %d good versions in shadow: %u\n", ROLLOUTS, count);
    assert_true(count <= ROLLOUTS * EL_ROLLOUT_FALSE_ALARMS);
}

static int compare(const void *a_, const void *b_)
{
    const uint64_t *a = a_, *b = b_;
    return *a < *b ? -1 : *a > *b;
}

/* The table in docs/safety.md. */
static void a_bad_version_is_taken_back_after_few_answers(void **unused)
{
    (void)unused;
    static const struct {
        double rate;
        uint64_t median,
            most; /* of its answers, until 50 % and 99 % of versions that fail so often are taken back: at most */
    } rows[] = { { 0.02, 300, 900 }, { 0.05, 90, 300 }, { 0.1, 45, 150 }, { 0.5, 8, 30 }, { 1, 3, 5 } };
    enum { TRIES = 1000 };
    static uint64_t took[TRIES];
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct rates rates = { .new_ = rows[i].rate };
        for (int t = 0; t < TRIES; t++)
            took[t] = roll_out(&state, &rates, 2000, &took[t]) ? took[t] : UINT64_MAX;
        qsort(took, TRIES, sizeof took[0], compare);
        printf("%5.1f %% fail: taken back after %llu of its answers in half of the cases, %llu in 99 %%\n",
               100 * rows[i].rate, (unsigned long long)took[TRIES / 2], (unsigned long long)took[TRIES * 99 / 100]);
        assert_true(took[TRIES / 2] <= rows[i].median);
        assert_true(took[TRIES * 99 / 100] <= rows[i].most);
    }
}

static void few_samples_are_no_evidence(void **unused)
{
    (void)unused;
    struct el_rollout_seen seen = { .share = 0.5, .steps = STEPS };
    assert_false(condemned(&seen)); /* could not be measured */
    seen.new_.answers = seen.new_.faults = 2;
    assert_false(condemned(&seen));
    seen.new_.answers = seen.new_.faults = 40;
    assert_true(condemned(&seen));
    seen.old.answers = seen.old.faults = 40; /* so did the old one, in the same time */
    assert_false(condemned(&seen));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_10000_good_versions_hardly_one_is_taken_back),
        cmocka_unit_test(a_busy_machine_is_no_slow_version),
        cmocka_unit_test(a_good_version_may_differ_as_much_as_allowed),
        cmocka_unit_test(a_bad_version_is_taken_back_after_few_answers),
        cmocka_unit_test(few_samples_are_no_evidence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
