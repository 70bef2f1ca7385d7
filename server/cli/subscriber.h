/* subscriber.h - one WebSocket connection of "carillon listen": connects, subscribes, prints what comes, and says why
 * it ended and whether it makes sense to try again. Single thread; blocks. */
#ifndef CARILLON_CLI_SUBSCRIBER_H
#define CARILLON_CLI_SUBSCRIBER_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "server/cli/place.h"
#include "server/cli/url.h"

/* Set by the caller and kept from one connection to the next; zeroed otherwise. */
struct cli_subscriber {
    const char *command; /* what messages on stderr begin with */
    struct url url;
    struct str token; /* empty for none */
    char *const *channels;
    size_t channel_count;
    bool raw;       /* print every frame, not only events */
    uint64_t count; /* stop after so many events; 0 for no end */
    uint64_t last;  /* of each channel so many of the newest events first; 0 for none */

    struct place *places; /* one for each channel, the caller's: the next connection goes on from there */
    uint64_t printed;     /* events so far */
    uint64_t wait_ms;     /* what the server asked to wait before the next connection; 0 for nothing */
};

enum subscriber_end {
    SUBSCRIBER_DONE,    /* count events have been printed, or nobody reads stdout any more */
    SUBSCRIBER_RETRY,   /* connecting again may help; *error says what ended it */
    SUBSCRIBER_REFUSED, /* connecting again will not help; *error says why */
};

enum subscriber_end subscriber_run(struct cli_subscriber *subscriber, struct error *error);

#endif
