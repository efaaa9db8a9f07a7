/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/admin_token.h"

#include "base/buf.h"
#include "base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LEAST 16
#define MOST 4096

struct el_status *el_admin_token_read(const char *path, char **token)
{
    struct stat info;
    *token = NULL;
    if (*path == '\0')
        return NULL;
    if (stat(path, &info) != 0)
        return el_status_errno(errno, "--admin_token_file %s", path);
    if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return el_status_new(EL_FAILED_PRECONDITION,
                             "--admin_token_file %s: others than its owner may open it (mode %03o); type: chmod 600 %s",
                             path, (unsigned)info.st_mode & 0777U, path);
    struct el_buf buf = { 0 };
    struct el_status *status = el_status_prefix(el_file_read(path, MOST, &buf), "--admin_token_file");
    char *text = el_buf_take_text(&buf);
    if (status == NULL && text == NULL)
        status = el_status_no_memory();
    if (status != NULL) {
        free(text);
        return status;
    }
    size_t size = strlen(text);
    while (size > 0 && strchr(" \t\r\n", text[size - 1]) != NULL)
        text[--size] = '\0';
    bool printable = true;
    for (size_t i = 0; i < size; i++)
        printable = printable && text[i] > ' ' && text[i] < 0x7f;
    if (size < LEAST || !printable) {
        free(text);
        return el_status_new(EL_FAILED_PRECONDITION,
                             "--admin_token_file %s: expected one line of at least %d printable characters without "
                             "blanks; `openssl rand -hex 32` makes one",
                             path, LEAST);
    }
    *token = text;
    return NULL;
}
