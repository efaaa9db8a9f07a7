/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_SIGNATURE_DEFAULT_H
#define EL_BUNDLE_SIGNATURE_DEFAULT_H

/*
 * Inputs that a request may leave out: SignatureDef.defaults, a map from an input's name to a TensorProto. The room's own
 * (bundle/signature.c); any thread; the bytes are untrusted.
 */

#include "bundle/proto.h"
#include "bundle/signature.h"

/* Gives the inputs of signature, which are sorted, the defaults that a SignatureDef message names. One without an
 * input, or that is no tensor, is passed over: the input is required then, which only its clients notice. */
struct el_status *el_signature_read_defaults(const struct el_proto_field *signature_def,
                                             struct el_signature *signature) EL_MUST_USE;

/* Appends the map to a SignatureDef that is being written. */
void el_signature_put_defaults(struct el_buf *signature_def, const struct el_signature *signature);

#endif
