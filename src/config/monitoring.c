/* SPDX-License-Identifier: Apache-2.0 */
#include "config/monitoring.h"

#include "base/buf.h"
#include "base/file.h"
#include "config/text.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_PATH "/monitoring/prometheus/metrics"

enum { PROMETHEUS_CONFIG = 1 };
enum { ENABLE = 1, PATH = 2 };

static const struct el_text_field prometheus_fields[] = {
    { .name = "enable", .number = ENABLE, .kind = EL_TEXT_BOOL },
    { .name = "path", .number = PATH, .kind = EL_TEXT_STRING },
};
static const struct el_text_type prometheus = {
    .name = "tensorflow.serving.PrometheusConfig", .fields = prometheus_fields, .field_count = 2 };
static const struct el_text_field monitoring_fields[] = {
    { .name = "prometheus_config", .number = PROMETHEUS_CONFIG, .kind = EL_TEXT_MESSAGE, .message = &prometheus },
};
static const struct el_text_type monitoring = {
    .name = "tensorflow.serving.MonitoringConfig", .fields = monitoring_fields, .field_count = 1 };

static struct el_status *take_path(const char *file, const struct el_text_message *root, char **metrics_path)
{
    const struct el_text_value *config = el_text_get(root, PROMETHEUS_CONFIG);
    const struct el_text_value *enable = config != NULL ? el_text_get(config->as.message, ENABLE) : NULL;
    const struct el_text_value *path = config != NULL ? el_text_get(config->as.message, PATH) : NULL;
    if (enable == NULL || !enable->as.boolean)
        return NULL;
    const bool given = path != NULL && path->as.string.size > 0;
    if (given && path->as.string.data[0] != '/')
        return el_status_new(EL_INVALID_ARGUMENT, "%s:%u:%u: the path of the metrics is expected to start with /, found \"%s\"",
                             file, path->line, path->column, path->as.string.data);
    *metrics_path = strdup(given ? path->as.string.data : DEFAULT_PATH);
    return *metrics_path == NULL ? el_status_no_memory() : NULL;
}

struct el_status *el_monitoring_read(const char *path, char **metrics_path)
{
    struct el_buf text = { 0 };
    struct el_text document;
    *metrics_path = NULL;
    struct el_status *status = el_file_read(path, EL_TEXT_MAX_BYTES, &text);
    if (status == NULL)
        status = el_text_parse(path, (const char *)text.data, text.size, &monitoring, &document);
    if (status == NULL) {
        status = take_path(path, document.root, metrics_path);
        el_text_free(&document);
    }
    el_buf_free(&text);
    return status;
}
