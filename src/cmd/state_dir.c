/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/state_dir.h"

#include "base/buf.h"
#include "base/file.h"
#include "config/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_FILE "reloaded.config"
#define NEW_FILE "reloaded.config.new"
#define HEADER "# everlit: put in force by a client; the command line said "
#define DIGEST_DIGITS 16

static struct el_status *open_directory(const char *path, int *fd)
{
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *fd < 0 ? el_status_errno(errno, "--state_dir %s: cannot be opened", path) : NULL;
}

static bool write_all(int fd, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

static struct el_status *replace_file(const char *path, const struct el_buf *text)
{
    int directory;
    EL_TRY(open_directory(path, &directory));
    struct el_status *status = NULL;
    const int fd = openat(directory, NEW_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || !write_all(fd, text->data, text->size) || fsync(fd) != 0 ||
        renameat(directory, NEW_FILE, directory, CONFIG_FILE) != 0 || fsync(directory) != 0)
        status = el_status_errno(errno, "--state_dir %s: %s cannot be written", path, CONFIG_FILE);
    if (fd >= 0)
        close(fd);
    close(directory);
    return status;
}

struct el_status *el_state_dir_check(const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return el_status_errno(errno, "--state_dir %s: cannot be made", path);
    int directory;
    EL_TRY(open_directory(path, &directory));
    struct el_status *status = NULL;
    if (faccessat(directory, ".", W_OK | X_OK, 0) != 0)
        status = el_status_errno(errno, "--state_dir %s: cannot be written to", path);
    close(directory);
    return status;
}

/* FNV-1a: to tell one text from another, not against anybody. */
static uint64_t digest(uint64_t hash, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Of what the command line says which models there are. */
static struct el_status *digest_of(const struct el_everlitd_flags *flags, char text[DIGEST_DIGITS + 1])
{
    struct el_buf said = { 0 };
    if (*flags->model_config_file != '\0')
        EL_TRY(el_file_read(flags->model_config_file, EL_TEXT_MAX_BYTES, &said));
    else
        el_buf_printf(&said, "%s=%s", flags->model_name, flags->model_base_path);
    struct el_status *status = el_buf_status(&said);
    if (status == NULL)
        snprintf(text, DIGEST_DIGITS + 1, "%016" PRIx64, digest(UINT64_C(0xcbf29ce484222325), said.data, said.size));
    el_buf_free(&said);
    return status;
}

static bool remembers(const struct el_everlitd_flags *flags)
{
    const bool polled = *flags->model_config_file != '\0' && flags->model_config_file_poll_wait_seconds > 0;
    return *flags->state_dir != '\0' && !polled;
}

struct el_status *el_state_save_config(const struct el_everlitd_flags *flags, const struct el_config *config)
{
    if (!remembers(flags))
        return NULL;
    char said[DIGEST_DIGITS + 1];
    EL_TRY(digest_of(flags, said));
    char *printed = NULL;
    EL_TRY(el_config_print(config, &printed));
    struct el_buf text = { 0 };
    el_buf_printf(&text, HEADER "%s\n%s", said, printed);
    free(printed);
    struct el_status *status = el_buf_status(&text);
    if (status == NULL)
        status = replace_file(flags->state_dir, &text);
    el_buf_free(&text);
    return status;
}

void el_state_forget_config(const struct el_everlitd_flags *flags)
{
    int directory;
    if (*flags->state_dir == '\0')
        return;
    struct el_status *status = open_directory(flags->state_dir, &directory);
    if (status == NULL) {
        if (unlinkat(directory, CONFIG_FILE, 0) == 0)
            fsync(directory);
        close(directory);
    }
    el_status_free(status); /* without the directory there is nothing to forget */
}

/* What was remembered: its text in *text, and whether the command line said the same then. */
static struct el_status *read_saved(const struct el_everlitd_flags *flags, struct el_buf *text, bool *same)
{
    char said[DIGEST_DIGITS + 1];
    int directory;
    EL_TRY(digest_of(flags, said));
    EL_TRY(open_directory(flags->state_dir, &directory));
    struct el_status *status = el_file_read_at(directory, CONFIG_FILE, EL_TEXT_MAX_BYTES, text);
    close(directory);
    if (status != NULL)
        return status;
    const size_t header = strlen(HEADER);
    *same = text->size > header + DIGEST_DIGITS && memcmp(text->data, HEADER, header) == 0 &&
            memcmp(text->data + header, said, DIGEST_DIGITS) == 0;
    return NULL;
}

void el_state_load_config(const struct el_everlitd_flags *flags, const struct el_log *log, struct el_config *config,
                          bool *used)
{
    *used = false;
    if (!remembers(flags)) {
        el_state_forget_config(flags);
        return;
    }
    struct el_buf text = { 0 };
    struct el_config saved = { 0 };
    bool same = false;
    struct el_status *status = read_saved(flags, &text, &same);
    if (status == NULL && same)
        status = el_config_parse(CONFIG_FILE, (const char *)text.data, text.size, &saved);
    if (status == NULL && same) {
        el_config_free(config);
        *config = saved;
        *used = true;
        el_log(log, EL_LOG_INFO, "config_remembered", el_str("state_dir", flags->state_dir),
               el_int("models", (int64_t)config->model_count));
    } else if (status == NULL) {
        el_log(log, EL_LOG_INFO, "config_forgotten", el_str("state_dir", flags->state_dir),
               el_str("reason", "the command line or the config file is another one since"));
        el_state_forget_config(flags);
    } else if (el_status_code(status) != EL_NOT_FOUND) {
        el_log(log, EL_LOG_WARNING, "config_not_remembered", el_str("state_dir", flags->state_dir),
               el_str("reason", el_status_text(status)));
    }
    el_status_free(status);
    el_buf_free(&text);
}
