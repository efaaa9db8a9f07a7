/* SPDX-License-Identifier: Apache-2.0 */
/*
 *     sim [--seeds N] [--from S]      N worlds, from seed S on; the first that is not as it must be is replayed and told
 *     sim --seed S [--break NUMBER]   one world, told
 *     sim --mutations [N]             each mutation is caught within N seeds, and a seed is the same world twice
 */
#include "sim.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Asked by LeakSanitizer, where this is built with it. A server that is killed gives nothing back: the system does, which has
 * no part in this world. The swapper's own leaks are looked for in the tests that end their servers (test_swap*.c).
 */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}

struct sim *sim;

static const char *program;
static bool quiet; /* a mutation is being looked for: only that it is caught counts */
static volatile uint64_t running_seed;

static void replay(uint64_t seed)
{
    char number[32], mutation[32];
    snprintf(number, sizeof number, "%llu", (unsigned long long)seed);
    snprintf(mutation, sizeof mutation, "%d", (int)sim_mutation);
    fflush(NULL);
    execl(program, program, "--seed", number, "--break", mutation, (char *)NULL);
}

void sim_failed(const char *rule, const char *text)
{
    if (quiet) {
        sim_disk_remove();
        printf("  caught by seed %llu: %s: %s\n", (unsigned long long)sim->seed, rule, text);
        fflush(stdout);
        _exit(3);
    }
    if (!sim->story) {
        printf("\nseed %llu breaks a rule; its story:\n\n", (unsigned long long)sim->seed);
        sim_disk_remove();
        replay(sim->seed);
    }
    printf("%12.6f s  RULE      %s: %s\n\nseed %llu; replay: %s --seed %llu\n", (double)sim->now_ns / 1e9, rule, text,
           (unsigned long long)sim->seed, program, (unsigned long long)sim->seed);
    fflush(stdout);
    sim_disk_remove();
    _exit(1);
}

static void on_crash(int number)
{
    char text[96];
    const int size = snprintf(text, sizeof text, "\nsignal %d in seed %llu: sim --seed %llu\n", number,
                              (unsigned long long)running_seed, (unsigned long long)running_seed);
    if (write(STDOUT_FILENO, text, (size_t)size) != size)
        _exit(2);
    signal(number, SIG_DFL);
    raise(number);
}

static uint64_t run_world(uint64_t seed, bool story, uint64_t *events)
{
    sim = calloc(1, sizeof *sim);
    if (sim == NULL)
        abort();
    running_seed = seed;
    sim->seed = seed;
    sim->story = story;
    sim->random.state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    sim->now_ns = 1000 * SIM_S;
    sim->calendar_us = INT64_C(1790000000000000);
    sim->trace = seed;
    el_list_init(&sim->workers);
    sim_loop_open();
    sim_disk_open();
    sim_script_run();
    const uint64_t trace = sim->trace;
    *events += sim->events;
    sim_story("world", "ends: %llu events, %llu requests asked, %llu answered, %llu failed, trace %016llx",
              (unsigned long long)sim->events, (unsigned long long)sim->asked, (unsigned long long)sim->answered,
              (unsigned long long)sim->failed, (unsigned long long)trace);
    sim_loop_close();
    sim_disk_close();
    sim_files_close();
    free(sim);
    sim = NULL;
    return trace;
}

static void run_seeds(uint64_t from, uint64_t count)
{
    uint64_t events = 0;
    for (uint64_t i = 0; i < count; i++)
        run_world(from + i, false, &events);
    printf("%llu seeds from %llu: %llu events, every rule was kept\n", (unsigned long long)count,
           (unsigned long long)from, (unsigned long long)events);
}

static int run_mutations(uint64_t count)
{
    int missed = 0;
    uint64_t events = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        if (run_world(seed, false, &events) == run_world(seed, false, &events))
            continue;
        printf("seed %llu is not the same world twice\n", (unsigned long long)seed);
        missed++;
    }
    for (int i = SIM_NO_MUTATION + 1; i < SIM_MUTATIONS; i++) {
        printf("%s\n", sim_mutation_name((enum sim_mutation)i));
        fflush(stdout);
        const pid_t child = fork();
        if (child == 0) {
            sim_mutation = (enum sim_mutation)i;
            quiet = true;
            sim_disk_forget();
            for (uint64_t seed = 1; seed <= count; seed++)
                run_world(seed, false, &events);
            sim_disk_remove();
            _exit(0);
        }
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 3) {
            printf("  NOT caught by %llu seeds\n", (unsigned long long)count);
            missed++;
        }
    }
    return missed;
}

int main(int argc, char **argv)
{
    uint64_t seeds = 200, from = 1, mutations = 0, events = 0;
    bool one = false;
    program = argv[0];
    for (int i = 1; i + 1 < argc; i += 2) {
        const uint64_t number = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--seeds") == 0)
            seeds = number;
        else if (strcmp(argv[i], "--from") == 0)
            from = number;
        else if (strcmp(argv[i], "--mutations") == 0)
            mutations = number;
        else if (strcmp(argv[i], "--break") == 0)
            sim_mutation = (enum sim_mutation)(number % SIM_MUTATIONS);
        else if (strcmp(argv[i], "--seed") == 0)
            from = number, one = true;
    }
    signal(SIGSEGV, on_crash);
    signal(SIGABRT, on_crash);
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    int missed = 0;
    if (mutations > 0)
        missed = run_mutations(mutations);
    else if (one)
        run_world(from, true, &events);
    else
        run_seeds(from, seeds);
    sim_disk_remove();
    return missed > 0 ? 1 : 0;
}
