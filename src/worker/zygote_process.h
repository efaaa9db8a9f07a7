/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_ZYGOTE_PROCESS_H
#define EL_WORKER_ZYGOTE_PROCESS_H

/*
 * The process of a zygote: started by exec, ended, and what its end means. For zygote.c, on the swap thread. Whoever starts it
 * owns it, and ends it with one of the functions here, which set *pid to 0.
 */

#include "worker/internal.h"

/* Runs the helper with the socket as descriptor 3, in a process group of its own: Ctrl-C at the terminal is for the front. 0 or errno. */
int el_zygote_process_start(const struct el_workers *workers, const char *engine, int socket, pid_t *pid);

/*
 * It has closed its socket: the wait status of its end, for which it has a moment. How it ended is only known for sure when it was
 * not us who ended it.
 */
int el_zygote_process_ended(pid_t *pid);

/* Ends it, if there is one; its wait status. */
int el_zygote_process_kill(pid_t *pid);

/* What to tell of that end; ready: its engine was open. */
struct el_status *el_zygote_process_cause(const struct el_workers *workers, const char *engine, int status,
                                          bool ready) EL_MUST_USE;

#endif
