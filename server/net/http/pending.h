/* pending.h - connections of a worker that are no sessions: in their TLS handshake or their request head, or being told
 * that they are refused. They have places of their own, so that strangers who say nothing take none from those who are
 * let in. When the places are full a newcomer is let in all the same, and the oldest goes: that of the newcomer's own
 * address, or, if it has none, the oldest of all. So a crowd from one address is in its own way, and nobody else's.
 * One thread. */
#ifndef CARILLON_NET_HTTP_PENDING_H
#define CARILLON_NET_HTTP_PENDING_H

#include "common/base/list.h"
#include "common/base/map.h"
#include "server/net/admission/address.h"

/* A member of what is pending. Zeroed: nowhere. */
struct pending_place {
    struct list_link of_all;
    struct list_link of_address;
    struct pending_address *address;
    /* Has to go. The owner may first take what the peer has sent meanwhile, which may decide about it; else it ends the
     * connection. The place has been left when this returns, and may be gone. */
    void (*evict)(struct pending_place *place);
};

struct pending {
    struct list_link places; /* oldest first */
    struct map addresses;    /* address_key -> struct pending_address */
    size_t count;
    size_t max;
};

/* max: at least 1. */
void pending_init(struct pending *pending, size_t max);
/* All places have been left. */
void pending_fini(struct pending *pending);

/* The newest place, with its evict set. */
void pending_enter(struct pending *pending, struct pending_place *place, const struct address *address);
/* For this one, which has just entered: the oldest is evicted where there are too many. */
void pending_make_room(struct pending *pending, const struct pending_place *newcomer);
/* Also right for a place that has been left. */
void pending_leave(struct pending *pending, struct pending_place *place);

bool pending_has(const struct pending_place *place);

#endif
