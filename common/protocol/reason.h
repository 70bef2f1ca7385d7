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

/* May a close frame carry this code? 1000 to 1003, 1007 to 1014 and 3000 to 4999 may (RFC 6455, 7.4; 1012 to 1014 have
 * been registered since). */
bool close_code_may_be_sent(uint64_t code);

#endif
