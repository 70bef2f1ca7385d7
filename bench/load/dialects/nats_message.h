/* nats_message.h - the client protocol of NATS: lines, and messages with a payload behind their line. Pure, for any
 * thread.
 */
#ifndef CARILLON_BENCH_LOAD_DIALECTS_NATS_MESSAGE_H
#define CARILLON_BENCH_LOAD_DIALECTS_NATS_MESSAGE_H

#include "common/base/buf.h"

enum nats_result {
    NATS_MORE, /* nothing whole; the bytes are as they were */
    NATS_INFO,
    NATS_MSG, /* *out is the payload */
    NATS_PING,
    NATS_PONG,
    NATS_OK,
    NATS_ERR, /* *out is the line */
    NATS_BAD, /* likewise: it is none of these */
};

/* Takes the first item off *bytes. *out borrows. */
enum nats_result nats_next(struct str *bytes, struct str *out);

/* A channel as a subject: dots where it has colons. */
void nats_append_subject(struct buf *out, struct str channel);

/* Not verbose: the server answers a wrong line alone. */
void nats_append_connect(struct buf *out);
/* Subscription 1, and a PING whose PONG says that it is there. */
void nats_append_subscribe(struct buf *out, struct str channel);
void nats_append_publish(struct buf *out, struct str channel, struct str payload);

#endif
