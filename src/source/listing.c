/* SPDX-License-Identifier: Apache-2.0 */
#include "source/listing.h"

#include "base/buf.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool el_listing_number(const char *name, int64_t *number)
{
    const char *end = name + strlen(name);
    while (name < end && is_blank(*name))
        name++;
    while (end > name && is_blank(end[-1]))
        end--;
    bool negative = name < end && *name == '-';
    if (name < end && (*name == '-' || *name == '+'))
        name++;
    if (name == end)
        return false;
    int64_t value = 0;
    for (; name < end; name++) {
        if (*name < '0' || *name > '9')
            return false;
        int digit = *name - '0';
        if (__builtin_mul_overflow(value, INT64_C(10), &value) ||
            __builtin_add_overflow(value, negative ? -digit : digit, &value))
            return false;
    }
    *number = value;
    return true;
}

void el_listing_free(struct el_listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        free(listing->list[i].name);
    free(listing->list);
    free(listing->warning);
    *listing = (struct el_listing){ 0 };
}

/* Version descending, then name descending bytewise: the winner of a number comes first. */
static int compare(const void *a_, const void *b_)
{
    const struct el_listed *a = a_, *b = b_;
    if (a->version != b->version)
        return a->version < b->version ? 1 : -1;
    return strcmp(b->name, a->name);
}

static void drop_duplicates(struct el_listing *listing)
{
    struct el_buf warning = { 0 };
    size_t kept = 0;
    for (size_t i = 0; i < listing->count; i++) {
        struct el_listed *at = &listing->list[i];
        if (kept > 0 && listing->list[kept - 1].version == at->version) {
            if (warning.size > 0)
                el_buf_byte(&warning, ' ');
            el_buf_printf(&warning,
                          "Duplicate version directories detected. Version %lld will be loaded from %s, %s will be "
                          "ignored.",
                          (long long)at->version, listing->list[kept - 1].name, at->name);
            free(at->name);
            continue;
        }
        listing->list[kept++] = *at;
    }
    listing->count = kept;
    if (warning.size > 0)
        listing->warning = el_buf_take_text(&warning);
    el_buf_free(&warning);
}

/* False if it leads nowhere, or is gone. */
static bool look_at(DIR *dir, const struct dirent *entry, bool *directory)
{
    *directory = entry->d_type == DT_DIR;
    if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK)
        return true;
    struct stat found;
    if (fstatat(dirfd(dir), entry->d_name, &found, 0) != 0)
        return false;
    *directory = S_ISDIR(found.st_mode);
    return true;
}

static struct el_status *add(struct el_listing *listing, size_t *capacity, int64_t version, const char *name,
                             bool directory)
{
    if (listing->count == *capacity) {
        size_t more = *capacity == 0 ? 16 : *capacity * 2;
        struct el_listed *list = realloc(listing->list, more * sizeof *list);
        if (list == NULL)
            return el_status_no_memory();
        listing->list = list;
        *capacity = more;
    }
    char *copy = strdup(name);
    if (copy == NULL)
        return el_status_no_memory();
    listing->list[listing->count++] = (struct el_listed){ .version = version, .name = copy, .directory = directory };
    return NULL;
}

struct el_status *el_listing_read(const char *model, const char *base_path, struct el_listing *listing)
{
    *listing = (struct el_listing){ 0 };
    DIR *dir = opendir(base_path);
    if (dir == NULL)
        return el_status_errno(errno, "Could not find base path %s for servable %s with error", base_path, model);

    struct el_status *status = NULL;
    size_t capacity = 0;
    while (status == NULL) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            if (errno != 0)
                status = el_status_errno(errno, "reading base path %s of servable %s", base_path, model);
            break;
        }
        int64_t version;
        bool directory;
        if (!el_listing_number(entry->d_name, &version) || !look_at(dir, entry, &directory))
            continue;
        if (listing->count == EL_MAX_LISTED)
            status = el_status_new(EL_RESOURCE_EXHAUSTED,
                                   "base path %s of servable %s has more than %d version directories", base_path, model,
                                   EL_MAX_LISTED);
        else
            status = add(listing, &capacity, version, entry->d_name, directory);
    }
    closedir(dir);
    if (status != NULL) {
        el_listing_free(listing);
        return status;
    }
    if (listing->count > 1)
        qsort(listing->list, listing->count, sizeof *listing->list, compare);
    drop_duplicates(listing);
    return NULL;
}
