/* single_use.h - a token that opens one connection only, on all nodes, until it ends. The broker is asked before the
 * session exists. It knows a token by its issuer and jti, or else by the hash of its claims. One thread, the hub's. */
#ifndef CARILLON_CORE_SINGLE_USE_H
#define CARILLON_CORE_SINGLE_USE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/token/claims.h"

struct hub;
struct single_use;

struct single_use_question {
    const struct claims *claims; /* borrowed for the call; they have an exp */
    uint64_t leeway_ms;          /* the token is good so long after its end */
    uint64_t max;                /* how many tokens and tickets the broker may have in all */
};

/* `answered` is called once, in a later call from the broker. err: ERR_UNAVAILABLE when the broker could not be asked,
 * so it is not known whether the token is used. first: this is its one use. */
struct single_use *single_use_ask(struct hub *hub, const struct single_use_question *question,
                                  void (*answered)(void *waiter, enum err err, bool first), void *waiter);

/* `answered` will not be called. */
void single_use_stop_waiting(struct single_use *use);

#endif
