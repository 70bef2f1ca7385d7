/* admission.h - may this request become a session? (docs/protocol.md, "Connecting" and "Refusal"). The answer
 * depends only on the head, the client's address and the admitter. Admission knows no sockets and writes nothing. One
 * thread. */
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
    struct address client;         /* the limits count this address */
    bool protocol_offered;         /* the client offered carillon.v1, which the answer then selects */
    bool by_close;                 /* how this request is refused, for a reason */
    enum reason reason;            /* of a refusal; REASON_NONE for one that is about the request's form */
    int status;                    /* HTTP */
    int close_code;
    uint64_t retry_after_s; /* 0: none */
};

/* Checks in this order: endpoint, handshake, whether the node lets clients in, origin, token, scopes. The limits follow
 * as the first entry step (limits.h). peer: the address of the connection, or the one that a PROXY header named. Always
 * fills *out. Fills *error when the form of the request is wrong. */
void admission_decide(struct admitter *admitter, const struct http_head *head, const struct address *peer,
                      struct admission *out, struct error *error);

/* Turns an admission into a refusal, by status or by close as the endpoint and the request say. Drops its claims. */
void admission_refuse(struct admitter *admitter, struct admission *admission, enum reason reason);

/* The subprotocol that the answer to a refused handshake selects, or an empty text. It is carillon.v1, else the first
 * name offered that does not look like a token. A browser that has offered names and gets none shows code 1006 and no
 * frame (RFC 6455, 4.1). */
struct str admission_refusal_protocol(const struct http_head *head);

/* Is this token good now, and has it all scopes that the endpoint requires? The token of a refresh is checked like the
 * first one. On success *out_claims has one reference for the caller; otherwise it is left as it was. */
enum reason admission_verify(struct admitter *admitter, const struct net_endpoint *endpoint, struct str token,
                             struct claims **out_claims);

#endif
