/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_ONNX_H
#define EL_BUNDLE_ONNX_H

#include "base/status.h"
#include "bundle/saved_model.h"

/*
 * Reads an ONNX file (onnx.proto of github.com/onnx/onnx): one signature `serving_default` with the graph's inputs and
 * outputs by their names. Files beside it that hold weights ("external data") are listed as the graph's files. Weights
 * are skipped, not read.
 *
 * Untrusted; blocking. A file that ends too early is DATA_LOSS, one that cannot be a model INVALID_ARGUMENT. name: for messages.
 */
struct el_status *el_onnx_read_fd(int fd, const char *name, struct el_saved_model *model) EL_MUST_USE;

#endif
