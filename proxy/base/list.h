/* SPDX-License-Identifier: ISC */
/*
 * An intrusive, circular, doubly linked list. The head is a link of its own;
 * an element embeds one link per list it can be on. A link that is on no list
 * points at itself, so list_remove() is idempotent.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_link {
	struct list_link *prev;
	struct list_link *next;
};

#define list_entry(link, type, member) \
	((type *)(void *)((char *)(link)-offsetof(type, member)))

#define list_for_each(it, head) \
	for ((it) = (head)->next; (it) != (head); (it) = (it)->next)

/* The current element may be removed (and freed) inside the loop. */
#define list_for_each_safe(it, tmp, head)                             \
	for ((it) = (head)->next, (tmp) = (it)->next; (it) != (head); \
	     (it) = (tmp), (tmp) = (it)->next)

static inline void
list_init(struct list_link *link)
{
	link->prev = link->next = link;
}

static inline bool
list_is_empty(const struct list_link *head)
{
	return head->next == head;
}

static inline void
list_append(struct list_link *head, struct list_link *link)
{
	link->prev = head->prev;
	link->next = head;
	head->prev->next = link;
	head->prev = link;
}

static inline void
list_remove(struct list_link *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

#endif
