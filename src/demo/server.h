/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_DEMO_SERVER_H
#define EL_DEMO_SERVER_H

/*
 * The everlitd that the demo shows: its config, its process, its log. And the
 * other processes that the demo starts.
 *
 * Main thread. Children have a process group of their own, so that Ctrl-C reaches the demo alone and the demo ends
 * them in order; and they end with the demo even when it is killed.
 */

#include "base/buf.h"
#include "demo/places.h"

#include <stdint.h>
#include <sys/types.h>

#define SERVER_MODEL "digits"
#define SERVER_REFERENCE "reference" /* the good versions under TensorFlow alone, before the show */

/* Limits of a version such that what is too slow or too big fails while one watches. */
#define SERVER_LOAD_TIMEOUT_MS 5000
#define SERVER_MEMORY_LIMIT_MIB 384

/* A child process. */
struct child {
    pid_t pid; /* 0: none is running */
    int wait_status;
};

/* Starts arguments[0]; its output is appended to log. */
struct el_status *child_start(struct child *child, const char *const *arguments, const char *log) EL_MUST_USE;

/* Notices the end of a child. True while it runs. */
bool child_runs(struct child *child);

/* Ends it and all of its group at once, and waits for it. */
void child_kill(struct child *child);

/* "ended with status 3", "was ended by signal 9 (Killed)". */
void child_end_text(const struct child *child, char *text, size_t size);

struct server {
    struct child child;
    const struct places *places;
    const char *engine; /* "auto", "tensorflow" or "openvino": of the model that is shown */
    uint16_t grpc_port, rest_port;
    char config[PATH_MAX], log[PATH_MAX], socket[PATH_MAX];
};

/* Chooses free ports, writes the config with both models and starts the process. places and engine stay as long as it. */
struct el_status *server_start(struct server *server, const struct places *places, const char *engine) EL_MUST_USE;

/* Takes the reference out of the config, and has the running server read it again. */
struct el_status *server_drop_reference(struct server *server) EL_MUST_USE;

/* SIGTERM: the end in order. */
void server_terminate(struct server *server);

/* Appends the last lines of its log. */
void server_log_tail(const struct server *server, unsigned lines, struct el_buf *text);

#endif
