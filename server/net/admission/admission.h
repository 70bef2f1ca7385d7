/* admission.h - may this request become a session? (docs/protocol.md, "Connecting" and "Refusal"). The answer
 * depends only on the head, the client's address and the admitter. Admission knows no sockets and writes nothing. One
 * thread: the worker's. */
#ifndef CARILLON_NET_ADMISSION_ADMISSION_H
#define CARILLON_NET_ADMISSION_ADMISSION_H

#include "common/base/mailbox.h"
#include "common/metrics/metrics.h"
#include "common/protocol/http_head.h"
#include "common/token/cache.h"
#include "server/core/revocations.h"
#include "server/core/session_origin.h"
#include "server/net/admission/quota.h"
#include "server/net/admission/settings.h"

/* --- the admitter ----------------------------------------------------------------------------------------------- */

/* Everything that a worker needs to admit clients and check tokens:
 * - the settings and the keys
 * - the counts that all workers share
 * - the tokens that this worker has verified
 * - the revocations, and the clock of the turn.
 * A pointer is borrowed unless its comment says otherwise. */
struct admitter {
    struct net_settings *settings; /* one reference; the newest settings */
    struct token_keys *keys;       /* one reference */
    struct quota *quota;
    struct token_cache *tokens;      /* owned */
    struct revocations *revocations; /* may be NULL: nothing is revoked */
    struct metrics *metrics;
    struct turn *turn;
    enum reason unavailable;  /* DRAINING or NOT_READY: every client is refused with it; else REASON_NONE */
    struct error token_error; /* why the last bad token was refused, in more detail than clients are told */
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

/* --- admission -------------------------------------------------------------------------------------------------- */

enum admission_outcome {
    ADMITTED,
    REFUSED_HTTP,  /* answer with status and JSON */
    REFUSED_CLOSE, /* accept the request, tell in the transport's own words, close with close_code */
};

struct admission {
    enum admission_outcome outcome;
    struct net_endpoint *endpoint; /* borrowed from the settings; NULL when there is none at this path */
    struct claims *claims;         /* ADMITTED by a token: one reference; else NULL */
    struct str ticket;             /* ADMITTED by a ticket: the text, owned. An entry step exchanges it for claims */
    struct session_origin *origin; /* ADMITTED at an endpoint that needs it: one reference; else NULL */
    struct address client;         /* the limits count this address */
    bool by_close;                 /* how this request is refused, for a reason */
    enum reason reason;            /* of a refusal; REASON_NONE for one that is about the request's form */
    int status;                    /* HTTP */
    int close_code;
    uint64_t retry_after_s; /* 0: none */
};

/* Checks in this order: endpoint, what its transport demands, whether the node lets clients in, origin, token or
 * ticket, claims and scopes. A ticket is only found; its entry step checks it. The limits follow as the first entry
 * step (limits_step). peer: the address of the connection, or the one that a PROXY header named. Always fills *out.
 * error->code is ERR_NONE, or error->text says what is wrong with the form of the request, or more than the reason. */
void admission_decide(struct admitter *admitter, const struct http_head *head, const struct address *peer,
                      struct admission *out, struct error *error);

/* May a page of this origin (empty or no text: no page) connect? origins: allowed ones, lower case as browsers send
 * them, a '*' standing for any run of characters; empty: any. */
bool admission_allows_origin(const struct texts *origins, struct str origin);

/* Drops what an admitted request has: claims, ticket, origin. */
void admission_drop(struct admission *admission);

/* Tells the client which limit of connections is reached, by its option, and what to do. max: the limit. kind: one of
 * the sessions of the node, an address, an endpoint or a user. */
void admission_explain_limit(enum quota_kind kind, size_t max, struct error *error);

/* Turns an admission into a refusal, by status or by close as the endpoint and the request say. Drops what it has. */
void admission_refuse(struct admitter *admitter, struct admission *admission, enum reason reason);

/* The same for a request whose path has no endpoint, or has none any more. */
void admission_refuse_path(struct admission *admission, struct error *error);

/* Have the claims all claims and scopes that the endpoint requires? Fills *error (may be NULL) where the reason alone
 * does not say what is missing. */
enum reason admission_check_claims(const struct net_endpoint *endpoint, const struct claims *claims,
                                   struct error *error);

/* Is this token good now, and has it what the endpoint requires (admission_check_claims)? The token of a refresh is
 * checked like the first one. On success *out_claims has one reference for the caller; otherwise it is left as it was.
 */
enum reason admission_verify(struct admitter *admitter, const struct net_endpoint *endpoint, struct str token,
                             struct claims **out_claims, struct error *error);

#endif
