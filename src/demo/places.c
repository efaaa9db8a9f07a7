/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/places.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LANDMARK "models/broken/list.tsv"
#define LONGEST_SOCKET "/admin.sock" /* the temporary folder's name leaves room for it in a sockaddr_un */

struct el_status *files_path(char path[PATH_MAX], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int size = vsnprintf(path, PATH_MAX, format, args);
    va_end(args);
    if (size < 0 || size >= PATH_MAX)
        return el_status_new(EL_INVALID_ARGUMENT, "a path is longer than %d bytes: %.100s...", PATH_MAX - 1, path);
    return NULL;
}

/* Cuts the last component off; "/" stays. False: there was none. */
static bool cut_last(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL || slash[1] == '\0')
        return false;
    slash[slash == path ? 1 : 0] = '\0';
    return true;
}

static struct el_status *own_folder(char folder[PATH_MAX])
{
    const ssize_t size = readlink("/proc/self/exe", folder, PATH_MAX - 1);
    if (size < 0)
        return el_status_errno(errno, "where this program lies: /proc/self/exe");
    folder[size] = '\0';
    cut_last(folder);
    return NULL;
}

static bool is_program(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

static bool find_on_path(char path[PATH_MAX])
{
    const char *at = getenv("PATH");
    while (at != NULL && *at != '\0') {
        const size_t size = strcspn(at, ":");
        struct el_status *status = files_path(path, "%.*s/everlitd", (int)size, at);
        const bool found = status == NULL && size > 0 && is_program(path);
        el_status_free(status);
        if (found)
            return true;
        at += size + (at[size] == ':');
    }
    return false;
}

static struct el_status *find_everlitd(const char *own, char path[PATH_MAX])
{
    char folder[PATH_MAX];
    EL_TRY(files_path(folder, "%s", own));
    cut_last(folder);
    EL_TRY(files_path(path, "%s/cmd/everlitd", folder));
    if (is_program(path))
        return NULL;
    EL_TRY(files_path(path, "%s/sbin/everlitd", folder));
    if (is_program(path) || find_on_path(path))
        return NULL;
    return el_status_new(
        EL_NOT_FOUND, "there is no everlitd: looked for %s/cmd/everlitd, %s/sbin/everlitd and on PATH. Build it: make",
        folder, folder);
}

static struct el_status *has_landmark(const char *folder, bool *has)
{
    char path[PATH_MAX];
    EL_TRY(files_path(path, "%s/" LANDMARK, folder));
    *has = access(path, R_OK) == 0;
    return NULL;
}

/* Goes from folder upwards; leaves the root in folder. */
static struct el_status *search_upwards(char folder[PATH_MAX], bool *found)
{
    do {
        EL_TRY(has_landmark(folder, found));
    } while (!*found && cut_last(folder));
    return NULL;
}

static struct el_status *find_root(const char *wanted, const char *own, char root[PATH_MAX])
{
    bool found = false;
    if (wanted != NULL) {
        if (realpath(wanted, root) == NULL)
            return el_status_errno(errno, "--root %s", wanted);
        EL_TRY(has_landmark(root, &found));
        if (!found)
            return el_status_new(EL_NOT_FOUND, "--root %s: there is no " LANDMARK " below it", wanted);
        return NULL;
    }
    EL_TRY(files_path(root, "%s", own));
    EL_TRY(search_upwards(root, &found));
    if (!found && getcwd(root, PATH_MAX) != NULL)
        EL_TRY(search_upwards(root, &found));
    if (!found)
        return el_status_new(EL_NOT_FOUND,
                             "there is no " LANDMARK " above %s nor above the working directory: name the source tree "
                             "with --root DIR",
                             own);
    return NULL;
}

static struct el_status *make_folder(char folder[PATH_MAX])
{
    static const char *const inside[] = { "models", "models/digits", "reference", "incoming" };
    const char *parent = getenv("TMPDIR");
    const size_t room = sizeof((struct sockaddr_un *)NULL)->sun_path - sizeof "/everlit-demo-XXXXXX" LONGEST_SOCKET;
    if (parent == NULL || *parent != '/' || strlen(parent) > room)
        parent = "/tmp";
    EL_TRY(files_path(folder, "%s/everlit-demo-XXXXXX", parent));
    if (mkdtemp(folder) == NULL) {
        struct el_status *status = el_status_errno(errno, "a temporary folder in %s", parent);
        *folder = '\0';
        return status;
    }
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        char path[PATH_MAX];
        EL_TRY(files_path(path, "%s/%s", folder, inside[i]));
        if (mkdir(path, 0755) != 0)
            return el_status_errno(errno, "%s", path);
    }
    return NULL;
}

struct el_status *places_find(const char *root, struct places *places)
{
    char own[PATH_MAX];
    *places->folder = '\0';
    EL_TRY(own_folder(own));
    EL_TRY(find_everlitd(own, places->everlitd));
    EL_TRY(find_root(root, own, places->root));
    struct el_status *status = make_folder(places->folder);
    if (status != NULL)
        places_remove(places);
    return status;
}

void places_remove(struct places *places)
{
    if (*places->folder == '\0')
        return;
    struct el_status *status = files_remove_tree(places->folder);
    if (status != NULL)
        fprintf(stderr, "everlit-demo: %s\n", el_status_text(status));
    el_status_free(status);
    *places->folder = '\0';
}
