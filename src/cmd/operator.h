/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_OPERATOR_H
#define EL_CMD_OPERATOR_H

/*
 * Carries out what operators ask for, and answers when it is decided: at once where nothing has to be loaded, and where somebody waits
 * for it, when the version answers or was refused. What the journal is to remember is on the disk before it is answered.
 *
 * Everything is on the swap thread (the main one) but el_operator_ask(). Several operations may be waited for at a time: each is
 * decided by itself, and one that another overtook is told so.
 */

#include "api/operate.h"
#include "journal/journal.h"
#include "swap/swap.h"

#include <uv.h>

struct el_operator;

struct el_operator_options {
    uv_loop_t *uv_loop;
    struct el_swap *swap;
    struct el_journal *journal; /* is closed before the loop runs again after el_operator_free() */
};

struct el_status *el_operator_new(const struct el_operator_options *options, struct el_operator **made) EL_MUST_USE;

/* For el_api_options.operate, with the el_operator as argument. Any thread. */
void el_operator_ask(struct el_api_operate *asked, void *operator_);

/* Something changed in the swap: what is waited for may be decided. Only wakes; may come from inside the swapper's work. */
void el_operator_look(struct el_operator *operator_);

/* The server ends: what waits is answered UNAVAILABLE, and so is what still comes. */
void el_operator_end(struct el_operator *operator_);

/* Closes the handles, whose loop has to run once more. NULL is allowed. */
void el_operator_free(struct el_operator *operator_);

#endif
