/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_EVERLITD_H
#define EL_CMD_EVERLITD_H

/*
 * The daemon's parts, for the files everlitd*.c: everlitd.c is its life, everlitd_build.c what it is made of,
 * everlitd_listen.c where it listens, everlitd_flags.c and everlitd_files.c what it was told.
 *
 * Main thread only. The daemon owns all that it points to.
 */

#include "alert/alert.h"
#include "api/api.h"
#include "cmd/everlitd_files.h"
#include "cmd/everlitd_flags.h"
#include "cmd/operator.h"
#include "cmd/reload.h"
#include "cmd/tls_file.h"
#include "config/config.h"
#include "journal/journal.h"
#include "rpc/rpc.h"
#include "swap/swap.h"
#include "worker/worker.h"

#include <uv.h>

struct el_daemon {
    struct el_everlitd_flags flags;
    struct el_everlitd_files files;
    struct el_log log;
    uv_loop_t loop;
    uv_signal_t on_term, on_int, on_hup;
    uv_timer_t strict; /* --strict_startup: looks at the models until the ports open */
    struct el_journal *journal;
    struct el_alerts *alerts; /* NULL: nobody is told */
    uint64_t alerted;         /* id of the last event that alerts knows of */
    struct el_workers *workers;
    struct el_swap *swap;
    struct el_api *api;
    struct el_reload *reload;
    struct el_operator *operator_;
    char *admin_token; /* NULL: no admin port */
    struct el_tls_file grpc_tls, rest_tls;
    struct el_api_place public_place, admin_place;
    struct el_rpc_server *public_server; /* NULL until the models are settled */
    struct el_rpc_server *admin_server;  /* NULL: no admin socket */
    char *admin_path;
    uv_work_t join;           /* waits for the servers' threads off the main thread, which the workers need */
    uint32_t loops;           /* of the public server */
    uint32_t max_connections; /* likewise */
    bool remembered;          /* the config at the start is from --state_dir */
    bool listening;           /* the public ports were opened */
    bool ending;
    int exit_status;
};

/* Makes the loop's parts: workers, swapper, reloader, surfaces, admin socket. After a failure the process is to end. */
struct el_status *el_daemon_build(struct el_daemon *daemon, const struct el_config *config) EL_MUST_USE;

/* Once all has stopped: frees the parts and closes the loop. */
void el_daemon_tear_down(struct el_daemon *daemon);

/* Makes daemon->alerts, if the command line asks for it. */
struct el_status *el_daemon_start_alerts(struct el_daemon *daemon) EL_MUST_USE;

/* Hands the events of the swapper that are new to daemon->alerts. */
void el_daemon_alert(struct el_daemon *daemon);

/* Opens the admin socket. Without one the server can do: that is logged, and admin_path is NULL. */
void el_daemon_listen_admin(struct el_daemon *daemon);

/*
 * Opens the public ports. As with TensorFlow Serving a port of REST that cannot be had is an error in the log, and gRPC answers
 * alone; one of gRPC ends the start.
 */
struct el_status *el_daemon_listen_public(struct el_daemon *daemon) EL_MUST_USE;

#endif
