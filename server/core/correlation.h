/* correlation.h - how the messages of an endpoint's clients name themselves, and how a failure is answered. Immutable
 * and counted: all threads use it. */
#ifndef CARILLON_CORE_CORRELATION_H
#define CARILLON_CORE_CORRELATION_H

#include "common/base/buf.h"
#include "common/base/error.h"

/* Bytes of an id as the client wrote it. A longer one counts as absent. */
enum { CORRELATION_ID_MAX = 1024 };

struct correlation;

/* Where the members are, as JSON pointers, and the template of an error frame, which may have {code}, {message} and
 * {id}. Each is empty where it is not wanted. */
struct correlation_options {
    struct str id;
    struct str idempotency_key;
    struct str error;
};

/* The members of one message. Each is a string or a number as the client wrote it; empty: the message has none. */
struct correlated {
    struct str id;
    struct str idempotency_key;
};

/* One reference. On failure *out is NULL, and the error says which option is wrong. */
enum err correlation_create(const struct correlation_options *options, struct correlation **out, struct error *error);
struct correlation *correlation_ref(struct correlation *correlation);
/* Both: NULL is fine. */
void correlation_unref(struct correlation *correlation);

/* The members of a text message, borrowed from it. Text that is not JSON has none. */
struct correlated correlation_read(const struct correlation *correlation, struct str text);

/* Appends the error frame. False: the endpoint has no template, and nothing is appended. id: as in struct correlated.
 */
bool correlation_write_error(const struct correlation *correlation, struct str id, enum err code, struct str message,
                             struct buf *out);

#endif
