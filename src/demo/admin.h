/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_DEMO_ADMIN_H
#define EL_DEMO_ADMIN_H

/*
 * What everlitd says of itself: status and events, asked for again and again
 * over its Unix socket.
 *
 * Main thread, on its loop; nothing blocks. A server that does not answer (not yet, no more) is asked again; the view
 * then keeps what was said last. What comes is checked: it is another process's.
 */

#include "base/buf.h"
#include "base/status.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define ADMIN_VERSIONS 96

struct admin_version {
    int64_t version;
    char state[16];
    char engine[16];
    char engine_reason[600];
    char reason[1024];
    int pid; /* 0: none */
    uint64_t requests, errors, replayed, worker_deaths;
    double since_s, load_ms, switch_ms, p50_ms, p99_ms;
    uint64_t memory_bytes;
};

/* One status of the model that is shown. */
struct admin_view {
    uint64_t answers;                              /* statuses so far; 0: the rest is empty */
    bool ready;                                    /* the public ports are open, every model answers */
    bool has_reference;                            /* SERVER_REFERENCE is among the models */
    size_t references;                             /* its versions that serve */
    int64_t serving;                               /* -1: none */
    struct admin_version versions[ADMIN_VERSIONS]; /* highest first */
    size_t count;
};

struct admin_event {
    char event[24];
    char model[32];
    int64_t version;
    char text[1024];
};

struct admin {
    uv_timer_t timer;
    uv_pipe_t pipe;
    uv_connect_t connect;
    uv_write_t write;
    char path[PATH_MAX];
    char question[128];
    struct el_buf answer;
    bool asking, closing;
    bool events_next;    /* which of the two is asked */
    uint64_t asked_ms;   /* loop time of the question under way */
    uint64_t last_event; /* id */
    struct admin_view view;
    void (*on_view)(void *argument);
    void (*on_event)(void *argument, const struct admin_event *event);
    void *argument;
};

/* Starts to ask. path is copied; the callbacks come from the loop. */
void admin_start(struct admin *admin, uv_loop_t *loop, const char *path, void (*on_view)(void *argument),
                 void (*on_event)(void *argument, const struct admin_event *event), void *argument);

/* Closes its handles; the loop must run once more before admin's memory goes. Twice is fine. */
void admin_stop(struct admin *admin);

/* What the view says of a version; NULL: it is not there. */
const struct admin_version *admin_find(const struct admin_view *view, int64_t version);

/* For admin.c. Reads a status body into view; false: it is none. Calls each for every line of an events body. */
bool admin_read_status(const char *body, size_t size, struct admin_view *view);
uint64_t admin_read_events(const char *body, size_t size, void (*each)(void *argument, const struct admin_event *event),
                           void *argument);

#endif
