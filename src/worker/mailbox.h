/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_MAILBOX_H
#define EL_WORKER_MAILBOX_H

/*
 * Work for another thread's event loop: any thread posts a letter, the loop's
 * thread opens it soon.
 *
 * A letter is embedded in what it is about and may be under way once: posting it again before it was opened does
 * nothing. Whoever owns it keeps it until it was opened. Opening comes in the order of posting.
 */

#include "base/status.h"

#include <pthread.h>
#include <stdbool.h>
#include <uv.h>

struct el_letter {
    struct el_letter *next;
    void (*open)(struct el_letter *letter); /* on the loop's thread */
    bool posted;
};

struct el_mailbox {
    uv_async_t async;     /* its data is free for the owner, who closes it */
    pthread_mutex_t lock; /* guards the list and `posted` of the letters in it; nothing else is taken under it */
    struct el_letter *first, *last;
};

/* On the loop's thread. On success the owner closes `async` with uv_close() and calls el_mailbox_destroy() from its callback or later. */
struct el_status *el_mailbox_init(struct el_mailbox *mailbox, uv_loop_t *loop) EL_MUST_USE;
void el_mailbox_destroy(struct el_mailbox *mailbox);

/* Any thread, before the mailbox is closed. */
void el_mailbox_post(struct el_mailbox *mailbox, struct el_letter *letter);

/* Takes a letter back that may be under way. Any thread. */
void el_mailbox_withdraw(struct el_mailbox *mailbox, struct el_letter *letter);

/* Opens what is there now; on the loop's thread. */
void el_mailbox_open(struct el_mailbox *mailbox);

#endif
