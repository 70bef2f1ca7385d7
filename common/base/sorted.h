/* sorted.h - items in the bytewise order of their names. A page of items costs its own length, however many items there
 * are. One thread at a time.
 *
 * - It is intrusive: a struct sorted_link is a member of the item. The order owns nothing.
 * - Putting an item in costs O(log n), near the end only a few steps. Taking an item out costs a few steps.
 * - Changes between two pages move no other item. So a page that begins after a name is right.
 *
 * The order is a treap: a search tree by name, and a heap by random numbers. So it is balanced for any names. */
#ifndef CARILLON_BASE_SORTED_H
#define CARILLON_BASE_SORTED_H

#include "common/base/list.h"
#include "common/base/str.h"

struct sorted_link {
    struct sorted_link *up, *left, *right;
    uint32_t priority; /* no child has a higher one; 0: the link is in no order */
};

/* Where memory counts, an order is its root and its last. The struct is made anew of them, name, and a random number
 * other than 0. */
struct sorted {
    struct str (*name)(struct sorted_link *link); /* borrowed: does not change while the link is in the order */
    struct sorted_link *root;
    struct sorted_link *last;
    uint64_t random;
};

/* Makes an empty order. Nothing needs to be freed. */
void sorted_init(struct sorted *sorted, struct str (*name)(struct sorted_link *link));

/* Puts in a link that is in no order. Equal names stand in the order in which they came. */
void sorted_put(struct sorted *sorted, struct sorted_link *link);
/* May be called for a zeroed link, which is in no order. */
void sorted_remove(struct sorted *sorted, struct sorted_link *link);

/* The first link with a greater name; NULL if there is none. */
struct sorted_link *sorted_after(const struct sorted *sorted, struct str name);
/* The first link with this name or a greater one; NULL if there is none. */
struct sorted_link *sorted_from(const struct sorted *sorted, struct str name);
/* The next link; NULL at the end. */
struct sorted_link *sorted_next(struct sorted_link *link);

#endif
