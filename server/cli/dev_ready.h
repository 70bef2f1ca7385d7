/* dev_ready.h - tells a program that `carillon dev` is ready: one line of JSON with every URL, key and secret.
 *
 * - pid: of this process
 * - version: of the server
 * - ws_url: of the first endpoint, without a token
 * - api_url: of the internal listener: POST api_url/api/v1/publish
 * - api_key: opens the API
 * - console_url: the console, for a browser
 * - token: of the first user
 * - token_secret: signs tokens (HS256)
 * - users: [{"sub","token","url"}]. url has the token in it; null where the first endpoint takes none in its query.
 * - endpoints: [{"path","preset","ws_url"}]. The {names} of the path are filled in. The other members say how the
 *   endpoint takes a token or a ticket, and are there only where it does:
 *   - query: the parameter for the token
 *   - subprotocol: the subprotocol beside which the token may come
 *   - ticket_query, purpose, resource: the parameter for a ticket, and for what the ticket must be
 * - tickets_url: gives tickets; not there without endpoints that take them
 */
#ifndef CARILLON_CLI_DEV_READY_H
#define CARILLON_CLI_DEV_READY_H

#include "server/cli/dev_facts.h"

/* Appends the line with its line feed. */
void dev_ready_append(struct buf *out, const struct dev_facts *facts);
/* Writes the text to the file, which appears whole, for its owner alone (0600). A file of that name is replaced. */
enum err dev_ready_write_file(const char *path, struct str text, struct error *error);

#endif
