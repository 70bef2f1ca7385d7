/* dialect.h - the language of a client: its messages become commands; replies and events become its messages. The hub
 * knows commands, replies and events only. A dialect is one file in server/dialect. Pure, for any thread. */
#ifndef CARILLON_CORE_DIALECT_H
#define CARILLON_CORE_DIALECT_H

#include "common/base/buf.h"
#include "common/protocol/command.h"
#include "common/protocol/reply.h"

struct dialect {
    /* One whole text message of a client, UTF-8 already checked. It checks form only: members and their types. The hub
     * checks channel names, events and the length of epochs. On success out->type is not COMMAND_NONE, and out->id is
     * no longer than COMMAND_ID_RAW_MAX. On failure *out still has the id where it could be read, so that the error can
     * be answered to it; ERR_INVALID_REQUEST. scratch is cleared first. It must outlive *out. */
    enum err (*parse)(struct str message, struct command *out, struct buf *scratch, struct error *error);
    /* Appends one message with the event. Appends nothing where the dialect has no words for it: nothing is sent. */
    void (*event)(struct buf *out, const struct event *event);
    /* Appends one message with the reply. Appends nothing where the dialect has no words for it: nothing is sent. */
    void (*reply)(struct buf *out, const struct reply *reply);
};

#endif
