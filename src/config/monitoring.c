/* SPDX-License-Identifier: Apache-2.0 */
#include "config/monitoring.h"

#include "config/server_types.h"
#include "config/text_file.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_PATH "/monitoring/prometheus/metrics"

static struct el_status *take_path(const char *file, const struct el_text_message *root, char **metrics_path)
{
    const struct el_text_value *config = el_text_get(root, EL_MONITORING_PROMETHEUS);
    const struct el_text_value *enable = config != NULL ? el_text_get(config->as.message, EL_PROMETHEUS_ENABLE) : NULL;
    const struct el_text_value *path = config != NULL ? el_text_get(config->as.message, EL_PROMETHEUS_PATH) : NULL;
    if (enable == NULL || !enable->as.boolean)
        return NULL;
    const bool given = path != NULL && path->as.string.size > 0;
    if (given && path->as.string.data[0] != '/')
        return el_text_error_at(file, path, EL_INVALID_ARGUMENT,
                                "the path of the metrics is expected to start with /, found \"%s\"",
                                path->as.string.data);
    *metrics_path = strdup(given ? path->as.string.data : DEFAULT_PATH);
    return *metrics_path == NULL ? el_status_no_memory() : NULL;
}

struct el_status *el_monitoring_read(const char *path, char **metrics_path)
{
    struct el_text document;
    *metrics_path = NULL;
    EL_TRY(el_text_read_file(path, &el_type_monitoring_config, &document));
    struct el_status *status = take_path(path, document.root, metrics_path);
    el_text_free(&document);
    return status;
}
