/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_STATE_DIR_H
#define EL_CMD_STATE_DIR_H

/*
 * --state_dir: what the server remembers from one start to the next. Today that is the config that a client put in force.
 *
 * Main thread; blocking. A file is written beside its place, brought to the disk and renamed: after a crash there is the old one or
 * the new one, whole.
 *
 * The rule for the config: one that HandleReloadConfigRequest put in force is remembered together with a digest of what the command
 * line says (the bytes of --model_config_file, or --model_name and --model_base_path). The next start uses it when the command line
 * still says the same. Whoever edits the file means the file: then, and after SIGHUP or polling has put the file in force, what was
 * remembered is forgotten. Where the file is polled, nothing is remembered, for the next look would put the file in force again.
 */

#include "base/log.h"
#include "base/status.h"
#include "cmd/everlitd_flags.h"
#include "config/config.h"

#include <stdbool.h>

/* Makes the directory if there is none (its parent must exist) and tries to write there. */
struct el_status *el_state_dir_check(const char *path) EL_MUST_USE;

/* Remembers config, as put in force by a client. */
struct el_status *el_state_save_config(const struct el_everlitd_flags *flags,
                                       const struct el_config *config) EL_MUST_USE;

/* Forgets it: the file is in force. */
void el_state_forget_config(const struct el_everlitd_flags *flags);

/* Puts the remembered config in the place of *config if the rule says so; *used tells. What cannot be read is told and not used. */
void el_state_load_config(const struct el_everlitd_flags *flags, const struct el_log *log, struct el_config *config,
                          bool *used);

#endif
