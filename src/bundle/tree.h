/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_TREE_H
#define EL_BUNDLE_TREE_H

/*
 * What lies below a version's directory, without following a link out of it.
 *
 * Blocking; no state. The walk goes by openat() and never by path, so that a directory that is exchanged for a link
 * meanwhile leads nowhere. What vanishes during the walk is left out: the next look sees it.
 */

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum el_tree_kind { EL_TREE_FILE, EL_TREE_DIRECTORY, EL_TREE_LINK };

struct el_tree_entry {
    char *name; /* from the top, e.g. "variables/variables.index" */
    enum el_tree_kind kind;
    char *target;      /* LINK: its text; otherwise NULL */
    bool dangling;     /* LINK: leads to nothing (yet) */
    uint64_t size;     /* of a file, or of the file that a link leads to */
    uint64_t mtime_ns; /* of the same */
    uint64_t inode;    /* of the same */
};

struct el_tree {
    struct el_tree_entry *list; /* sorted by name, bytewise */
    size_t count;
    char *bad; /* what can never be right: a link out, a special file, too many files; NULL: nothing */
};

/* Walks the directory dir_fd. path: for messages. Fails when the directory cannot be read or memory is short. */
struct el_status *el_tree_read(int dir_fd, const char *path, struct el_tree *tree) EL_MUST_USE;
void el_tree_free(struct el_tree *tree);

/* Opens a file of the tree for reading; no part of its name may be a link. -1 and errno. */
int el_tree_open(int dir_fd, const char *name);

#endif
