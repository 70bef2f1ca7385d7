/* dev_lines.h - what `carillon dev` prints: for each endpoint, what a client needs, and lines that work when they are
 * pasted. */
#ifndef CARILLON_CLI_DEV_LINES_H
#define CARILLON_CLI_DEV_LINES_H

#include "server/app/server.h"

#define DEMO_USER "demo"

/* Appends a token for the demo user, signed with token.secret. It has all claims and scopes that the endpoints require.
 */
enum err dev_demo_token(const struct options *options, struct buf *out, struct error *error);

/* Prints to stdout. The options have a secret, an API key and an endpoint. */
void dev_lines_print(const struct server_addresses *addresses, const struct options *options, struct str token);

#endif
