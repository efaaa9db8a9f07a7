/* SPDX-License-Identifier: Apache-2.0 */
/* What came of new versions: how their probes ended, how long each step took, how often a model was switched and rolled back. */
#include "api/internal.h"
#include "api/metric_text.h"

#include <inttypes.h>
#include <string.h>

#define PHASE "everlit_swap_phase_seconds"
#define PROBES "everlit_probes_total"
#define ROLLBACKS "everlit_rollbacks_total"

static void put_model(struct el_buf *out, const char *metric, const struct el_model_view *model)
{
    el_buf_printf(out, "%s{", metric);
    el_metric_label(out, "model", model->name, strlen(model->name));
}

static void put_phases(struct el_buf *out, const struct el_view *view)
{
    static const enum el_life_state phases[] = { EL_LIFE_VERIFYING, EL_LIFE_LOADING, EL_LIFE_PROBING, EL_LIFE_READY };
    el_metric_head(
        out, PHASE, "gauge",
        "How long a version was verifying (its files, and waiting for its turn), loading, probing and ready.");
    for (size_t m = 0; m < view->model_count; m++) {
        for (size_t v = 0; v < view->models[m]->version_count; v++) {
            const struct el_version_view *version = &view->models[m]->versions[v];
            for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
                const uint64_t us = el_api_count(&version->stats->loads.state_us[phases[i]]);
                if (us == 0)
                    continue;
                put_model(out, PHASE, view->models[m]);
                el_buf_printf(out, ",version=\"%" PRId64 "\",phase=\"%s\"} %.6g\n", version->version,
                              el_life_name(phases[i]), (double)us / 1e6);
            }
        }
    }
}

static void put_probes(struct el_buf *out, const struct el_view *view)
{
    el_metric_head(out, PROBES, "counter", "Versions whose probe passed or failed.");
    for (size_t m = 0; m < view->model_count; m++) {
        const struct el_model_counts *counts = &view->models[m]->counts;
        put_model(out, PROBES, view->models[m]);
        el_buf_printf(out, ",result=\"passed\"} %" PRIu64 "\n", counts->probes_passed);
        put_model(out, PROBES, view->models[m]);
        el_buf_printf(out, ",result=\"failed\"} %" PRIu64 "\n", counts->probes_failed);
    }
}

static void put_rollbacks(struct el_buf *out, const struct el_view *view)
{
    el_metric_head(out, ROLLBACKS, "counter", "Versions that were taken back after they served, by what they did.");
    for (size_t m = 0; m < view->model_count; m++) {
        for (enum el_rollback_reason reason = 0; reason < EL_ROLLBACK_REASONS; reason++) {
            put_model(out, ROLLBACKS, view->models[m]);
            el_buf_printf(out, ",reason=\"%s\"} %" PRIu64 "\n", el_rollback_name(reason),
                          view->models[m]->counts.rolled_back[reason]);
        }
    }
}

void el_api_put_swaps(struct el_buf *out, const struct el_view *view)
{
    static const struct {
        const char *name, *help;
        size_t at;
    } counters[] = {
        { "everlit_switches_total", "Versions that began to serve.", offsetof(struct el_model_counts, switches) },
        { "everlit_quarantines_total", "Versions that were quarantined.",
          offsetof(struct el_model_counts, quarantined) },
    };
    put_phases(out, view);
    put_probes(out, view);
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        el_metric_head(out, counters[i].name, "counter", counters[i].help);
        for (size_t m = 0; m < view->model_count; m++) {
            uint64_t count;
            memcpy(&count, (const char *)&view->models[m]->counts + counters[i].at, sizeof count);
            put_model(out, counters[i].name, view->models[m]);
            el_buf_printf(out, "} %" PRIu64 "\n", count);
        }
    }
    put_rollbacks(out, view);
}
