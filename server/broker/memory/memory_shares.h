/* memory_shares.h - counts which user's clients the parts of a bounded store come from. One user's parts are at most a
 * share of the store, so no user pushes out the parts of others. Parts from backends have no user, and count in the
 * whole only. Pure, for one thread. */
#ifndef CARILLON_BROKER_MEMORY_MEMORY_SHARES_H
#define CARILLON_BROKER_MEMORY_MEMORY_SHARES_H

#include "common/base/list.h"
#include "common/base/map.h"

struct memory_share;

/* Embedded in each thing that is counted. Zeroed, it has no user. */
struct memory_part {
    struct list_link link;
    struct memory_share *share; /* NULL: no user */
    size_t size;
};

struct memory_shares {
    struct map users; /* the 8 bytes of a user -> struct memory_share */
    size_t max;       /* size of one */
};

/* max: for all parts of one user together. */
void memory_shares_init(struct memory_shares *shares, size_t max);
/* All parts must have been removed. */
void memory_shares_fini(struct memory_shares *shares);

/* Gives a part that has no user to the user, with this size, as the one used last. user is publication.user. With 0 the
 * part stays without a user. */
void memory_shares_put(struct memory_shares *shares, struct memory_part *part, uint64_t user, size_t size);
void memory_shares_remove(struct memory_shares *shares, struct memory_part *part);

/* If the part's user is over its share, returns the user's part that has been unused for longest. The caller removes
 * it. Otherwise returns NULL. */
struct memory_part *memory_shares_over(const struct memory_shares *shares, const struct memory_part *part);

#endif
