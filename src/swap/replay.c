/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/replay.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENOUGH_NS \
    (300 * EL_NS_PER_MS) /* no request is begun after so long: a switch does not wait for all of a slow model's */
#define GRACE_NS (200 * EL_NS_PER_MS)
#define MOST_OUTPUTS 256 /* that are told apart; the others count in `all` */

/* One output of one signature of the old version. */
struct place {
    uint32_t signature, output;
    struct el_agreement sum;
    struct el_spread spread;
    struct el_variety found, expected;
};

struct el_replay {
    struct el_replay_options options;
    struct el_sample **samples; /* owned, each once */
    uint32_t count, at;
    uint32_t new_index; /* the signature that the request under way runs */
    struct place *places;
    uint32_t place_count;
    struct el_replay_result result;
    struct el_pass_call *call;
    uint64_t enough_ns, late_ns;
    bool begun, finished;
};

/* Of two outputs the one that is to be told of. */
static bool is_worse(const struct el_agreement *a, const struct el_agreement *b)
{
    if (a->other != b->other)
        return a->other > b->other;
    return el_agreement_mean(a) > el_agreement_mean(b);
}

static const char *name_of(const struct el_replay *replay, const struct place *place)
{
    return replay->options.old->list[place->signature].outputs[place->output].name;
}

static void look_at_spread(struct el_replay *replay, struct place *place)
{
    struct el_replay_result *result = &replay->result;
    const double distance = el_spread_distance(&place->spread);
    if (distance > result->spread) {
        result->spread = distance;
        snprintf(result->spread_output, sizeof result->spread_output, "%s", name_of(replay, place));
    }
    if (result->constant[0] == '\0' && place->found.rows >= EL_SPREAD_ROWS &&
        el_variety_lost(&place->found, &place->expected)) {
        result->constant_rows = place->found.rows;
        snprintf(result->constant, sizeof result->constant, "%s", name_of(replay, place));
    }
}

static void finish(struct el_replay *replay)
{
    struct el_replay_result *result = &replay->result;
    for (uint32_t i = 0; i < replay->place_count; i++) {
        struct place *place = &replay->places[i];
        look_at_spread(replay, place);
        if (i > 0 && !is_worse(&place->sum, &result->worst))
            continue;
        result->worst = place->sum;
        snprintf(result->output, sizeof result->output, "%s", name_of(replay, place));
    }
    replay->finished = true;
    replay->options.done(replay->options.argument);
}

static struct place *place_of(struct el_replay *replay, uint32_t signature, uint32_t output)
{
    for (uint32_t i = 0; i < replay->place_count; i++)
        if (replay->places[i].signature == signature && replay->places[i].output == output)
            return &replay->places[i];
    if (replay->place_count == MOST_OUTPUTS)
        return NULL;
    struct place *place = &replay->places[replay->place_count++];
    *place = (struct place){ .signature = signature, .output = output };
    return place;
}

static void compare(struct el_replay *replay, const struct el_tensor *outputs, uint32_t count)
{
    static const struct el_tolerance exact = { 0, 0 };
    const struct el_sample *sample = replay->samples[replay->at];
    const struct el_signature *old = &replay->options.old->list[sample->signature];
    const struct el_signature *new_ = &replay->options.new_->list[replay->new_index];
    for (uint32_t i = 0; i < sample->output_count; i++) {
        const char *name = old->outputs[sample->output_indexes[i]].name;
        const int at = el_tensor_info_find(new_->outputs, new_->output_count, name, strlen(name));
        struct place *place = place_of(replay, sample->signature, sample->output_indexes[i]);
        if (at < 0 || (uint32_t)at >= count)
            continue; /* that output is gone, which "fits" tells */
        (void)el_agreement_add(&replay->result.all, &outputs[at], &sample->outputs[i], &exact);
        if (place == NULL)
            continue;
        (void)el_agreement_add(&place->sum, &outputs[at], &sample->outputs[i], &exact);
        el_spread_add(&place->spread, &outputs[at], &sample->outputs[i]);
        el_variety_add(&place->found, &outputs[at]);
        el_variety_add(&place->expected, &sample->outputs[i]);
    }
}

static void fail(struct el_replay *replay, const struct el_status *status)
{
    replay->result.failed++;
    if (replay->result.code == EL_OK) {
        replay->result.code = el_status_code(status);
        snprintf(replay->result.failure, sizeof replay->result.failure, "%s", el_status_text(status));
    }
}

static void proceed(struct el_replay *replay);

static void on_pass(void *argument, const struct el_status *status, const struct el_tensor *outputs, uint32_t count,
                    bool worker_died, uint64_t took_ns)
{
    (void)took_ns;
    struct el_replay *replay = argument;
    replay->call = NULL;
    replay->late_ns = EL_NEVER_NS;
    if (worker_died)
        return; /* the event that says of what ends the load */
    replay->result.asked++;
    if (status != NULL)
        fail(replay, status);
    else
        compare(replay, outputs, count);
    replay->at++;
    proceed(replay);
}

bool el_replay_lay_inputs(const struct el_sample *sample, const struct el_signature *old,
                          const struct el_signature *new_, struct el_tensor *list)
{
    for (uint32_t i = 0; i < new_->input_count; i++) {
        uint32_t from = 0;
        while (from < sample->input_count &&
               strcmp(old->inputs[sample->input_indexes[from]].name, new_->inputs[i].name) != 0)
            from++;
        if (from == sample->input_count || sample->inputs[from].dtype != new_->inputs[i].dtype ||
            !el_shape_fits(&new_->inputs[i].shape, &sample->inputs[from].shape))
            return false;
        list[i] = sample->inputs[from];
    }
    return true;
}

/* Starts the request at hand. false: the new version cannot be asked it. */
static bool start(struct el_replay *replay, struct el_status **failed)
{
    const struct el_replay_options *options = &replay->options;
    const struct el_sample *sample = replay->samples[replay->at];
    const struct el_signature *old = &options->old->list[sample->signature];
    const struct el_signature *new_ = el_signatures_find(options->new_, old->name, strlen(old->name),
                                                         &replay->new_index);
    if (new_ == NULL)
        return false;
    struct el_probe_inputs inputs = { .count = new_->input_count };
    inputs.list = calloc(new_->input_count + 1, sizeof *inputs.list);
    const bool asked = inputs.list != NULL && el_replay_lay_inputs(sample, old, new_, inputs.list);
    if (asked) {
        const uint64_t deadline_ns = el_after_ns(el_now_ns(), options->timeout_ms * EL_NS_PER_MS);
        *failed = el_pass_start(options->model->swap, options->worker, replay->new_index, new_, &inputs, deadline_ns,
                                on_pass, replay, &replay->call);
        replay->late_ns = el_after_ns(deadline_ns, GRACE_NS);
        el_model_alarm(options->model, replay->late_ns);
    }
    free(inputs.list);
    return asked;
}

static void proceed(struct el_replay *replay)
{
    for (; replay->at < replay->count && el_now_ns() < replay->enough_ns; replay->at++) {
        struct el_status *failed = NULL;
        if (!start(replay, &failed)) {
            replay->result.skipped++;
            continue;
        }
        if (failed == NULL)
            return;
        replay->result.asked++;
        fail(replay, failed);
        el_status_free(failed);
    }
    finish(replay);
}

struct el_status *el_replay_start(const struct el_replay_options *options, struct el_replay **made)
{
    struct el_replay *replay = calloc(1, sizeof *replay);
    if (replay == NULL)
        return el_status_no_memory();
    replay->options = *options;
    replay->late_ns = EL_NEVER_NS;
    replay->enough_ns = el_now_ns() + ENOUGH_NS;
    replay->places = calloc(MOST_OUTPUTS, sizeof *replay->places);
    if (replay->places == NULL) {
        free(replay);
        return el_status_no_memory();
    }
    replay->samples = el_reservoir_get(options->reservoir, &replay->count);
    *made = replay;
    el_model_touch(options->model);
    return NULL;
}

void el_replay_tick(struct el_replay *replay, uint64_t now_ns)
{
    if (replay->finished)
        return;
    if (!replay->begun) {
        replay->begun = true;
        proceed(replay);
        return;
    }
    if (replay->call == NULL)
        return;
    if (now_ns < replay->late_ns) {
        el_model_alarm(replay->options.model, replay->late_ns);
        return;
    }
    struct el_status *late = el_status_new(EL_DEADLINE_EXCEEDED,
                                           "a recent request was not answered within %u ms (probe_timeout_ms)",
                                           replay->options.timeout_ms);
    el_pass_abandon(replay->call);
    replay->call = NULL;
    el_worker_kill(replay->options.worker, late); /* it hangs: the event that follows ends the load */
}

const struct el_replay_result *el_replay_result(const struct el_replay *replay)
{
    return &replay->result;
}

void el_replay_free(struct el_replay *replay)
{
    if (replay == NULL)
        return;
    if (replay->call != NULL)
        el_pass_abandon(replay->call);
    for (uint32_t i = 0; i < replay->count; i++)
        el_sample_disown(replay->samples[i]);
    for (uint32_t i = 0; i < replay->place_count; i++)
        el_spread_free(&replay->places[i].spread);
    free(replay->samples);
    free(replay->places);
    free(replay);
}

struct el_status *el_replay_judge(const struct el_replay_result *result, const struct el_probe_config *probe)
{
    const double share = el_agreement_share(&result->all), mean = el_agreement_mean(&result->worst);
    if (result->failed > 0)
        return el_status_new(result->code != EL_OK ? result->code : EL_FAILED_PRECONDITION,
                             "%u of %u recent requests, which the serving version answered, failed: %s", result->failed,
                             result->asked, result->failure);
    if (result->all.other > 0)
        return el_status_new(EL_FAILED_PRECONDITION,
                             "%llu of %llu outputs of recent requests came with another dtype or shape than the "
                             "serving version's (\"%s\")",
                             (unsigned long long)result->all.other, (unsigned long long)result->all.answers,
                             result->output);
    if (share < probe->min_agreement)
        return el_status_new(EL_FAILED_PRECONDITION,
                             "of recent requests the top-1 is the serving version's in %llu of %llu rows, %.3g %%; "
                             "%.3g %% is expected (min_agreement)",
                             (unsigned long long)result->all.same, (unsigned long long)result->all.rows, 100 * share,
                             100 * probe->min_agreement);
    if (probe->max_drift >= 0 && mean > probe->max_drift)
        return el_status_new(EL_FAILED_PRECONDITION,
                             "answers to recent requests drifted: output \"%s\" differs from the serving version's by "
                             "%.3g on average, %.3g at most; %.3g on average is allowed (max_drift)",
                             result->output, mean, result->worst.largest, probe->max_drift);
    if (probe->max_spread >= 0 && result->spread > probe->max_spread)
        return el_status_new(
            EL_FAILED_PRECONDITION,
            "the scores of answers to recent requests are spread otherwise: output \"%s\" is %.3g from "
            "the serving version's (Kolmogorov-Smirnov); %.3g is allowed (max_spread)",
            result->spread_output, result->spread, probe->max_spread);
    return NULL;
}

struct el_status *el_replay_judge_varies(const struct el_replay_result *result)
{
    if (result->constant[0] == '\0')
        return NULL;
    return el_status_new(EL_FAILED_PRECONDITION,
                         "output \"%s\" is the same in all %llu rows of answers to recent requests; the serving "
                         "version's differ",
                         result->constant, (unsigned long long)result->constant_rows);
}

void el_replay_report(const struct el_replay_result *result, struct el_buf *out)
{
    if (result->asked == 0)
        return;
    el_buf_printf(out, "; %u of %u recent requests answered", result->asked - result->failed, result->asked);
    if (result->all.rows > 0)
        el_buf_printf(out, ", top-1 as the serving version's in %llu of %llu rows",
                      (unsigned long long)result->all.same, (unsigned long long)result->all.rows);
    if (result->all.values > 0)
        el_buf_printf(out, ", mean difference %.2g, largest %.2g (output \"%s\")", el_agreement_mean(&result->worst),
                      result->worst.largest, result->output);
    if (result->spread_output[0] != '\0')
        el_buf_printf(out, ", scores spread %.2g apart (output \"%s\")", result->spread, result->spread_output);
}
