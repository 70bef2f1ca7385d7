/* dev_lines.h - what `carillon dev` prints: for each endpoint, what a client needs, and lines that work when they are
 * pasted. */
#ifndef CARILLON_CLI_DEV_LINES_H
#define CARILLON_CLI_DEV_LINES_H

#include "server/app/server.h"

/* Prints to stdout. The options have a secret, an API key and an endpoint. */
void dev_lines_print(const struct server_addresses *addresses, const struct options *options, struct str token);

#endif
