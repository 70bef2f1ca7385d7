/* stream_upstream.h - an upstream that is a stream of Redis. Each message of a client becomes one entry, with these
 * fields:
 *
 *   session, user, endpoint   whose it is, and the path that the session came in by, as it is configured
 *   n                         the message's number in its session, from 1
 *   kind                      text or binary
 *   data                      the message, byte for byte
 *   time                      when it came (RFC 3339)
 *
 * 1. A session has one entry under way at a time, so its entries are in the order of its messages. The others wait.
 * 2. While Redis is away or full, the entry is tried again. If the connection was lost before Redis answered, the entry
 *    may be there twice, with the same session and n.
 * 3. A client whose messages take more than waiting_bytes is not read until Redis has taken half of them.
 * 4. A message that Redis has not taken within timeout_us fails: the client gets the endpoint's error frame. Those of a
 *    session that has ended are logged.
 * Nothing comes back from the stream. A backend answers by the API (send). */
#ifndef CARILLON_UPSTREAM_STREAM_UPSTREAM_H
#define CARILLON_UPSTREAM_STREAM_UPSTREAM_H

#include "server/core/upstream.h"

/* Texts are copied. */
struct stream_upstream_options {
    struct str name;
    struct str stream;     /* the key, as it is */
    uint64_t max_len;      /* about so many entries stay */
    size_t waiting_bytes;  /* of a session */
    uint64_t timeout_us;   /* of a message */
    bool close_on_failure; /* a failed message ends its session */
};

/* One reference. */
struct upstream *stream_upstream_create(const struct stream_upstream_options *options);

#endif
