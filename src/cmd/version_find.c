/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/version_find.h"

#include "base/buf.h"
#include "bundle/model_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The number that name is, or -1. */
static int64_t number_of(const char *name)
{
    char *end;
    errno = 0;
    const long long number = strtoll(name, &end, 10);
    return name[0] < '0' || name[0] > '9' || *end != '\0' || errno != 0 ? -1 : number;
}

/* name of the highest numbered entry, to be freed, or NULL in *name. */
static struct el_status *find_highest(const char *directory, char **name, size_t *others)
{
    *name = NULL;
    int64_t highest = -1;
    DIR *dir = opendir(directory);
    if (dir == NULL)
        return el_status_errno(errno, "%s", directory);
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        const int64_t found = number_of(entry->d_name);
        if (found < 0 || entry->d_type == DT_REG)
            continue;
        if (*name != NULL)
            ++*others;
        if (found <= highest)
            continue;
        free(*name);
        *name = strdup(entry->d_name);
        highest = found;
        if (*name == NULL) {
            closedir(dir);
            return el_status_no_memory();
        }
    }
    closedir(dir);
    return NULL;
}

struct el_status *el_version_find(const char *directory, char **path, size_t *others)
{
    *path = NULL;
    *others = 0;
    char *name = NULL;
    if (el_model_file_find_in(directory, false) == EL_FORMATS)
        EL_TRY(find_highest(directory, &name, others));
    struct el_buf text = { 0 };
    el_buf_text(&text, directory);
    if (name != NULL)
        el_buf_printf(&text, "%s%s", text.size > 0 && text.data[text.size - 1] == '/' ? "" : "/", name);
    free(name);
    *path = el_buf_take_text(&text);
    return *path == NULL ? el_status_no_memory() : NULL;
}
