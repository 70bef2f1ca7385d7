/* out_frame.h - the frames that go to a client, one by one, and what the journal tells of them. They are those of a
 * server: not masked, and never fragmented (common/protocol/ws_frame.h). */
#ifndef CARILLON_DEV_OUT_FRAME_H
#define CARILLON_DEV_OUT_FRAME_H

#include "common/protocol/ws_frame.h"
#include "server/dev/journal.h"

/* Borrowed. */
struct out_frame {
    enum ws_opcode opcode;
    struct str whole;
    struct str payload;
};

/* Takes the first frame from *bytes, which has whole frames. */
struct out_frame out_frame_take(struct str *bytes);

/* The newest text message, and what it is. An event goes to many sessions one after the other. */
struct out_text {
    struct journal_body *body; /* a reference; NULL: none yet */
};

void out_text_fini(struct out_text *newest);

/* Adds a line to the journal: the frame goes to that client now. Pings and pongs are no messages, and get none. */
void out_frame_note(struct journal *journal, struct journal_party *party, struct out_text *newest, uint64_t at_ms,
                    const struct out_frame *frame);

#endif
