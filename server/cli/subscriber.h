/* subscriber.h - one WebSocket connection of "carillon listen". It connects, subscribes and prints the events. At the
 * end it says why, and whether another try makes sense. Single thread. Calls block. */
#ifndef CARILLON_CLI_SUBSCRIBER_H
#define CARILLON_CLI_SUBSCRIBER_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/protocol/url.h"
#include "server/cli/place.h"

/* The caller sets the first members and zeroes the others. All are kept from one connection to the next. */
struct cli_subscriber {
    const char *command; /* what messages on stderr begin with */
    struct url url;
    struct str token; /* empty for none */
    char *const *channels;
    size_t channel_count;
    bool raw;       /* print every frame, not only events */
    uint64_t count; /* stop after so many events, or 0 for no end */
    uint64_t last;  /* newest events wanted first, of each channel, or 0 */

    struct place *places; /* one for each channel, the caller's: the next connection goes on from there */
    uint64_t printed;     /* events so far */
    uint64_t wait_ms;     /* pause that the server asked for before the next connection, or 0 */
};

enum subscriber_end {
    SUBSCRIBER_DONE,    /* count events have been printed, or nobody reads stdout any more */
    SUBSCRIBER_RETRY,   /* connecting again may help, and *error says why the connection ended */
    SUBSCRIBER_REFUSED, /* connecting again will not help, and *error says why */
};

enum subscriber_end subscriber_run(struct cli_subscriber *subscriber, struct error *error);

#endif
