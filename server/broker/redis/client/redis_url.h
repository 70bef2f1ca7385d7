/* redis_url.h - the URL of Redis: where Redis is, and how to log in. Errors say what is wrong with a URL without
 * showing it, because it may hold a password. Pure, for any thread.
 *
 *   redis://[[user]:password@]host[:port][/database]
 *   redis+sentinel://[[user]:password@]host[:port][,host[:port]...]/name[/database][?sentinel_user=U&sentinel_password=P]
 *   redis+cluster://[[user]:password@]host[:port][,host[:port]...]
 *
 * rediss instead of redis: the same over TLS. User, password and the values after the '?' are percent-decoded. */
#ifndef CARILLON_BROKER_REDIS_CLIENT_REDIS_URL_H
#define CARILLON_BROKER_REDIS_CLIENT_REDIS_URL_H

#include "common/base/error.h"

/* Owns its texts. */
struct redis_endpoint {
    char *host; /* name or address, IPv6 without brackets */
    char *port; /* digits, for getaddrinfo */
};

/* Owns its texts. */
struct redis_login {
    char *user;     /* "": the default user */
    char *password; /* "": none */
    unsigned database;
};

enum redis_kind {
    REDIS_SINGLE,   /* one server, the first endpoint */
    REDIS_SENTINEL, /* the endpoints are Sentinels, which know the address of the primary */
    REDIS_CLUSTER,  /* the endpoints are nodes of a cluster, which know the others */
};

/* Owns all that it points to. */
struct redis_url {
    enum redis_kind kind;
    bool tls;
    struct redis_endpoint *endpoints; /* at least one */
    size_t endpoint_count;
    struct redis_login login;
    struct redis_login sentinel_login; /* for the Sentinels themselves */
    char *master;                      /* name of the primary among the Sentinels; "" for other kinds */
};

/* ERR_INVALID_REQUEST if text is not such a URL. */
enum err redis_url_parse(struct str text, struct redis_url *out, struct error *error);
void redis_url_fini(struct redis_url *url);

struct redis_endpoint redis_endpoint_copy(struct str host, struct str port);
void redis_endpoint_fini(struct redis_endpoint *endpoint);

static inline bool redis_endpoint_is(const struct redis_endpoint *endpoint, struct str host, struct str port)
{
    return endpoint->host && str_eq_cstr(host, endpoint->host) && str_eq_cstr(port, endpoint->port);
}

#endif
