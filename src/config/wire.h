/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CONFIG_WIRE_H
#define EL_CONFIG_WIRE_H

/*
 * The same tables and the same tree as config/text.h, for messages in the binary
 * format of Protocol Buffers: what HandleReloadConfigRequest carries.
 *
 * Any thread; nothing is kept. Values have line and column 0. Unknown fields and fields of another wire type than declared
 * are passed over, as protobuf does; fields that come twice are merged as it merges them.
 *
 * https://protobuf.dev/programming-guides/encoding/
 */

#include "config/text.h"

#include <stdint.h>

#define EL_CONFIG_WIRE_MAX_BYTES ((size_t)4 * 1024 * 1024) /* some 20,000 models */

/*
 * Reads bytes as a message of the given type. INTERNAL without a text if they are no such message (what gRPC's own parser
 * answers), RESOURCE_EXHAUSTED beyond EL_CONFIG_WIRE_MAX_BYTES. On failure *document is empty; on success end it with el_text_free().
 */
struct el_status *el_config_wire_parse(const uint8_t *bytes, size_t size, const struct el_text_type *type,
                                       struct el_text *document) EL_MUST_USE;

#endif
