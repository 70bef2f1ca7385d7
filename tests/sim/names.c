/* names.c - host names: common/base/name_lookup.h, in the simulated world. There is one address, which is found after a
 * while. Now and then the lookup fails. */
#include <netinet/in.h>

#include "common/base/alloc.h"
#include "common/base/name_lookup.h"
#include "tests/sim/network.h"
#include "tests/sim/world.h"

enum { LOOKUP_US = 400 };

struct name_lookup {
    struct list_link link;
    struct turn *turn;
    struct sim_loop *loop;
    name_found *found;
    void *owner;
    bool is_over; /* answered, or cancelled */
    bool fails;
};

static struct list_link lookups;

void names_begin(void)
{
    list_init(&lookups);
}

void names_end(void)
{
    for (struct list_link *link; (link = list_take_first(&lookups));)
        free(CONTAINER_OF(link, struct name_lookup, link));
}

static void end_lookup(struct name_lookup *lookup)
{
    lookup->is_over = true;
    loop_count(lookup->loop, -1);
}

static void answer_lookup(void *owner, void *argument)
{
    struct name_lookup *lookup = owner;
    struct addrinfo *addresses = NULL;
    if (lookup->is_over)
        return;
    end_lookup(lookup);
    if (!lookup->fails) {
        addresses = xcalloc(1, sizeof *addresses + sizeof(struct sockaddr_in));
        addresses->ai_addr = (struct sockaddr *)(void *)(addresses + 1);
        addresses->ai_addr->sa_family = AF_INET;
    }
    turn_begin(lookup->turn);
    lookup->found(lookup->owner, addresses, "temporary failure");
}

static void look_up(void *owner, uint64_t number)
{
    struct name_lookup *lookup = owner;
    if (!lookup->is_over && !lookup->loop->dead)
        loop_post(lookup->loop, answer_lookup, lookup, NULL);
}

struct name_lookup *name_lookup_start(struct turn *turn, const char *host, const char *port, name_found *found,
                                      void *owner)
{
    struct name_lookup *lookup = xcalloc(1, sizeof *lookup);
    lookup->turn = turn;
    lookup->loop = loop_of(turn->loop);
    lookup->found = found;
    lookup->owner = owner;
    lookup->fails = world_percent(CHANCE_NETWORK, 1);
    list_append(&lookups, &lookup->link);
    loop_count(lookup->loop, 1);
    world_at(world_now_us() + world_below(CHANCE_NETWORK, LOOKUP_US), look_up, lookup, 0);
    return lookup;
}

void name_lookup_cancel(struct name_lookup *lookup)
{
    end_lookup(lookup);
}

void freeaddrinfo(struct addrinfo *list)
{
    free(list);
}
