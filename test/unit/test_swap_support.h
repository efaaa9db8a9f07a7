/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_SWAP_SUPPORT_H
#define TEST_SWAP_SUPPORT_H

/*
 * A stage for the swapper: a directory with models, the swapper on this thread's
 * loop, and a client on a thread of its own that asks all the time and checks
 * every answer.
 */

#include "swap/operate.h"
#include "swap/swap.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Sanitizers slow everything down: limits that a good version must keep are this much wider. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define SLOWNESS 4
#else
#    define SLOWNESS 1
#endif

struct client {
    struct stage *stage;
    pthread_t thread;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t beat;
    uv_prepare_t prepare;
    uint32_t index; /* of its completion queue */
    struct el_completions *completions;
    struct el_swap_loop *swap_loop;
    const char *model;
    unsigned at_once;
    unsigned columns; /* of the input: 4 for the test engine's model, 784 for digits */
    struct asking *asking;
    unsigned open_handles;
    _Atomic int order; /* 0 ask, 1 pause, 2 end */
    _Atomic unsigned under_way;
    _Atomic uint64_t answered, failed, wrong;
    _Atomic int64_t last_version;
    _Atomic uint64_t by_version[64]; /* answers of versions 0..63 */
    char first_failure[512];         /* read after the thread has paused */
    uint64_t slowest_ns;
    bool joined;
};

struct stage {
    uv_loop_t loop;
    struct el_log log;
    struct el_workers *workers;
    struct el_swap *swap;
    struct el_swap_options options;
    struct el_journal *journal; /* closed with the stage; NULL: none */
    struct el_update_config update;
    struct el_version_policy policy;
    uint32_t loops;
    char dir[64];
    struct client client;
    unsigned columns;     /* for the client: 0 means 4 */
    unsigned patience_ms; /* of the client: the deadline of each request; 0: none */
    bool has_client, stopped, settled;
    uv_timer_t wait;
};

/* Before stage_start(): a directory, and settings that tests change (short times). */
void stage_open(struct stage *stage);

/* The swapper watches dir/m as model "m". */
void stage_start(struct stage *stage);

/* Ends the swapper and its workers; another may be started on the same folder. */
void stage_end_swap(struct stage *stage);
void stage_close(struct stage *stage);

/* A whole version of model m, renamed into place, with dir/extra, where there is one, as its assets.extra. orders: for the test engine, "" for a good one. */
void stage_put(struct stage *stage, int64_t version, const char *orders);
void stage_orders(struct stage *stage, int64_t version, const char *orders); /* replaces the orders, by rename */
void stage_remove(struct stage *stage, int64_t version);
void stage_shell(struct stage *stage, const char *format, ...) __attribute__((format(printf, 2, 3)));
void stage_config(struct stage *stage, struct el_config *config, struct el_model_config *model);

void stage_run_for(struct stage *stage, unsigned ms);

/* What the current view says. state: EL_LIFE_STATES when there is no such version. */
struct seen {
    enum el_life_state state;
    enum el_code code;
    char reason[1024], engine[32], engine_reason[512], probe[1024];
    pid_t pid;
    int64_t serving;
    uint64_t deaths, replayed, errors, requests;
};
struct seen stage_see(struct stage *stage, int64_t version);

void stage_wait_state(struct stage *stage, int64_t version, enum el_life_state state);
void stage_wait_serving(struct stage *stage, int64_t version);
void stage_wait_event(struct stage *stage, const char *event, int64_t version, const char *part);
unsigned stage_count_events(struct stage *stage, const char *event, int64_t version);

/* The client: asks at_once requests at a time until it is told to end. */
void client_start(struct stage *stage, unsigned at_once);
void client_wait_answers(struct stage *stage, uint64_t more);
void client_wait_version(struct stage *stage, int64_t version);
void client_end(struct stage *stage);

/* Ends the client and says that every request was answered rightly. */
void client_end_without_failure(struct stage *stage);

/* For a request's fill: one row of the test engine's model, and its first output. */
struct el_status *stage_fill_row(struct el_call *call, const float row[4], uint32_t *outputs, uint32_t *output_count);

/* Turns the stage until the operation is decided; fails after a minute. What el_operate_outcome() gave. */
struct el_status *stage_wait_outcome(struct stage *stage, struct el_operation *operation);

#endif
