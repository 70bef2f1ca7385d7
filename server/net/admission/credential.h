/* credential.h - the token or ticket that a request brings, by the ways that its endpoint allows. Pure. */
#ifndef CARILLON_NET_ADMISSION_CREDENTIAL_H
#define CARILLON_NET_ADMISSION_CREDENTIAL_H

#include "common/protocol/http_head.h"
#include "server/net/admission/settings.h"

struct credential {
    struct str value; /* ptr NULL: there is none; borrowed from the head or from `decoded` */
    struct buf decoded;
    bool conflict; /* the request brings another one, too */
};

/* At most one of the two has a value. */
struct credential_set {
    struct credential token;
    struct credential ticket;
};

/* Call credential_set_fini in any case. ERR_INVALID_REQUEST: the request brings two different credentials, or a bad
 * query string. */
enum err credential_find(const struct net_endpoint *endpoint, const struct http_head *head, struct credential_set *out,
                         struct error *error);
/* Overwrites what was copied. */
void credential_set_fini(struct credential_set *credentials);

#endif
