/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_WORKER_SUPPORT_H
#define TEST_WORKER_SUPPORT_H

/*
 * A house with real workers for tests: one event loop that is both the swap thread and where calls are made, the real
 * helper program, the test engine, and version directories that say how it is to behave.
 */

#include "base/clock.h"
#include "worker/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HOUSE_CALLS 600

/* A worker and what was heard from it. */
struct subject {
    struct el_worker *worker;
    struct house *house;
    bool loaded, failed, died, gone;
    bool may_batch; /* its calls may be run in batches; set by the test */
    unsigned events;
    enum el_code code; /* of FAILED or DIED */
    char text[1024];
    double load_ms;
};

/* A call and how it ended. */
struct asked {
    struct el_call *call;
    struct house *house;
    bool done;
    unsigned done_count;
    enum el_code code;
    char text[1024];
    bool died;
    float sum, value; /* first row of prediction */
};

struct house {
    uv_loop_t loop;
    struct el_workers *workers;
    struct el_completions *completions;
    struct el_log log;
    char dir[64]; /* holds the version directories */
    unsigned versions;
    unsigned long open_fds; /* before anything was made */
    bool closed;
};

/* Opens a house; engine_dir NULL: the test engine's. */
void house_open(struct house *house, const char *engine_dir);
/* The same with so many completion queues, of which the house itself makes the last. */
void house_open_loops(struct house *house, const char *engine_dir, uint32_t loops);
/* Its completion queue goes, as where calls are made ends before the swap thread does: no call can be made any more. */
void house_close_loop(struct house *house);
/* All workers are freed. Checks that nothing is left open. */
void house_close(struct house *house);

/* cmocka's setup and teardown around them: *state is the house. */
int house_setup(void **state);
int house_teardown(void **state);

/* Makes a version directory whose test_engine.txt holds orders, and returns its path (free it). */
char *house_version(struct house *house, const char *orders);
/* Changes the orders of a version. */
void house_order(const char *path, const char *orders);

/* Options for a version that behaves as orders say; path is to be freed after the worker was started. */
struct el_worker_options house_options(struct house *house, const char *orders);
void house_start(struct house *house, struct subject *subject, const struct el_worker_options *options);
/* Starts and waits until it is loaded. */
void house_load(struct house *house, struct subject *subject, const char *orders);
/* Stops, waits until it is gone, frees. */
void house_stop(struct subject *subject);
/* Waits until it is gone and frees it. */
void house_bury(struct subject *subject);

/* Turns the loop until the flag is set; the test fails after 60 s. */
void house_wait(struct house *house, const bool *flag);
/* Turns the loop for so long. */
void house_turn(struct house *house, unsigned ms);

/* Asks serving_default for prediction of rows rows, each {1, 2, 3, number}. Fails the test if it cannot be sent. */
void house_ask(struct subject *subject, struct asked *asked, uint32_t rows, float number, uint64_t deadline_ns);
/* The same, for any signature by name, with one input that the caller describes, and output 0. */
struct el_status *house_send(struct subject *subject, struct asked *asked, const char *signature, enum el_dtype dtype,
                             const struct el_shape *shape, const void *data, size_t size, uint64_t deadline_ns);
/* Asks, waits and checks the answer. */
void house_expect(struct subject *subject, float number, float value);
/* Ends the call if it is there. */
void house_end(struct asked *asked);

uint32_t house_signature(const struct subject *subject, const char *name);
unsigned long house_count_fds(void);
uint64_t house_resident(void);

#endif
