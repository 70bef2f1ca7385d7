/* dev_facts.h - what `carillon dev` tells when it is ready, for people (dev_lines.h) and for programs (dev_ready.h). */
#ifndef CARILLON_CLI_DEV_FACTS_H
#define CARILLON_CLI_DEV_FACTS_H

#include "server/app/server.h"

#define DEMO_USER "demo" /* where no other user is named */

struct dev_user {
    const char *name;
    const char *token;
};

/* All is borrowed. The options have a secret, an API key and an endpoint. There is at least one user. */
struct dev_facts {
    const struct server_addresses *addresses;
    const struct options *options;
    const struct dev_user *users;
    size_t user_count;
};

/* Appends the text with each {name} filled in: {sub} with the first user, another name with "demo". For a path, a
 * channel, a resource. */
void dev_facts_fill(struct buf *out, const struct dev_facts *facts, const char *text);
/* Appends ws://address/path of the endpoint. */
void dev_facts_append_url(struct buf *out, const struct dev_facts *facts, const struct endpoint_options *endpoint);
/* Appends that URL with the user's token in its query, where the endpoint takes it there. */
void dev_facts_append_token_url(struct buf *out, const struct dev_facts *facts, const struct endpoint_options *endpoint,
                                const struct dev_user *user);
/* The query parameter that carries the token. NULL: none does. */
const char *dev_facts_query(const struct endpoint_options *endpoint);
/* "s" of wss:// and https:// where the public listener speaks TLS, else "". */
const char *dev_facts_tls(const struct dev_facts *facts);

#endif
