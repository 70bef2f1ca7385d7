/* redis_whereabouts.h - what servers say of where others are: CLUSTER SLOTS, MOVED and ASK, a Sentinel's answer. What
 * is said may be anything: an address is taken only if it could be one. Pure; any thread. */
#ifndef CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_WHEREABOUTS_H
#define CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_WHEREABOUTS_H

#include "common/base/str.h"

struct redisReply;

enum { REDIS_HOST_MAX = 255 };

/* Lies in what it was read from, but for a port that came as a number. */
struct redis_whereabouts {
    unsigned first, last; /* slots, both included; of a redirection the same one */
    struct str host;      /* empty: that of the server which said it */
    struct str port;      /* 1 to 65535 */
    char digits[24];
};

/* One element of CLUSTER SLOTS: first, last, [host, port, ...] of the primary, then those of its replicas. */
bool redis_whereabouts_of_range(const struct redisReply *range, struct redis_whereabouts *out);

/* "MOVED 3999 127.0.0.1:6381", or ASK: word is what it must begin with. */
bool redis_whereabouts_of_error(struct str text, struct str word, struct redis_whereabouts *out);

/* Host and port of a primary, as SENTINEL get-master-addr-by-name tells it. The host is not empty. */
bool redis_whereabouts_of_primary(const struct redisReply *reply, struct redis_whereabouts *out);

#endif
