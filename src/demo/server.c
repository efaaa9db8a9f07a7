/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/server.h"

#include "base/file.h"
#include "config/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEEP_WARM_MS 2000
#define LOG_LIMIT_BYTES (16u << 20)

/* ---- config ---- */

static struct el_status *set_word(char **word, const char *value)
{
    char *copy = strdup(value);
    if (copy == NULL)
        return el_status_no_memory();
    free(*word);
    *word = copy;
    return NULL;
}

static struct el_status *model_config(const struct server *server, bool reference, struct el_config *config)
{
    char base_path[PATH_MAX];
    EL_TRY(files_path(base_path, "%s/%s", server->places->folder, reference ? "reference" : "models/digits"));
    EL_TRY(el_config_single(reference ? SERVER_REFERENCE : SERVER_MODEL, base_path, config));
    struct el_model_config *model = &config->models[0];
    if (reference)
        model->policy.type = EL_POLICY_ALL;
    model->update.load_timeout_ms = reference ? model->update.load_timeout_ms : SERVER_LOAD_TIMEOUT_MS;
    model->update.memory_limit_bytes = SERVER_MEMORY_LIMIT_MIB * (UINT64_C(1) << 20);
    model->update.keep_warm_ms = KEEP_WARM_MS;
    struct el_status *status = set_word(&model->update.engine, reference ? "tensorflow" : server->engine);
    if (status != NULL)
        el_config_free(config);
    return status;
}

static struct el_status *config_text(const struct server *server, bool reference, char **text)
{
    struct el_config shown, alone = { 0 };
    EL_TRY(model_config(server, false, &shown));
    struct el_status *status = reference ? model_config(server, true, &alone) : NULL;
    if (status == NULL) {
        struct el_model_config models[2] = { shown.models[0] };
        if (reference)
            models[1] = alone.models[0];
        const struct el_config both = { .models = models, .model_count = reference ? 2 : 1 };
        status = el_config_print(&both, text);
    }
    el_config_free(&shown);
    if (reference && alone.models != NULL)
        el_config_free(&alone);
    return status;
}

static struct el_status *write_config(const struct server *server, bool reference)
{
    char *text = NULL;
    EL_TRY(config_text(server, reference, &text));
    FILE *file = fopen(server->config, "we");
    struct el_status *status = file == NULL ? el_status_errno(errno, "%s", server->config) : NULL;
    if (file != NULL) {
        const bool wrote = fputs(text, file) >= 0;
        if (fclose(file) != 0 || !wrote)
            status = el_status_errno(errno, "write %s", server->config);
    }
    free(text);
    return status;
}

/* ---- ports ---- */

static int bind_any(uint16_t *port)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY) };
    socklen_t size = sizeof address;
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &size) == 0)
        *port = ntohs(address.sin_port);
    else
        *port = 0;
    return fd;
}

/* Both are held until both are known, so that they differ. */
static struct el_status *choose_ports(struct server *server)
{
    const int grpc = bind_any(&server->grpc_port);
    const int rest = bind_any(&server->rest_port);
    struct el_status *status = NULL;
    if (server->grpc_port == 0 || server->rest_port == 0)
        status = el_status_errno(errno, "two free TCP ports");
    if (grpc >= 0)
        close(grpc);
    if (rest >= 0)
        close(rest);
    return status;
}

/* ---- life ---- */

struct el_status *server_start(struct server *server, const struct places *places, const char *engine)
{
    *server = (struct server){ .places = places, .engine = engine };
    EL_TRY(files_path(server->config, "%s/models.config", places->folder));
    EL_TRY(files_path(server->log, "%s/everlitd.log", places->folder));
    EL_TRY(files_path(server->socket, "%s/admin.sock", places->folder));
    EL_TRY(choose_ports(server));
    EL_TRY(write_config(server, true));
    char port[32], rest_port[32], config[PATH_MAX], socket_path[PATH_MAX];
    snprintf(port, sizeof port, "--port=%u", server->grpc_port);
    snprintf(rest_port, sizeof rest_port, "--rest_api_port=%u", server->rest_port);
    EL_TRY(files_path(config, "--model_config_file=%s", server->config));
    EL_TRY(files_path(socket_path, "--admin_socket=%s", server->socket));
    const char *const arguments[] = { places->everlitd, port, rest_port, config, socket_path, NULL };
    return child_start(&server->child, arguments, server->log);
}

struct el_status *server_drop_reference(struct server *server)
{
    EL_TRY(write_config(server, false));
    if (server->child.pid > 0 && kill(server->child.pid, SIGHUP) != 0)
        return el_status_errno(errno, "SIGHUP to everlitd");
    return NULL;
}

void server_terminate(struct server *server)
{
    if (server->child.pid > 0)
        kill(server->child.pid, SIGTERM);
}

void server_log_tail(const struct server *server, unsigned lines, struct el_buf *text)
{
    struct el_buf log = { 0 };
    struct el_status *status = el_file_read(server->log, LOG_LIMIT_BYTES, &log);
    if (status != NULL) {
        el_buf_printf(text, "%s\n", el_status_text(status));
    } else {
        size_t start = log.size;
        for (unsigned seen = 0; start > 0; start--) {
            if (log.data[start - 1] == '\n' && start < log.size && ++seen == lines)
                break;
        }
        el_buf_append(text, log.data + start, log.size - start);
    }
    el_status_free(status);
    el_buf_free(&log);
}
