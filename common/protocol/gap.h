/* gap.h - the reasons of a gap, which tells a subscriber that continuity was lost (gaps.def). Pure, for any thread. */
#ifndef CARILLON_PROTOCOL_GAP_H
#define CARILLON_PROTOCOL_GAP_H

enum gap {
    GAP_NONE = 0,
#define GAP(symbol, text, meaning) GAP_##symbol,
#include "common/protocol/gaps.def"
#undef GAP
    GAP_COUNT
};

/* "epoch_changed": the text in the frame and in the labels of metrics. "none" for GAP_NONE. */
const char *gap_text(enum gap gap);
const char *gap_meaning(enum gap gap);

#endif
