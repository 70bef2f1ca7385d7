/* admitter.h - everything that a worker needs to admit clients and check tokens:
 * - the settings and the keys
 * - the counts that all workers share
 * - the tokens that this worker has verified
 * - the revocations, and the clock of the turn.
 * One thread: the worker's. */
#ifndef CARILLON_NET_ADMISSION_ADMITTER_H
#define CARILLON_NET_ADMISSION_ADMITTER_H

#include "common/base/mailbox.h"
#include "common/metrics/metrics.h"
#include "common/token/cache.h"
#include "server/core/revocations.h"
#include "server/net/admission/quota.h"
#include "server/net/admission/settings.h"

/* A pointer is borrowed unless its comment says otherwise. */
struct admitter {
    struct net_settings *settings; /* one reference; the newest settings */
    struct token_keys *keys;       /* one reference */
    struct quota *quota;
    struct token_cache *tokens;      /* owned */
    struct revocations *revocations; /* may be NULL: nothing is revoked */
    struct metrics *metrics;
    struct turn *turn;
    enum reason unavailable; /* DRAINING or NOT_READY: every client is refused with it; else REASON_NONE */
};

/* Makes the cache of tokens. Takes a reference to the settings and to the keys. The owner sets the other members. */
void admitter_init(struct admitter *admitter, struct net_settings *settings, struct token_keys *keys);
void admitter_fini(struct admitter *admitter);

/* New settings. Takes a reference. */
void admitter_configure(struct admitter *admitter, struct net_settings *settings);
/* New keys. The cache forgets the tokens that earlier keys have verified. Takes a reference. */
void admitter_set_keys(struct admitter *admitter, struct token_keys *keys);

/* Is this token good now? On success *out_claims has one reference for the caller. */
enum reason admitter_verify(struct admitter *admitter, struct str token, struct claims **out_claims);

/* Has a token with these claims been revoked since it was verified? */
bool admitter_has_revoked(const struct admitter *admitter, const struct claims *claims);

/* Call regularly. Drops expired tokens from a part of the cache. */
void admitter_forget_expired(struct admitter *admitter);

#endif
