/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CONFIG_LOGGING_H
#define EL_CONFIG_LOGGING_H

/*
 * `logging_config { ... }` of a ModelConfig, read and printed. Used inside the room only.
 *
 * The stock TensorFlow Serving refuses every one; its fields mean here what they mean to its own loggers. What could only
 * mean something to a logger that was built in is refused, so that nobody waits for records that never come.
 */

#include "base/buf.h"
#include "config/config.h"
#include "config/text.h"

/* One step of reading a model (config/model.h), after its update { } was read. */
struct el_status *el_model_read_logging(const char *file, const struct el_text_value *value,
                                        struct el_model_config *model) EL_MUST_USE;

/* Appends it as text format; nothing where there is none. */
void el_logging_print(const struct el_logging_config *logging, struct el_buf *out);

#endif
