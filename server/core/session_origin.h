/* session_origin.h - what a client asked for at its upgrade: the names in the path, query parameters, request headers.
 * It is made for endpoints whose upstream, templates or tickets need it. Immutable once made. References are counted
 * without locks, so all of them stay in one thread.
 *
 * Clients choose these texts. A value may have any bytes but NUL: whoever writes it into a header, a log or a key
 * encodes it first. Tokens and tickets are never among them. */
#ifndef CARILLON_CORE_SESSION_ORIGIN_H
#define CARILLON_CORE_SESSION_ORIGIN_H

#include <stddef.h>

#include "common/base/str.h"

struct origin_value {
    struct str name; /* as it is configured */
    struct str value;
};

struct origin_values {
    struct origin_value *items;
    size_t count;
};

struct session_origin {
    unsigned refs;
    struct str endpoint;          /* its path as it is configured: "/chat/{id}" */
    struct str path;              /* as the client sent it, with its percent-escapes */
    struct str address;           /* of the client, as text */
    struct str subprotocol;       /* the one that the answer selects; empty: none */
    struct str traceparent;       /* the header of that name as it came; empty: none */
    struct str state;             /* for the upstream, from its answer to `connect`; empty: none */
    struct origin_values names;   /* of the path, decoded (path_pattern.h) */
    struct origin_values query;   /* the endpoint's `query` parameters that are there, decoded; each name once */
    struct origin_values headers; /* the listed ones that are there; lines of one name joined with ", " */
    struct str *offered;          /* the subprotocols offered that the endpoint knows, in the client's order */
    size_t offered_count;
};

/* A copy of all of it on the heap, with one reference. refs of the original does not count. */
struct session_origin *session_origin_create(const struct session_origin *original);
struct session_origin *session_origin_ref(struct session_origin *origin);
/* NULL is fine. */
void session_origin_unref(struct session_origin *origin);

/* The value of that name. False: there is none. */
bool origin_values_find(const struct origin_values *values, struct str name, struct str *out);

#endif
