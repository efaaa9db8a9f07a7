/* SPDX-License-Identifier: Apache-2.0 */
/* A step of a load: the version's own warm-up records, on the worker that is to serve. */
#include "swap/hosted.h"
#include "swap/load_stats.h"
#include "swap/loader.h"
#include "swap/loader_state.h"
#include "swap/version.h"

#include <stdlib.h>
#include <string.h>

static struct el_swap *swap_of(const struct el_load *load)
{
    return load->version->model->swap;
}

static void on_warm(struct el_warmup *warmup, void *argument)
{
    (void)warmup;
    struct el_load *load = argument;
    load->warmed = true;
    el_model_touch(load->version->model);
}

struct el_warmup_options el_load_records(struct el_load *load, void (*done)(struct el_warmup *warmup, void *argument))
{
    const struct el_version *version = load->version;
    return (struct el_warmup_options){
        .model = version->model,
        .worker = load->chosen->hosted->worker,
        .signatures = el_worker_signatures(load->chosen->hosted->worker),
        .path = version->path,
        .timeout_ms = version->model->settings.update.load_timeout_ms,
        .done = done,
        .argument = load,
    };
}

static struct el_status *start(struct el_load *load)
{
    const struct el_swap_options *settings = &swap_of(load)->options;
    struct el_warmup_options options = el_load_records(load, on_warm);
    options.iterations = settings->warmup_iterations;
    options.threads = settings->warmup_threads;
    return el_warmup_start(&options, &load->warmup);
}

/* Where OpenVINO was chosen because it agreed, TensorFlow is still there. */
static struct el_attempt *stand_in(struct el_load *load)
{
    struct el_attempt *first = &load->attempts[0];
    return load->chosen != first && first->hosted != NULL && first->failed == NULL ? first : NULL;
}

static void fall_back(struct el_load *load, struct el_attempt *other, struct el_status *failed)
{
    struct el_version *version = load->version;
    struct el_buf why = { 0 };
    el_buf_printf(&why, "%s cannot run the warm-up records: %s", load->chosen->engine, el_status_text(failed));
    free(version->engine_reason);
    version->engine_reason = el_buf_take_text(&why);
    el_tell(swap_of(load), EL_LOG_INFO, "engine", version->model, version, "%s, as %s", other->engine,
            version->engine_reason != NULL ? version->engine_reason : "");
    el_hosted_leave(load->chosen->hosted, 0);
    load->chosen->hosted = NULL;
    if (load->chosen->failed == NULL)
        load->chosen->failed = failed;
    else
        el_status_free(failed);
    load->chosen = other;
    snprintf(version->engine, sizeof version->engine, "%s", other->engine);
    version->load_ms = other->load_ms;
    el_model_changed(version->model);
    el_model_touch(load->version->model);
}

static void tell(const struct el_load *load, const struct el_warmup_result *result, const struct el_status *failed)
{
    const struct el_version *version = load->version;
    if (failed != NULL)
        el_tell(swap_of(load), EL_LOG_WARNING, "warmup_failed", version->model, version, "record %u of %s/%s on %s: %s",
                result->records, version->path, EL_WARMUP_FILE, load->chosen->engine, el_status_text(failed));
    else if (result->found)
        el_tell(swap_of(load), EL_LOG_INFO, "warmed", version->model, version,
                "Finished reading warmup data for model at %s/%s. Number of warmup records read: %u. Elapsed time "
                "(microseconds): %llu.",
                version->path, EL_WARMUP_FILE, result->records, (unsigned long long)(result->took_ns / 1000));
}

bool el_load_warm(struct el_load *load, uint64_t now_ns)
{
    struct el_attempt *chosen = load->chosen;
    const bool off = swap_of(load)->options.no_warmup || el_load_mode(load, EL_CHECK_WARMUP) == EL_CHECK_OFF;
    if (off && chosen->failed == NULL)
        return true;
    struct el_status *failed = load->warmup == NULL && chosen->failed == NULL ? start(load) : NULL;
    if (load->warmup != NULL && !load->warmed && chosen->failed == NULL)
        el_warmup_tick(load->warmup, now_ns);
    if (failed == NULL && chosen->failed == NULL && !load->warmed)
        return false;
    bool died = false;
    struct el_warmup_result result = { 0 };
    if (load->warmed) {
        result = el_warmup_result(load->warmup);
        failed = el_status_copy(el_warmup_failed(load->warmup, &died));
        if (died && chosen->failed == NULL) {
            el_status_free(failed);
            return false; /* the event that says of what is on its way */
        }
    }
    if (chosen->failed != NULL) {
        el_status_free(failed);
        failed = el_status_copy(chosen->failed);
    }
    el_warmup_free(load->warmup);
    load->warmup = NULL;
    load->warmed = false;
    tell(load, &result, failed);
    if (result.found)
        el_load_stats_warmed(load->version, result.took_ns, el_status_code(failed));
    const bool dies = load->chosen->failed != NULL; /* its worker is gone: no mode makes that good */
    if (!dies && stand_in(load) == NULL)
        failed = el_load_found(load, EL_CHECK_WARMUP, failed);
    if (failed == NULL)
        return true;
    struct el_attempt *other = stand_in(load);
    if (other != NULL) {
        fall_back(load, other, failed);
        return false;
    }
    struct el_version *version = load->version;
    el_version_load_failed(version, failed);
    version->refused = false; /* with TensorFlow Serving the load fails too */
    return false;
}
