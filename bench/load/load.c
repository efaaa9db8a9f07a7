/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "load/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define TICK_MS 1
#define FIRST_WAIT_MS 5 /* after a refused connection; doubles up to MAX_WAIT_MS */
#define MAX_WAIT_MS 100
#define TIMEOUT_SLACK_MS 1000 /* the server's own DEADLINE_EXCEEDED has so long to arrive */

/* ---- counting ---- */

static void count_reason(struct el_load *load, const char *text)
{
    for (size_t i = 0; i < load->reason_count; i++) {
        if (strncmp(load->reasons[i].text, text, sizeof(load->reasons[i].text) - 1) == 0) {
            load->reasons[i].count++;
            return;
        }
    }
    size_t index = load->reason_count;
    if (index == EL_LOAD_REASONS) {
        load->reasons[index - 1].count++;
        return;
    }
    load->reason_count++;
    load->reasons[index].count = 1;
    snprintf(load->reasons[index].text, sizeof(load->reasons[index].text), "%s",
             index == EL_LOAD_REASONS - 1 ? "other reasons" : text);
}

static const char *default_check(struct el_load *load, const struct el_load_answer *answer, char *text, size_t size)
{
    bool grpc = load->options.protocol == EL_LOAD_GRPC;
    if (answer->code == (grpc ? 0 : 200))
        return NULL;
    snprintf(text, size, "%s %d%s%s", grpc ? "grpc-status" : "HTTP status", answer->code,
             answer->text[0] != 0 ? ": " : "", answer->text);
    return text;
}

void load_finish(struct load_request *request, const char *reason)
{
    struct load_lane *lane = request->lane;
    struct el_load *load = lane->load;
    uint64_t now_ns = el_now_ns(), latency_ns = now_ns > request->start_ns ? now_ns - request->start_ns : 0;
    char text[160];
    el_buf_byte(&request->text, 0);
    const struct el_load_answer answer = {
        .message = request->message,
        .code = reason == NULL ? request->code : -1,
        .text = reason != NULL         ? reason
                : request->text.failed ? ""
                                       : (const char *)request->text.data,
        .bytes = request->answer.data,
        .size = request->answer.size,
        .start_ns = request->start_ns,
        .latency_ns = latency_ns,
    };
    if (reason == NULL && request->answer.failed)
        reason = "out of memory in the load generator";
    if (load->options.check != NULL) {
        const char *wrong = load->options.check(load->options.argument, &answer);
        reason = reason != NULL ? reason : wrong;
    } else if (reason == NULL) {
        reason = default_check(load, &answer, text, sizeof(text));
    }
    if (reason == NULL) {
        load->succeeded++;
        el_histogram_record(&load->latencies, latency_ns);
    } else {
        load->failed++;
        count_reason(load, reason);
    }
    if (load->record_count < load->options.log_capacity)
        load->records[load->record_count++] = (struct el_load_record){
            .start_ns = request->start_ns,
            .latency_ns = latency_ns,
            .connection = lane->index,
            .ok = reason == NULL,
            .retries = request->retries,
        };
    load->last_end_ns = now_ns;
    load->under_way--;
    lane->busy--;
    request->conn = NULL;
    cds_list_del(&request->link);
    cds_list_add(&request->link, &lane->idle);
}

void load_retry(struct load_request *request)
{
    struct el_load *load = request->lane->load;
    load->retried++;
    if (request->retries < UINT8_MAX)
        request->retries++;
    request->conn = NULL;
    cds_list_del(&request->link);
    cds_list_add_tail(&request->link, &load->again);
}

/* ---- sending ---- */

static bool send_on(struct load_lane *lane, struct load_request *request)
{
    struct load_conn *conn = lane->conn;
    request->conn = conn;
    request->sent = 0;
    request->code = 0;
    request->has_code = false;
    el_buf_clear(&request->text);
    el_buf_clear(&request->answer);
    cds_list_add_tail(&request->link, &conn->requests);
    bool ok = lane->load->options.protocol == EL_LOAD_GRPC ? load_grpc_send(conn, request)
                                                           : load_http_send(conn, request);
    if (!ok)
        load_finish(request, "the request could not be queued");
    return ok;
}

static bool may_begin(const struct el_load *load, uint64_t now_ns)
{
    const struct el_load_options *options = &load->options;
    if (load->stopping || (options->count > 0 && load->started >= options->count))
        return false;
    return options->duration_ms == 0 || now_ns - load->begin_ns < options->duration_ms * EL_NS_PER_MS;
}

/* When the next request is due; in a closed loop always now. */
static uint64_t next_due_ns(const struct el_load *load, uint64_t now_ns)
{
    if (load->options.rate <= 0)
        return now_ns;
    return load->rate_since_ns + (uint64_t)((double)load->rate_issued * 1e9 / load->options.rate);
}

static struct load_request *begin(struct load_lane *lane, uint64_t start_ns)
{
    struct el_load *load = lane->load;
    struct load_request *request = el_list_first(&lane->idle, struct load_request, link);
    cds_list_del(&request->link);
    CDS_INIT_LIST_HEAD(&request->link);
    request->start_ns = start_ns;
    request->retries = 0;
    request->message = load->next_message++ % load->options.message_count;
    lane->busy++;
    load->started++;
    load->rate_issued++;
    load->under_way++;
    return request;
}

static bool is_ready(const struct load_lane *lane)
{
    return lane->conn != NULL && lane->conn->state == CONN_READY;
}

/* Retries go to their own lane's new connection; they keep their place and their start. */
static void pump_again(struct el_load *load)
{
    struct load_request *request, *next;
    el_list_each (request, next, &load->again, link) {
        bool http_busy = load->options.protocol == EL_LOAD_HTTP && is_ready(request->lane) &&
                         !cds_list_empty(&request->lane->conn->requests);
        if (is_ready(request->lane) && !http_busy) {
            cds_list_del(&request->link);
            send_on(request->lane, request);
        }
    }
}

static void pump_lane(struct load_lane *lane, uint64_t now_ns)
{
    struct el_load *load = lane->load;
    while (is_ready(lane) && !cds_list_empty(&lane->idle) && may_begin(load, now_ns)) {
        if (!send_on(lane, begin(lane, now_ns)))
            break;
    }
}

static void pump_rate(struct el_load *load, uint64_t now_ns)
{
    uint32_t tried = 0;
    uint64_t due_ns;
    while (tried < load->lane_count && may_begin(load, now_ns) && (due_ns = next_due_ns(load, now_ns)) <= now_ns) {
        struct load_lane *lane = &load->lanes[load->next_lane];
        load->next_lane = (load->next_lane + 1) % load->lane_count;
        if (is_ready(lane) && !cds_list_empty(&lane->idle)) {
            send_on(lane, begin(lane, due_ns));
            tried = 0;
        } else {
            tried++;
        }
    }
}

/* Wakes the loop when the next request is due. One that is late waits for a request to end, which pumps. */
static void arm_due(struct el_load *load, uint64_t now_ns)
{
    uint64_t due_ns = next_due_ns(load, now_ns);
    if (due_ns <= now_ns || due_ns == load->armed_ns)
        return;
    load->armed_ns = due_ns;
    const struct itimerspec at = {
        .it_value = { .tv_sec = (time_t)(due_ns / EL_NS_PER_S), .tv_nsec = (long)(due_ns % EL_NS_PER_S) },
    };
    timerfd_settime(load->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static void connect_lanes(struct el_load *load, uint64_t now_ns)
{
    uint64_t now_ms = uv_now(load->options.loop);
    for (uint32_t i = 0; i < load->lane_count; i++) {
        struct load_lane *lane = &load->lanes[i];
        bool wanted = lane->busy > 0 || may_begin(load, now_ns);
        if (lane->conn == NULL && wanted && now_ms >= lane->connect_after_ms && !load_conn_open(lane))
            lane->connect_after_ms = now_ms + MAX_WAIT_MS;
    }
}

static void close_all(struct el_load *load)
{
    load->ended = true;
    struct load_conn *conn, *next;
    el_list_each (conn, next, &load->conns, link)
        load_conn_close(conn, NULL);
    uv_close((uv_handle_t *)&load->timer, load_handle_closed);
    uv_close((uv_handle_t *)&load->prepare, load_handle_closed);
    uv_close((uv_handle_t *)&load->check, load_handle_closed);
    uv_close((uv_handle_t *)&load->due, load_handle_closed);
}

void load_handle_closed(uv_handle_t *handle)
{
    struct el_load *load = handle->data;
    load->open_handles--;
    if (load->ended && load->open_handles == 0 && load->options.done != NULL)
        load->options.done(load->options.argument, load);
}

void load_pump(struct el_load *load)
{
    if (load->ended)
        return;
    uint64_t now_ns = el_now_ns();
    connect_lanes(load, now_ns);
    pump_again(load);
    if (load->options.rate > 0) {
        pump_rate(load, now_ns);
        arm_due(load, now_ns);
    } else {
        for (uint32_t i = 0; i < load->lane_count; i++)
            pump_lane(&load->lanes[i], now_ns);
    }
    if (load->under_way == 0 && !may_begin(load, now_ns))
        close_all(load);
}

void load_conn_lost(struct load_conn *conn, const char *reason)
{
    struct load_lane *lane = conn->lane;
    struct el_load *load = lane->load;
    bool was_connecting = conn->state == CONN_CONNECTING || conn->state == CONN_GREETING;
    conn->state = CONN_CLOSED;
    struct load_request *request, *next;
    el_list_each (request, next, &conn->requests, link)
        load_finish(request, reason != NULL ? reason : "the load generator stopped");
    if (lane->conn != conn)
        return;
    lane->conn = NULL;
    if (!was_connecting || reason == NULL) {
        lane->wait_ms = 0;
        return;
    }
    /* As a channel that cannot connect: what waits for it fails, and what would have been asked now too. */
    lane->wait_ms = lane->wait_ms == 0 ? FIRST_WAIT_MS : lane->wait_ms * 2;
    if (lane->wait_ms > MAX_WAIT_MS)
        lane->wait_ms = MAX_WAIT_MS;
    lane->connect_after_ms = uv_now(load->options.loop) + lane->wait_ms;
    char text[128];
    if (strncmp(reason, "connecting: ", 12) != 0) {
        snprintf(text, sizeof(text), "connecting: %s", reason);
        reason = text;
    }
    el_list_each (request, next, &load->again, link) {
        if (request->lane == lane)
            load_finish(request, reason);
    }
    uint64_t now_ns = el_now_ns();
    if (may_begin(load, now_ns) && next_due_ns(load, now_ns) <= now_ns && !cds_list_empty(&lane->idle)) {
        uint64_t due_ns = next_due_ns(load, now_ns);
        load_finish(begin(lane, due_ns), reason);
    }
}

/* ---- time ---- */

static void watch_timeouts(struct el_load *load, uint64_t now_ns)
{
    uint64_t limit_ns = (uint64_t)(load->options.timeout_ms + TIMEOUT_SLACK_MS) * EL_NS_PER_MS;
    for (uint32_t i = 0; i < load->lane_count; i++) {
        struct load_lane *lane = &load->lanes[i];
        for (uint32_t j = 0; j < load->options.streams && lane->busy > 0; j++) {
            struct load_request *request = &lane->requests[j];
            if (request->conn == NULL || now_ns - request->start_ns < limit_ns)
                continue;
            struct load_conn *conn = request->conn;
            if (load->options.protocol == EL_LOAD_GRPC)
                load_grpc_cancel(conn, request);
            else
                load_conn_close(conn, "no answer within the timeout");
        }
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct el_load *load = timer->data;
    if (load->options.timeout_ms > 0)
        watch_timeouts(load, el_now_ns());
    load_pump(load);
}

static void flush(struct el_load *load)
{
    load_pump(load);
    while (!cds_list_empty(&load->dirty)) {
        struct load_conn *conn = el_list_first(&load->dirty, struct load_conn, in_dirty);
        cds_list_del(&conn->in_dirty);
        conn->is_dirty = false;
        load_conn_flush(conn);
    }
}

static void on_prepare(uv_prepare_t *prepare)
{
    flush(prepare->data);
}

static void on_check(uv_check_t *check)
{
    flush(check->data);
}

static void on_due(uv_poll_t *due, int status, int events)
{
    (void)status;
    (void)events;
    struct el_load *load = due->data;
    uint64_t expirations;
    if (read(load->timer_fd, &expirations, sizeof(expirations)) > 0)
        load_pump(load);
}

/* ---- life ---- */

static struct el_status *resolve(struct el_load *load)
{
    const struct el_load_options *options = &load->options;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    if (uv_ip4_addr(options->host, options->port, &ipv4) == 0)
        memcpy(&load->address, &ipv4, sizeof(ipv4));
    else if (uv_ip6_addr(options->host, options->port, &ipv6) == 0)
        memcpy(&load->address, &ipv6, sizeof(ipv6));
    else
        return el_status_new(EL_INVALID_ARGUMENT, "load: %s is not a numeric address", options->host);
    snprintf(load->authority, sizeof(load->authority), "%s:%u", options->host, options->port);
    /* At most 8 digits. */
    snprintf(load->timeout_text, sizeof(load->timeout_text), "%um", options->timeout_ms % 100000000);
    return NULL;
}

static struct el_status *make_lanes(struct el_load *load)
{
    load->lane_count = load->options.connections;
    load->lanes = calloc(load->lane_count, sizeof(*load->lanes));
    if (load->lanes == NULL)
        return el_status_no_memory();
    for (uint32_t i = 0; i < load->lane_count; i++) {
        struct load_lane *lane = &load->lanes[i];
        lane->load = load;
        lane->index = i;
        CDS_INIT_LIST_HEAD(&lane->idle);
        lane->requests = calloc(load->options.streams, sizeof(*lane->requests));
        if (lane->requests == NULL)
            return el_status_no_memory();
        for (uint32_t j = 0; j < load->options.streams; j++) {
            lane->requests[j].lane = lane;
            cds_list_add_tail(&lane->requests[j].link, &lane->idle);
        }
    }
    return NULL;
}

static void start_handles(struct el_load *load)
{
    uv_loop_t *loop = load->options.loop;
    uv_update_time(loop);
    uv_timer_init(loop, &load->timer);
    uv_prepare_init(loop, &load->prepare);
    uv_check_init(loop, &load->check);
    uv_poll_init(loop, &load->due, load->timer_fd);
    load->timer.data = load->prepare.data = load->check.data = load->due.data = load;
    load->open_handles = 4;
    uv_timer_start(&load->timer, on_timer, 0, TICK_MS);
    uv_prepare_start(&load->prepare, on_prepare);
    uv_check_start(&load->check, on_check);
    uv_poll_start(&load->due, UV_READABLE, on_due);
    load->begin_ns = load->rate_since_ns = el_now_ns();
}

struct el_status *el_load_start(const struct el_load_options *options, struct el_load **load_out)
{
    if (options->message_count == 0)
        return el_status_new(EL_INVALID_ARGUMENT, "load: there is no message to send");
    struct el_load *load = calloc(1, sizeof(*load));
    if (load == NULL)
        return el_status_no_memory();
    load->options = *options;
    load->options.connections = options->connections == 0 ? 1 : options->connections;
    load->options.streams = options->streams == 0 || options->protocol == EL_LOAD_HTTP ? 1 : options->streams;
    CDS_INIT_LIST_HEAD(&load->conns);
    CDS_INIT_LIST_HEAD(&load->dirty);
    CDS_INIT_LIST_HEAD(&load->again);
    load->buffer = malloc(LOAD_BUFFER_BYTES);
    if (options->log_capacity > 0)
        load->records = calloc(options->log_capacity, sizeof(*load->records));
    struct el_status *status = NULL;
    if (load->buffer == NULL || (options->log_capacity > 0 && load->records == NULL))
        status = el_status_no_memory();
    if (status == NULL)
        status = resolve(load);
    if (status == NULL)
        status = make_lanes(load);
    if (status == NULL && load_grpc_setup(load) != 0)
        status = el_status_no_memory();
    load->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (status == NULL && load->timer_fd < 0)
        status = el_status_errno(errno, "load: making a timer");
    if (status != NULL) {
        el_load_free(load);
        return status;
    }
    start_handles(load);
    *load_out = load;
    return NULL;
}

void el_load_stop(struct el_load *load)
{
    load->stopping = true; /* the timer ends it */
}

void el_load_set_rate(struct el_load *load, double rate)
{
    load->options.rate = rate;
    load->rate_since_ns = el_now_ns();
    load->rate_issued = 0;
}

const struct el_load_record *el_load_records(const struct el_load *load, size_t *count)
{
    *count = load->record_count;
    return load->records;
}

const struct el_histogram *el_load_latencies(const struct el_load *load)
{
    return &load->latencies;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* The quantiles of the successful requests in the log. False: no memory for a sorted copy. */
static bool exact_quantiles(const struct el_load *load, struct el_load_summary *summary)
{
    uint64_t *sorted = malloc(load->succeeded * sizeof(*sorted));
    if (sorted == NULL)
        return false;
    size_t count = 0;
    for (size_t i = 0; i < load->record_count; i++) {
        if (load->records[i].ok)
            sorted[count++] = load->records[i].latency_ns;
    }
    qsort(sorted, count, sizeof(*sorted), compare_u64);
    summary->p50_ns = sorted[count / 2];
    summary->p90_ns = sorted[count * 9 / 10];
    summary->p99_ns = sorted[count * 99 / 100];
    summary->p999_ns = sorted[count * 999 / 1000];
    summary->max_ns = sorted[count - 1];
    free(sorted);
    return true;
}

void el_load_summary(struct el_load *load, struct el_load_summary *summary)
{
    *summary = (struct el_load_summary){
        .started = load->started,
        .succeeded = load->succeeded,
        .failed = load->failed,
        .retried = load->retried,
        .reconnected = load->reconnected,
        .reasons = load->reasons,
        .reason_count = load->reason_count,
    };
    if (load->last_end_ns > load->begin_ns) {
        summary->elapsed_ns = load->last_end_ns - load->begin_ns;
        summary->rate = (double)(load->succeeded + load->failed) * 1e9 / (double)summary->elapsed_ns;
    }
    if (load->succeeded == 0)
        return;
    summary->exact = load->record_count == load->succeeded + load->failed && exact_quantiles(load, summary);
    if (summary->exact)
        return;
    summary->p50_ns = el_histogram_quantile(&load->latencies, 0.5);
    summary->p90_ns = el_histogram_quantile(&load->latencies, 0.9);
    summary->p99_ns = el_histogram_quantile(&load->latencies, 0.99);
    summary->p999_ns = el_histogram_quantile(&load->latencies, 0.999);
    summary->max_ns = el_histogram_quantile(&load->latencies, 1.0);
}

void el_load_free(struct el_load *load)
{
    for (uint32_t i = 0; load->lanes != NULL && i < load->lane_count; i++) {
        struct load_lane *lane = &load->lanes[i];
        for (uint32_t j = 0; lane->requests != NULL && j < load->options.streams; j++) {
            el_buf_free(&lane->requests[j].text);
            el_buf_free(&lane->requests[j].answer);
        }
        free(lane->requests);
    }
    nghttp2_session_callbacks_del(load->callbacks);
    if (load->timer_fd > 0)
        close(load->timer_fd);
    free(load->lanes);
    free(load->records);
    free(load->buffer);
    free(load);
}
