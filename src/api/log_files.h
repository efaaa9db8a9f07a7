/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_API_LOG_FILES_H
#define EL_API_LOG_FILES_H

/*
 * The files of the request log: TFRecords, one open file for each prefix, followed by another at a size; the oldest of a
 * prefix are removed so that all of them stay within another size, also those that an earlier run of the server left.
 *
 *     PREFIX-20261124T112000Z-000001.tfrecord
 *
 * The request log's own thread; blocking. A record is in its file, whole, when el_log_files_write() returns, and a file never
 * ends in a part of one, unless the machine stops in the middle of a write. Names sort by age. Readable by owner and group.
 */

#include "base/status.h"
#include "tensor/wire.h"

struct el_log_files {
    struct el_log_file *first; /* one for each prefix that a record came for */
};

/* The record of one request, and where it goes. */
struct el_log_target {
    const char *prefix;
    uint64_t file_bytes;  /* a file that would grow beyond it is followed by another */
    uint64_t total_bytes; /* of all files of the prefix */
};

struct el_status *el_log_files_write(struct el_log_files *files, const struct el_log_target *target,
                                     struct el_span record) EL_MUST_USE;

/* Closes the files for now; the next record goes on where the last one ended. True if one was open. */
bool el_log_files_rest(struct el_log_files *files);

void el_log_files_free(struct el_log_files *files);

#endif
