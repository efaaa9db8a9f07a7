/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_LIST_H
#define EL_SWAP_LIST_H

/*
 * Doubly linked lists whose links lie in their members. The head is a link
 * itself, so that a member leaves without knowing its list.
 *
 * Not the one of liburcu: its macros cast const away, which clang's -Wcast-qual says at every use.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct el_list {
    struct el_list *next, *previous;
};

static inline void el_list_init(struct el_list *head)
{
    head->next = head->previous = head;
}

static inline bool el_list_empty(const struct el_list *head)
{
    return head->next == head;
}

/* Puts member before at: at the end where at is the head. */
static inline void el_list_add_before(struct el_list *member, struct el_list *at)
{
    member->next = at;
    member->previous = at->previous;
    at->previous->next = member;
    at->previous = member;
}

static inline void el_list_remove(struct el_list *member)
{
    member->previous->next = member->next;
    member->next->previous = member->previous;
}

/* Moves all members of from to the empty list to. */
static inline void el_list_move_all(struct el_list *from, struct el_list *to)
{
    el_list_init(to);
    if (el_list_empty(from))
        return;
    *to = *from;
    to->next->previous = to;
    to->previous->next = to;
    el_list_init(from);
}

/* The struct of that type whose field is at pointer. */
#define EL_CONTAINER(pointer, type, field) ((type *)((uintptr_t)(pointer)-offsetof(type, field)))

/* Runs the statement for each member; at is its variable. The safe one allows that the member leaves, but not the next. */
#define el_list_each(at, head, field)                                                         \
    for ((at) = EL_CONTAINER((head)->next, __typeof__(*(at)), field); &(at)->field != (head); \
         (at) = EL_CONTAINER((at)->field.next, __typeof__(*(at)), field))
#define el_list_each_safe(at, after, head, field)                           \
    for ((at) = EL_CONTAINER((head)->next, __typeof__(*(at)), field),       \
        (after) = EL_CONTAINER((at)->field.next, __typeof__(*(at)), field); \
         &(at)->field != (head); (at) = (after), (after) = EL_CONTAINER((at)->field.next, __typeof__(*(at)), field))

#endif
