/* admitter.h - everything that a worker needs to admit clients and check tokens: its settings, the limits that all
 * workers share, the tokens that it has verified, the revocations, and the clock of its turn. One thread: the worker's.
 */
#ifndef CARILLON_NET_ADMISSION_ADMITTER_H
#define CARILLON_NET_ADMISSION_ADMITTER_H

#include "common/base/mailbox.h"
#include "common/metrics/metrics.h"
#include "common/token/cache.h"
#include "server/core/revocations.h"
#include "server/net/admission/quota.h"
#include "server/net/admission/settings.h"

/* What is not said to be owned is borrowed. */
struct admitter {
    struct net_settings *settings; /* one reference; the present ones, for everybody at this worker */
    struct token_keys *keys;       /* one reference */
    struct quota *quota;
    struct token_cache *tokens;      /* owned */
    struct revocations *revocations; /* may be NULL: nothing is revoked */
    struct metrics *metrics;
    struct turn *turn;
    enum reason unavailable; /* why nobody is let in now (DRAINING, NOT_READY); else REASON_NONE */
};

/* Makes the cache of tokens and takes a reference to both. The owner sets the other members. */
void admitter_init(struct admitter *admitter, struct net_settings *settings, struct token_keys *keys);
void admitter_fini(struct admitter *admitter);

/* New settings. Takes a reference. */
void admitter_configure(struct admitter *admitter, struct net_settings *settings);
/* New keys: tokens that other keys have verified are forgotten with the next one. Takes a reference. */
void admitter_set_keys(struct admitter *admitter, struct token_keys *keys);

/* Is this token good, here and now? On success *out_claims has one reference for the caller. */
enum reason admitter_verify(struct admitter *admitter, struct str token, struct claims **out_claims);

/* Has a token with these claims, which was good, been revoked since? */
bool admitter_has_revoked(const struct admitter *admitter, const struct claims *claims);

/* Now and then: looks at some tokens of the cache, whether they have expired. */
void admitter_forget_expired(struct admitter *admitter);

#endif
