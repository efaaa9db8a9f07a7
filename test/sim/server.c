/* SPDX-License-Identifier: Apache-2.0 */
/* The server, as everlitd starts and ends it. */
#include "sim.h"

#include "config/config.h"

#include <stdlib.h>
#include <string.h>

#define END_NS (300 * SIM_S)

static void on_settled(void *argument)
{
    (void)argument;
    sim->settled = true;
    sim_story("server", "settled: the ports are opened");
}

static void fatal(struct el_status *status)
{
    if (status != NULL)
        sim_violated("the server starts", "%s", el_status_text(status));
}

void sim_server_start(void)
{
    sim->starts++;
    sim->settled = sim->stopping = sim->dying = false;
    sim_story("server", "start %u", sim->starts);
    const struct el_journal_options journal = { .uv_loop = &sim->loop,
                                                .directory = sim->has_state_dir ? sim_disk_directory() : NULL };
    fatal(el_journal_open(&journal, &sim->journal));
    struct el_config config;
    const char *text = sim_config_text();
    fatal(el_config_parse("models.config", text, strlen(text), &config));
    struct el_swap_options options = sim->options;
    options.uv_loop = &sim->loop;
    options.config = &config;
    options.journal = sim->journal;
    options.memory_budget_bytes = (int64_t)sim->budget_bytes;
    options.max_concurrent_loads = sim->loads_allowed + (sim_mutation == SIM_TOO_MANY_LOADS ? 1 : 0);
    options.max_starting_loads = sim->starting_loads_allowed;
    fatal(el_swap_new(&options, &sim->swap));
    el_config_free(&config);
    el_swap_on_settled(sim->swap, on_settled, NULL);
    sim_clients_start();
    sim_rules_start();
    el_swap_start(sim->swap);
}

static void on_stopped(void *argument)
{
    *(bool *)argument = true;
}

void sim_server_stop(bool killed)
{
    const uint64_t before_ns = sim->now_ns;
    bool stopped = false;
    sim->stopping = true;
    sim->dying = killed;
    if (killed)
        sim_disk_power_off();
    sim_clients_stop();
    el_swap_stop(sim->swap, on_stopped, &stopped);
    while (!stopped && sim_step(before_ns + END_NS, true))
        ;
    if (!stopped)
        sim_violated("the server ends", "it is still there %d s after it was told to end", (int)(END_NS / SIM_S));
    el_swap_free(sim->swap);
    sim->swap = NULL;
    el_journal_close(sim->journal);
    sim->journal = NULL;
    while (sim_step(before_ns + END_NS, true))
        ;
    sim_workers_close();
    if (killed)
        sim->now_ns = before_ns; /* what was seen of it took no time */
    sim->dying = false;
    sim_story("server", killed ? "killed" : "ended");
}
