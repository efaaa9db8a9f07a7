/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server said of contents, remembered here: what it has found to be bad must not answer again, whatever became of its journal,
 * unless an operator forgives it. What was not written when it was killed it may forget.
 */
#include "sim.h"

#include "swap/manager.h"
#include "swap/version.h"

#include <string.h>

static bool was_written(const struct sim_content *content)
{
    for (size_t i = 0; sim->has_state_dir && i < sim->shadow.bad_count; i++)
        if (strcmp(sim->shadow.bad[i].digest, content->digest) == 0)
            return true;
    return false;
}

void sim_verdicts_start(void)
{
    struct sim_content *content;
    for (size_t i = 0; (content = sim_content_at(i)) != NULL; i++) {
        content->known_bad = false;
        content->condemning = content->condemned = content->condemned && was_written(content);
    }
}

/* The guard's verdicts on content, and an operator's; not on what is only slow or grows. */
static bool condemns(const char *event, const char *text)
{
    if (strcmp(event, "rolled_back") == 0)
        return strstr(text, "beyond doubt") != NULL || strstr(text, "its process crashed") != NULL ||
               strstr(text, "its process hung") != NULL;
    return strcmp(event, "quarantined") == 0 && strncmp(text, "user quarantined it", 19) == 0;
}

static struct sim_content *on_disk(const char *name, int64_t number)
{
    char path[64];
    snprintf(path, sizeof path, "/sim/%s/%lld", name, (long long)number);
    const struct sim_version_dir *found = sim_version_dir_find(path);
    return found != NULL ? found->content : NULL;
}

void sim_rules_event(const char *event, const char *name, int64_t number, const char *text)
{
    if (number < 0 || sim->dying)
        return;
    const struct el_model *model = el_model_find(sim->swap, name);
    const struct el_version *version = model != NULL ? el_version_find(model, number) : NULL;
    struct sim_content *content = version != NULL ? sim_content_find(version->digest) : NULL;
    if (model == NULL && strcmp(event, "retired") == 0)
        content = on_disk(name, number); /* its model has left: by the config, or because the server stops */
    if (content != NULL && condemns(event, text))
        content->condemning = true;
    if (content != NULL && (strcmp(event, "retired") == 0 || strcmp(event, "quarantined") == 0))
        content->kills = 0; /* a load of it has ended otherwise */
}

void sim_verdicts_turn(void)
{
    struct sim_content *content;
    for (size_t i = 0; (content = sim_content_at(i)) != NULL; i++)
        content->condemned = content->condemning;
}

void sim_rules_forgiven(const char *name)
{
    struct sim_content *content;
    for (size_t i = 0; (content = sim_content_at(i)) != NULL; i++) {
        content->kills = 0;
        if (el_journal_find_bad(sim->journal, name, content->digest) == NULL)
            content->condemning = content->condemned = false;
    }
}

/* Under how many numbers it is there: each counts for itself. */
static uint32_t copies(const struct sim_content *content)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < sim->model_count; i++)
        for (size_t k = 0; k < sim->models[i].dir.count; k++)
            count += sim->models[i].dir.list[k].content == content;
    return count > 0 ? count : 1;
}

/*
 * Only loads are noted before they begin, and counted. A worker that is started again in the place of one that died, on files that were
 * replaced meanwhile, is not: it cannot go on for ever, since after the restart they have to be loaded first.
 */
static bool is_noted(const struct el_worker *worker)
{
    const struct el_model *model = el_model_find(sim->swap, worker->model);
    const struct el_version *version = model != NULL ? el_version_find(model, worker->version) : NULL;
    return version != NULL && version->load != NULL;
}

void sim_rules_killed(const struct el_worker *worker)
{
    struct sim_content *content = worker->content;
    if (is_noted(worker))
        content->kills++;
    if (sim->disk_full || sim->now_ns - sim->disk_changed_ns < 5 * SIM_S)
        content->kills = 0; /* it cannot be remembered */
    if (content->kills > 2 * copies(content) && sim->has_state_dir)
        sim_violated("what takes the server down is not tried for ever", "content %u has done so %u times in a row",
                     content->id, content->kills);
}
