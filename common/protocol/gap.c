/* gap.c - see gap.h. */
#include "common/protocol/gap.h"

static const struct {
    const char *text;
    const char *meaning;
} gaps[GAP_COUNT] = {
    [GAP_NONE] = {"none", "nothing was lost"},
#define GAP(symbol, text, meaning) [GAP_##symbol] = {text, meaning},
#include "common/protocol/gaps.def"
#undef GAP
};

const char *gap_text(enum gap gap)
{
    return gaps[gap].text;
}

const char *gap_meaning(enum gap gap)
{
    return gaps[gap].meaning;
}
