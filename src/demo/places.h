/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_DEMO_PLACES_H
#define EL_DEMO_PLACES_H

/*
 * Where the demo finds what it shows, and the temporary folder that it works
 * in. Main thread; blocking, on local disk only.
 *
 * The temporary folder holds `models/` (what everlitd watches), `reference/` (the good versions, asked alone first),
 * `incoming/` (versions being copied, so that they appear whole), the config, the log and the admin socket.
 */

#include "base/status.h"

#include <limits.h>
#include <stdbool.h>

struct places {
    char everlitd[PATH_MAX]; /* the program */
    char root[PATH_MAX];     /* the source tree: models/ and test/data/ are below it */
    char folder[PATH_MAX];   /* the temporary folder; "": not made, or removed again */
};

/*
 * Finds everlitd (../cmd/everlitd from this program, then ../sbin/everlitd, then on PATH) and the tree (root, or upwards from this
 * program, then from the working directory), and makes the temporary folder. NOT_FOUND names what was looked for, and where.
 */
struct el_status *places_find(const char *root, struct places *places) EL_MUST_USE;

/* Removes the temporary folder with all that is in it. */
void places_remove(struct places *places);

/* Copies a folder of plain files and folders; `to` must not exist. */
struct el_status *files_copy_tree(const char *from, const char *to) EL_MUST_USE;

/* Removes a file, link or folder; one that does not exist is fine. */
struct el_status *files_remove_tree(const char *path) EL_MUST_USE;

/* Prints a path into a place of PATH_MAX bytes; INVALID_ARGUMENT when it is longer. */
struct el_status *files_path(char path[PATH_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3))) EL_MUST_USE;

#endif
