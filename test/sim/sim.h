/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

/*
 * A simulated world around the real swap core: time, event loop, model directories, workers, disk, operators, clients, crashes.
 *
 *     src/swap/ *.c, src/source/source.c, src/journal/{journal,known,database}.c   the real ones, as libraries
 *     libuv                       loop.c      what of it they use, over one queue of events
 *     clock, /proc, load average  machine.c   wrapped by the linker
 *     src/source/{scan,watch}.c   files.c     directories that are tables
 *     src/worker/ *.c             workers.c, calls.c   processes that are structs
 *     src/journal/writer.c        disk.c      a disk that is slow, full, and forgets what was not written
 *
 * Everything happens on one thread, in the order of simulated time; ties and durations are drawn from one seed. So a seed is a
 * world, and the same seed is the same world. What must be true in each is in rules.c; what happens in it in script.c.
 *
 * One world at a time: `sim`. The functions that stand in for those of libuv and of the C library have no other way to find it.
 */

#include "random.h"

#include "base/status.h"
#include "bundle/completeness.h"
#include "bundle/signature.h"
#include "journal/journal.h"
#include "swap/list.h"
#include "swap/swap.h"

#include <stdio.h>
#include <uv.h>

#define SIM_MS UINT64_C(1000000)
#define SIM_S UINT64_C(1000000000)
#define SIM_MIB (UINT64_C(1) << 20)
#define SIM_MODELS 3
#define SIM_ON_DISK 12 /* versions of one model */

/* ---- loop.c: events in the order of time, and libuv on top of it ---- */

enum sim_thread {
    SIM_SWAP,   /* the swap thread: its prepare callbacks follow */
    SIM_CLIENT, /* an event loop of clients, the thread pool */
    SIM_WORLD   /* nothing of the server's: goes on while it is down */
};

struct sim_event;

/* In so many nanoseconds; the event is gone when run is called. Ties are in an order that the seed chooses. */
struct sim_event *sim_after(enum sim_thread thread, uint64_t span_ns, void (*run)(void *argument), void *argument);
void sim_cancel(struct sim_event *event);

/* Runs the next event, if one is due before until_ns. server_only: those of the world wait. False: there is none. */
bool sim_step(uint64_t until_ns, bool server_only);

void sim_loop_open(void);
void sim_loop_close(void); /* drops what is left */

/* ---- files.c: what is in the directories of models ---- */

/* What a content does. Each is bad in its own way, from some moment of its life on. */
enum sim_trait {
    SIM_GOOD,
    SIM_LOAD_FAILS,   /* always */
    SIM_LOAD_PASSING, /* for a reason that passes: the first times */
    SIM_LOAD_HANGS,
    SIM_LOAD_CRASHES,
    SIM_LOAD_KILLS, /* takes the whole server down with it */
    SIM_RUN_FAILS,  /* what the probe can see */
    SIM_RUN_NAN,
    SIM_RUN_HANGS,
    SIM_RUN_CRASHES,
    SIM_RUN_SLOW,
    SIM_OTHER_INPUTS, /* clients of the version before would not be understood */
    SIM_LATE_FAILS,   /* what only live traffic shows: after some runs */
    SIM_LATE_NAN,
    SIM_LATE_CRASHES,
    SIM_LATE_HANGS,
    SIM_LATE_SLOW,
    SIM_POISON, /* dies of certain requests */
    SIM_LEAKS,
    SIM_TRAITS
};

struct sim_content {
    uint32_t id; /* from 1; its digest follows from it */
    enum sim_trait trait;
    uint32_t after;   /* LATE_: runs of one worker before it begins; LOAD_PASSING: loads that fail */
    uint32_t percent; /* of the runs from then on */
    uint32_t loads;   /* begun so far */
    uint64_t taken;   /* bytes of memory */
    uint64_t load_ns;
    uint64_t run_ns;
    bool keeps_state;
    uint32_t kills; /* ends of the server while it was loaded, in a row */
    bool condemning,
        condemned;  /* found to be bad for good, by what the server said: now; when the swap thread last slept */
    bool known_bad; /* the journal knew it as bad when the swap thread last slept: rules.c */
    char digest[2 * EL_DIGEST_SIZE + 1];
};

/* One version's directory. */
struct sim_version_dir {
    int64_t version;
    struct sim_content *content;
    uint64_t fingerprint; /* changes with each write */
    bool whole;
};

struct sim_dir {
    char path[32];
    struct sim_version_dir list[SIM_ON_DISK]; /* descending */
    size_t count;
    int64_t last; /* the highest number ever used */
    bool unreadable;
};

struct sim_dir *sim_dir_find(const char *path);
/* path: "/sim/m0/3"; NULL: not there, or not to be read now. */
struct sim_version_dir *sim_version_dir_find(const char *path);
struct sim_content *sim_content_new(enum sim_trait trait);
/* NULL: there is none. */
struct sim_content *sim_content_find(const char *digest);
struct sim_content *sim_content_at(size_t i);
const char *sim_trait_name(enum sim_trait trait);
void sim_dir_put(struct sim_dir *dir, int64_t version, struct sim_content *content, bool whole);
void sim_dir_remove(struct sim_dir *dir, int64_t version);
/* Tells the watches, mostly. */
void sim_dir_changed(struct sim_dir *dir);
void sim_files_close(void);

/* ---- workers.c, calls.c ---- */

struct el_completions {
    enum sim_thread thread;
    uint32_t calls; /* begun and not ended */
};

enum sim_worker_state { SIM_LOADING, SIM_LOADED, SIM_DEAD, SIM_GONE };

struct el_worker {
    struct el_list in_sim;
    char model[16], path[48], engine[16];
    int64_t version;
    uint32_t load_timeout_ms, hang_timeout_ms, max_run_ms;
    uint64_t memory_limit;
    pid_t pid;
    enum sim_worker_state state;
    bool stopping;
    struct sim_content *content; /* NULL: its files are not read yet */
    el_worker_on_event *on_event;
    void *argument;
    struct sim_event *step;   /* of its load, of its end */
    struct sim_event *hang;   /* a run does not end: it is killed */
    struct el_status *why;    /* DEAD: told with DIED; NULL: nobody is told */
    struct el_status *failed; /* DEAD: it could not load */
    bool died_told;
    struct el_list calls; /* not ended */
    uint32_t runs;
    uint64_t leaked;
    uint64_t started_ns;
};

uint64_t sim_memory_taken(void); /* by all workers */
/* Its process ends, by what text says (a format); calls and swap thread hear of it. */
void sim_worker_die(struct el_worker *worker, struct el_status *why);
/* A worker that answers, chosen by chance; NULL: none. */
struct el_worker *sim_worker_any(void);
void sim_worker_settle(struct el_worker *worker); /* goes when it can */
void sim_workers_close(void);
void sim_calls_died(struct el_worker *worker);

/* ---- disk.c ---- */

struct sim_shadow_bad {
    char model[16], digest[2 * EL_DIGEST_SIZE + 1];
};

/* What was written, remembered beside SQLite: the journal that is opened again has to say the same. */
struct sim_shadow {
    struct {
        bool pinned, has_good;
        int64_t pin, good;
        char good_digest[2 * EL_DIGEST_SIZE + 1];
    } models[SIM_MODELS];
    struct sim_shadow_bad bad[256];
    size_t bad_count;
};

/* Of a world; and of the program. */
void sim_disk_open(void);
void sim_disk_close(void);
void sim_disk_remove(void);
void sim_disk_forget(void);           /* in a child: the directory is the parent's */
const char *sim_disk_directory(void); /* the state directory */
/* What waits to be written is lost. */
void sim_disk_power_off(void);

/* ---- server.c ---- */

void sim_server_start(void);
/* As by SIGTERM; or as by SIGKILL: nothing reaches the disk any more, no event of the world comes in between. */
void sim_server_stop(bool killed);

/* ---- clients.c ---- */

/* A client that asks all the time while the server is up. */
void sim_clients_open(void);
void sim_clients_start(void);
void sim_clients_stop(void); /* what they wait for is ended */
/* One request, of model number model; poison: of those that some contents die of. */
void sim_ask(uint32_t model, uint64_t patience_ms, bool poison);

/* ---- script.c ---- */

void sim_script_run(void);
const char *sim_config_text(void);

/* ---- rules.c: what must be true ---- */

void sim_rules_start(void); /* of a server */
void sim_rules_turn(void);  /* after each turn of the swap thread */
void sim_rules_call(const struct el_worker *worker,
                    const struct el_completions *completions); /* a client is led there */
const char *sim_rules_lack(void);                              /* in the calm: what is not right yet; NULL: all is */
void sim_rules_end(void);
/* ---- verdicts.c: what the server itself said of contents ---- */

void sim_verdicts_start(void); /* of a server */
void sim_verdicts_turn(void);
/* The server said so of a version. */
void sim_rules_event(const char *event, const char *model, int64_t version, const char *text);
/* What this worker loads took the server down. */
void sim_rules_killed(const struct el_worker *worker);
/* An operator has made good of something. */
void sim_rules_forgiven(const char *model);

/* Something happened for which requests of the model may fail or wait. */
void sim_excuse(const char *model);

/* The world is not as it must be: prints what and which seed, and ends the process. */
void sim_violated(const char *rule, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));

/* main.c: tells it, replays the seed if it was not told yet, ends the process. */
void sim_failed(const char *rule, const char *text) __attribute__((noreturn));

/* ---- story.c ---- */

void sim_story(const char *who, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- the world ---- */

struct sim_model {
    char name[16];
    struct sim_dir dir;
    /* config */
    bool configured;
    bool resource; /* availability */
    enum el_policy_type policy;
    uint32_t latest;
    char engine[16];
    bool grouped;
    uint32_t group_wait_ms;
    uint32_t keep_warm_ms, guard_ms, load_timeout_ms, hang_timeout_ms, probe_timeout_ms, quiet_ms;
    uint64_t need_bytes;
    bool refuse_replay;
    /* rules.c: of this life of the server */
    bool served, gave_up;
    int64_t serving, pin, resume;
    uint64_t resume_fingerprint;
    bool pinned, resumes;
    uint64_t excuse_ns; /* the last time */
    uint64_t answered;
};

struct sim {
    uint64_t seed;
    struct sim_random random;
    bool story; /* it is told */
    uint64_t now_ns;
    int64_t calendar_us; /* at now_ns 0; jumps */
    uint64_t trace;      /* a hash over all that happened */
    uint64_t events;

    uv_loop_t loop;
    struct sim_model models[SIM_MODELS];
    uint32_t model_count;

    struct el_swap_options options; /* of the server */
    uint32_t loads_allowed, starting_loads_allowed;
    uint64_t budget_bytes; /* 0: none */
    bool has_state_dir;
    bool honest; /* no content takes more than it says */

    struct el_swap *swap; /* NULL: the server is down */
    struct el_journal *journal;
    bool dying; /* the server is being taken apart after a SIGKILL: what it does is not seen by anybody */
    bool stopping;
    bool settled;
    bool calm;
    uint32_t starts;

    struct sim_shadow shadow;
    bool disk_full;
    uint64_t disk_changed_ns;
    uint64_t disk_ns; /* how long a write takes */

    struct el_list workers;
    pid_t last_pid;
    uint32_t last_content;
    uint64_t asked, answered, failed;
};

extern struct sim *sim;

/* For tests of the simulation itself: mutations.c. */
enum sim_mutation {
    SIM_NO_MUTATION,
    SIM_IGNORE_QUARANTINE,
    SIM_FORGET_QUARANTINE,
    SIM_IGNORE_PIN,
    SIM_TOO_MANY_LOADS,
    SIM_IGNORE_MEMORY,
    SIM_NO_WAY_BACK,
    SIM_ACKNOWLEDGE_EARLY,
    SIM_IGNORE_LAST_GOOD,
    SIM_FORGET_RESPAWN,
    SIM_MUTATIONS
};

extern enum sim_mutation sim_mutation;
const char *sim_mutation_name(enum sim_mutation mutation);

#endif
