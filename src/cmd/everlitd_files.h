/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_EVERLITD_FILES_H
#define EL_CMD_EVERLITD_FILES_H

/*
 * What the files say that the command line names, beside the models' own config and TLS (tls_file.h): read once, at the start, so that a
 * mistake in any of them ends the start with its place and leaves no half of a server. Main thread.
 */

#include "base/status.h"
#include "cmd/everlitd_flags.h"
#include "config/alerts.h"
#include "config/batching.h"
#include "config/platform.h"

#include <stdbool.h>
#include <stdint.h>

struct el_everlitd_files {
    char *monitoring_path; /* owned: where the metrics with TensorFlow Serving's names are; NULL: nowhere */
    bool has_batching;     /* --enable_batching; the defaults without a file */
    struct el_batching_params batching;
    struct el_session_threads threads; /* of a worker: from --tensorflow_session_config_file and the flags */
    bool has_platform;                 /* --platform_config_file */
    struct el_platform_config platform;
    bool has_alerts; /* --alert_config_file */
    struct el_alert_config alerts;
};

/*
 * A --platform_config_file takes the place of the flags for batching, session, tags, warm-up and TensorFlow Lite, as with TensorFlow
 * Serving: flags are changed to what it says, with texts that files owns. On failure *files holds nothing; on success end it with el_everlitd_files_free(). */
struct el_status *el_everlitd_files_read(struct el_everlitd_flags *flags, struct el_everlitd_files *files) EL_MUST_USE;

void el_everlitd_files_free(struct el_everlitd_files *files);

#endif
