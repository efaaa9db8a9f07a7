/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_EVERLITD_FLAGS_H
#define EL_CMD_EVERLITD_FLAGS_H

/* What the command line of everlitd says. Main thread only; strings point into the command line. */

#include "base/log.h"
#include "base/status.h"
#include "config/config.h"

#include <stdint.h>
#include <stdio.h>

struct el_everlitd_flags {
    int32_t port, rest_api_port;
    const char *grpc_socket_path;
    const char *model_name, *model_base_path, *model_config_file;
    const char *engine, *isolation;
    int32_t file_system_poll_wait_seconds;
    int32_t rest_api_timeout_in_ms;
    int32_t max_concurrent_loads;
    int32_t event_loops;
    int32_t shutdown_grace_ms;
    int64_t max_message_bytes;
    const char *admin_socket;
    const char *log_format, *log_level;
    bool help, version;

    /* From the above, checked. */
    enum el_log_format log_format_value;
    enum el_log_level log_level_value;
};

/* Defaults, then the command line, then the checks that need no file. */
struct el_status *el_everlitd_flags_parse(int count, char **arguments, struct el_everlitd_flags *flags) EL_MUST_USE;

/* What --help prints. */
void el_everlitd_flags_print(FILE *out);

/* The models that the flags mean: the config file, or the one model. */
struct el_status *el_everlitd_config(const struct el_everlitd_flags *flags, struct el_config *config) EL_MUST_USE;

#endif
