/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does the simulation see anything? Each mutation breaks one rule of the swap core: a function of it is replaced at link time (--wrap)
 * by one that does as the real one, or is wrong. main.c runs seeds with each until one is caught.
 */
#include "sim.h"

#include "swap/manager.h"
#include "swap/remember.h"
#include "swap/version.h"

enum sim_mutation sim_mutation;

static const char *const names[SIM_MUTATIONS] = {
    [SIM_NO_MUTATION] = "none",
    [SIM_IGNORE_QUARANTINE] = "quarantined content is loaded",
    [SIM_FORGET_QUARANTINE] = "quarantine is not written",
    [SIM_IGNORE_PIN] = "pins are not looked at",
    [SIM_TOO_MANY_LOADS] = "one load too many",
    [SIM_IGNORE_MEMORY] = "admission does not look at memory",
    [SIM_NO_WAY_BACK] = "the guard's way back is not kept warm",
    [SIM_ACKNOWLEDGE_EARLY] = "the journal says that it has written before it has",
    [SIM_IGNORE_LAST_GOOD] = "a start does not begin with the last good version",
    [SIM_FORGET_RESPAWN] = "a worker that died is not replaced",
};

const char *sim_mutation_name(enum sim_mutation mutation)
{
    return names[mutation];
}

struct el_status *__real_el_remember_verdict(const struct el_version *version);
struct el_status *__wrap_el_remember_verdict(const struct el_version *version);
void __real_el_remember_bad(const struct el_version *version, const struct el_status *why, const char *by);
void __wrap_el_remember_bad(const struct el_version *version, const struct el_status *why, const char *by);
bool __real_el_remember_pin(const struct el_model *model, int64_t *version);
bool __wrap_el_remember_pin(const struct el_model *model, int64_t *version);
bool __real_el_memory_admits(struct el_version *version, uint64_t now_ns);
bool __wrap_el_memory_admits(struct el_version *version, uint64_t now_ns);
bool __real_el_remember_last_good(const struct el_model *model, int64_t *version);
bool __wrap_el_remember_last_good(const struct el_model *model, int64_t *version);
bool __real_el_guard_keeps(const struct el_version *version);
bool __wrap_el_guard_keeps(const struct el_version *version);
void __real_el_respawn_tick(struct el_version *version, uint64_t now_ns);
void __wrap_el_respawn_tick(struct el_version *version, uint64_t now_ns);

struct el_status *__wrap_el_remember_verdict(const struct el_version *version)
{
    return sim_mutation == SIM_IGNORE_QUARANTINE ? NULL : __real_el_remember_verdict(version);
}

void __wrap_el_remember_bad(const struct el_version *version, const struct el_status *why, const char *by)
{
    if (sim_mutation != SIM_FORGET_QUARANTINE)
        __real_el_remember_bad(version, why, by);
}

bool __wrap_el_remember_pin(const struct el_model *model, int64_t *version)
{
    return sim_mutation != SIM_IGNORE_PIN && __real_el_remember_pin(model, version);
}

bool __wrap_el_memory_admits(struct el_version *version, uint64_t now_ns)
{
    return sim_mutation == SIM_IGNORE_MEMORY || __real_el_memory_admits(version, now_ns);
}

bool __wrap_el_remember_last_good(const struct el_model *model, int64_t *version)
{
    return sim_mutation != SIM_IGNORE_LAST_GOOD && __real_el_remember_last_good(model, version);
}

void __wrap_el_respawn_tick(struct el_version *version, uint64_t now_ns)
{
    if (sim_mutation != SIM_FORGET_RESPAWN)
        __real_el_respawn_tick(version, now_ns);
}

bool __wrap_el_guard_keeps(const struct el_version *version)
{
    return sim_mutation != SIM_NO_WAY_BACK && __real_el_guard_keeps(version);
}
