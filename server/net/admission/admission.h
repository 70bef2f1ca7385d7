/* admission.h - may this request become a session? (docs/protocol.md, "Connecting" and "Refusal"). Knows no sockets and
 * no clocks: a function of the settings, the head and what the verifier says. One thread. */
#ifndef CARILLON_NET_ADMISSION_ADMISSION_H
#define CARILLON_NET_ADMISSION_ADMISSION_H

#include "common/protocol/http_head.h"
#include "server/net/admission/settings.h"

#define ADMISSION_PROTOCOL "carillon.v1"

struct admission_request {
    const struct net_settings *settings;
    const struct http_head *head;
    /* Why nobody is let in now (DRAINING, NOT_READY), or this address not (CONNECTION_LIMIT); else REASON_NONE. */
    enum reason unavailable;
    /* As token_cache_verify, with keys, policy and time known to the owner. */
    enum reason (*verify)(void *owner, struct str token, struct claims **out_claims);
    void *owner;
};

enum admission_outcome {
    ADMITTED,
    REFUSED_HTTP,  /* answer with status and JSON */
    REFUSED_CLOSE, /* complete the upgrade, tell, close with close_code */
};

struct admission {
    enum admission_outcome outcome;
    const struct net_endpoint *endpoint; /* borrowed from the settings; NULL when there is none at this path */
    struct claims *claims;               /* ADMITTED: one reference for the caller; else NULL */
    bool protocol_offered;               /* the client offered carillon.v1, which the answer then selects */
    enum reason reason;                  /* of a refusal; REASON_NONE for one that is about the request's form */
    int status;                          /* HTTP */
    int close_code;
    uint64_t retry_after_s; /* 0: none */
    struct error error;     /* code and message for the client */
};

/* In this order: endpoint, handshake, unavailable, origin, token, scopes. Fills *out in any case. */
void admission_decide(const struct admission_request *request, struct admission *out);

/* Turns an admission into a refusal (its claims go), in the way the endpoint and the request ask for. */
void admission_refuse(const struct admission_request *request, struct admission *admission, enum reason reason);

/* The subprotocol that the answer to a refused handshake selects, or an empty text: carillon.v1, else the first name
 * offered that does not look like a token. A browser that has offered some and gets none shows code 1006 and no frame
 * (RFC 6455, 4.1). */
struct str admission_refusal_protocol(const struct http_head *head);

/* Does this token have all scopes that the endpoint requires? Asked again of the token of a refresh. */
bool admission_has_scopes(const struct net_endpoint *endpoint, const struct claims *claims);

#endif
