/* SPDX-License-Identifier: Apache-2.0 */
#include "source/shelf.h"

#include "base/buf.h"
#include "base/file.h"
#include "bundle/tree.h"
#include "bundle/version_copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW ".new-"
#define DIGEST_DIGITS ((size_t)2 * EL_DIGEST_SIZE)

/* ---- names ---- */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* "a/b" is "a%2Fb"; no name begins with a point. */
static void put_name(struct el_buf *buf, const char *model)
{
    for (const char *c = model; *c != '\0'; c++) {
        if (is_plain(*c) || (*c == '.' && c != model))
            el_buf_byte(buf, (uint8_t)*c);
        else
            el_buf_printf(buf, "%%%02X", (unsigned)(unsigned char)*c);
    }
}

static char *folder_of(const char *shelf, const char *model)
{
    struct el_buf buf = { 0 };
    el_buf_printf(&buf, "%s/", shelf);
    put_name(&buf, model);
    return el_buf_take_text(&buf);
}

/* "7.b5bb...": what el_shelf_put() calls a copy. */
static bool read_name(const char *name, struct el_shelf_item *item)
{
    char *end;
    errno = 0;
    const long long version = strtoll(name, &end, 10);
    if (name[0] < '0' || name[0] > '9' || errno != 0 || *end != '.' || strlen(end + 1) != DIGEST_DIGITS ||
        strspn(end + 1, "0123456789abcdef") != DIGEST_DIGITS)
        return false;
    item->version = version;
    memcpy(item->digest, end + 1, DIGEST_DIGITS + 1);
    return true;
}

/* ---- removing ---- */

/* Calls each for every entry of folder but "." and "..", with its path. */
static void for_each(const char *folder, void (*each)(const char *name, const char *path, void *argument),
                     void *argument)
{
    DIR *directory = opendir(folder);
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        char path[PATH_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            (size_t)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= sizeof path)
            continue;
        each(entry->d_name, path, argument);
    }
    if (directory != NULL)
        closedir(directory);
}

struct others {
    const char *stays, *spare; /* paths; NULL: none */
    const char *digest;        /* only what has it goes; NULL: whatever it has */
};

static void remove_other(const char *name, const char *path, void *argument)
{
    const struct others *others = argument;
    struct el_shelf_item item;
    if ((others->stays != NULL && strcmp(path, others->stays) == 0) ||
        (others->spare != NULL && strcmp(path, others->spare) == 0) ||
        (others->digest != NULL && (!read_name(name, &item) || strcmp(item.digest, others->digest) != 0)))
        return;
    el_file_remove_tree(path);
}

void el_shelf_drop(const struct el_shelf_user *user, const char *digest)
{
    char *folder = folder_of(user->shelf, user->model);
    struct others others = { .digest = digest };
    if (folder == NULL)
        return; /* no memory: its content is known as bad all the same */
    for_each(folder, remove_other, &others);
    rmdir(folder);
    free(folder);
}

struct kept {
    const char *const *models;
    size_t count;
};

static void remove_unknown(const char *name, const char *path, void *argument)
{
    const struct kept *kept = argument;
    for (size_t i = 0; i < kept->count; i++) {
        struct el_buf buf = { 0 };
        put_name(&buf, kept->models[i]);
        char *known = el_buf_take_text(&buf);
        const bool stays = known == NULL || strcmp(known, name) == 0;
        free(known);
        if (stays)
            return;
    }
    el_file_remove_tree(path);
}

void el_shelf_keep_only(const char *shelf, const char *const *models, size_t count)
{
    struct kept kept = { .models = models, .count = count };
    for_each(shelf, remove_unknown, &kept);
}

/* ---- making one ---- */

static struct el_status *make_directory(const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return el_status_errno(errno, "%s: cannot be made", path);
    return NULL;
}

static struct el_status *sync_folder(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return el_status_errno(errno, "%s: cannot be opened", path);
    struct el_status *status = fsync(fd) != 0 ? el_status_errno(errno, "%s: cannot be written", path) : NULL;
    close(fd);
    return status;
}

static struct el_status *check_digest(const struct el_shelf_user *user, const char *path, const char *expected)
{
    uint8_t digest[EL_DIGEST_SIZE];
    char text[DIGEST_DIGITS + 1];
    EL_TRY(el_version_digest(path, user->proceed, user->argument, digest));
    el_digest_print(digest, text);
    if (strcmp(text, expected) == 0)
        return NULL;
    return el_status_new(EL_DATA_LOSS, "%s: its content has the SHA-256 %.12s..., and should have %.12s...", path, text,
                         expected);
}

static struct el_status *size_of(const char *path, uint64_t *bytes)
{
    struct el_tree tree;
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return el_status_errno(errno, "%s: cannot be opened as a directory", path);
    struct el_status *status = el_tree_read(fd, path, &tree);
    close(fd);
    if (status != NULL)
        return status;
    for (size_t i = 0; i < tree.count; i++)
        *bytes += tree.list[i].kind == EL_TREE_FILE ? tree.list[i].size : 0;
    el_tree_free(&tree);
    return NULL;
}

static void add_copy_size(const char *name, const char *path, void *argument)
{
    (void)name;
    el_status_free(size_of(path, argument));
}

struct usage {
    const char *but; /* the folder of the model itself: what is there goes */
    uint64_t bytes;
};

static void add_model_size(const char *name, const char *path, void *argument)
{
    struct usage *usage = argument;
    (void)name;
    if (strcmp(path, usage->but) != 0)
        for_each(path, add_copy_size, &usage->bytes);
}

static struct el_status *check_limit(const struct el_shelf_user *user, const struct el_shelf_put *put,
                                     const char *folder)
{
    struct usage usage = { .but = folder };
    uint64_t bytes = 0;
    EL_TRY(size_of(put->from, &bytes));
    for_each(user->shelf, add_model_size, &usage);
    if (usage.bytes <= put->most_bytes && bytes <= put->most_bytes - usage.bytes)
        return NULL;
    return el_status_new(EL_RESOURCE_EXHAUSTED,
                         "it has %llu bytes, the copies of other models %llu, and all may have %llu "
                         "(--local_copies_max_bytes)",
                         (unsigned long long)bytes, (unsigned long long)usage.bytes,
                         (unsigned long long)put->most_bytes);
}

static struct el_status *make(const struct el_shelf_user *user, struct el_shelf_put *put, const char *folder,
                              const char *aside, const char *final)
{
    struct el_version_copying copying = {
        .from = put->from, .to = aside, .proceed = user->proceed, .argument = user->argument
    };
    EL_TRY(el_version_copy(&copying));
    struct el_status *status = check_digest(user, aside, put->digest);
    if (el_status_code(status) == EL_DATA_LOSS) {
        el_status_free(status);
        return el_status_new(EL_ABORTED, "%s: its files were changed since it was loaded", put->from);
    }
    EL_TRY(status);
    if (rename(aside, final) != 0)
        return el_status_errno(errno, "%s: cannot be renamed to %s", aside, final);
    EL_TRY(sync_folder(folder));
    struct el_buf text = { 0 };
    el_buf_printf(&text, "%s: %llu bytes in %u files (%u cloned, %u linked, %u copied)", final,
                  (unsigned long long)copying.bytes, copying.cloned + copying.linked + copying.copied, copying.cloned,
                  copying.linked, copying.copied);
    put->text = el_buf_take_text(&text);
    return put->text == NULL ? el_status_no_memory() : NULL;
}

static void remove_unfinished(const char *name, const char *path, void *argument)
{
    (void)argument;
    if (strncmp(name, NEW, sizeof NEW - 1) == 0)
        el_file_remove_tree(path);
}

static struct el_status *put_into(const struct el_shelf_user *user, struct el_shelf_put *put, const char *folder)
{
    char aside[PATH_MAX], final[PATH_MAX];
    if ((size_t)snprintf(aside, sizeof aside, "%s/" NEW "%lld", folder, (long long)put->version) >= sizeof aside ||
        (size_t)snprintf(final, sizeof final, "%s/%lld.%s", folder, (long long)put->version, put->digest) >=
            sizeof final)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: the path of its copy would be too long", put->from);
    EL_TRY(make_directory(user->shelf));
    EL_TRY(make_directory(folder));
    for_each(folder, remove_unfinished, NULL);
    struct el_status *status = check_limit(user, put, folder);
    if (status != NULL) { /* the limit may be lower than when it was made */
        if (el_status_code(status) == EL_RESOURCE_EXHAUSTED)
            el_file_remove_tree(final);
        return status;
    }
    status = check_digest(user, final, put->digest);
    if (el_status_code(status) == EL_CANCELLED)
        return status;
    if (status != NULL) {
        el_status_free(status);
        el_file_remove_tree(final);
        status = make(user, put, folder, aside, final);
        if (status != NULL)
            el_file_remove_tree(aside);
    }
    if (status == NULL) {
        struct others others = { .stays = final, .spare = put->spare };
        for_each(folder, remove_other, &others);
    }
    return status;
}

struct el_status *el_shelf_put(const struct el_shelf_user *user, struct el_shelf_put *put)
{
    put->text = NULL;
    char *folder = folder_of(user->shelf, user->model);
    if (folder == NULL)
        return el_status_no_memory();
    struct el_status *status = put_into(user, put, folder);
    free(folder);
    return status;
}

/* ---- finding one ---- */

struct search {
    const struct el_shelf_user *user;
    struct el_shelf_choice *choice;
    struct el_shelf_item best; /* path NULL: none yet */
    struct el_buf tried;       /* names that were tried, each with a slash behind it */
    bool failed;
};

static bool was_tried(const struct search *search, const char *name)
{
    const size_t length = strlen(name);
    for (size_t at = 0; at + length < search->tried.size; at++)
        if (memcmp(search->tried.data + at, name, length) == 0 && search->tried.data[at + length] == '/')
            return true;
    return false;
}

static bool is_bad(const struct el_shelf_choice *choice, const char *digest)
{
    for (size_t i = 0; i < choice->bad_count; i++)
        if (strcmp(choice->bad[i], digest) == 0)
            return true;
    return false;
}

static void consider(const char *name, const char *path, void *argument)
{
    struct search *search = argument;
    const struct el_shelf_choice *choice = search->choice;
    struct el_shelf_item item = { 0 };
    if (!read_name(name, &item) || is_bad(choice, item.digest) || was_tried(search, name))
        return;
    const bool first = strcmp(item.digest, choice->first) == 0;
    const bool best_is_first = search->best.path != NULL && strcmp(search->best.digest, choice->first) == 0;
    if (search->best.path != NULL && (best_is_first || (!first && item.version <= search->best.version)))
        return;
    item.path = strdup(path);
    search->failed = search->failed || item.path == NULL;
    free(search->best.path);
    search->best = item;
}

/* Whole, and what it was when it was made. */
static struct el_status *examine(const struct el_shelf_user *user, struct el_shelf_item *item)
{
    struct el_version_check check;
    EL_TRY(check_digest(user, item->path, item->digest));
    EL_TRY(el_version_check(item->path, &check));
    struct el_status *status = NULL;
    if (check.result != EL_VERSION_WHOLE) {
        status = el_status_new(EL_DATA_LOSS, "%s: %s", item->path, check.text != NULL ? check.text : "");
    } else {
        item->fingerprint = check.fingerprint;
        item->bytes = check.bytes;
        item->state_op = check.state_op;
        check.state_op = NULL;
    }
    el_version_check_free(&check);
    return status;
}

static struct el_status *note_refused(struct el_shelf_choice *choice, struct el_status *why)
{
    struct el_buf text = { 0 };
    el_buf_printf(&text, "%s%s%s", choice->refused != NULL ? choice->refused : "", choice->refused != NULL ? "; " : "",
                  el_status_text(why));
    el_status_free(why);
    free(choice->refused);
    choice->refused = el_buf_take_text(&text);
    return choice->refused == NULL ? el_status_no_memory() : NULL;
}

struct el_status *el_shelf_find(const struct el_shelf_user *user, struct el_shelf_choice *choice,
                                struct el_shelf_item *item)
{
    struct search search = { .user = user, .choice = choice };
    struct el_status *status = NULL;
    choice->refused = NULL;
    char *folder = folder_of(user->shelf, user->model);
    *item = (struct el_shelf_item){ 0 };
    if (folder == NULL)
        return el_status_no_memory();
    while (status == NULL && item->path == NULL) {
        search.best = (struct el_shelf_item){ 0 };
        for_each(folder, consider, &search);
        if (search.failed || search.tried.failed) {
            status = el_status_no_memory();
        } else if (search.best.path == NULL) {
            status = el_status_new(EL_NOT_FOUND, "%s: there is no copy that could be used", folder);
        } else {
            el_buf_printf(&search.tried, "%s/", strrchr(search.best.path, '/') + 1);
            struct el_status *why = examine(user, &search.best);
            if (why == NULL) {
                *item = search.best;
                break;
            }
            status = el_status_code(why) == EL_CANCELLED ? why : note_refused(choice, why);
        }
        el_shelf_item_free(&search.best);
    }
    el_buf_free(&search.tried);
    free(folder);
    return status;
}

void el_shelf_item_free(struct el_shelf_item *item)
{
    free(item->path);
    free(item->state_op);
    *item = (struct el_shelf_item){ 0 };
}
