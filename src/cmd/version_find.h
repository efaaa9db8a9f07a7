/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_VERSION_FIND_H
#define EL_CMD_VERSION_FIND_H

/* Which version `everlit inspect DIRECTORY` means. Blocking. */

#include "base/status.h"

#include <stddef.h>

/*
 * directory itself where it holds a saved_model.pb, or no numbered directories; else the highest of those. *path is to be
 * freed. *others: how many numbered directories there are beside it.
 */
struct el_status *el_version_find(const char *directory, char **path, size_t *others) EL_MUST_USE;

#endif
