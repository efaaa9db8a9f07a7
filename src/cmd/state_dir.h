/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_STATE_DIR_H
#define EL_CMD_STATE_DIR_H

/*
 * --state_dir: its directory, and the config that is remembered in the journal there (journal/journal.h).
 *
 * Main thread.
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
#include "journal/journal.h"

#include <stdbool.h>

/*
 * Makes the directory if there is none; its parent must exist. One that cannot be written to is none of its errors: the server serves
 * without, and says so.
 */
struct el_status *el_state_dir_make(const char *path) EL_MUST_USE;

/* Where local copies of versions are: to free(). NULL: there is no such directory, or no memory. */
char *el_state_copies_directory(const struct el_everlitd_flags *flags);

/* Remembers config, as put in force by a client. That it is on the disk is not waited for. */
struct el_status *el_state_save_config(const struct el_everlitd_flags *flags, struct el_journal *journal,
                                       const struct el_config *config) EL_MUST_USE;

/* Forgets it: the file is in force. */
void el_state_forget_config(struct el_journal *journal);

/* Puts the remembered config in the place of *config if the rule says so; *used tells. What cannot be read is told and not used. */
void el_state_load_config(const struct el_everlitd_flags *flags, struct el_journal *journal, const struct el_log *log,
                          struct el_config *config, bool *used);

#endif
