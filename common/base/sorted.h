/* sorted.h - things in the bytewise order of their names, so that a page of them costs its own length, however many
 * there are. Intrusive: a struct sorted_link is a member of the thing, and the order owns nothing. To put one in costs
 * steps by the logarithm of their number, near the end only a few; to take one out costs a few. What is put in or taken
 * out between two pages moves nothing else: a page that goes on after a name goes on right. One thread at a time.
 *
 * A treap: a search tree by name that is a heap by random numbers, so it is balanced whatever the names are. */
#ifndef CARILLON_BASE_SORTED_H
#define CARILLON_BASE_SORTED_H

#include "common/base/list.h"
#include "common/base/str.h"

struct sorted_link {
    struct sorted_link *up, *left, *right;
    uint32_t priority; /* no child has a higher one; 0: it is in no order */
};

struct sorted {
    struct str (*name)(struct sorted_link *link); /* borrowed: does not change while the link is in the order */
    struct sorted_link *root;
    struct sorted_link *last;
    uint64_t random;
};

/* An empty one. Nothing needs to be freed. */
void sorted_init(struct sorted *sorted, struct str (*name)(struct sorted_link *link));

/* The link is in no order. Of equal names the one that came first is first. */
void sorted_put(struct sorted *sorted, struct sorted_link *link);
/* Also right for a zeroed link, which is in no order. */
void sorted_remove(struct sorted *sorted, struct sorted_link *link);

/* The first whose name is greater than this one; NULL if there is none. */
struct sorted_link *sorted_after(const struct sorted *sorted, struct str name);
/* The first whose name is this one or greater. */
struct sorted_link *sorted_from(const struct sorted *sorted, struct str name);
/* The one after the link; NULL at the end. */
struct sorted_link *sorted_next(struct sorted_link *link);

#endif
