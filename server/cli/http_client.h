/* http_client.h - one HTTP request by libcurl, over a connection of its own. Blocking, with a deadline. One thread at a
 * time. */
#ifndef CARILLON_CLI_HTTP_CLIENT_H
#define CARILLON_CLI_HTTP_CLIENT_H

#include "common/protocol/url.h"
#include "server/cli/http_reply.h"

/* Sends a GET, or with a body (JSON) a POST, for the URL's path with `path` behind it. authorization is the value of
 * that header, NULL for none. curl_handle.h has the settings. An answer with any status is a success here; redirects
 * are not followed. An answer over 16 MiB is a failure. */
enum err http_client_call(const struct url *base, const char *path, const char *authorization, const struct str *body,
                          uint64_t deadline_us, struct http_reply *out, struct error *error);

#endif
