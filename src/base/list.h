/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BASE_LIST_H
#define EL_BASE_LIST_H

/*
 * Lists of structures that carry their own links: liburcu's cds_list_head
 * with iteration that is silent under -Wcast-qual (its own macros go through a
 * pointer to const). Owns nothing; one thread at a time.
 */

#include <stddef.h>
#include <stdint.h>
#include <urcu/list.h>

/* The structure of this type whose member is at pointer. */
#define el_list_entry(pointer, type, member) ((type *)((uintptr_t)(pointer)-offsetof(type, member)))

/* The first structure of a list that is not empty. */
#define el_list_first(head, type, member) el_list_entry((head)->next, type, member)

/* Runs over the list; entry may be taken out meanwhile, next may not. Both are pointers to the structure. */
#define el_list_each(entry, next_entry, head, member)                                     \
    for ((entry) = el_list_first(head, __typeof__(*(entry)), member),                     \
        (next_entry) = el_list_entry((entry)->member.next, __typeof__(*(entry)), member); \
         &(entry)->member != (head);                                                      \
         (entry) = (next_entry), (next_entry) = el_list_entry((entry)->member.next, __typeof__(*(entry)), member))

#endif
