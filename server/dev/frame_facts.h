/* frame_facts.h - what a rule can see of a message: its type, channel, data and id. Pure. */
#ifndef CARILLON_DEV_FRAME_FACTS_H
#define CARILLON_DEV_FRAME_FACTS_H

#include "common/base/buf.h"
#include "common/json/json.h"

/* All texts are borrowed from the message or from scratch, and empty where there is none. */
struct frame_facts {
    struct str type;
    struct str channel; /* of the message; of a command that of its data */
    struct str id;      /* as it is written: with its quotes */
    struct json_value data;
    struct buf scratch;
};

/* A message that is no JSON object has no facts. Zeroed facts are those of no message at all. */
void frame_facts_read(struct frame_facts *facts, struct str message);
void frame_facts_fini(struct frame_facts *facts);

#endif
