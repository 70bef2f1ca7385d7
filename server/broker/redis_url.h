/* redis_url.h - where Redis is and how to log in: redis://[[user]:password@]host[:port][/database]. Pure; any thread.
 * Errors say what is wrong with the URL without showing any of it, for it holds a password. */
#ifndef CARILLON_BROKER_REDIS_URL_H
#define CARILLON_BROKER_REDIS_URL_H

#include "common/base/error.h"

/* Owns its texts. */
struct redis_url {
    char *host;     /* name or address, IPv6 without brackets */
    char *port;     /* digits, for getaddrinfo */
    char *user;     /* "": the default user */
    char *password; /* "": none */
    unsigned database;
};

/* ERR_INVALID_REQUEST if text is not such a URL. User and password are percent-decoded. */
enum err redis_url_parse(struct str text, struct redis_url *out, struct error *error);

void redis_url_fini(struct redis_url *url);

#endif
