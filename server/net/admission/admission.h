/* admission.h - may this request become a session? (docs/protocol.md, "Connecting" and "Refusal"). A function of the
 * head, the client's address and the admitter. Knows no sockets and writes nothing. One thread. */
#ifndef CARILLON_NET_ADMISSION_ADMISSION_H
#define CARILLON_NET_ADMISSION_ADMISSION_H

#include "common/protocol/http_head.h"
#include "server/net/admission/admitter.h"

#define ADMISSION_PROTOCOL "carillon.v1"

enum admission_outcome {
    ADMITTED,
    REFUSED_HTTP,  /* answer with status and JSON */
    REFUSED_CLOSE, /* complete the upgrade, tell, close with close_code */
};

struct admission {
    enum admission_outcome outcome;
    struct net_endpoint *endpoint; /* borrowed from the settings; NULL when there is none at this path */
    struct claims *claims;         /* ADMITTED: one reference for the caller; else NULL */
    struct address client;         /* whom the connection counts as */
    bool protocol_offered;         /* the client offered carillon.v1, which the answer then selects */
    bool by_close;                 /* how this request is refused, for a reason */
    enum reason reason;            /* of a refusal; REASON_NONE for one that is about the request's form */
    int status;                    /* HTTP */
    int close_code;
    uint64_t retry_after_s; /* 0: none */
};

/* In this order: endpoint, handshake, why nobody is let in now, origin, token, scopes. The limits follow, as the first
 * entry step (limits.h). peer: the address that the connection comes from, or that a PROXY header spoke for. Fills *out
 * in any case, and *error where the refusal is about the request's form. */
void admission_decide(struct admitter *admitter, const struct http_head *head, const struct address *peer,
                      struct admission *out, struct error *error);

/* Turns an admission into a refusal, in the way that the endpoint and the request ask for. Its claims go. */
void admission_refuse(struct admitter *admitter, struct admission *admission, enum reason reason);

/* The subprotocol that the answer to a refused handshake selects, or an empty text: carillon.v1, else the first name
 * offered that does not look like a token. A browser that has offered some and gets none shows code 1006 and no frame
 * (RFC 6455, 4.1). */
struct str admission_refusal_protocol(const struct http_head *head);

/* Does this token have all scopes that the endpoint requires? Asked again of the token of a refresh. */
bool admission_has_scopes(const struct net_endpoint *endpoint, const struct claims *claims);

#endif
