/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_TLS_FILE_H
#define EL_CMD_TLS_FILE_H

/*
 * A file of TLS settings (--ssl_config_file, --rest_api_ssl_config_file) and what follows from it while the server runs:
 * it is read again when it changes, and on SIGHUP. One that is refused changes nothing and is said in the log.
 *
 * Main thread. The el_tls outlives the servers; the file's handle is closed by el_tls_file_end().
 */

#include "base/log.h"
#include "rpc/tls.h"

#include <uv.h>

struct el_tls_file {
    const char *flag; /* its name, for the log */
    const char *path; /* "" : none */
    const struct el_log *log;
    struct el_tls *tls; /* NULL: none */
    uv_fs_poll_t poll;
};

/* Reads the file. Without a path nothing happens, here and later. */
struct el_status *el_tls_file_open(struct el_tls_file *file, const char *flag, const char *path,
                                   const struct el_log *log) EL_MUST_USE;

/* Looks at it from now on. */
struct el_status *el_tls_file_watch(struct el_tls_file *file, uv_loop_t *loop) EL_MUST_USE;

/* Reads it again now. */
void el_tls_file_reload(struct el_tls_file *file);

/* No more looks at the file. */
void el_tls_file_end(struct el_tls_file *file);

#endif
