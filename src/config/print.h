/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CONFIG_PRINT_H
#define EL_CONFIG_PRINT_H

/* Single values as text format, such that the parser reads the same value back. Used inside the room only. */

#include "base/buf.h"

/* In double quotes, with escapes where they are needed; bytes from 0x80 on stay as they are. */
void el_print_string(const char *text, struct el_buf *out);

/* With as few digits as read back to the same double; always with a point, whatever the locale. */
void el_print_number(double number, struct el_buf *out);

#endif
