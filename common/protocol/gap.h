/* gap.h - why a subscriber is told that continuity was lost (gaps.def). Pure; any thread. */
#ifndef CARILLON_PROTOCOL_GAP_H
#define CARILLON_PROTOCOL_GAP_H

enum gap {
    GAP_NONE = 0,
#define GAP(symbol, text, meaning) GAP_##symbol,
#include "common/protocol/gaps.def"
#undef GAP
    GAP_COUNT
};

/* "epoch_changed": what the frame carries and what metrics are labelled with. "none" for GAP_NONE. */
const char *gap_text(enum gap gap);
const char *gap_meaning(enum gap gap);

#endif
