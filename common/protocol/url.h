/* url.h - the URLs of servers that are connected to. Pure functions, for any thread. */
#ifndef CARILLON_PROTOCOL_URL_H
#define CARILLON_PROTOCOL_URL_H

#include "common/base/error.h"
#include "common/base/str.h"

/* Slices of the text. */
struct url {
    bool secure;     /* TLS */
    struct str host; /* without the brackets of an IPv6 address */
    uint16_t port;
    struct str authority; /* host and port as written: the Host header */
    struct str target;    /* path and query, "/" if there is none */
    struct str path;
    struct str query; /* without '?' */
    struct str shown; /* the URL without its query, which may hold a secret */
};

/* Takes <scheme>://host[:port][/path][?query], with scheme followed by "s" for TLS ("ws", "http"). User and password,
 * fragments, spaces and anything but visible ASCII are ERR_INVALID_REQUEST. The error never shows the query. */
enum err url_parse(struct str text, const char *scheme, struct url *out, struct error *error);

#endif
