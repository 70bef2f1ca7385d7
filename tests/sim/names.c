/* names.c - host names: libuv's getaddrinfo, in the simulated world. There is one address, which is found after a
 * while. Now and then the lookup fails. */
#include <netinet/in.h>

#include "common/base/alloc.h"
#include "common/base/list.h"
#include "tests/sim/network.h"
#include "tests/sim/world.h"

enum { LOOKUP_US = 400 };

struct lookup {
    struct list_link link;
    uv_getaddrinfo_t *request; /* NULL: answered */
    struct sim_loop *loop;
    uv_getaddrinfo_cb done;
    int status;
};

static struct list_link lookups;

void names_begin(void)
{
    list_init(&lookups);
}

void names_end(void)
{
    for (struct list_link *link; (link = list_take_first(&lookups));)
        free(CONTAINER_OF(link, struct lookup, link));
}

static void answer_lookup(void *owner, void *argument)
{
    struct lookup *lookup = owner;
    uv_getaddrinfo_t *request = lookup->request;
    if (!request)
        return;
    lookup->request = NULL;
    loop_count(lookup->loop, -1);
    struct addrinfo *list = NULL;
    if (lookup->status == 0) {
        list = xcalloc(1, sizeof *list + sizeof(struct sockaddr_in));
        list->ai_addr = (struct sockaddr *)(void *)(list + 1);
        list->ai_addr->sa_family = AF_INET;
    }
    lookup->done(request, lookup->status, list);
}

static void look_up(void *owner, uint64_t number)
{
    struct lookup *lookup = owner;
    if (lookup->request && !lookup->loop->dead)
        loop_post(lookup->loop, answer_lookup, lookup, NULL);
}

int uv_getaddrinfo(uv_loop_t *uv, uv_getaddrinfo_t *request, uv_getaddrinfo_cb done, const char *host,
                   const char *service, const struct addrinfo *hints)
{
    struct lookup *lookup = xcalloc(1, sizeof *lookup);
    lookup->request = request;
    lookup->loop = loop_of(uv);
    lookup->done = done;
    lookup->status = world_percent(CHANCE_NETWORK, 1) ? UV_EAI_AGAIN : 0;
    list_append(&lookups, &lookup->link);
    request->reserved[0] = lookup;
    loop_count(lookup->loop, 1);
    world_at(world_now_us() + world_below(CHANCE_NETWORK, LOOKUP_US), look_up, lookup, 0);
    return 0;
}

void uv_freeaddrinfo(struct addrinfo *list)
{
    free(list);
}

int uv_cancel(uv_req_t *request)
{
    struct lookup *lookup = request->reserved[0];
    lookup->status = UV_ECANCELED;
    loop_post(lookup->loop, answer_lookup, lookup, NULL);
    return 0;
}
