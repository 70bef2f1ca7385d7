/* redis_whereabouts.c - see redis_whereabouts.h. */
#include "server/broker/redis/topology/redis_whereabouts.h"

#include <stdio.h>

#include "server/broker/redis/client/redis_reply.h"
#include "server/broker/redis/topology/redis_slots.h"

/* A name or an address has no spaces and no control characters. The resolver would cut it at a NUL. */
static bool is_host(struct str host)
{
    for (size_t i = 0; i < host.len; i++)
        if ((unsigned char)host.ptr[i] <= ' ' || host.ptr[i] == '\x7F')
            return false;
    return host.len <= REDIS_HOST_MAX;
}

static bool is_port(struct str port)
{
    uint64_t number;
    return str_to_u64(port, &number) && number >= 1 && number <= 65535;
}

bool redis_whereabouts_of_range(const redisReply *range, struct redis_whereabouts *out)
{
    if (range->type != REDIS_REPLY_ARRAY || range->elements < 3 || range->element[0]->type != REDIS_REPLY_INTEGER ||
        range->element[1]->type != REDIS_REPLY_INTEGER || range->element[2]->type != REDIS_REPLY_ARRAY ||
        range->element[2]->elements < 2 || range->element[2]->element[1]->type != REDIS_REPLY_INTEGER)
        return false;
    long long first = range->element[0]->integer, last = range->element[1]->integer;
    long long port = range->element[2]->element[1]->integer;
    if (first < 0 || last >= REDIS_SLOTS || first > last || port < 1 || port > 65535)
        return false;
    struct str host = redis_text(range->element[2]->element[0]);
    *out = (struct redis_whereabouts){.first = (unsigned)first, .last = (unsigned)last};
    out->host = str_eq(host, STR("?")) ? STR("") : host; /* the server does not know its own address */
    out->port = str_from(out->digits, (size_t)snprintf(out->digits, sizeof out->digits, "%lld", port));
    return is_host(out->host);
}

bool redis_whereabouts_of_error(struct str text, struct str word, struct redis_whereabouts *out)
{
    uint64_t slot;
    if (!str_eq(str_split(&text, ' '), word) || !text.ptr || !str_to_u64(str_split(&text, ' '), &slot) ||
        slot >= REDIS_SLOTS || !text.ptr)
        return false;
    const char *colon = text.len ? memrchr(text.ptr, ':', text.len) : NULL;
    if (!colon)
        return false;
    *out = (struct redis_whereabouts){.first = (unsigned)slot, .last = (unsigned)slot};
    out->host = str_from(text.ptr, (size_t)(colon - text.ptr));
    out->port = str_from(colon + 1, (size_t)(text.ptr + text.len - colon) - 1);
    return is_host(out->host) && is_port(out->port);
}

bool redis_whereabouts_of_primary(const redisReply *reply, struct redis_whereabouts *out)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        return false;
    *out = (struct redis_whereabouts){.host = redis_text(reply->element[0]), .port = redis_text(reply->element[1])};
    return out->host.len && is_host(out->host) && is_port(out->port);
}
