/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_SAVED_MODEL_TEXT_H
#define EL_BUNDLE_SAVED_MODEL_TEXT_H

#include "base/status.h"
#include "bundle/saved_model.h"

#define EL_SAVED_MODEL_TEXT_MAX ((size_t)256 << 20)

/*
 * Reads a saved_model.pbtxt: a SavedModel in the text format of Protocol Buffers. What el_saved_model_read_fd() looks at
 * is put into the wire format and read by it; the rest is passed over. Default values of inputs are passed over too, so
 * clients must give those inputs. At most EL_SAVED_MODEL_TEXT_MAX bytes.
 *
 * Untrusted; blocking. A file that ends inside a message is DATA_LOSS, anything else that is wrong INVALID_ARGUMENT with
 * line and column. name: of the file, for messages.
 */
struct el_status *el_saved_model_text_read_fd(int fd, const char *name, struct el_saved_model *model) EL_MUST_USE;

#endif
