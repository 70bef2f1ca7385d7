/* redis_whereabouts.h - reads the addresses that servers tell of other servers: in CLUSTER SLOTS, MOVED, ASK and the
 * answer of a Sentinel. A server may tell anything: a text that cannot be an address is refused. Pure, for any thread.
 */
#ifndef CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_WHEREABOUTS_H
#define CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_WHEREABOUTS_H

#include "common/base/str.h"

struct redisReply;

enum { REDIS_HOST_MAX = 255 };

/* The texts lie in the reply or error. A port that came as a number lies in digits. */
struct redis_whereabouts {
    unsigned first, last; /* slots, both included; of MOVED and ASK the same one */
    struct str host;      /* empty: the host of the server that told it */
    struct str port;      /* 1 to 65535 */
    char digits[24];
};

/* Reads one element of CLUSTER SLOTS: first, last, [host, port, ...] of the primary, then of its replicas. */
bool redis_whereabouts_of_range(const struct redisReply *range, struct redis_whereabouts *out);

/* Reads an error such as "MOVED 3999 127.0.0.1:6381". word: the word that it must begin with. */
bool redis_whereabouts_of_error(struct str text, struct str word, struct redis_whereabouts *out);

/* Reads the answer to SENTINEL get-master-addr-by-name. The host is not empty. */
bool redis_whereabouts_of_primary(const struct redisReply *reply, struct redis_whereabouts *out);

#endif
