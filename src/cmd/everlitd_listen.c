/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/everlitd.h"

#include "cmd/admin_socket.h"
#include "cmd/channel_arguments.h"

#include <stdio.h>
#include <stdlib.h>

static struct el_rpc_options server_options(struct el_daemon *daemon, struct el_api_place *place,
                                            const struct el_listener *listeners, size_t listener_count)
{
    struct el_rpc_options options = {
        .log = &daemon->log,
        .listeners = listeners,
        .listener_count = listener_count,
        .max_message_bytes = (size_t)daemon->flags.max_message_bytes,
        .on_loop_start = el_api_loop_start,
        .on_loop_drain = el_api_loop_drain,
        .on_loop_stop = el_api_loop_stop,
        .argument = place,
    };
    return options;
}

/* Takes status over. */
static void tell_without(const struct el_daemon *daemon, const char *event, struct el_status *status)
{
    el_log(&daemon->log, EL_LOG_WARNING, event, el_str("code", el_code_name(el_status_code(status))),
           el_str("reason", el_status_text(status)));
    el_status_free(status);
}

/* The Unix socket, and with_port the TCP port too. */
static struct el_status *start_admin_server(struct el_daemon *daemon, bool with_port)
{
    const struct el_everlitd_flags *flags = &daemon->flags;
    struct el_listener listeners[2];
    size_t count = 0;
    if (daemon->admin_path != NULL)
        listeners[count++] = (struct el_listener){ .type = EL_LISTEN_HTTP,
                                                   .unix_path = daemon->admin_path,
                                                   .private_mode = true,
                                                   .handler = el_api_admin_http,
                                                   .argument = daemon->api };
    if (with_port)
        listeners[count++] = (struct el_listener){ .type = EL_LISTEN_HTTP,
                                                   .address = flags->admin_address,
                                                   .port = (uint16_t)flags->admin_port,
                                                   .tls = daemon->rest_tls.tls,
                                                   .handler = el_api_admin_port_http,
                                                   .argument = daemon->api };
    if (count == 0)
        return NULL;
    daemon->admin_place = (struct el_api_place){ .api = daemon->api, .first_index = daemon->loops };
    struct el_rpc_options options = server_options(daemon, &daemon->admin_place, listeners, count);
    options.loops = 1;
    return el_rpc_server_start(&options, &daemon->admin_server);
}

static void take_socket(struct el_daemon *daemon)
{
    struct el_status *status = el_admin_socket_path(daemon->flags.admin_socket, &daemon->admin_path);
    if (status == NULL && daemon->admin_path != NULL)
        status = el_admin_socket_take(daemon->admin_path);
    if (status != NULL) {
        tell_without(daemon, "no_admin_socket", status);
        free(daemon->admin_path);
        daemon->admin_path = NULL;
    }
}

void el_daemon_listen_admin(struct el_daemon *daemon)
{
    const bool port = daemon->flags.admin_port != 0;
    take_socket(daemon);
    struct el_status *status = start_admin_server(daemon, port);
    if (status != NULL && port) { /* perhaps it is the port that cannot be had */
        tell_without(daemon, "no_admin_port", status);
        status = start_admin_server(daemon, false);
    } else if (status == NULL && port) {
        el_log(&daemon->log, EL_LOG_INFO, "admin_port", el_str("address", daemon->flags.admin_address),
               el_int("port", daemon->flags.admin_port), el_str("tls", daemon->rest_tls.tls != NULL ? "yes" : "no"));
    }
    if (status == NULL)
        return;
    tell_without(daemon, "no_admin_socket", status);
    free(daemon->admin_path);
    daemon->admin_path = NULL;
}

#define MOST_LISTENERS 4
#define RUNNING_OF_ALL 384 /* three quarters of the calls that a worker takes: the last belongs to other connections */

/* The public listeners: gRPC's port is the first if there is one, REST's the last; returns how many. */
static size_t list_listeners(struct el_daemon *daemon, bool with_rest, struct el_listener listeners[MOST_LISTENERS])
{
    const struct el_everlitd_flags *flags = &daemon->flags;
    const struct el_listener grpc = { .type = EL_LISTEN_GRPC, .tls = daemon->grpc_tls.tls };
    const struct el_listener rest = {
        .type = EL_LISTEN_HTTP,
        .compress = flags->rest_api_compression,
        .grpc_too = flags->rest_api_accept_grpc,
        .handler = el_api_http,
        .argument = daemon->api,
    };
    size_t count = 0;
    if (flags->port != 0) {
        listeners[count] = grpc;
        listeners[count].address = "0.0.0.0";
        listeners[count++].port = (uint16_t)flags->port;
    }
    if (*flags->grpc_socket_path != 0) {
        listeners[count] = grpc;
        listeners[count++].unix_path = flags->grpc_socket_path;
    }
    if (*flags->rest_api_socket_path != 0) {
        listeners[count] = rest;
        listeners[count++].unix_path = flags->rest_api_socket_path;
    }
    if (with_rest) {
        listeners[count] = rest;
        listeners[count].tls = daemon->rest_tls.tls;
        listeners[count].address = "::";
        listeners[count++].port = (uint16_t)flags->rest_api_port;
    }
    return count;
}

/* The lines by which scripts know that TensorFlow Serving is up. */
static void tell_as_they_do(const struct el_daemon *daemon, uint16_t grpc_port, uint16_t rest_port)
{
    char text[256];
    snprintf(text, sizeof text, "Running gRPC ModelServer at 0.0.0.0:%u ...", grpc_port);
    if (grpc_port != 0)
        el_log(&daemon->log, EL_LOG_INFO, "grpc", el_str("message", text));
    snprintf(text, sizeof text, "Running gRPC ModelServer at UNIX socket %s ...", daemon->flags.grpc_socket_path);
    if (*daemon->flags.grpc_socket_path != 0)
        el_log(&daemon->log, EL_LOG_INFO, "grpc", el_str("message", text));
    snprintf(text, sizeof text, "Exporting HTTP/REST API at:localhost:%u ...", rest_port);
    if (rest_port != 0)
        el_log(&daemon->log, EL_LOG_INFO, "rest", el_str("message", text));
}

static struct el_status *start_public_server(struct el_daemon *daemon, bool with_rest)
{
    const struct el_everlitd_flags *flags = &daemon->flags;
    struct el_listener listeners[MOST_LISTENERS];
    const size_t count = list_listeners(daemon, with_rest, listeners);
    daemon->public_place = (struct el_api_place){ .api = daemon->api, .first_index = 0 };
    struct el_rpc_options options = server_options(daemon, &daemon->public_place, listeners, count);
    options.loops = daemon->loops;
    options.max_connections = daemon->max_connections;
    options.max_running = RUNNING_OF_ALL;
    el_channel_arguments_apply(flags->grpc_channel_arguments, &daemon->log, &options);
    options.methods = el_api_methods(daemon->api, &options.method_count);
    EL_TRY(el_rpc_server_start(&options, &daemon->public_server));
    const uint16_t grpc_port = flags->port != 0 ? el_rpc_server_port(daemon->public_server, 0) : 0;
    const uint16_t rest_port = with_rest ? el_rpc_server_port(daemon->public_server, count - 1) : 0;
    el_api_set_server(daemon->api, daemon->public_server, grpc_port, rest_port);
    el_api_set_ready(daemon->api, true);
    tell_as_they_do(daemon, grpc_port, rest_port);
    el_log(&daemon->log, EL_LOG_INFO, "listening", el_int("grpc_port", grpc_port), el_int("rest_api_port", rest_port),
           el_str("grpc_socket_path", flags->grpc_socket_path));
    return NULL;
}

/* Whether there is to be REST: one port cannot be both, and TensorFlow Serving takes a negative one for none. */
static bool wants_rest(const struct el_daemon *daemon)
{
    const struct el_everlitd_flags *flags = &daemon->flags;
    const char *reason = NULL;
    if (flags->rest_api_port < 0)
        reason = "--rest_api_port is negative, which is no port; 0 says that there is to be no REST";
    else if (flags->rest_api_port != 0 && flags->rest_api_port == flags->port)
        reason = "server_options.http_port cannot be same as grpc_port. Please use a different port for HTTP/REST API. "
                 "Skipped exporting HTTP/REST API.";
    if (reason != NULL)
        el_log(&daemon->log, EL_LOG_ERROR, "no_rest", el_int("rest_api_port", flags->rest_api_port),
               el_str("reason", reason));
    return reason == NULL && flags->rest_api_port != 0;
}

struct el_status *el_daemon_listen_public(struct el_daemon *daemon)
{
    const bool rest = wants_rest(daemon);
    struct el_status *status = start_public_server(daemon, rest);
    struct el_listener others[MOST_LISTENERS];
    if (status == NULL || !rest || list_listeners(daemon, false, others) == 0)
        return el_status_prefix(status, "Failed to BuildAndStart gRPC server");
    /* One of the ports is not to be had: if it is not gRPC's, there is gRPC. */
    struct el_status *without = start_public_server(daemon, false);
    if (without == NULL)
        el_log(&daemon->log, EL_LOG_ERROR, "no_rest", el_int("rest_api_port", daemon->flags.rest_api_port),
               el_str("reason", el_status_text(status)));
    el_status_free(status);
    return el_status_prefix(without, "Failed to BuildAndStart gRPC server");
}
