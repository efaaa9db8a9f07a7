/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/mailbox.h"

#include <stddef.h>

static void on_async(uv_async_t *async)
{
    el_mailbox_open((struct el_mailbox *)(void *)((char *)async - offsetof(struct el_mailbox, async)));
}

struct el_status *el_mailbox_init(struct el_mailbox *mailbox, uv_loop_t *loop)
{
    const int error = uv_async_init(loop, &mailbox->async, on_async);
    if (error != 0)
        return el_status_errno(-error, "an event loop cannot be woken by other threads");
    pthread_mutex_init(&mailbox->lock, NULL);
    mailbox->first = NULL;
    mailbox->last = NULL;
    return NULL;
}

void el_mailbox_destroy(struct el_mailbox *mailbox)
{
    pthread_mutex_destroy(&mailbox->lock);
}

void el_mailbox_post(struct el_mailbox *mailbox, struct el_letter *letter)
{
    pthread_mutex_lock(&mailbox->lock);
    if (!letter->posted) {
        letter->posted = true;
        letter->next = NULL;
        if (mailbox->last == NULL)
            mailbox->first = letter;
        else
            mailbox->last->next = letter;
        mailbox->last = letter;
        /* Under the lock, so that whoever opened the letter may close the mailbox without waiting for us. */
        uv_async_send(&mailbox->async);
    }
    pthread_mutex_unlock(&mailbox->lock);
}

void el_mailbox_withdraw(struct el_mailbox *mailbox, struct el_letter *letter)
{
    pthread_mutex_lock(&mailbox->lock);
    struct el_letter *before = NULL;
    for (struct el_letter *at = letter->posted ? mailbox->first : NULL; at != NULL; before = at, at = at->next) {
        if (at != letter)
            continue;
        if (before == NULL)
            mailbox->first = at->next;
        else
            before->next = at->next;
        if (mailbox->last == at)
            mailbox->last = before;
        letter->posted = false;
        break;
    }
    pthread_mutex_unlock(&mailbox->lock);
}

void el_mailbox_open(struct el_mailbox *mailbox)
{
    for (;;) {
        pthread_mutex_lock(&mailbox->lock);
        struct el_letter *letter = mailbox->first;
        if (letter != NULL) {
            mailbox->first = letter->next;
            if (mailbox->first == NULL)
                mailbox->last = NULL;
            letter->posted = false;
        }
        pthread_mutex_unlock(&mailbox->lock);
        if (letter == NULL)
            return;
        letter->open(letter);
    }
}
