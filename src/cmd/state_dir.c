/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/state_dir.h"

#include "base/buf.h"
#include "base/file.h"
#include "config/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CONFIG_NOTE "config"
#define HEADER "# everlit: put in force by a client; the command line said "
#define DIGEST_DIGITS 16

struct el_status *el_state_dir_make(const char *path)
{
    struct stat found;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return el_status_errno(errno, "--state_dir %s: cannot be made", path);
    if (stat(path, &found) != 0)
        return el_status_errno(errno, "--state_dir %s: cannot be looked at", path);
    if (!S_ISDIR(found.st_mode))
        return el_status_new(EL_INVALID_ARGUMENT, "--state_dir %s: is no directory", path);
    return NULL;
}

char *el_state_copies_directory(const struct el_everlitd_flags *flags)
{
    struct el_buf path = { 0 };
    if (*flags->state_dir == '\0')
        return NULL;
    el_buf_printf(&path, "%s/copies", flags->state_dir);
    return el_buf_take_text(&path);
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

struct el_status *el_state_save_config(const struct el_everlitd_flags *flags, struct el_journal *journal,
                                       const struct el_config *config)
{
    if (!remembers(flags))
        return NULL;
    char said[DIGEST_DIGITS + 1];
    EL_TRY(digest_of(flags, said));
    char *printed = NULL;
    EL_TRY(el_config_print(config, &printed));
    struct el_buf buf = { 0 };
    el_buf_printf(&buf, HEADER "%s\n%s", said, printed);
    free(printed);
    char *text = el_buf_take_text(&buf);
    struct el_status *status = text == NULL ? el_status_no_memory()
                                            : el_journal_note(journal, CONFIG_NOTE, text, NULL, NULL);
    free(text);
    return status;
}

void el_state_forget_config(struct el_journal *journal)
{
    /* Without memory for that it is remembered: the next start tells that it is of another command line. */
    if (el_journal_noted(journal, CONFIG_NOTE) != NULL)
        el_status_free(el_journal_note(journal, CONFIG_NOTE, NULL, NULL, NULL));
}

void el_state_load_config(const struct el_everlitd_flags *flags, struct el_journal *journal, const struct el_log *log,
                          struct el_config *config, bool *used)
{
    *used = false;
    const char *text = el_journal_noted(journal, CONFIG_NOTE);
    if (text == NULL)
        return;
    if (!remembers(flags)) {
        el_state_forget_config(journal);
        return;
    }
    char said[DIGEST_DIGITS + 1];
    struct el_config saved = { 0 };
    const size_t header = strlen(HEADER);
    struct el_status *status = digest_of(flags, said);
    const bool same = status == NULL && strncmp(text, HEADER, header) == 0 &&
                      strncmp(text + header, said, DIGEST_DIGITS) == 0;
    if (same)
        status = el_config_parse("the config of the journal", text, strlen(text), &saved);
    if (same && status == NULL) {
        el_config_free(config);
        *config = saved;
        *used = true;
        el_log(log, EL_LOG_INFO, "config_remembered", el_str("state_dir", flags->state_dir),
               el_int("models", (int64_t)config->model_count));
    } else if (status == NULL) {
        el_log(log, EL_LOG_INFO, "config_forgotten", el_str("state_dir", flags->state_dir),
               el_str("reason", "the command line or the config file is another one since"));
        el_state_forget_config(journal);
    } else {
        el_log(log, EL_LOG_WARNING, "config_not_remembered", el_str("state_dir", flags->state_dir),
               el_str("reason", el_status_text(status)));
    }
    el_status_free(status);
}
