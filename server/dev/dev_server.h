/* dev_server.h - the server for development, `carillon dev`: what happens is written to a journal, and /dev/v1 of the
 * internal listener orders faults, the clock and the rest. It acts in the real server: it stands in front of the
 * transport and the broker (struct server_hooks), and observes the hub. There is one worker, so all of it is in one
 * thread. */
#ifndef CARILLON_DEV_DEV_SERVER_H
#define CARILLON_DEV_DEV_SERVER_H

#include "server/app/server.h"
#include "server/dev/dev_clock.h"

struct dev;

/* How it starts, and how it starts again with a reset. */
struct dev_start {
    struct dev_clock_start clock;
    bool has_seed;
    uint64_t seed; /* of all that is drawn at random in the process from now on (seeded.h) */
};

/* The clock of the process is that of dev from now on. There is only one thread yet. */
struct dev *dev_create(const struct dev_start *start);
/* After the server has ended. */
void dev_destroy(struct dev *dev);

/* Before the server starts: what happens is shown on stderr (terminal.h). */
void dev_show_terminal(struct dev *dev);
/* When the server listens, and before the first request: who may ask its internal listener (guard.h). */
void dev_guard(struct dev *dev, const struct server_addresses *addresses, bool allow_remote);

/* When the server listens: what a program is told of it (JSON), for GET /dev/v1/server. */
void dev_tell_facts(struct dev *dev, struct str json);

/* What stands between the parts of the server. Borrowed for the life of dev. */
const struct server_hooks *dev_hooks(const struct dev *dev);

/* The parts of the server, once they are made. Borrowed for the life of dev. */
const struct server_parts *dev_parts(const struct dev *dev);
/* Another number each time: 1, 2 and so on, and from 1 again after a reset that rewinds the clock. */
uint64_t dev_number(struct dev *dev);

#endif
