/* SPDX-License-Identifier: Apache-2.0 */
/* What came of new versions: how their probes ended, how long each step took, how often a model was switched and rolled back. */
#include "api/internal.h"
#include "api/metric_text.h"

#include <inttypes.h>
#include <string.h>

#define PHASE "everlit_swap_phase_seconds"
#define PROBES "everlit_probes_total"
#define ROLLBACKS "everlit_rollbacks_total"
#define ROLLOUTS "everlit_rollouts_total"
#define ANSWERS "everlit_rollout_answers_total"

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

static void put_gauge(struct el_buf *out, const struct el_view *view, const char *name, const char *help,
                      uint32_t (*value)(const struct el_rollout_view *rollout))
{
    el_metric_head(out, name, "gauge", help);
    for (size_t m = 0; m < view->model_count; m++) {
        const struct el_rollout_view *rollout = &view->models[m]->rollout;
        if (rollout->version < 0)
            continue;
        put_model(out, name, view->models[m]);
        el_buf_printf(out, ",version=\"%" PRId64 "\"} %" PRIu32 "\n", rollout->version, value(rollout));
    }
}

static uint32_t step_of(const struct el_rollout_view *rollout)
{
    return rollout->step;
}

static uint32_t percent_of(const struct el_rollout_view *rollout)
{
    return rollout->percent;
}

static uint32_t waits_of(const struct el_rollout_view *rollout)
{
    return rollout->waits != EL_ROLLOUT_MEASURES;
}

static void put_rollout_answers(struct el_buf *out, const struct el_view *view)
{
    static const char *const arms[] = { "new", "old" };
    el_metric_head(out, ANSWERS, "counter",
                   "Requests that a rollout under way shared out to the version, and what was bad.");
    for (size_t m = 0; m < view->model_count; m++) {
        const struct el_rollout_view *rollout = &view->models[m]->rollout;
        for (size_t arm = 0; rollout->version >= 0 && arm < 2; arm++) {
            const struct el_version_stats *stats = rollout->stats[arm];
            const uint64_t values[] = { el_api_count(&stats->rollout.answers), el_api_count(&stats->rollout.faults),
                                        el_api_count(&stats->rollout.non_finite) };
            static const char *const kinds[] = { "all", "failed", "non_finite" };
            for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
                put_model(out, ANSWERS, view->models[m]);
                el_buf_printf(out, ",version=\"%" PRId64 "\",arm=\"%s\",kind=\"%s\"} %" PRIu64 "\n",
                              arm == 0 ? rollout->version : rollout->old, arms[arm], kinds[i], values[i]);
            }
        }
    }
}

static void put_rollouts(struct el_buf *out, const struct el_view *view)
{
    static const char *const ends[EL_ROLLOUT_ENDS] = {
        [EL_ROLLOUT_PROMOTED] = "promoted", [EL_ROLLOUT_TAKEN_BACK] = "taken_back", [EL_ROLLOUT_ABORTED] = "aborted"
    };
    el_metric_head(out, ROLLOUTS, "counter", "Rollouts that have ended, by how.");
    for (size_t m = 0; m < view->model_count; m++) {
        for (size_t i = 0; i < EL_ROLLOUT_ENDS; i++) {
            put_model(out, ROLLOUTS, view->models[m]);
            el_buf_printf(out, ",result=\"%s\"} %" PRIu64 "\n", ends[i], view->models[m]->counts.rollouts[i]);
        }
    }
    put_gauge(out, view, "everlit_rollout_step", "Step of the rollout under way, from 1.", step_of);
    put_gauge(out, view, "everlit_rollout_percent", "Percents of the requests that go to the version in rollout.",
              percent_of);
    put_gauge(out, view, "everlit_rollout_waits",
              "1: the rollout waits for `everlit promote`, or for more traffic; 0: its step is measured.", waits_of);
    put_rollout_answers(out, view);
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
    put_rollouts(out, view);
}
