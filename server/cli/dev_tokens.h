/* dev_tokens.h - the tokens and tickets of `carillon dev`: the token that it prints, and those that its routes make.
 *
 *   POST /dev/v1/tokens   of the internal listener. The body is a JSON object, and each member may be left out:
 *                         sub       text; default "demo"
 *                         channels  list of patterns; default ["*"]
 *                         expires   30s, 15m, 1h or 30d; default 30d
 *                         claims    object with further claims
 *                         The answer is {"token","ws_url"}, for the first endpoint.
 *   POST /dev/v1/tickets  the same, and the purpose and the resource of the ticket. `expires` is how long the ticket
 *                         waits for its use. The answer is {"ticket","ws_url","expires_in"} (dev_tickets.h).
 *
 * A page of another origin gets none of them (server/dev/guard.h). */
#ifndef CARILLON_CLI_DEV_TOKENS_H
#define CARILLON_CLI_DEV_TOKENS_H

#include <stdatomic.h>

#include "common/protocol/http_message.h"
#include "common/token/keys.h"
#include "server/app/server.h"

enum { DEMO_TOKEN_DAYS = 30 };

struct dev;

/* One for the process. Zeroed but for dev: the routes answer 503 until dev_tokens_open. */
struct dev_tokens {
    struct dev *dev; /* borrowed */
    struct server_addresses addresses;
    struct token_keys *keys; /* one reference */
    struct buf claims;       /* a JSON object: those that the endpoints require */
    struct buf url;          /* of the first endpoint, up to the token */
    bool has_query;          /* the token goes behind the url */
    atomic_bool is_open;     /* the rest does not change any more */
};

/* Fails without token.secret. The secret and the endpoints are those of the start: a reload does not change them here.
 */
enum err dev_tokens_open(struct dev_tokens *tokens, const struct server_addresses *addresses,
                         const struct options *options, struct error *error);
void dev_tokens_fini(struct dev_tokens *tokens);

/* Appends a token for the user, for all channels, with all claims and scopes that the endpoints and the channels' rules
 * require. */
enum err dev_tokens_issue(const struct dev_tokens *tokens, struct str user, struct buf *out, struct error *error);

/* For struct server_start; the owner is a struct dev_tokens. */
extern const struct http_handler dev_tokens_handler;

#endif
