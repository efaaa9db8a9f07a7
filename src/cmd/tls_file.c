/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/tls_file.h"

#include "config/ssl.h"

#define LOOK_MS 2000

static struct el_status *apply(struct el_tls_file *file)
{
    struct el_ssl_config config;
    EL_TRY(el_ssl_config_read(file->path, &config));
    const struct el_tls_options options = {
        .origin = file->path,
        .key = config.server_key,
        .cert = config.server_cert,
        .ca = config.custom_ca,
        .verify_client = config.client_verify,
    };
    struct el_status *status = file->tls == NULL ? el_tls_new(&options, &file->tls)
                                                 : el_tls_replace(file->tls, &options);
    el_ssl_config_free(&config);
    return status;
}

void el_tls_file_reload(struct el_tls_file *file)
{
    if (file->tls == NULL)
        return;
    struct el_status *status = apply(file);
    if (status == NULL) {
        el_log(file->log, EL_LOG_INFO, "tls_reloaded", el_str("flag", file->flag), el_str("file", file->path));
        return;
    }
    el_log(file->log, EL_LOG_WARNING, "tls_not_reloaded", el_str("flag", file->flag),
           el_str("reason", el_status_text(status)));
    el_status_free(status);
}

static void file_changed(uv_fs_poll_t *poll, int error, const uv_stat_t *before, const uv_stat_t *now)
{
    (void)before;
    (void)now;
    if (error == 0) /* while it is being replaced there may be none: the certificate stays, the next look finds it */
        el_tls_file_reload(poll->data);
}

struct el_status *el_tls_file_open(struct el_tls_file *file, const char *flag, const char *path,
                                   const struct el_log *log)
{
    *file = (struct el_tls_file){ .flag = flag, .path = path, .log = log };
    return *path == 0 ? NULL : apply(file);
}

struct el_status *el_tls_file_watch(struct el_tls_file *file, uv_loop_t *loop)
{
    if (file->tls == NULL)
        return NULL;
    uv_fs_poll_init(loop, &file->poll);
    file->poll.data = file;
    const int error = uv_fs_poll_start(&file->poll, file_changed, file->path, LOOK_MS);
    if (error != 0)
        return el_status_new(EL_INTERNAL, "--%s: watching %s: %s", file->flag, file->path, uv_strerror(error));
    uv_unref((uv_handle_t *)&file->poll);
    return NULL;
}

void el_tls_file_end(struct el_tls_file *file)
{
    if (file->poll.data == NULL)
        return;
    uv_fs_poll_stop(&file->poll);
    uv_close((uv_handle_t *)&file->poll, NULL);
    file->poll.data = NULL;
}
