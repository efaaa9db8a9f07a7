/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_DEMO_SUMMARY_H
#define EL_DEMO_SUMMARY_H

/* What the show has proved, or not: printed at its end, on a terminal and elsewhere. Main thread. */

#include "demo/script.h"
#include "demo/terminal.h"

/* script is closed (script_close). log_tail: everlitd's last lines, shown when the show ended early; "": none. */
void summary_print(const struct terminal *terminal, const struct script *script, const char *log_tail);

#endif
