/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three parts take turns: the pool reads a piece of the file (warmup_file.h), the swap thread takes the records of that piece apart and sends their runs to the worker, `threads` at a time, and when the last one of a piece is on its way
 * the next piece is read. A record's inputs are copied into the worker's arena, so it is not needed while it runs.
 */
#include "swap/warmup.h"

#include "base/clock.h"

#include "swap/warmup_file.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAX_INPUT_BYTES ((size_t)1 << 31) /* the arena's own limit is usually nearer */
#define GRACE_NS (200 * EL_NS_PER_MS)     /* after its deadline: a worker that still lives says so itself by then */
#define SHOWN_BYTES 200                   /* of a record that cannot be parsed, in the message */

/* One run on its way. */
struct flight {
    struct el_list in_warmup;
    struct el_warmup *warmup; /* NULL: nobody waits any more */
    struct el_call *call;
    const struct el_signature *signature;
    uint64_t late_ns;
    bool infers; /* its outputs are to be those of Classify or Regress */
    enum el_infer_method method;
    size_t example_count;
    const struct el_prediction_run *run; /* with `answered`, which looks at one record at a time */
    uint32_t output_count;
    uint32_t outputs[];
};

struct el_warmup {
    struct el_warmup_options options;
    struct el_warmup_file file;
    bool begun, finished, freed;
    struct el_prediction prediction; /* the record at hand */
    bool has_record;
    size_t next_run;
    uint32_t iteration;
    struct el_list flights;
    uint32_t flying;
    uint64_t started_ns, took_ns;
    uint32_t records;
    struct el_status *failed;
    bool died;
};

static void proceed(struct el_warmup *warmup);
static void release(struct el_warmup *warmup);

static void piece_read(void *argument)
{
    struct el_warmup *warmup = argument;
    if (warmup->freed)
        release(warmup);
    else
        proceed(warmup);
}

/* ---- the end ---- */

static void finish(struct el_warmup *warmup, struct el_status *failed)
{
    if (warmup->finished) {
        el_status_free(failed);
        return;
    }
    warmup->finished = true;
    warmup->failed = failed;
    warmup->took_ns = el_now_ns() - warmup->started_ns;
    warmup->options.done(warmup, warmup->options.argument);
}

/* Nobody waits for the runs under way any more. */
static void abandon_flights(struct el_warmup *warmup)
{
    struct flight *flight, *next;
    el_list_each_safe(flight, next, &warmup->flights, in_warmup)
    {
        el_list_remove(&flight->in_warmup);
        flight->warmup = NULL;
        el_call_cancel(flight->call);
    }
    warmup->flying = 0;
}

/* ---- one run ---- */

static struct el_status *check_outputs(const struct flight *flight)
{
    if (!flight->infers)
        return NULL;
    const struct el_tensor *tensors;
    const uint32_t count = el_call_outputs(flight->call, &tensors);
    struct el_infer_result result;
    return el_infer_result_of(flight->method, flight->example_count, flight->signature, flight->outputs, tensors, count,
                              &result);
}

static void on_run(struct el_call *call, const struct el_status *status, void *argument)
{
    struct flight *flight = argument;
    struct el_warmup *warmup = flight->warmup;
    struct el_status *failed = warmup == NULL ? NULL : status != NULL ? el_status_copy(status) : check_outputs(flight);
    if (warmup != NULL && failed == NULL && warmup->options.answered != NULL) {
        const struct el_tensor *tensors;
        const uint32_t count = el_call_outputs(call, &tensors);
        warmup->options.answered(warmup->records, &warmup->prediction, flight->run, tensors, count,
                                 warmup->options.argument);
    }
    if (warmup != NULL && status != NULL)
        warmup->died = el_call_worker_died(call);
    el_call_end(call);
    if (warmup != NULL) {
        el_list_remove(&flight->in_warmup);
        warmup->flying--;
    }
    free(flight);
    if (warmup == NULL)
        return;
    if (failed == NULL) {
        proceed(warmup);
        return;
    }
    abandon_flights(warmup);
    finish(warmup, failed);
}

static struct el_status *fill(struct el_warmup *warmup, const struct el_prediction_run *run, struct el_call *call)
{
    for (uint32_t i = 0; i < run->signature->input_count; i++) {
        struct el_prediction_input input;
        void *data;
        EL_TRY(el_prediction_input(&warmup->prediction, run, i, &input));
        EL_TRY(el_call_input(call, i, input.dtype, &input.shape, input.size, &data));
        el_prediction_write(&warmup->prediction, &input, data);
    }
    return NULL;
}

static struct el_status *send_off(struct el_warmup *warmup, const struct el_prediction_run *run, struct flight *flight)
{
    const uint64_t deadline_ns = el_after_ns(el_now_ns(), warmup->options.timeout_ms * EL_NS_PER_MS);
    EL_TRY(el_call_begin(warmup->options.worker, warmup->options.model->swap->completions, run->index, &flight->call));
    struct el_status *status = fill(warmup, run, flight->call);
    if (status == NULL)
        status = el_call_submit(flight->call, flight->outputs, flight->output_count, deadline_ns, on_run, flight);
    if (status != NULL) {
        el_call_end(flight->call);
        return status;
    }
    flight->warmup = warmup;
    flight->late_ns = el_after_ns(deadline_ns, GRACE_NS);
    el_list_add_before(&flight->in_warmup, &warmup->flights);
    warmup->flying++;
    el_model_alarm(warmup->options.model, flight->late_ns);
    return NULL;
}

static struct el_status *start_run(struct el_warmup *warmup, const struct el_prediction_run *run)
{
    struct flight *flight = calloc(1, sizeof *flight + run->output_count * sizeof flight->outputs[0]);
    if (flight == NULL)
        return el_status_no_memory();
    flight->signature = run->signature;
    flight->infers = el_prediction_infers(&warmup->prediction);
    flight->method = run->method;
    flight->example_count = el_examples_count(&warmup->prediction.examples);
    flight->run = run;
    flight->output_count = run->output_count;
    memcpy(flight->outputs, run->outputs, run->output_count * sizeof flight->outputs[0]);
    struct el_status *status = send_off(warmup, run, flight);
    if (status != NULL)
        free(flight);
    return status;
}

/* ---- record by record ---- */

static struct el_status *unparsable(const struct el_warmup *warmup, const uint8_t *bytes, size_t size)
{
    char shown[SHOWN_BYTES + 1];
    const size_t count = size < SHOWN_BYTES ? size : SHOWN_BYTES;
    for (size_t i = 0; i < count; i++)
        shown[i] = isprint(bytes[i]) ? (char)bytes[i] : '?';
    shown[count] = '\0';
    return el_status_new(EL_INVALID_ARGUMENT, "Failed to parse %s record: %s%s from %s",
                         warmup->options.answered != NULL ? "golden" : "warmup", shown, count < size ? "..." : "",
                         warmup->file.path);
}

static struct el_status *take_record(struct el_warmup *warmup)
{
    size_t size;
    const uint8_t *bytes = el_warmup_file_next(&warmup->file, &size);
    warmup->records++;
    warmup->has_record = true;
    warmup->next_run = 0;
    warmup->iteration = 0;
    if (!el_prediction_parse(bytes, size, &warmup->prediction))
        return unparsable(warmup, bytes, size);
    return el_prediction_plan(&warmup->prediction, warmup->options.signatures, MAX_INPUT_BYTES);
}

static void drop_record(struct el_warmup *warmup)
{
    if (warmup->has_record)
        el_prediction_free(&warmup->prediction);
    warmup->has_record = false;
}

/* The next run of the record at hand; NULL: it has none left. */
static const struct el_prediction_run *next_run(struct el_warmup *warmup)
{
    if (warmup->next_run == warmup->prediction.run_count) {
        warmup->next_run = 0;
        warmup->iteration++;
    }
    if (warmup->iteration >= warmup->options.iterations || warmup->prediction.run_count == 0)
        return NULL;
    return &warmup->prediction.runs[warmup->next_run++];
}

/* Sends off what can be. *idle: nothing is left but what is on its way or is being read. */
static struct el_status *step(struct el_warmup *warmup, bool *idle)
{
    if (warmup->has_record) {
        const struct el_prediction_run *run = next_run(warmup);
        if (run != NULL)
            return start_run(warmup, run);
        if (warmup->flying > 0 && warmup->records > EL_WARMUP_MAX_RECORDS) {
            *idle = true; /* the one too many runs, too, before it is told */
            return NULL;
        }
        drop_record(warmup);
        if (warmup->records > EL_WARMUP_MAX_RECORDS)
            return el_status_new(EL_INVALID_ARGUMENT, "Number of warmup records exceeds the maximum (%d) at %s",
                                 EL_WARMUP_MAX_RECORDS, warmup->file.path);
        return NULL;
    }
    if (el_warmup_file_has_next(&warmup->file))
        return take_record(warmup);
    *idle = true;
    if (warmup->flying == 0 && warmup->file.failed != NULL)
        return el_warmup_file_failed(&warmup->file);
    if (warmup->file.failed == NULL && !warmup->file.end)
        el_warmup_file_read(&warmup->file, warmup->options.model->swap->options.uv_loop, piece_read, warmup);
    return NULL;
}

static void proceed(struct el_warmup *warmup)
{
    struct el_status *failed = NULL;
    bool idle = false;
    while (failed == NULL && !idle && !warmup->file.reading && warmup->flying < warmup->options.threads)
        failed = step(warmup, &idle);
    /* No file: no warm-up, and nothing wrong with that. */
    if (el_status_code(failed) == EL_NOT_FOUND && !warmup->file.opened) {
        el_status_free(failed);
        finish(warmup, NULL);
    } else if (failed != NULL) {
        abandon_flights(warmup);
        finish(warmup, failed);
    } else if (!warmup->file.reading && warmup->file.end &&
               !warmup->has_record && /* reading: the piece is the pool's */
               !el_warmup_file_has_next(&warmup->file) && warmup->flying == 0) {
        finish(warmup, NULL);
    }
}

/* ---- the door ---- */

struct el_status *el_warmup_start(const struct el_warmup_options *options, struct el_warmup **made)
{
    struct el_warmup *warmup = calloc(1, sizeof *warmup);
    if (warmup == NULL)
        return el_status_no_memory();
    struct el_buf file = { 0 };
    el_buf_printf(&file, "%s/%s", options->path, options->file != NULL ? options->file : EL_WARMUP_FILE);
    warmup->file.path = el_buf_take_text(&file);
    if (warmup->file.path == NULL) {
        free(warmup);
        return el_status_no_memory();
    }
    warmup->options = *options;
    if (warmup->options.iterations == 0)
        warmup->options.iterations = 1;
    if (warmup->options.threads == 0 || warmup->options.answered != NULL)
        warmup->options.threads = 1;
    warmup->file.reader.fd = -1;
    warmup->started_ns = el_now_ns();
    el_list_init(&warmup->flights);
    *made = warmup;
    el_model_touch(options->model);
    return NULL;
}

void el_warmup_tick(struct el_warmup *warmup, uint64_t now_ns)
{
    if (warmup->finished)
        return;
    if (!warmup->begun) {
        warmup->begun = true;
        proceed(warmup);
        return;
    }
    struct flight *flight;
    el_list_each (flight, &warmup->flights, in_warmup) {
        if (now_ns >= flight->late_ns)
            break;
        el_model_alarm(warmup->options.model, flight->late_ns);
    }
    if (&flight->in_warmup == &warmup->flights)
        return;
    struct el_status *late = el_status_new(EL_DEADLINE_EXCEEDED,
                                           "record %u of %s did not answer within %u ms (load_timeout_ms)",
                                           warmup->records, warmup->file.path, warmup->options.timeout_ms);
    abandon_flights(warmup);
    el_worker_kill(warmup->options.worker, el_status_copy(late));
    warmup->died = true;
    finish(warmup, late);
}

const struct el_status *el_warmup_failed(const struct el_warmup *warmup, bool *died)
{
    *died = warmup->died;
    return warmup->failed;
}

struct el_warmup_result el_warmup_result(const struct el_warmup *warmup)
{
    return (struct el_warmup_result){ .found = warmup->file.opened,
                                      .records = warmup->records,
                                      .took_ns = warmup->took_ns };
}

static void release(struct el_warmup *warmup)
{
    drop_record(warmup);
    el_warmup_file_close(&warmup->file);
    el_status_free(warmup->failed);
    free(warmup);
}

void el_warmup_free(struct el_warmup *warmup)
{
    if (warmup == NULL)
        return;
    abandon_flights(warmup);
    warmup->freed = true;
    if (!warmup->file.reading)
        release(warmup);
}
