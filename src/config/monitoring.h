/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CONFIG_MONITORING_H
#define EL_CONFIG_MONITORING_H

/* TensorFlow Serving's MonitoringConfig (--monitoring_config_file), read from text format. Any thread. */

#include "base/status.h"

/*
 * Reads the file at path. *metrics_path is where its prometheus_config wants the metrics, "/monitoring/prometheus/metrics" where it
 * names no path; NULL where it is not enabled. To be freed. The errors are those of config/text.h and of reading.
 */
struct el_status *el_monitoring_read(const char *path, char **metrics_path) EL_MUST_USE;

#endif
