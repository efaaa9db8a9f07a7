/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/everlitd_files.h"

#include "config/monitoring.h"

#include <stdlib.h>

static struct el_status *read_all(const struct el_everlitd_flags *flags, struct el_everlitd_files *files)
{
    if (flags->enable_batching) {
        EL_TRY(*flags->batching_parameters_file != '\0'
                   ? el_batching_read(flags->batching_parameters_file, &files->batching)
                   : el_batching_defaults(&files->batching));
        files->has_batching = true;
    }
    if (*flags->monitoring_config_file != '\0')
        EL_TRY(el_monitoring_read(flags->monitoring_config_file, &files->monitoring_path));
    return NULL;
}

struct el_status *el_everlitd_files_read(const struct el_everlitd_flags *flags, struct el_everlitd_files *files)
{
    *files = (struct el_everlitd_files){ 0 };
    struct el_status *status = read_all(flags, files);
    if (status != NULL)
        el_everlitd_files_free(files);
    return status;
}

void el_everlitd_files_free(struct el_everlitd_files *files)
{
    free(files->monitoring_path);
    el_batching_free(&files->batching);
    *files = (struct el_everlitd_files){ 0 };
}
