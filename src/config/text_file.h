/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CONFIG_TEXT_FILE_H
#define EL_CONFIG_TEXT_FILE_H

/*
 * A text-format file, read whole and parsed. For the tables of this room; any thread that may block.
 *
 * Errors are in the words of TensorFlow Serving, of whose users some look for them: "<path>; No such file or directory", and
 * "Invalid protobuf file: '<path>': Error parsing text-format <message>: <line>:<column>: <why>".
 */

#include "base/status.h"
#include "config/text.h"

/* The file at path as a message of the given type. On failure *document is empty; on success end it with el_text_free(). */
struct el_status *el_text_read_file(const char *path, const struct el_text_type *type,
                                    struct el_text *document) EL_MUST_USE;

/* An error about value in the file that name stands for; NULL for what has no file: a message from the network, a flag. */
struct el_status *el_text_error_at(const char *name, const struct el_text_value *value, enum el_code code,
                                   const char *format, ...) __attribute__((format(printf, 4, 5))) EL_MUST_USE;

#endif
