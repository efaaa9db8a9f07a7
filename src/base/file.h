/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BASE_FILE_H
#define EL_BASE_FILE_H

/*
 * Files: read whole, with a limit; folders removed with all that is in them; and nothing else that the C library has
 * already. Blocking; any thread that may block.
 */

#include "base/buf.h"
#include "base/status.h"

#include <stddef.h>

/*
 * Reads the file at path to the end of buf. A file of more than limit bytes is RESOURCE_EXHAUSTED and
 * leaves buf as it was; what is no regular file is INVALID_ARGUMENT.
 */
struct el_status *el_file_read(const char *path, size_t limit, struct el_buf *buf) EL_MUST_USE;

/* The same, relative to the directory dir_fd and without following a symbolic link in the last component. */
struct el_status *el_file_read_at(int dir_fd, const char *name, size_t limit, struct el_buf *buf) EL_MUST_USE;

/*
 * Removes what is at path, with all that is in it. Follows no symbolic link and enters no other file system; what cannot be
 * removed stays, and the rest goes all the same.
 */
void el_file_remove_tree(const char *path);

#endif
