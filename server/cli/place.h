/* place.h - how far "carillon listen" has come on a channel, so that its next connection goes on from there:
 * docs/protocol.md, "Coming back". Knows no connection. */
#ifndef CARILLON_CLI_PLACE_H
#define CARILLON_CLI_PLACE_H

#include "common/base/buf.h"
#include "common/json/json.h"

/* The caller's memory, zeroed: nothing is known. */
struct place {
    bool is_known; /* the channel has a history, and the rest says where in it */
    struct buf epoch;
    uint64_t offset;
    struct buf id; /* of the event at that offset, or empty if it is not known */
};

/* From the data of `subscribed` or `gap`, which has all three. Without an epoch the channel has no history. */
void place_set(struct place *place, struct json_value told);

/* From an event. */
void place_advance(struct place *place, struct json_value event);

/* Appends the position as JSON. Only when it is known. */
void place_append(const struct place *place, struct buf *out);

void place_fini(struct place *place);

#endif
