/* redis_later.h - what Redis cannot do at this moment, and is asked again soon: mail that is delivered a little later.
 * One thread. */
#ifndef CARILLON_BROKER_REDIS_LATER_H
#define CARILLON_BROKER_REDIS_LATER_H

#include <stdbool.h>
#include <uv.h>

#include "common/base/mail.h"

struct redis_broker;

struct redis_later {
    struct redis_broker *broker;
    struct mail *first; /* oldest first */
    struct mail *last;
    uv_timer_t timer;
    bool closing;
};

/* It counts as one of broker->open. */
void redis_later_init(struct redis_later *later, struct redis_broker *broker);

/* deliver is called with the broker as its owner, in the order of the calls; at the end too, by redis_later_close. */
void redis_later_put(struct redis_later *later, struct mail *mail);

/* redis_broker_part_closed follows. What is put then is delivered at once. */
void redis_later_close(struct redis_later *later);

#endif
