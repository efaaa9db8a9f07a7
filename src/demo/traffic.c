/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/traffic.h"

#include "base/clock.h"
#include "demo/server.h"
#include "load/load.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define WINDOW 2000        /* answers that the accuracy is of */
#define VERSIONS 256       /* numbers that the demo can offer */
#define TIMEOUT_MS 10000   /* the clients' patience */
#define NEXT_TO_NEVER 1e-9 /* requests per second */
#define PAUSE_LIMIT_NS EL_NS_PER_S

/* One protocol's questions and clients. */
struct stream {
    struct traffic *traffic;
    bool grpc;
    struct el_buf questions[DIGITS];
    struct el_load_message messages[DIGITS];
    struct el_load *load;
    uint64_t answers;
};

enum order { ASK, PAUSE, STOP };

struct traffic {
    struct traffic_options options;
    pthread_t thread;
    uv_loop_t loop;
    uv_async_t wake;     /* there is another order */
    _Atomic int order;   /* enum order; the main thread's */
    bool paused;         /* the loop's thread: it has heard of PAUSE */
    _Atomic bool silent; /* paused, and nothing is under way */
    struct stream streams[2];
    unsigned running; /* loads that are not done; the loop's thread, after start */
    bool stopping;    /* the main thread's */
    _Atomic bool over;

    pthread_mutex_t
        lock; /* guards the rest: written by the loop's thread and the main thread, read by the main thread */
    bool good[VERSIONS]; /* may answer */
    enum good content[VERSIONS];
    bool on_offer[GOODS]; /* some version with this content may answer */
    struct traffic_figures figures;
    bool window[WINDOW]; /* whether the last digits were recognised */
    size_t window_count, window_at, window_right;
    enum phase phase, previous;
    uint64_t phase_since_ns;
    struct el_histogram latency, by_phase[PHASES];
};

/* ---- on the loop's thread ---- */

static void record_latency(struct traffic *traffic, const struct el_load_answer *answer)
{
    const bool began_before = answer->start_ns < traffic->phase_since_ns && traffic->previous != PHASE_QUIET;
    el_histogram_record(&traffic->latency, answer->latency_ns);
    if (began_before)
        el_histogram_record(&traffic->by_phase[traffic->previous], answer->latency_ns);
    if (!began_before || traffic->phase != PHASE_QUIET)
        el_histogram_record(&traffic->by_phase[traffic->phase], answer->latency_ns);
}

static void record_recognised(struct traffic *traffic, bool right)
{
    if (traffic->window_count == WINDOW)
        traffic->window_right -= traffic->window[traffic->window_at];
    else
        traffic->window_count++;
    traffic->window[traffic->window_at] = right;
    traffic->window_right += right;
    traffic->window_at = (traffic->window_at + 1) % WINDOW;
}

static void record_problem(struct traffic *traffic, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void record_problem(struct traffic *traffic, const char *format, ...)
{
    if (traffic->figures.first_problem[0] != '\0')
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(traffic->figures.first_problem, sizeof traffic->figures.first_problem, format, args);
    va_end(args);
}

static bool may_answer(const struct traffic *traffic, int64_t version)
{
    return version >= 0 && version < VERSIONS && traffic->good[version];
}

/* True if the prediction is one that the version (0: any on offer) may give. */
static bool is_expected(const struct traffic *traffic, int64_t version, size_t digit, const float prediction[CLASSES])
{
    const struct reference *reference = traffic->options.reference;
    if (version != 0)
        return may_answer(traffic, version) && reference_fits(reference, traffic->content[version], digit, prediction);
    for (unsigned i = 0; i < GOODS; i++) {
        if (traffic->on_offer[i] && reference_fits(reference, (enum good)i, digit, prediction))
            return true;
    }
    return false;
}

static const char *judge(struct stream *stream, const struct el_load_answer *answer)
{
    struct traffic *traffic = stream->traffic;
    float prediction[1][CLASSES];
    int64_t version = 0;
    const char *protocol = stream->grpc ? "gRPC" : "REST";
    const bool answered = answer->code == (stream->grpc ? 0 : 200);
    const bool readable = answered &&
                          (stream->grpc ? digits_grpc_answer(answer->bytes, answer->size, 1, prediction, &version)
                                        : digits_http_answer(answer->bytes, answer->size, prediction[0]));
    pthread_mutex_lock(&traffic->lock);
    const char *problem = NULL;
    if (!answered) {
        problem = "failed";
        traffic->figures.failed++;
        record_problem(traffic, "%s: code %d %.200s", protocol, answer->code,
                       stream->grpc || answer->size == 0 ? answer->text : (const char *)"with an error's body");
    } else if (!readable || !is_expected(traffic, version, answer->message, prediction[0])) {
        problem = "wrong";
        traffic->figures.wrong++;
        traffic->figures.broken += readable && version != 0 && !may_answer(traffic, version);
        record_problem(traffic, "%s: digit %zu: %s (version %lld)", protocol, answer->message,
                       readable ? "a prediction that no good version on offer gives"
                                : "no prediction of the expected form",
                       (long long)version);
    } else {
        traffic->figures.answers++;
        stream->answers++;
        record_recognised(traffic, digits_best(prediction[0]) == traffic->options.digits->labels[answer->message]);
    }
    record_latency(traffic, answer);
    pthread_mutex_unlock(&traffic->lock);
    return problem;
}

static const char *check(void *argument, const struct el_load_answer *answer)
{
    return judge(argument, answer);
}

static void load_done(void *argument, struct el_load *load)
{
    (void)load;
    struct traffic *traffic = ((struct stream *)argument)->traffic;
    if (--traffic->running == 0)
        uv_close((uv_handle_t *)&traffic->wake, NULL);
}

static bool is_silent(const struct traffic *traffic)
{
    for (size_t i = 0; i < 2; i++) {
        struct el_load_summary summary;
        el_load_summary(traffic->streams[i].load, &summary);
        if (summary.started > summary.succeeded + summary.failed)
            return false;
    }
    return true;
}

static void on_order(uv_async_t *async)
{
    struct traffic *traffic = async->data;
    const struct traffic_options *options = &traffic->options;
    const int order = atomic_load(&traffic->order);
    /* Not at once: a new rate lets one more request begin. */
    atomic_store(&traffic->silent, order == PAUSE && traffic->paused && is_silent(traffic));
    for (size_t i = 0; i < 2; i++) {
        struct el_load *load = traffic->streams[i].load;
        if (order == STOP)
            el_load_stop(load);
        else if ((order == PAUSE) != traffic->paused)
            el_load_set_rate(load, order == PAUSE             ? NEXT_TO_NEVER
                                   : traffic->streams[i].grpc ? options->grpc_rate
                                                              : options->rest_rate);
    }
    traffic->paused = order == PAUSE;
}

static void *run(void *argument)
{
    struct traffic *traffic = argument;
    uv_run(&traffic->loop, UV_RUN_DEFAULT);
    atomic_store(&traffic->over, true);
    return NULL;
}

/* ---- on the main thread ---- */

static struct el_status *make_questions(struct stream *stream)
{
    const struct digits *digits = stream->traffic->options.digits;
    for (size_t i = 0; i < DIGITS; i++) {
        struct el_buf *question = &stream->questions[i];
        if (stream->grpc)
            digits_grpc_question(digits, i, 1, SERVER_MODEL, 0, question);
        else
            digits_http_question(digits, i, question);
        EL_TRY(el_buf_status(question));
        stream->messages[i] = (struct el_load_message){ question->data, question->size };
    }
    return NULL;
}

static struct el_status *start_stream(struct stream *stream)
{
    const struct traffic_options *options = &stream->traffic->options;
    EL_TRY(make_questions(stream));
    const struct el_load_options load = {
        .loop = &stream->traffic->loop,
        .protocol = stream->grpc ? EL_LOAD_GRPC : EL_LOAD_HTTP,
        .host = "127.0.0.1",
        .port = stream->grpc ? options->grpc_port : options->rest_port,
        .path = stream->grpc ? "/tensorflow.serving.PredictionService/Predict" : "/v1/models/" SERVER_MODEL ":predict",
        .messages = stream->messages,
        .message_count = DIGITS,
        .connections = stream->grpc ? options->grpc_connections : options->rest_connections,
        .streams = stream->grpc ? 4 : 1,
        .rate = stream->grpc ? options->grpc_rate : options->rest_rate,
        .timeout_ms = TIMEOUT_MS,
        .check = check,
        .done = load_done,
        .argument = stream,
    };
    EL_TRY(el_load_start(&load, &stream->load));
    stream->traffic->running++;
    return NULL;
}

static void free_parts(struct traffic *traffic)
{
    for (size_t i = 0; i < 2; i++) {
        if (traffic->streams[i].load != NULL)
            el_load_free(traffic->streams[i].load);
        for (size_t j = 0; j < DIGITS; j++)
            el_buf_free(&traffic->streams[i].questions[j]);
    }
    pthread_mutex_destroy(&traffic->lock);
    uv_loop_close(&traffic->loop);
    free(traffic);
}

/* Undoes a start that got only so far: the loop ends what was begun on it. */
static struct el_status *give_up(struct traffic *traffic, struct el_status *status)
{
    for (size_t i = 0; i < 2; i++) {
        if (traffic->streams[i].load != NULL)
            el_load_stop(traffic->streams[i].load);
    }
    if (traffic->running == 0)
        uv_close((uv_handle_t *)&traffic->wake, NULL);
    uv_run(&traffic->loop, UV_RUN_DEFAULT);
    free_parts(traffic);
    return status;
}

struct el_status *traffic_start(const struct traffic_options *options, struct traffic **traffic_out)
{
    struct traffic *traffic = calloc(1, sizeof *traffic);
    if (traffic == NULL || uv_loop_init(&traffic->loop) != 0) {
        free(traffic);
        return el_status_no_memory();
    }
    traffic->options = *options;
    traffic->phase_since_ns = el_now_ns();
    pthread_mutex_init(&traffic->lock, NULL);
    uv_async_init(&traffic->loop, &traffic->wake, on_order);
    traffic->wake.data = traffic;
    traffic->streams[0] = (struct stream){ .traffic = traffic, .grpc = true };
    traffic->streams[1] = (struct stream){ .traffic = traffic, .grpc = false };
    traffic_allow(traffic, 1, GOOD_ONE);
    for (size_t i = 0; i < 2; i++) {
        struct el_status *status = start_stream(&traffic->streams[i]);
        if (status != NULL)
            return give_up(traffic, status);
    }
    if (pthread_create(&traffic->thread, NULL, run, traffic) != 0)
        return give_up(traffic, el_status_new(EL_RESOURCE_EXHAUSTED, "no thread for the clients"));
    *traffic_out = traffic;
    return NULL;
}

void traffic_allow(struct traffic *traffic, int64_t version, enum good good)
{
    if (version < 0 || version >= VERSIONS)
        return;
    pthread_mutex_lock(&traffic->lock);
    traffic->good[version] = true;
    traffic->content[version] = good;
    traffic->on_offer[good] = true;
    pthread_mutex_unlock(&traffic->lock);
}

void traffic_phase(struct traffic *traffic, enum phase phase)
{
    pthread_mutex_lock(&traffic->lock);
    if (traffic->phase != phase) {
        traffic->previous = traffic->phase;
        traffic->phase = phase;
        traffic->phase_since_ns = el_now_ns();
    }
    pthread_mutex_unlock(&traffic->lock);
}

static struct traffic_latency summarize(const struct el_histogram *histogram)
{
    return (struct traffic_latency){
        .count = atomic_load_explicit(&histogram->count, memory_order_relaxed),
        .p50_ms = (double)el_histogram_quantile(histogram, 0.5) / 1e6,
        .p99_ms = (double)el_histogram_quantile(histogram, 0.99) / 1e6,
        .max_ms = (double)atomic_load_explicit(&histogram->max_ns, memory_order_relaxed) / 1e6,
    };
}

void traffic_figures(struct traffic *traffic, struct traffic_figures *figures)
{
    pthread_mutex_lock(&traffic->lock);
    *figures = traffic->figures;
    figures->grpc = traffic->streams[0].answers;
    figures->rest = traffic->streams[1].answers;
    figures->accuracy = traffic->window_count == 0 ? -1 : (double)traffic->window_right / (double)traffic->window_count;
    figures->all = summarize(&traffic->latency);
    for (size_t i = 0; i < PHASES; i++)
        figures->phases[i] = summarize(&traffic->by_phase[i]);
    pthread_mutex_unlock(&traffic->lock);
}

void traffic_stop(struct traffic *traffic)
{
    if (traffic->stopping)
        return;
    traffic->stopping = true;
    atomic_store(&traffic->order, STOP);
    uv_async_send(&traffic->wake);
}

void traffic_pause(struct traffic *traffic)
{
    if (traffic->stopping)
        return;
    atomic_store(&traffic->order, PAUSE);
    const uint64_t end_ns = el_now_ns() + PAUSE_LIMIT_NS;
    while (!atomic_load(&traffic->silent) && el_now_ns() < end_ns) {
        uv_async_send(&traffic->wake);
        usleep(1000);
    }
}

void traffic_resume(struct traffic *traffic)
{
    if (traffic->stopping)
        return;
    atomic_store(&traffic->order, ASK);
    uv_async_send(&traffic->wake);
}

bool traffic_is_over(const struct traffic *traffic)
{
    return atomic_load(&traffic->over);
}

void traffic_free(struct traffic *traffic)
{
    if (traffic == NULL)
        return;
    traffic_stop(traffic);
    pthread_join(traffic->thread, NULL);
    free_parts(traffic);
}
