/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_TFLITE_H
#define EL_BUNDLE_TFLITE_H

#include "base/status.h"
#include "bundle/saved_model.h"

/*
 * Reads a TensorFlow Lite file: the signatures that it declares for its first subgraph; one that declares none has
 * `serving_default` with the first subgraph's inputs and outputs, named as their tensors up to the first ":", as
 * TensorFlow Serving has it. The weights are not read, but they must be there to their end.
 *
 * Untrusted; blocking. A file that ends too early is DATA_LOSS, one that cannot be a model INVALID_ARGUMENT. name: for messages.
 */
struct el_status *el_tflite_read_fd(int fd, const char *name, struct el_saved_model *model) EL_MUST_USE;

#endif
