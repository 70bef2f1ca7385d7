/* list.h - an intrusive, doubly linked ring. A struct list_link is the head of a list, or a member of one. A zeroed
 * link is in no list. The list owns nothing. One thread at a time. */
#ifndef CARILLON_BASE_LIST_H
#define CARILLON_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_link {
    struct list_link *prev;
    struct list_link *next;
};

/* The struct that has this link as its member. */
#define CONTAINER_OF(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* Walks all members. The current one may be removed. */
#define LIST_EACH(link, head)                                                                                          \
    for (struct list_link *link = (head)->next, *link##_next = link->next; link != (head);                             \
         link = link##_next, link##_next = link->next)

static inline void list_init(struct list_link *head)
{
    head->prev = head->next = head;
}

static inline bool list_is_empty(const struct list_link *head)
{
    return head->next == head;
}

/* True if the link is in a list now. */
static inline bool list_is_linked(const struct list_link *link)
{
    return link->next != NULL;
}

static inline void list_append(struct list_link *head, struct list_link *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

/* May be called for a link that is in no list. */
static inline void list_remove(struct list_link *link)
{
    if (!link->next)
        return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->prev = link->next = NULL;
}

/* Removes and returns the first member; NULL if the list is empty. */
static inline struct list_link *list_take_first(struct list_link *head)
{
    struct list_link *first = head->next;
    if (first == head)
        return NULL;
    head->next = first->next;
    first->next->prev = head;
    first->prev = first->next = NULL;
    return first;
}

#endif
