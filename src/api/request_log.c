/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue is a stack that event loops push to with one compare-and-swap, and that the thread takes whole and turns round. Its
 * size is counted before a record is made, so that a full queue costs no copy. The lock is for the counts alone, which are
 * changed for logged requests only.
 */
#include "api/request_log.h"

#include "api/log_files.h"
#include "api/metric_text.h"
#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define REST_S 60 /* without a record, after which files are closed for the time being */
#define SAY_NS (60 * EL_NS_PER_S)
#define END_S 5

struct record {
    struct record *next;
    struct el_buf bytes;
    size_t charged; /* to the queue */
    struct el_log_target target;
    const char *model; /* in texts, as target.prefix */
    char texts[];
};

/* What became of a model's records, by code: OK is written, all else is lost. */
struct log_counts {
    struct log_counts *next;
    uint64_t codes[EL_CODES];
    char model[];
};

struct el_request_log {
    const struct el_log *log;
    struct record *_Atomic pushed; /* newest first; release: the thread sees the record */
    _Atomic size_t queued;         /* bytes that wait or are being written */
    _Atomic bool ending;
    sem_t wake;
    struct el_log_files files; /* the thread's */

    pthread_mutex_t lock; /* guards what follows; held for a few instructions, or while the thread is started */
    pthread_t thread;
    bool started;
    struct log_counts *counts; /* by model, newest first; a model that once had records keeps its counts */
    uint64_t said_ns;          /* when a loss was told of; 0: never */
};

/* ---- counting ---- */

static struct log_counts *counts_of(struct el_request_log *log, const char *model)
{
    for (struct log_counts *counts = log->counts; counts != NULL; counts = counts->next)
        if (strcmp(counts->model, model) == 0)
            return counts;
    const size_t size = strlen(model) + 1;
    struct log_counts *counts = calloc(1, sizeof *counts + size);
    if (counts == NULL)
        return NULL;
    memcpy(counts->model, model, size);
    counts->next = log->counts;
    log->counts = counts;
    return counts;
}

static uint64_t lost_of(const struct log_counts *counts)
{
    uint64_t lost = 0;
    for (size_t code = 1; code < EL_CODES; code++)
        lost += counts->codes[code];
    return lost;
}

/* status is borrowed. */
static void count(struct el_request_log *log, const char *model, const struct el_status *status)
{
    bool say = false;
    uint64_t lost = 0;
    pthread_mutex_lock(&log->lock);
    struct log_counts *counts = counts_of(log, model);
    if (counts != NULL) {
        counts->codes[el_status_code(status)]++;
        lost = lost_of(counts);
    }
    if (status != NULL) {
        const uint64_t now_ns = el_now_ns();
        say = log->said_ns == 0 || now_ns - log->said_ns >= SAY_NS;
        if (say)
            log->said_ns = now_ns;
    }
    pthread_mutex_unlock(&log->lock);
    if (say)
        el_log(log->log, EL_LOG_WARNING, "request_log_lost", el_str("model", model), el_int("lost", (int64_t)lost),
               el_str("code", el_code_name(el_status_code(status))), el_str("reason", el_status_text(status)));
}

/* ---- the thread ---- */

static void record_free(struct record *record)
{
    el_buf_free(&record->bytes);
    free(record);
}

static struct record *take_all(struct el_request_log *log)
{
    struct record *newest = atomic_exchange_explicit(&log->pushed, NULL, memory_order_acquire), *turned = NULL;
    while (newest != NULL) {
        struct record *record = newest;
        newest = record->next;
        record->next = turned;
        turned = record;
    }
    return turned;
}

static void write_all(struct el_request_log *log)
{
    struct record *record = take_all(log);
    while (record != NULL) {
        struct record *next = record->next;
        const struct el_span bytes = { (const char *)record->bytes.data, record->bytes.size };
        struct el_status *status = el_log_files_write(&log->files, &record->target, bytes);
        count(log, record->model, status);
        el_status_free(status);
        atomic_fetch_sub_explicit(&log->queued, record->charged, memory_order_relaxed);
        record_free(record);
        record = next;
    }
}

/* Until there is something to do; files that nothing comes for are closed meanwhile. */
static void wait_for_work(struct el_request_log *log)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += REST_S;
    int error;
    while ((error = sem_timedwait(&log->wake, &end) == 0 ? 0 : errno) == EINTR)
        continue;
    if (error != ETIMEDOUT)
        return;
    el_log_files_rest(&log->files);
    while (sem_wait(&log->wake) != 0)
        continue;
}

static void *run(void *argument)
{
    struct el_request_log *log = argument;
    while (!atomic_load_explicit(&log->ending, memory_order_acquire)) {
        wait_for_work(log);
        write_all(log);
    }
    write_all(log);
    return NULL;
}

/* The thread is not for signals: those are the main thread's. */
static bool start(struct el_request_log *log)
{
    sigset_t all, before;
    pthread_mutex_lock(&log->lock);
    if (!log->started) {
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        log->started = pthread_create(&log->thread, NULL, run, log) == 0;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    const bool started = log->started;
    pthread_mutex_unlock(&log->lock);
    return started;
}

struct el_status *el_request_log_new(const struct el_log *log, struct el_request_log **made)
{
    struct el_request_log *new = calloc(1, sizeof *new);
    if (new == NULL)
        return el_status_no_memory();
    new->log = log;
    if (sem_init(&new->wake, 0, 0) != 0 || pthread_mutex_init(&new->lock, NULL) != 0) {
        free(new);
        return el_status_new(EL_INTERNAL, "the request log cannot make its lock");
    }
    *made = new;
    return NULL;
}

void el_request_log_free(struct el_request_log *log)
{
    if (log == NULL)
        return;
    if (log->started) {
        struct timespec end;
        clock_gettime(CLOCK_REALTIME, &end);
        end.tv_sec += END_S;
        atomic_store_explicit(&log->ending, true, memory_order_release);
        sem_post(&log->wake);
        if (pthread_timedjoin_np(log->thread, NULL, &end) != 0) {
            el_log(log->log, EL_LOG_WARNING, "request_log_lost", el_str("code", "UNAVAILABLE"),
                   el_str("reason", "what waited to be written when the server ended: its disk does not answer"));
            return; /* the thread still has it all; the process ends */
        }
    }
    el_log_files_free(&log->files);
    while (log->counts != NULL) {
        struct log_counts *counts = log->counts;
        log->counts = counts->next;
        free(counts);
    }
    pthread_mutex_destroy(&log->lock);
    sem_destroy(&log->wake);
    free(log);
}

/* ---- event loops ---- */

/* xorshift64*: the top 53 bits as a number from 0 to below 1. */
static double draw(struct el_api_loop *loop)
{
    uint64_t x = loop->log_random != 0 ? loop->log_random : el_now_ns() | 1;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    loop->log_random = x;
    return (double)((x * UINT64_C(0x2545F4914F6CDD1D)) >> 11) * 0x1p-53;
}

bool el_request_log_takes(struct el_api_loop *loop, const struct el_request *request)
{
    if (!request->logged)
        return false;
    const struct el_view *view = el_view_get(loop->api->options.swap);
    const struct el_model_view *model = el_view_model(view, request->model, request->model_size);
    const double rate = model != NULL && model->logging.prefix != NULL ? model->logging.sampling_rate : 0;
    el_view_put(loop->api->options.swap, view);
    return rate > 0 && draw(loop) < rate;
}

/* LogMetadata: model_spec = 1, sampling_config = 2 { double sampling_rate = 1 }. */
static void put_metadata(struct el_buf *buf, const char *model, const struct el_request *request, double rate)
{
    uint64_t bits;
    memcpy(&bits, &rate, sizeof bits);
    el_model_spec_write(buf, 1, model, request->served_version, request->signature->name);
    el_wire_put_length(buf, 2, 1 + sizeof bits);
    el_wire_put_tag(buf, 1, EL_WIRE_FIXED64);
    el_buf_append(buf, &bits, sizeof bits); /* little-endian, as every machine this runs on */
}

/* A record with the texts of its target, and no bytes. *rate: what it was drawn at. NULL without memory or log. */
static struct record *begin_record(struct el_api_loop *loop, const struct el_request *request, double *rate)
{
    struct record *record = NULL;
    const struct el_view *view = el_view_get(loop->api->options.swap);
    const struct el_model_view *model = el_view_model(view, request->model, request->model_size);
    const char *prefix = model != NULL ? model->logging.prefix : NULL;
    const size_t prefix_size = prefix != NULL ? strlen(prefix) + 1 : 0;
    if (prefix != NULL)
        record = calloc(1, sizeof *record + prefix_size + request->model_size + 1);
    if (record != NULL) {
        memcpy(record->texts, prefix, prefix_size);
        memcpy(record->texts + prefix_size, request->model, request->model_size);
        record->model = record->texts + prefix_size;
        record->target = (struct el_log_target){ .prefix = record->texts,
                                                 .file_bytes = model->logging.file_bytes,
                                                 .total_bytes = model->logging.total_bytes };
        *rate = model->logging.sampling_rate;
    }
    el_view_put(loop->api->options.swap, view);
    return record;
}

static void lose(struct el_request_log *log, struct record *record, struct el_status *status)
{
    count(log, record->model, status);
    el_status_free(status);
    record_free(record);
}

static bool charge(struct el_request_log *log, size_t size)
{
    if (size > EL_REQUEST_LOG_QUEUE_BYTES)
        return false;
    if (atomic_fetch_add_explicit(&log->queued, size, memory_order_relaxed) <= EL_REQUEST_LOG_QUEUE_BYTES - size)
        return true;
    atomic_fetch_sub_explicit(&log->queued, size, memory_order_relaxed);
    return false;
}

static void push(struct el_request_log *log, struct record *record)
{
    struct record *newest = atomic_load_explicit(&log->pushed, memory_order_relaxed);
    do
        record->next = newest;
    while (!atomic_compare_exchange_weak_explicit(&log->pushed, &newest, record, memory_order_release,
                                                  memory_order_relaxed));
    if (newest == NULL)
        sem_post(&log->wake); /* else whoever pushed the first one does */
}

void el_request_log_add(struct el_api_loop *loop, const struct el_request *request, enum el_prediction_kind kind,
                        struct el_span question, struct el_span answer)
{
    struct el_request_log *log = loop->api->request_log;
    double rate = 0;
    struct record *record = begin_record(loop, request, &rate);
    if (record == NULL)
        return; /* a reload took the log away meanwhile, or there is no memory, not even for the model's name */
    struct el_buf metadata = { 0 };
    put_metadata(&metadata, record->model, request, rate);
    size_t size = 0;
    struct el_status *status = NULL;
    if (__builtin_add_overflow(question.size, answer.size, &size) ||
        __builtin_add_overflow(size, metadata.size + sizeof *record, &size) || !charge(log, size))
        status = el_status_new(EL_RESOURCE_EXHAUSTED,
                               "a record of %zu bytes does not fit into the %zu bytes that may wait to be written",
                               size, EL_REQUEST_LOG_QUEUE_BYTES);
    if (status == NULL) {
        record->charged = size;
        el_prediction_put(&record->bytes, kind, &metadata, question, answer);
        status = el_buf_status(&record->bytes);
        if (status == NULL && !start(log))
            status = el_status_new(EL_RESOURCE_EXHAUSTED, "the thread that writes cannot be started");
        if (status != NULL)
            atomic_fetch_sub_explicit(&log->queued, size, memory_order_relaxed);
    }
    el_buf_free(&metadata);
    if (status != NULL)
        lose(log, record, status);
    else
        push(log, record);
}

void el_request_log_lose(struct el_api_loop *loop, const struct el_request *request, struct el_status *status)
{
    double rate;
    struct record *record = begin_record(loop, request, &rate);
    if (record != NULL)
        lose(loop->api->request_log, record, status);
    else
        el_status_free(status);
}

/* ---- metrics ---- */

static void put_model(struct el_buf *out, const char *metric, const char *label, const char *model)
{
    el_buf_printf(out, "%s{", metric);
    el_metric_label(out, label, model, strlen(model));
}

void el_request_log_put_serving(struct el_request_log *log, struct el_buf *out)
{
    static const char name[] = ":tensorflow:serving:request_log_count";
    el_buf_printf(out, "# TYPE %s counter\n", name);
    pthread_mutex_lock(&log->lock);
    for (const struct log_counts *counts = log->counts; counts != NULL; counts = counts->next) {
        for (size_t code = 0; code < EL_CODES; code++) {
            if (counts->codes[code] == 0)
                continue;
            put_model(out, name, "model_name", counts->model);
            el_buf_printf(out, ",status_code=\"%s\"} %" PRIu64 "\n", el_code_name((enum el_code)code),
                          counts->codes[code]);
        }
    }
    pthread_mutex_unlock(&log->lock);
}

void el_request_log_put_metrics(struct el_request_log *log, struct el_buf *out)
{
    static const char name[] = "everlit_request_log_lost_total";
    el_buf_printf(out, "# HELP %s Records of the request log that could not be written.\n# TYPE %s counter\n", name,
                  name);
    pthread_mutex_lock(&log->lock);
    for (const struct log_counts *counts = log->counts; counts != NULL; counts = counts->next) {
        put_model(out, name, "model", counts->model);
        el_buf_printf(out, "} %" PRIu64 "\n", lost_of(counts));
    }
    pthread_mutex_unlock(&log->lock);
}
