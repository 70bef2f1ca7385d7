/* pending.c - see pending.h. */
#include "server/net/http/pending.h"

#include <assert.h>

#include "common/base/alloc.h"

enum { EVICTIONS_MAX = 8 };

/* Owned by pending.addresses; there while it has places. */
struct pending_address {
    struct list_link places; /* oldest first */
    size_t count;
    char key[ADDRESS_KEY_LEN + 1];
};

void pending_init(struct pending *pending, size_t max)
{
    *pending = (struct pending){.max = max};
    list_init(&pending->places);
}

void pending_fini(struct pending *pending)
{
    assert(pending->count == 0);
    map_fini(&pending->addresses);
}

bool pending_has(const struct pending_place *place)
{
    return place->address != NULL;
}

static void join(struct pending *pending, struct pending_place *place, const struct address *from)
{
    char key[ADDRESS_KEY_LEN + 1];
    struct pending_address *address = map_get(&pending->addresses, str_from_cstr(address_key(from, key)));
    if (!address) {
        address = xcalloc(1, sizeof *address);
        memcpy(address->key, key, sizeof key);
        list_init(&address->places);
        map_put(&pending->addresses, str_from_cstr(address->key), address);
    }
    list_append(&address->places, &place->of_address);
    address->count++;
    place->address = address;
}

static void part(struct pending *pending, struct pending_place *place)
{
    struct pending_address *address = place->address;
    list_remove(&place->of_address);
    place->address = NULL;
    if (--address->count > 0)
        return;
    map_remove(&pending->addresses, str_from_cstr(address->key));
    free(address);
}

void pending_make_room(struct pending *pending, const struct pending_place *newcomer)
{
    for (int i = 0; i < EVICTIONS_MAX && pending->count > pending->max; i++) {
        struct list_link *own = newcomer->address->places.next;
        struct pending_place *oldest = newcomer->address->count > 1
                                           ? CONTAINER_OF(own, struct pending_place, of_address)
                                           : CONTAINER_OF(pending->places.next, struct pending_place, of_all);
        oldest->evict(oldest);
    }
}

void pending_enter(struct pending *pending, struct pending_place *place, const struct address *address)
{
    list_append(&pending->places, &place->of_all);
    pending->count++;
    join(pending, place, address);
}

void pending_leave(struct pending *pending, struct pending_place *place)
{
    if (!pending_has(place))
        return;
    part(pending, place);
    list_remove(&place->of_all);
    pending->count--;
}
