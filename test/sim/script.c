/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens in a world: a storm, in which versions of every kind come and go, operators type, workers and the whole server are
 * killed, the disk fills; then a calm, in which nothing bad is added and all must come right.
 *
 * Rollouts by traffic (update { rollout { } }) belong here as further settings of a model and as further operations.
 */
#include "sim.h"

#include "base/buf.h"
#include "base/clock.h"
#include "swap/operate.h"

#include <stdlib.h>
#include <string.h>

#define CALM_NS (600 * SIM_S) /* all must have come right by then */
#define NEED (100 * SIM_MIB)  /* of memory: more than any content takes */
#define PENDING 64

/* ---- the config ---- */

const char *sim_config_text(void)
{
    static char text[4096];
    static const char *const policies[] = {
        [EL_POLICY_ALL] = "all { }", [EL_POLICY_SPECIFIC] = "specific { versions: [1, 2, 3, 5] }"
    };
    size_t at = (size_t)snprintf(text, sizeof text, "model_config_list {\n");
    for (uint32_t i = 0; i < sim->model_count; i++) {
        const struct sim_model *model = &sim->models[i];
        char latest[64];
        if (!model->configured)
            continue;
        snprintf(latest, sizeof latest, "latest { num_versions: %u }", model->latest);
        at += (size_t)snprintf(
            text + at, sizeof text - at,
            "config { name: \"%s\" base_path: \"%s\" model_platform: \"tensorflow\" model_version_policy { %s }\n"
            "  update { engine: \"%s\" availability: \"%s\" keep_warm_ms: %u guard_ms: %u load_timeout_ms: %u "
            "hang_timeout_ms: %u max_run_ms: 5000 probe_timeout_ms: %u quiet_ms: %u memory_need_bytes: %llu\n"
            "    probe { replay: \"%s\" } group: \"%s\" group_wait_ms: %u } }\n",
            model->name, model->dir.path, model->policy == EL_POLICY_LATEST ? latest : policies[model->policy],
            model->engine, model->resource ? "resource" : "availability", model->keep_warm_ms, model->guard_ms,
            model->load_timeout_ms, model->hang_timeout_ms, model->probe_timeout_ms, model->quiet_ms,
            (unsigned long long)model->need_bytes, model->refuse_replay ? "refuse" : "warn", model->grouped ? "g" : "",
            model->group_wait_ms);
    }
    snprintf(text + at, sizeof text - at, "}\n");
    return text;
}

static uint32_t one_of(const uint32_t *list, size_t count)
{
    return list[sim_below(&sim->random, count)];
}

#define ONE_OF(...) \
    one_of((const uint32_t[]){ __VA_ARGS__ }, sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

static void choose_settings(struct sim_model *model)
{
    model->policy = sim->budget_bytes == 0
                        ? (enum el_policy_type)ONE_OF(EL_POLICY_LATEST, EL_POLICY_LATEST, EL_POLICY_LATEST,
                                                      EL_POLICY_ALL, EL_POLICY_SPECIFIC)
                        : EL_POLICY_LATEST;
    model->latest = sim->budget_bytes == 0 ? ONE_OF(1, 1, 1, 2) : 1;
    snprintf(model->engine, sizeof model->engine, "%s",
             sim->budget_bytes == 0 && sim_chance(&sim->random, 20) ? "auto" : "tensorflow");
    model->keep_warm_ms = ONE_OF(0, 1000, 5000, 10000);
    model->guard_ms = ONE_OF(0, 3000, 10000, 20000);
    model->load_timeout_ms = ONE_OF(2000, 4000);
    model->hang_timeout_ms = ONE_OF(500, 2000, 5000);
    model->probe_timeout_ms = ONE_OF(1000, 2000);
    model->quiet_ms = ONE_OF(0, 100, 300);
    model->grouped = sim->model_count > 1 && sim_chance(&sim->random, 25);
    model->resource = !model->grouped && sim_chance(&sim->random, 15);
    model->group_wait_ms = ONE_OF(0, 2000);
    model->need_bytes = sim->budget_bytes == 0 ? 0 : NEED;
    model->refuse_replay = sim_chance(&sim->random, 20);
}

/* ---- contents ---- */

static enum sim_trait choose_trait(void)
{
    if (sim_chance(&sim->random, 45))
        return SIM_GOOD;
    const enum sim_trait trait = (enum sim_trait)sim_below(&sim->random, SIM_TRAITS);
    return trait == SIM_LEAKS && sim->honest ? SIM_GOOD : trait;
}

static struct sim_version_dir *any_version(struct sim_model *model)
{
    return model->dir.count > 0 ? &model->dir.list[sim_below(&sim->random, model->dir.count)] : NULL;
}

static void put(struct sim_model *model, int64_t version, struct sim_content *content, bool whole)
{
    sim_story("files", "%s/%lld %s: content %u, which %s", model->dir.path, (long long)version,
              whole ? "is there" : "begins to arrive", content->id,
              content->trait == SIM_GOOD ? "is good" : sim_trait_name(content->trait));
    sim_dir_put(&model->dir, version, content, whole);
    sim_dir_changed(&model->dir);
}

struct arrival {
    struct sim_model *model;
    int64_t version;
    struct sim_content *content;
};

static void on_arrival(void *argument)
{
    struct arrival *arrival = argument;
    put(arrival->model, arrival->version, arrival->content, true);
    free(arrival);
}

static void do_put(struct sim_model *model)
{
    struct arrival *arrival = malloc(sizeof *arrival);
    if (arrival == NULL)
        abort();
    *arrival = (struct arrival){ .model = model,
                                 .version = model->dir.last + 1,
                                 .content = sim_content_new(choose_trait()) };
    if (sim_chance(&sim->random, 30)) {
        put(model, arrival->version, arrival->content, false);
        sim_after(SIM_WORLD, sim_below(&sim->random, 6 * SIM_S), on_arrival, arrival);
    } else {
        on_arrival(arrival);
    }
}

/* The same number with other files, or another number with the same files. */
static void do_rewrite(struct sim_model *model)
{
    const struct sim_version_dir *version = any_version(model);
    if (version == NULL)
        return;
    const int64_t number = version->version;
    if (sim_chance(&sim->random, 50))
        put(model, number, sim_content_new(choose_trait()), true);
    else
        put(model, sim_chance(&sim->random, 70) ? model->dir.last + 1 : (int64_t)sim_between(&sim->random, 1, 4),
            version->content, true);
}

static void do_remove(struct sim_model *model)
{
    const struct sim_version_dir *version = any_version(model);
    if (version == NULL)
        return;
    sim_story("files", "%s/%lld is removed", model->dir.path, (long long)version->version);
    sim_dir_remove(&model->dir, version->version);
    sim_dir_changed(&model->dir);
}

static void on_readable(void *argument)
{
    struct sim_model *model = argument;
    model->dir.unreadable = false;
    sim_story("files", "%s can be read again", model->dir.path);
}

static void do_unreadable(struct sim_model *model)
{
    if (model->dir.unreadable)
        return;
    model->dir.unreadable = true;
    sim_story("files", "%s cannot be read", model->dir.path);
    sim_after(SIM_WORLD, sim_below(&sim->random, 10 * SIM_S), on_readable, model);
}

/* ---- operators ---- */

static struct pending {
    struct el_operation operation; /* model NULL: none */
    uint64_t since_ns;
} pending[PENDING];

static void keep_pending(const struct el_operation *operation)
{
    for (size_t i = 0; i < PENDING; i++) {
        if (pending[i].operation.model != NULL)
            continue;
        pending[i] = (struct pending){ .operation = *operation, .since_ns = sim->now_ns };
        return;
    }
}

static void ask_outcomes(void)
{
    for (size_t i = 0; i < PENDING; i++) {
        struct el_status *status = NULL;
        if (pending[i].operation.model == NULL || !el_operate_outcome(sim->swap, &pending[i].operation, &status))
            continue;
        pending[i].operation.model = NULL;
        el_status_free(status);
    }
}

static const char *first_pending(void)
{
    static char text[128];
    for (size_t i = 0; i < PENDING; i++) {
        const struct el_operation *operation = &pending[i].operation;
        if (operation->model == NULL)
            continue;
        snprintf(text, sizeof text, "%s of %s version %lld, asked at %.6f s, has no outcome",
                 el_operation_name(operation->kind), operation->model, (long long)operation->version,
                 (double)pending[i].since_ns / 1e9);
        return text;
    }
    return NULL;
}

static void operate(void *argument)
{
    struct el_operation *operation = argument;
    if (sim->swap != NULL && !sim->stopping) {
        struct el_status *status = el_operate(sim->swap, operation);
        sim_story("operator", "%s %s %lld: %s", el_operation_name(operation->kind), operation->model,
                  (long long)operation->version, status != NULL ? el_status_text(status) : operation->text);
        if (status == NULL && (operation->kind == EL_OPERATE_FORGIVE || operation->kind == EL_OPERATE_RETRY))
            sim_rules_forgiven(operation->model);
        if (status == NULL)
            keep_pending(operation);
        el_status_free(status);
    }
    free(operation);
}

static void do_operate(struct sim_model *model)
{
    if (sim->swap == NULL)
        return;
    static const enum el_operation_kind often[] = { EL_OPERATE_ROLLBACK,   EL_OPERATE_PIN,     EL_OPERATE_UNPIN,
                                                    EL_OPERATE_UNPIN,      EL_OPERATE_LOAD,    EL_OPERATE_UNLOAD,
                                                    EL_OPERATE_QUARANTINE, EL_OPERATE_FORGIVE, EL_OPERATE_RETRY };
    struct el_operation *operation = calloc(1, sizeof *operation);
    if (operation == NULL)
        abort();
    operation->kind = often[sim_below(&sim->random, sizeof often / sizeof often[0])];
    operation->model = model->name;
    operation->by = "user";
    operation->reason = "";
    const struct sim_version_dir *version = any_version(model);
    operation->version = version != NULL && !sim_chance(&sim->random, 10)
                             ? version->version
                             : (int64_t)sim_between(&sim->random, 1, (uint64_t)model->dir.last + 1);
    if (!el_operation_needs_version(operation->kind) && sim_chance(&sim->random, 60))
        operation->version = EL_OPERATE_NO_VERSION;
    sim_after(SIM_SWAP, 0, operate, operation);
}

static void reconfigure(void *argument)
{
    (void)argument;
    if (sim->swap == NULL || sim->stopping)
        return;
    struct el_config config;
    const char *text = sim_config_text();
    struct el_status *status = el_config_parse("models.config", text, strlen(text), &config);
    if (status != NULL)
        sim_violated("the config is one", "%s", el_status_text(status));
    status = el_swap_reconfigure(sim->swap, &config);
    if (status != NULL)
        sim_violated("the config is taken", "%s", el_status_text(status));
    el_config_free(&config);
    sim_story("operator", "reloads the config");
}

static void configure_again(void *argument)
{
    struct sim_model *model = argument;
    model->configured = true;
    if (sim->swap != NULL)
        sim_after(SIM_SWAP, 0, reconfigure, NULL);
}

static void do_reconfigure(struct sim_model *model)
{
    if (model->configured && sim_chance(&sim->random, 25)) {
        model->configured = false;
        sim_after(SIM_WORLD, sim_below(&sim->random, 15 * SIM_S), configure_again, model);
    }
    choose_settings(model);
    sim_excuse(model->name);
    if (sim->swap != NULL)
        sim_after(SIM_SWAP, 0, reconfigure, NULL);
}

/* ---- accidents ---- */

static void do_kill_worker(struct sim_model *model)
{
    (void)model;
    struct el_worker *worker = sim_worker_any();
    if (worker != NULL)
        sim_worker_die(worker,
                       el_status_new(EL_UNAVAILABLE, "worker of %s version %lld was killed by signal 9 (Killed)",
                                     worker->model, (long long)worker->version));
}

static void start_again(void *argument)
{
    (void)argument;
    if (sim->swap == NULL)
        sim_server_start();
}

static void end_server(bool killed)
{
    if (sim->swap == NULL)
        return;
    memset(pending, 0, sizeof pending);
    sim_story("machine", killed ? "SIGKILL" : "SIGTERM");
    sim_server_stop(killed);
    sim_after(SIM_WORLD, sim_below(&sim->random, sim_chance(&sim->random, 70) ? 50 * SIM_MS : 5 * SIM_S), start_again,
              NULL);
}

static void do_kill_server(struct sim_model *model)
{
    (void)model;
    end_server(true);
}

static void do_end_server(struct sim_model *model)
{
    (void)model;
    end_server(false);
}

static void do_disk(struct sim_model *model)
{
    (void)model;
    sim->disk_full = !sim->disk_full;
    sim->disk_changed_ns = sim->now_ns;
    sim_story("disk", sim->disk_full ? "is full" : "has room again");
}

static void do_jump(struct sim_model *model)
{
    (void)model;
    const int64_t span_s = (int64_t)sim_below(&sim->random, 200000) - 100000;
    sim->calendar_us += span_s * 1000000;
    sim_story("machine", "the calendar jumps by %lld s", (long long)span_s);
}

static void do_poison(struct sim_model *model)
{
    sim_ask((uint32_t)(model - sim->models), 2000, true);
}

static void do_burst(struct sim_model *model)
{
    for (int i = 0; i < 30; i++)
        sim_ask((uint32_t)(model - sim->models), 2000, false);
}

/* ---- the storm and the calm ---- */

static const struct {
    unsigned weight;
    void (*act)(struct sim_model *model);
} acts[] = {
    { 28, do_put },        { 8, do_rewrite },     { 6, do_remove },      { 2, do_unreadable }, { 22, do_operate },
    { 4, do_reconfigure }, { 8, do_kill_worker }, { 6, do_kill_server }, { 2, do_end_server }, { 3, do_disk },
    { 3, do_jump },        { 4, do_poison },      { 4, do_burst },
};

static uint64_t pace_ns;

static void act(void *argument)
{
    (void)argument;
    if (sim->calm)
        return;
    unsigned at = (unsigned)sim_below(&sim->random, 100);
    size_t i = 0;
    while (i + 1 < sizeof acts / sizeof acts[0] && at >= acts[i].weight)
        at -= acts[i++].weight;
    acts[i].act(&sim->models[sim_below(&sim->random, sim->model_count)]);
    sim_after(SIM_WORLD, sim_below(&sim->random, 2 * pace_ns), act, NULL);
}

static void begin(void)
{
    sim->model_count = (uint32_t)sim_between(&sim->random, 1, SIM_MODELS);
    sim->loads_allowed = ONE_OF(1, 1, 2);
    sim->starting_loads_allowed = ONE_OF(1, 2, 3);
    sim->has_state_dir = sim_chance(&sim->random, 90);
    sim->honest = sim_chance(&sim->random, 60);
    if (sim->honest && sim_chance(&sim->random, 60))
        sim->budget_bytes = (sim->model_count + sim_between(&sim->random, 1, sim->model_count)) * NEED;
    sim->disk_ns = ONE_OF(1, 20, 400) * SIM_MS;
    sim->options = (struct el_swap_options){ .poll_wait_ms = ONE_OF(500, 1000, 3000),
                                             .max_load_retries = ONE_OF(0, 1, 3),
                                             .load_retry_interval_ms = ONE_OF(500, 3000),
                                             .drain_grace_ms = 2000,
                                             .no_inotify = sim_chance(&sim->random, 20) };
    pace_ns = ONE_OF(300, 1000, 3000) * SIM_MS;
    for (uint32_t i = 0; i < sim->model_count; i++) {
        struct sim_model *model = &sim->models[i];
        snprintf(model->name, sizeof model->name, "m%u", i);
        snprintf(model->dir.path, sizeof model->dir.path, "/sim/m%u", i);
        model->configured = true;
        choose_settings(model);
        put(model, 1, sim_content_new(sim_chance(&sim->random, 80) ? SIM_GOOD : choose_trait()), true);
    }
}

/* Nothing bad is added any more, and each model gets a version that is good. */
static void calm_down(void)
{
    sim->calm = true;
    sim->disk_full = false;
    sim_story("machine", "calm");
    if (sim->swap == NULL)
        sim_server_start();
    for (uint32_t i = 0; i < sim->model_count; i++) {
        struct sim_model *model = &sim->models[i];
        model->configured = true;
        model->dir.unreadable = false;
        put(model, model->dir.last + 1, sim_content_new(SIM_GOOD), true);
    }
    sim_after(SIM_SWAP, 0, reconfigure, NULL);
}

void sim_script_run(void)
{
    memset(pending, 0, sizeof pending);
    begin();
    sim_clients_open();
    sim_server_start();
    sim_after(SIM_WORLD, SIM_S, act, NULL);
    const uint64_t storm_ns = sim->now_ns + ONE_OF(20, 60, 120) * SIM_S;
    while (sim_step(storm_ns, false))
        if (sim->swap != NULL && !sim->stopping)
            ask_outcomes();
    calm_down();
    const uint64_t end_ns = sim->now_ns + CALM_NS;
    const char *lacks = "";
    for (uint64_t look_ns = sim->now_ns + SIM_S; lacks != NULL && look_ns < end_ns; look_ns += SIM_S) {
        while (sim_step(look_ns, false))
            ;
        ask_outcomes();
        const char *unanswered = first_pending();
        lacks = sim_rules_lack();
        if (lacks == NULL && unanswered != NULL &&
            sim->budget_bytes == 0) /* with one it may wait for memory for ever */
            lacks = unanswered;
    }
    if (lacks != NULL)
        sim_violated("in a calm all comes right", "after %d s: %s", (int)(CALM_NS / SIM_S), lacks);
    for (uint32_t i = 0; i < sim->model_count; i++)
        sim_ask(i, 10000, false);
    const uint64_t last_ns = sim->now_ns + 11 * SIM_S;
    while (sim_step(last_ns, false))
        ;
    sim_rules_end();
    sim_server_stop(false);
}
