/* rule_index.h - which of many patterns may match a name. The literal beginning of a pattern goes up to its first '*'
 * or
 * '{'. A pattern may match the names that begin with it. A walk gives these patterns in their own order. So the first
 * match is the one that a walk through all patterns would find. A walk costs about as much with ten thousand patterns
 * as with ten. Pure. An index is immutable. */
#ifndef CARILLON_CORE_RULE_INDEX_H
#define CARILLON_CORE_RULE_INDEX_H

#include "common/protocol/channel_name.h"

struct rule_index;

/* The patterns are well-formed (pattern_check). Their texts are borrowed for the index's life. Freed by free(). */
struct rule_index *rule_index_create(const struct str *patterns, size_t count);

/* A walk. On the stack; nothing to free. */
struct rule_walk {
    size_t count;
    struct {
        const uint32_t *next, *end; /* numbers of patterns, ascending */
    } parts[CHANNEL_NAME_MAX + 1];  /* one for each beginning of the name that patterns have */
};

void rule_walk_begin(struct rule_walk *walk, const struct rule_index *index, struct str name);
/* The number of the next pattern that may match. Numbers ascend. False when there is none. */
bool rule_walk_next(struct rule_walk *walk, size_t *out_number);

#endif
