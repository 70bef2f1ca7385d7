/* subscribe_step.h - the entry step for endpoints with automatic subscriptions: channels that each session there has
 * from its beginning. The endpoint has templates of their names. */
#ifndef CARILLON_NET_ENTRY_SUBSCRIBE_STEP_H
#define CARILLON_NET_ENTRY_SUBSCRIBE_STEP_H

#include "server/net/entry/entry.h"

/* Fills the {names} of a template, and appends the text. A name is, in this order, one of the path, session_id, or a
 * claim of the token (claims_text), if the entry has claims yet. False: *out_missing (a part of the template) has no
 * value, or an empty one; *out then has a part. */
bool entry_fill(const struct entry *entry, struct str template, struct buf *out, struct str *out_missing);

/* Gives the entry a first channel for each template of its endpoint, by the rules of the hub and with the user's
 * rights. Refuses a client that may not subscribe to one of them, or for which a name has no value. It never waits. The
 * hub is borrowed. */
struct entry_step subscribe_step(struct hub *hub);

#endif
