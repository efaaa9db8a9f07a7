/* SPDX-License-Identifier: Apache-2.0 */
#include "source/scan.h"

#include "base/buf.h"
#include "base/clock.h"
#include "bundle/completeness.h"
#include "source/listing.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void forget(struct el_source_version *version)
{
    free(version->seen_text);
    free(version->said);
    free(version->state_op);
    version->seen_text = version->said = version->state_op = NULL;
}

void el_source_versions_free(struct el_source_version *versions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        forget(&versions[i]);
        free(versions[i].path);
        free(versions[i].text);
    }
    free(versions);
}

/* The version's directory and those in it: variables/, assets/... */
static void watch_version(struct el_watch *watch, const char *path)
{
    el_watch_add(watch, path);
    DIR *dir = watch->watcher != NULL ? opendir(path) : NULL;
    if (dir == NULL)
        return;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        char child[PATH_MAX];
        if (entry->d_name[0] == '.' || (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
            continue;
        int size = snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        if (size > 0 && (size_t)size < sizeof child)
            el_watch_add(watch, child);
    }
    closedir(dir);
}

static const struct el_source_version *find_before(const struct el_scan *scan, const struct el_source_version *now)
{
    for (size_t i = 0; i < scan->before_count; i++)
        if (scan->before[i].version == now->version && strcmp(scan->before[i].path, now->path) == 0)
            return &scan->before[i];
    return NULL;
}

static bool copy_text(const char *from, char **to)
{
    *to = from != NULL ? strdup(from) : NULL;
    return from == NULL || *to != NULL;
}

/* The files are the ones of the last scan: so is what was seen of them. */
static bool is_unchanged(const struct el_scan *scan, struct el_source_version *version)
{
    const struct el_source_version *before = find_before(scan, version);
    uint64_t fingerprint;
    if (before == NULL)
        return false;
    struct el_status *status = el_version_fingerprint(version->path, &fingerprint);
    if (status != NULL || fingerprint != before->fingerprint) {
        el_status_free(status);
        return false;
    }
    if (!copy_text(before->seen_text, &version->seen_text) || !copy_text(before->said, &version->said) ||
        !copy_text(before->state_op, &version->state_op)) {
        forget(version);
        return false;
    }
    version->fingerprint = fingerprint;
    version->seen = before->seen;
    version->code = before->code;
    version->bytes = before->bytes;
    return true;
}

/* What can never be served, whatever is in it. fingerprint: of what it is now. */
static bool is_impossible(const struct el_scan *scan, const struct el_listed *listed, struct el_source_version *version)
{
    struct stat info;
    if (listed->directory || stat(version->path, &info) != 0)
        return false;
    struct el_buf said = { 0 };
    el_buf_printf(&said,
                  "Error while attempting to reserve resources to load servable {name: %s version: %lld}: %s; Not a "
                  "directory",
                  scan->model, (long long)version->version, version->path);
    version->said = el_buf_take_text(&said);
    version->seen = EL_SEEN_BAD;
    version->code = EL_FAILED_PRECONDITION;
    version->seen_text = strdup("it is a file; a version is a directory");
    version->fingerprint = (uint64_t)info.st_ino ^ (uint64_t)info.st_mtim.tv_nsec ^ (uint64_t)info.st_mtim.tv_sec << 32;
    return true;
}

/* True unless the version cannot be looked at now and should not be listed. */
static bool examine(const struct el_scan *scan, struct el_source_version *version)
{
    watch_version(scan->watch, version->path);
    if (is_unchanged(scan, version))
        return true;
    struct el_version_check check;
    struct el_status *status = el_version_check(version->path, &check);
    if (status != NULL) {
        /* Gone meanwhile: it is not there. Anything else may pass: it is shown as what is waited for. */
        bool gone = el_status_code(status) == EL_NOT_FOUND;
        version->seen = EL_SEEN_NOT_YET;
        version->seen_text = strdup(el_status_text(status));
        el_status_free(status);
        return !gone;
    }
    version->fingerprint = check.fingerprint;
    version->seen = check.result == EL_VERSION_WHOLE     ? EL_SEEN_WHOLE
                    : check.result == EL_VERSION_NOT_YET ? EL_SEEN_NOT_YET
                                                         : EL_SEEN_BAD;
    version->seen_text = check.text;
    version->code = check.code;
    version->said = check.said;
    version->bytes = check.bytes;
    version->state_op = check.state_op;
    check.text = check.said = check.state_op = NULL;
    el_version_check_free(&check);
    if (version->seen == EL_SEEN_WHOLE && version->version < 0) {
        version->seen = EL_SEEN_BAD;
        version->code = EL_INVALID_ARGUMENT;
        version->seen_text = strdup("a negative number is no version: no client can ask for it");
    }
    return true;
}

static char *join(const char *base_path, const char *name)
{
    const size_t length = strlen(base_path);
    const size_t size = length + strlen(name) + 2;
    char *path = malloc(size);
    if (path != NULL)
        snprintf(path, size, "%s%s%s", base_path, length > 0 && base_path[length - 1] == '/' ? "" : "/", name);
    return path;
}

static struct el_status *examine_all(struct el_scan *scan, const struct el_listing *listing)
{
    scan->found = calloc(listing->count + 1, sizeof *scan->found);
    if (scan->found == NULL)
        return el_status_no_memory();
    for (size_t i = 0; i < listing->count; i++) {
        struct el_source_version version = { .version = listing->list[i].version,
                                             .path = join(scan->base_path, listing->list[i].name) };
        if (version.path == NULL)
            return el_status_no_memory();
        if (is_impossible(scan, &listing->list[i], &version) || examine(scan, &version)) {
            scan->found[scan->found_count++] = version;
        } else {
            forget(&version);
            free(version.path);
        }
    }
    return NULL;
}

void el_scan_run(struct el_scan *scan)
{
    scan->started_ns = el_now_ns();
    el_watch_begin(scan->watch);
    el_watch_add(scan->watch, scan->base_path);
    struct el_listing listing;
    scan->error = el_listing_read(scan->model, scan->base_path, &listing);
    if (scan->error == NULL) {
        scan->warning = listing.warning;
        listing.warning = NULL;
        scan->error = examine_all(scan, &listing);
        el_listing_free(&listing);
    }
    if (scan->error != NULL) {
        el_source_versions_free(scan->found, scan->found_count);
        scan->found = NULL;
        scan->found_count = 0;
    } else {
        el_watch_end(scan->watch);
    }
}
