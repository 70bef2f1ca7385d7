/* pending.h - pending connections: those that are not sessions yet. They are in their TLS handshake or their request
 * head, or they are being refused. They have a limit of their own, so that silent strangers take no place from
 * sessions. When the limit is reached, a new connection still comes in, and the oldest one goes: the oldest of the same
 * address, or else the oldest of all. So many connections from one address push out only each other. One thread. */
#ifndef CARILLON_NET_HTTP_PENDING_H
#define CARILLON_NET_HTTP_PENDING_H

#include "common/base/list.h"
#include "common/base/map.h"
#include "server/net/admission/address.h"

/* The place of one connection. Zeroed: it has none. */
struct pending_place {
    struct list_link of_all;
    struct list_link of_address;
    struct pending_address *address;
    /* The connection must go. The owner may first read what the peer has sent: a whole request ends its being pending.
     * Else the owner ends the connection. Afterwards the place has been left, and may be freed. */
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

/* Set place->evict first. The place becomes the newest one. */
void pending_enter(struct pending *pending, struct pending_place *place, const struct address *address);
/* Evicts the oldest place if there are too many now that the newcomer has entered. */
void pending_make_room(struct pending *pending, const struct pending_place *newcomer);
/* May be called for a place that has been left. */
void pending_leave(struct pending *pending, struct pending_place *place);

bool pending_has(const struct pending_place *place);

#endif
