/* arrival.c - see arrival.h. */
#include "server/net/http/arrival.h"

#include <unistd.h>

#include "common/base/alloc.h"
#include "server/net/http/connection.h"
#include "server/net/http/proxied.h"

struct arrival {
    struct mail mail;
    struct connection_set *set;
    int fd;
    bool internal;
    struct address peer;
};

static void arrive(struct mail *mail, void *owner)
{
    (void)owner;
    struct arrival *arrival = CONTAINER_OF(mail, struct arrival, mail);
    struct connection_set *set = arrival->set;
    const struct net_settings *settings = set->admitter->settings;
    socket_counts_note_arrival(&set->sockets, arrival->internal);
    if (set->closed)
        close(arrival->fd);
    else if (!arrival->internal && settings->proxy_protocol != PROXY_OFF &&
             cidr_contains(settings->trusted_proxies, settings->trusted_proxy_count, &arrival->peer))
        proxied_await(set, arrival->fd, &arrival->peer);
    else
        connection_open(set, arrival->fd, arrival->internal, &arrival->peer,
                        turn_now_us(set->turn) + settings->head_timeout_us, STR(""));
    free(arrival);
}

void arrival_post(struct connection_set *set, int fd, bool internal, const struct address *peer)
{
    struct arrival *arrival = xcalloc(1, sizeof *arrival);
    arrival->mail.deliver = arrive;
    arrival->set = set;
    arrival->fd = fd;
    arrival->internal = internal;
    arrival->peer = *peer;
    socket_counts_expect(&set->sockets, internal);
    mailbox_post(set->mailbox, &arrival->mail);
}
