/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server: the settings that all loops share, one thread per loop, and the
 * two hand-shakes with them, start and end. Started by one thread; drain,
 * stats and port may be called by any, until join.
 */
#include "rpc/h2.h"
#include "rpc/listen.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_MESSAGE_BYTES ((size_t)INT32_MAX)
#define DEFAULT_HEADER_BYTES ((size_t)64 * 1024)
#define DEFAULT_INFLATED_BYTES ((size_t)256 * 1024 * 1024)
#define DEFAULT_LOOP_BYTES ((size_t)4 * 1024 * 1024 * 1024)
#define DEFAULT_CONNECTIONS 10000
#define DEFAULT_STREAMS 1000
#define DEFAULT_HEADER_TIMEOUT_MS 30000
#define DEFAULT_IDLE_TIMEOUT_MS 3600000
#define DEFAULT_KEEPALIVE_TIMEOUT_MS 20000 /* gRPC's */

struct thread_of_loop {
    struct el_rpc_server *server;
    struct el_loop loop;
    pthread_t thread;
    bool started;
};

struct el_rpc_server {
    struct el_rpc_settings settings;
    struct el_listener *listeners; /* with texts of their own */
    uint16_t *ports;
    size_t listener_count;
    struct el_grpc_method *methods;
    size_t method_count;
    struct el_status *(*on_loop_start)(struct el_rpc_loop *loop, void *argument);
    void *argument;
    _Atomic uint32_t connections;
    struct thread_of_loop *threads;
    struct el_loop **loop_list; /* those of the threads, for the settings */
    uint32_t loops;

    pthread_mutex_t lock; /* guards the three below: the start's hand-shake */
    pthread_cond_t changed;
    uint32_t ready;                /* loops that have said how their start went */
    struct el_status *problem;     /* the first loop's that failed */
    enum { WAIT, GO, GIVE_UP } go; /* what the starting thread decided then */
};

static size_t or_default(size_t value, size_t otherwise)
{
    return value == 0 ? otherwise : value;
}

static struct el_status *copy_options(struct el_rpc_server *server, const struct el_rpc_options *options)
{
    struct el_rpc_settings *settings = &server->settings;
    settings->log = options->log;
    settings->max_message_bytes = or_default(options->max_message_bytes, DEFAULT_MESSAGE_BYTES);
    settings->max_inflated_bytes = or_default(options->max_inflated_bytes, DEFAULT_INFLATED_BYTES);
    settings->max_loop_bytes = or_default(options->max_loop_bytes, DEFAULT_LOOP_BYTES);
    settings->max_connection_bytes = or_default(options->max_connection_bytes, settings->max_message_bytes);
    settings->max_header_bytes = or_default(options->max_header_bytes, DEFAULT_HEADER_BYTES);
    settings->max_connections = (uint32_t)or_default(options->max_connections, DEFAULT_CONNECTIONS);
    settings->max_streams = (uint32_t)or_default(options->max_streams, DEFAULT_STREAMS);
    settings->header_timeout_ms = (uint32_t)or_default(options->header_timeout_ms, DEFAULT_HEADER_TIMEOUT_MS);
    settings->idle_timeout_ms = (uint32_t)or_default(options->idle_timeout_ms, DEFAULT_IDLE_TIMEOUT_MS);
    if (settings->max_inflated_bytes > settings->max_message_bytes)
        settings->max_inflated_bytes = settings->max_message_bytes;

    settings->max_running = options->max_running;
    settings->grpc_times = options->grpc_times;
    if (settings->grpc_times.idle_ms == 0)
        settings->grpc_times.idle_ms = settings->idle_timeout_ms;
    if (settings->grpc_times.keepalive_timeout_ms == 0)
        settings->grpc_times.keepalive_timeout_ms = DEFAULT_KEEPALIVE_TIMEOUT_MS;
    settings->max_grpc_message_bytes = or_default(options->max_grpc_message_bytes, settings->max_message_bytes);
    if (settings->max_grpc_message_bytes > settings->max_message_bytes)
        settings->max_grpc_message_bytes = settings->max_message_bytes;
    settings->max_reply_bytes = or_default(options->max_reply_bytes, UINT32_MAX);
    settings->compression = options->compression;

    server->listeners = calloc(options->listener_count, sizeof(*server->listeners));
    server->ports = calloc(options->listener_count, sizeof(*server->ports));
    server->methods = calloc(options->method_count + 1, sizeof(*server->methods));
    server->threads = calloc(options->loops, sizeof(*server->threads));
    server->loop_list = calloc(options->loops, sizeof(*server->loop_list));
    if (server->listeners == NULL || server->ports == NULL || server->methods == NULL || server->threads == NULL ||
        server->loop_list == NULL)
        return el_status_no_memory();
    server->loops = options->loops;
    for (size_t i = 0; i < options->listener_count; i++) {
        const struct el_listener *from = &options->listeners[i];
        struct el_listener *to = &server->listeners[server->listener_count++];
        *to = *from;
        to->address = from->address == NULL ? NULL : strdup(from->address);
        to->unix_path = from->unix_path == NULL ? NULL : strdup(from->unix_path);
        if ((from->address != NULL && to->address == NULL) || (from->unix_path != NULL && to->unix_path == NULL))
            return el_status_no_memory();
    }
    for (size_t i = 0; i < options->method_count; i++) {
        struct el_grpc_method *to = &server->methods[server->method_count++];
        *to = options->methods[i];
        to->path = strdup(options->methods[i].path);
        if (to->path == NULL)
            return el_status_no_memory();
    }
    settings->loops = server->loop_list;
    settings->loop_count = server->loops;
    settings->methods = server->methods;
    settings->method_count = server->method_count;
    server->on_loop_start = options->on_loop_start;
    server->argument = options->argument;
    return NULL;
}

static struct el_status *make_loops(struct el_rpc_server *server, const struct el_rpc_options *options)
{
    for (uint32_t i = 0; i < server->loops; i++) {
        struct el_loop *loop = &server->threads[i].loop;
        server->threads[i].server = server;
        server->loop_list[i] = loop;
        EL_TRY(el_loop_init(loop, i, &server->settings, &server->connections));
        loop->on_drain = options->on_loop_drain;
        loop->on_stop = options->on_loop_stop;
        loop->argument = options->argument;
        loop->acceptors = calloc(server->listener_count, sizeof(*loop->acceptors));
        if (loop->acceptors == NULL)
            return el_status_no_memory();
    }
    return NULL;
}

static struct el_status *bind_listeners(struct el_rpc_server *server)
{
    int *sockets = calloc(server->loops, sizeof(*sockets));
    if (sockets == NULL)
        return el_status_no_memory();
    struct el_status *status = NULL;
    for (size_t i = 0; i < server->listener_count && status == NULL; i++) {
        status = el_listen(&server->listeners[i], sockets, server->loops, &server->ports[i]);
        for (uint32_t j = 0; j < server->loops && status == NULL; j++) {
            struct el_loop *loop = &server->threads[j].loop;
            if (sockets[j] < 0)
                continue;
            struct el_acceptor *acceptor = &loop->acceptors[loop->acceptor_count++];
            acceptor->fd = sockets[j];
            acceptor->listener = &server->listeners[i];
        }
    }
    free(sockets);
    return status;
}

/* Says how this loop's start went and waits for what that means for all. */
static bool report_start(struct el_rpc_server *server, struct el_status *problem)
{
    pthread_mutex_lock(&server->lock);
    server->ready++;
    if (server->problem == NULL)
        server->problem = problem;
    else
        el_status_free(problem);
    pthread_cond_broadcast(&server->changed);
    while (server->go == WAIT)
        pthread_cond_wait(&server->changed, &server->lock);
    bool go = server->go == GO;
    pthread_mutex_unlock(&server->lock);
    return go;
}

static void *run_loop(void *argument)
{
    struct thread_of_loop *self = argument;
    struct el_rpc_server *server = self->server;
    struct el_loop *loop = &self->loop;
    struct el_status *problem = NULL;
    if (server->on_loop_start != NULL)
        problem = server->on_loop_start(&loop->open, server->argument);
    if (problem != NULL)
        loop->on_stop = NULL; /* what did not start need not stop */
    if (!report_start(server, problem)) {
        loop->on_drain = NULL;
        el_loop_drain(loop, 0);
    } else {
        problem = el_loop_listen(loop);
        if (problem != NULL) {
            el_log(server->settings.log, EL_LOG_ERROR, "loop_failed", el_int("loop", loop->open.index),
                   el_str("reason", el_status_text(problem)));
            el_status_free(problem);
            el_loop_drain(loop, 0);
        }
    }
    el_loop_run(loop);
    return NULL;
}

static struct el_status *start_threads(struct el_rpc_server *server)
{
    uint32_t started = 0;
    int error = 0;
    for (; started < server->loops && error == 0; started += error == 0) {
        error = pthread_create(&server->threads[started].thread, NULL, run_loop, &server->threads[started]);
        server->threads[started].started = error == 0;
    }
    pthread_mutex_lock(&server->lock);
    while (server->ready < started)
        pthread_cond_wait(&server->changed, &server->lock);
    if (error != 0 && server->problem == NULL)
        server->problem = el_status_errno(error, "starting the thread of event loop %u", started);
    struct el_status *problem = server->problem;
    server->problem = NULL;
    server->go = problem == NULL ? GO : GIVE_UP;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    return problem;
}

static void free_server(struct el_rpc_server *server)
{
    for (uint32_t i = 0; i < server->loops && server->threads != NULL; i++)
        el_loop_free(&server->threads[i].loop);
    for (size_t i = 0; i < server->listener_count; i++) {
        free((char *)(uintptr_t)server->listeners[i].address);
        free((char *)(uintptr_t)server->listeners[i].unix_path);
    }
    for (size_t i = 0; i < server->method_count; i++)
        free((char *)(uintptr_t)server->methods[i].path);
    nghttp2_option_del(server->settings.h2_option);
    nghttp2_session_callbacks_del(server->settings.h2_callbacks);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->changed);
    free(server->listeners);
    free(server->ports);
    free(server->methods);
    free(server->threads);
    free(server->loop_list);
    free(server);
}

struct el_status *el_rpc_server_start(const struct el_rpc_options *options, struct el_rpc_server **server_out)
{
    if (options->loops == 0)
        return el_status_new(EL_INVALID_ARGUMENT, "starting the server: it needs at least one event loop");
    struct el_rpc_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        return el_status_no_memory();
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    struct el_status *status = copy_options(server, options);
    if (status == NULL)
        status = el_h2_setup(&server->settings.h2_option, &server->settings.h2_callbacks);
    if (status == NULL)
        status = make_loops(server, options);
    if (status == NULL)
        status = bind_listeners(server);
    if (status == NULL)
        status = start_threads(server);
    if (status != NULL) {
        el_rpc_server_join(server);
        return status;
    }
    *server_out = server;
    return NULL;
}

uint16_t el_rpc_server_port(const struct el_rpc_server *server, size_t listener)
{
    return listener < server->listener_count ? server->ports[listener] : 0;
}

static uint64_t read_counter(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void el_rpc_server_stats(const struct el_rpc_server *server, struct el_rpc_stats *stats)
{
    *stats = (struct el_rpc_stats){ 0 };
    for (uint32_t i = 0; i < server->loops; i++) {
        const struct el_loop_counters *counters = &server->threads[i].loop.counters;
        stats->connections_accepted += read_counter(&counters->accepted);
        stats->connections_open += read_counter(&counters->open);
        stats->connections_refused += read_counter(&counters->refused);
        stats->bytes_in += read_counter(&counters->bytes_in);
        stats->bytes_out += read_counter(&counters->bytes_out);
        stats->protocol_errors += read_counter(&counters->protocol_errors);
    }
}

void el_rpc_server_drain(struct el_rpc_server *server, uint32_t grace_ms)
{
    for (uint32_t i = 0; i < server->loops; i++)
        el_loop_drain(&server->threads[i].loop, grace_ms);
}

void el_rpc_server_join(struct el_rpc_server *server)
{
    for (uint32_t i = 0; i < server->loops && server->threads != NULL; i++) {
        if (server->threads[i].started)
            pthread_join(server->threads[i].thread, NULL);
    }
    free_server(server);
}
