/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/everlitd_files.h"

#include "config/monitoring.h"

#include <stdlib.h>

static uint32_t positive(int64_t threads)
{
    return threads <= 0 ? 0 : threads > INT32_MAX ? INT32_MAX : (uint32_t)threads;
}

/* The flags before the file, as TensorFlow Serving's do; the file still counts where no flag says anything. */
static struct el_status *read_threads(const struct el_everlitd_flags *flags, struct el_session_threads *threads)
{
    if (*flags->tensorflow_session_config_file != '\0')
        EL_TRY(el_session_config_read(flags->tensorflow_session_config_file, threads));
    const uint32_t intra = positive(flags->tensorflow_intra_op_parallelism);
    const uint32_t inter = positive(flags->tensorflow_inter_op_parallelism);
    const uint32_t both = positive(flags->tensorflow_session_parallelism);
    if (intra > 0 || inter > 0)
        *threads = (struct el_session_threads){ .intra_op = intra, .inter_op = inter };
    else if (both > 0)
        *threads = (struct el_session_threads){ .intra_op = both, .inter_op = both };
    return NULL;
}

/* Its batching, if it has any, is moved to where that of the flags would be. */
static void use_platform(struct el_everlitd_flags *flags, struct el_everlitd_files *files)
{
    struct el_platform_config *platform = &files->platform;
    files->has_platform = true;
    files->threads = platform->threads;
    files->has_batching = platform->has_batching;
    files->batching = platform->batching;
    platform->batching = (struct el_batching_params){ 0 };
    flags->enable_batching = platform->has_batching;
    flags->enable_per_model_batching_parameters = platform->enable_per_model_batching_parameters;
    flags->saved_model_tags = platform->saved_model_tags;
    flags->prefer_tflite_model = platform->prefer_tflite_model;
    flags->enable_model_warmup = platform->enable_model_warmup;
    flags->num_request_iterations_for_warmup = platform->warmup_iterations;
}

static struct el_status *read_all(struct el_everlitd_flags *flags, struct el_everlitd_files *files)
{
    if (*flags->platform_config_file != '\0') {
        EL_TRY(el_platform_config_read(flags->platform_config_file, &files->platform));
        use_platform(flags, files);
    } else {
        EL_TRY(read_threads(flags, &files->threads));
        if (flags->enable_batching) {
            EL_TRY(*flags->batching_parameters_file != '\0'
                       ? el_batching_read(flags->batching_parameters_file, &files->batching)
                       : el_batching_defaults(&files->batching));
            files->has_batching = true;
        }
    }
    if (*flags->monitoring_config_file != '\0')
        EL_TRY(el_monitoring_read(flags->monitoring_config_file, &files->monitoring_path));
    if (*flags->alert_config_file != '\0') {
        EL_TRY(el_alert_config_read(flags->alert_config_file, &files->alerts));
        files->has_alerts = true;
    }
    return NULL;
}

struct el_status *el_everlitd_files_read(struct el_everlitd_flags *flags, struct el_everlitd_files *files)
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
    el_alert_config_free(&files->alerts);
    el_platform_config_free(&files->platform);
    *files = (struct el_everlitd_files){ 0 };
}
