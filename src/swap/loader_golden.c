/* SPDX-License-Identifier: Apache-2.0 */
/* A step of a load: the version's own golden records, on the worker that is to serve. */
#include "swap/hosted.h"
#include "swap/loader.h"
#include "swap/loader_state.h"
#include "swap/version.h"

static void on_answered(uint32_t record, const struct el_prediction *prediction, const struct el_prediction_run *run,
                        const struct el_tensor *outputs, uint32_t count, void *argument)
{
    struct el_load *load = argument;
    el_golden_add(&load->golden, record, prediction, run, outputs, count);
}

static void on_done(struct el_warmup *warmup, void *argument)
{
    (void)warmup;
    struct el_load *load = argument;
    load->golden_done = true;
    el_model_touch(load->version->model);
}

static struct el_status *start(struct el_load *load)
{
    struct el_warmup_options options = el_load_records(load, on_done);
    options.file = EL_GOLDEN_FILE;
    options.answered = on_answered;
    return el_warmup_start(&options, &load->golden_run);
}

/* What the records come to; NULL also while the event that says how the worker died is on its way (*died). */
static struct el_status *result(struct el_load *load, bool *died)
{
    const struct el_status *failed = el_warmup_failed(load->golden_run, died);
    if (*died)
        return NULL;
    if (failed != NULL)
        return el_status_prefix(el_status_copy(failed), "golden record %u", el_warmup_result(load->golden_run).records);
    return el_golden_judge(&load->golden);
}

bool el_load_check_golden(struct el_load *load, uint64_t now_ns)
{
    struct el_status *failed = NULL;
    if (el_load_mode(load, EL_CHECK_GOLDEN) != EL_CHECK_OFF) {
        if (load->golden_run == NULL)
            failed = start(load);
        if (failed == NULL && !load->golden_done) {
            el_warmup_tick(load->golden_run, now_ns);
            if (!load->golden_done)
                return false;
        }
        bool died = false;
        if (failed == NULL)
            failed = result(load, &died);
        if (died)
            return false;
    }
    failed = el_load_found(load, EL_CHECK_GOLDEN, failed);
    if (failed != NULL) {
        el_version_load_failed(load->version, failed);
        return false;
    }
    load->step = EL_LOAD_REPLAYING;
    load->entered = false;
    return true;
}
