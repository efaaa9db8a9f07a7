/* SPDX-License-Identifier: Apache-2.0 */
/* A step of a load: what clients asked the serving version lately, asked of the new one. */
#include "swap/hosted.h"
#include "swap/loader.h"
#include "swap/loader_state.h"
#include "swap/version.h"

static void on_replayed(void *argument)
{
    struct el_load *load = argument;
    load->replayed = true;
    el_model_touch(load->version->model);
}

static struct el_status *start(struct el_load *load)
{
    const struct el_replay_options options = {
        .model = load->version->model,
        .worker = load->chosen->hosted->worker,
        .new_ = el_worker_signatures(load->chosen->hosted->worker),
        .old = &load->serving->signatures,
        .reservoir = load->serving->reservoir,
        .timeout_ms = load->version->model->settings.update.probe_timeout_ms,
        .done = on_replayed,
        .argument = load,
    };
    return el_replay_start(&options, &load->replay);
}

bool el_load_replay(struct el_load *load, uint64_t now_ns)
{
    const bool asked = load->serving != NULL && load->serving->reservoir != NULL &&
                       el_load_mode(load, EL_CHECK_REPLAY) != EL_CHECK_OFF;
    struct el_status *failed = NULL;
    if (asked && load->replay == NULL)
        failed = start(load);
    if (asked && failed == NULL && !load->replayed) {
        el_replay_tick(load->replay, now_ns);
        if (!load->replayed)
            return false;
    }
    if (asked && failed == NULL)
        failed = el_replay_judge(el_replay_result(load->replay), &load->version->model->settings.update.probe);
    failed = el_load_found(load, EL_CHECK_REPLAY, failed);
    if (failed == NULL && load->replay != NULL && load->replayed)
        failed = el_load_found(load, EL_CHECK_VARIES, el_replay_judge_varies(el_replay_result(load->replay)));
    if (failed != NULL) {
        el_version_load_failed(load->version, failed);
        return false;
    }
    load->step = EL_LOAD_MEASURING;
    load->entered = false;
    return true;
}
