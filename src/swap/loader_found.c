/* SPDX-License-Identifier: Apache-2.0 */
/* What the checks of a load find: dropped, told, or what the version is refused for, as `update { probe { } }` says. */
#include "swap/loader_state.h"

#define MEMORY_FLOOR (UINT64_C(64) << 20) /* by less than this no version is too large */

enum el_check_mode el_load_mode(const struct el_load *load, enum el_check check)
{
    return load->version->model->settings.update.probe.modes[check];
}

struct el_status *el_load_found(struct el_load *load, enum el_check check, struct el_status *finding)
{
    const enum el_check_mode mode = el_load_mode(load, check);
    if (finding == NULL || mode == EL_CHECK_REFUSE)
        return finding;
    if (mode == EL_CHECK_WARN) {
        el_tell(load->version->model->swap, EL_LOG_WARNING, "probe_warning", load->version->model, load->version,
                "%s: %s", el_check_name(check), el_status_text(finding));
        el_buf_printf(&load->warning, "%s%s: %s", load->warning.size > 0 ? "; " : "", el_check_name(check),
                      el_status_text(finding));
    }
    el_status_free(finding);
    return NULL;
}

struct el_status *el_memory_judge(uint64_t bytes, uint64_t serving_bytes, double ratio)
{
    if (bytes == 0 || serving_bytes == 0 || (double)bytes <= (double)serving_bytes * ratio ||
        bytes <= serving_bytes + MEMORY_FLOOR)
        return NULL;
    return el_status_new(EL_FAILED_PRECONDITION,
                         "it takes %llu MiB of memory (resident), the serving version %llu MiB; %.3g times is allowed "
                         "(max_memory_ratio)",
                         (unsigned long long)(bytes >> 20), (unsigned long long)(serving_bytes >> 20), ratio);
}

void el_load_report(const struct el_load *load, struct el_buf *out)
{
    const struct el_version *version = load->version;
    el_buf_printf(out, "good on %s (%s)", version->engine,
                  version->engine_reason != NULL ? version->engine_reason : "");
    if (load->measured.runs > 0)
        el_buf_printf(out, "; median answer %.3g ms, the serving version's %.3g ms, slowest %.3g and %.3g ms",
                      (double)load->measured.new_ns / 1e6, (double)load->measured.old_ns / 1e6,
                      (double)load->measured.new_slowest_ns / 1e6, (double)load->measured.old_slowest_ns / 1e6);
    if (load->resident_bytes > 0 && load->serving_resident_bytes > 0)
        el_buf_printf(out, "; resident %llu MiB, the serving version %llu MiB",
                      (unsigned long long)(load->resident_bytes >> 20),
                      (unsigned long long)(load->serving_resident_bytes >> 20));
    if (load->disturbed.requests > 0)
        el_buf_printf(out, "; p99 of model %s while it was loaded %.3g ms, %.3g ms before", load->disturbed.name,
                      (double)load->disturbed.is_ns / 1e6, (double)load->disturbed.was_ns / 1e6);
    el_golden_report(&load->golden, out);
    if (load->replay != NULL)
        el_replay_report(el_replay_result(load->replay), out);
    if (load->warning.size > 0)
        el_buf_printf(out, "; %.*s", (int)load->warning.size, (const char *)load->warning.data);
}
