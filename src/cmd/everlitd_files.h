/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_EVERLITD_FILES_H
#define EL_CMD_EVERLITD_FILES_H

/*
 * What the files say that the command line names, beside the models' own config and TLS (tls_file.h): read once, at the start, so that a mistake in any
 * of them ends the start with its place and leaves no half of a server. Main thread.
 */

#include "base/status.h"
#include "cmd/everlitd_flags.h"
#include "config/batching.h"

#include <stdbool.h>
#include <stdint.h>

struct el_everlitd_files {
    char *monitoring_path; /* owned: where the metrics with TensorFlow Serving's names are; NULL: nowhere */
    bool has_batching; /* --enable_batching; the defaults without a file */
    struct el_batching_params batching;
};

/* On failure *files holds nothing; on success end it with el_everlitd_files_free(). */
struct el_status *el_everlitd_files_read(const struct el_everlitd_flags *flags,
                                         struct el_everlitd_files *files) EL_MUST_USE;

void el_everlitd_files_free(struct el_everlitd_files *files);

#endif
