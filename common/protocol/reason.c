/* reason.c - see reason.h. */
#include "common/protocol/reason.h"

static const struct {
    const char *text;
    enum err err;
    int close;
    const char *sentence;
} reasons[REASON_COUNT] = {
    [REASON_NONE] = {"none", ERR_NONE, 1000, "no reason"},
#define REASON(symbol, text, error, close, sentence) [REASON_##symbol] = {text, ERR_##error, close, sentence},
#include "common/protocol/reasons.def"
#undef REASON
};

const char *reason_text(enum reason reason)
{
    return reasons[reason].text;
}

enum err reason_err(enum reason reason)
{
    return reasons[reason].err;
}

int reason_close_code(enum reason reason)
{
    return reasons[reason].close;
}

const char *reason_sentence(enum reason reason)
{
    return reasons[reason].sentence;
}

enum reason reason_from_text(struct str text)
{
    for (int i = REASON_NONE + 1; i < REASON_COUNT; i++)
        if (str_eq_cstr(text, reasons[i].text))
            return (enum reason)i;
    return REASON_NONE;
}

bool close_code_may_be_sent(uint64_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}
