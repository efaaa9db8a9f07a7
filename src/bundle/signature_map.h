/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_SIGNATURE_MAP_H
#define EL_BUNDLE_SIGNATURE_MAP_H

/*
 * Signatures of a file that is no SavedModel, put together as the bytes of a SignatureDefMap, so that they go through
 * the one parser that checks and sorts them (el_signatures_decode).
 *
 * Pure; any thread. A failed allocation shows in the buffer at the end.
 */

#include "base/buf.h"
#include "bundle/saved_model.h"
#include "tensor/tensor.h"

enum el_signature_side { EL_SIGNATURE_INPUT = 1, EL_SIGNATURE_OUTPUT = 2 };

/* One input or output, appended to the SignatureDef that is being made in def. */
void el_signature_map_tensor(struct el_buf *def, enum el_signature_side side, const char *key, const char *tensor_name,
                             enum el_dtype dtype, const struct el_shape *shape);

/* The SignatureDef in def (emptied), appended to map under that name, with TensorFlow Serving's method name of Predict. */
void el_signature_map_add(struct el_buf *map, const char *name, struct el_buf *def);

/* A model of one meta graph, tagged "serve", with the signatures in map (freed, whatever comes out). name: of the file. */
struct el_status *el_signature_map_model(struct el_buf *map, const char *name, uint64_t file_size,
                                         struct el_saved_model *model) EL_MUST_USE;

#endif
