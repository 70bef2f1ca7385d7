/* memory_shares.h - things of a bounded whole and the users whose clients they come from: what is of one user is no
 * more than a share of the whole, so that nobody pushes out what is of others. What comes from backends is nobody's,
 * and counts in the whole only. Pure; one thread. */
#ifndef CARILLON_BROKER_MEMORY_MEMORY_SHARES_H
#define CARILLON_BROKER_MEMORY_MEMORY_SHARES_H

#include "common/base/list.h"
#include "common/base/map.h"

struct memory_share;

/* Part of a thing. Zeroed: nobody's. */
struct memory_part {
    struct list_link link;
    struct memory_share *share; /* NULL: nobody's */
    size_t size;
};

struct memory_shares {
    struct map users; /* the 8 bytes of a user -> struct memory_share */
    size_t max;       /* size of one */
};

/* max: of one user's together. */
void memory_shares_init(struct memory_shares *shares, size_t max);
/* All parts must have been removed. */
void memory_shares_fini(struct memory_shares *shares);

/* The thing, nobody's so far, is the user's from now on, of this size, and the one used last. user: publication.user;
 * 0: it stays nobody's. */
void memory_shares_put(struct memory_shares *shares, struct memory_part *part, uint64_t user, size_t size);
void memory_shares_remove(struct memory_shares *shares, struct memory_part *part);

/* If the user whose it is has more than its share: the one of its things that has gone unused for longest, which is to
 * go. Else NULL. */
struct memory_part *memory_shares_over(const struct memory_shares *shares, const struct memory_part *part);

#endif
