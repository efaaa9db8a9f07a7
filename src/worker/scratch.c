/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Directories for the temporary files of workers. The front makes and removes them, because a worker may end at any
 * moment. What lies in one was written by a process that is gone and is not trusted: nothing is followed out of it.
 */

#include "worker/internal.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct el_status *el_scratch_new(char **path)
{
    const char *where = getenv("TMPDIR");
    if (where == NULL || *where != '/')
        where = "/tmp";
    if (asprintf(path, "%s/everlit-XXXXXX", where) < 0)
        return el_status_no_memory();
    if (mkdtemp(*path) != NULL)
        return NULL;
    struct el_status *status = el_status_errno(errno, "a directory for temporary files cannot be made in %s", where);
    free(*path);
    *path = NULL;
    return status;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)place;
    /* What cannot be removed stays: the rest goes all the same. */
    if (type == FTW_DP || type == FTW_DNR)
        rmdir(path);
    else
        unlink(path);
    return 0;
}

void el_scratch_remove(const char *path)
{
    if (path == NULL || rmdir(path) == 0)
        return;
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
