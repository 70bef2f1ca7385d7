/* reason.h - the reasons for which a connection is refused or closed (reasons.def). Pure, for any thread. */
#ifndef CARILLON_PROTOCOL_REASON_H
#define CARILLON_PROTOCOL_REASON_H

#include "common/base/error.h"

enum reason {
    REASON_NONE = 0,
#define REASON(symbol, text, error, close, sentence) REASON_##symbol,
#include "common/protocol/reasons.def"
#undef REASON
    REASON_COUNT
};

/* "token_expired": the text in the close frame and in the labels of metrics. "none" for REASON_NONE. */
const char *reason_text(enum reason reason);
enum err reason_err(enum reason reason);
/* The default close code; an endpoint may map it to another. */
int reason_close_code(enum reason reason);
const char *reason_sentence(enum reason reason);
/* The reason with that text; REASON_NONE if there is none. */
enum reason reason_from_text(struct str text);

#endif
