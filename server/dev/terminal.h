/* terminal.h - shows the journal to the developer, one short line for each thing that happens:
 *
 *   14:03:22.123 connect      ada 4f2a1c       from 127.0.0.1
 *   14:03:22.140 subscribe    ada 4f2a1c       room:1
 *   14:03:22.200 publish      room:1           notification, 36 bytes
 *   14:03:22.200 deliver      room:1           notification to 3
 *   14:03:23.001 refuse       101              /ws: the token has expired: ...
 *   14:03:24.500 close        ada 4f2a1c       1000
 *
 * The six digits name the session: they are in its id (digits 7 to 12 from the end). Deliveries of an event are told
 * once in a turn, for all that get it. Nobody reads more than some lines a second: further ones are only counted. */
#ifndef CARILLON_DEV_TERMINAL_H
#define CARILLON_DEV_TERMINAL_H

#include "common/base/mailbox.h"
#include "server/dev/journal.h"

enum { TERMINAL_DELIVERIES = 16 };

/* An event that has been delivered in this turn. */
struct terminal_delivery {
    uint64_t event; /* a hash of its channel and id */
    uint64_t at_ms;
    size_t count;
    struct buf channel;
    struct buf type;
};

struct terminal {
    struct journal_listener listener;
    struct turn_hook end_of_turn;
    struct terminal_delivery deliveries[TERMINAL_DELIVERIES];
    size_t delivery_count;
    int64_t second;   /* of the machine's own clock: dev's may stand still */
    unsigned lines;   /* in this second */
    uint64_t skipped; /* lines that have not been told */
};

/* Both are borrowed for the life of the terminal. */
void terminal_start(struct terminal *terminal, struct journal *journal, struct turn *turn);
/* Zeroed, or started, and when the turn has ended. */
void terminal_fini(struct terminal *terminal);

#endif
