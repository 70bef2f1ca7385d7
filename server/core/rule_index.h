/* rule_index.h - which of many patterns may match a name: those whose literal beginning, up to the first '*' or '{',
 * the name begins with. They come in their own order, so a walk through them finds the first match that a walk through
 * all would find, and costs about as much with ten thousand as with ten. Pure; immutable once built. */
#ifndef CARILLON_CORE_RULE_INDEX_H
#define CARILLON_CORE_RULE_INDEX_H

#include "common/protocol/channel_name.h"

struct rule_index;

/* Well-formed patterns (pattern_check); their texts are borrowed for the index's life. Freed by free(). */
struct rule_index *rule_index_create(const struct str *patterns, size_t count);

/* A walk. On the stack; nothing to free. */
struct rule_walk {
    size_t count;
    struct {
        const uint32_t *next, *end; /* numbers of patterns, ascending */
    } parts[CHANNEL_NAME_MAX + 1];  /* one for each beginning of the name that patterns have */
};

void rule_walk_begin(struct rule_walk *walk, const struct rule_index *index, struct str name);
/* The number of the next pattern that may match, each higher than the one before; false when there is none. */
bool rule_walk_next(struct rule_walk *walk, size_t *out_number);

#endif
