/* line_match.c - see line_match.h. A matching in a bipartite graph grows along augmenting paths, which are found
 * breadth first. */
#include "server/dev/line_match.h"

#include <stdlib.h>

#include "common/base/alloc.h"

enum { WORD = 64 };

void line_match_init(struct line_match *match, size_t expectations, size_t lines,
                     bool (*allows)(void *owner, size_t expectation, size_t line), void *owner)
{
    size_t words = lines / WORD + 1;
    *match = (struct line_match){
        .expectations = expectations, .lines = lines, .words = words, .allows = allows, .owner = owner};
    match->asked = xcalloc(expectations * words + 1, sizeof *match->asked);
    match->taken = xcalloc(words, sizeof *match->taken);
    match->allowed = xcalloc(expectations * words + 1, sizeof *match->allowed);
    match->line_of = xcalloc(expectations + 1, sizeof *match->line_of);
    match->taken_by = xcalloc(lines + 1, sizeof *match->taken_by);
    for (size_t i = 0; i < expectations; i++)
        match->line_of[i] = LINE_MATCH_NONE;
    for (size_t i = 0; i < lines; i++)
        match->taken_by[i] = LINE_MATCH_NONE;
}

void line_match_fini(struct line_match *match)
{
    free(match->asked);
    free(match->allowed);
    free(match->taken);
    free(match->line_of);
    free(match->taken_by);
}

static uint64_t bit_of(size_t line)
{
    return (uint64_t)1 << line % WORD;
}

static bool allows(struct line_match *match, size_t expectation, size_t line)
{
    size_t word = expectation * match->words + line / WORD;
    if (!(match->asked[word] & bit_of(line)) && match->allows(match->owner, expectation, line))
        match->allowed[word] |= bit_of(line);
    match->asked[word] |= bit_of(line);
    return match->allowed[word] & bit_of(line);
}

/* The first line from there on that the expectation allows, without those of the set, which may be NULL. */
static size_t next_without(struct line_match *match, const uint64_t *without, size_t expectation, size_t from)
{
    const uint64_t *asked = match->asked + expectation * match->words;
    const uint64_t *allowed = match->allowed + expectation * match->words;
    uint64_t mask = UINT64_MAX << from % WORD;
    for (size_t word = from / WORD; word < match->words; word++, mask = UINT64_MAX) {
        uint64_t left = (allowed[word] | ~asked[word]) & mask & ~(without ? without[word] : 0);
        for (; left; left &= left - 1) {
            size_t line = word * WORD + (size_t)__builtin_ctzll(left);
            if (line >= match->lines)
                return LINE_MATCH_NONE;
            if (allows(match, expectation, line))
                return line;
        }
    }
    return LINE_MATCH_NONE;
}

size_t line_match_next(struct line_match *match, size_t expectation, size_t from)
{
    return next_without(match, NULL, expectation, from);
}

void line_match_take(struct line_match *match, size_t expectation, size_t line)
{
    match->line_of[expectation] = line;
    match->taken_by[line] = expectation;
    match->taken[line / WORD] |= bit_of(line);
}

/* The path leads back from a free line: each expectation on it takes the line by which it was reached next. */
static void follow_back(struct line_match *match, const size_t *reached_from, size_t line)
{
    while (line != LINE_MATCH_NONE) {
        size_t expectation = reached_from[line], before = match->line_of[expectation];
        line_match_take(match, expectation, line);
        line = before;
    }
}

bool line_match_find(struct line_match *match, size_t expectation)
{
    size_t *queue = xcalloc(match->expectations, sizeof *queue);
    size_t *reached_from = xcalloc(match->lines + 1, sizeof *reached_from);
    uint64_t *seen = xcalloc(match->words, sizeof *seen);
    size_t first = 0, count = 0, free_line = LINE_MATCH_NONE;
    queue[count++] = expectation;
    while (first < count && free_line == LINE_MATCH_NONE) {
        size_t from = queue[first++], line = 0;
        free_line = next_without(match, match->taken, from, 0);
        if (free_line != LINE_MATCH_NONE)
            reached_from[free_line] = from;
        while (free_line == LINE_MATCH_NONE && (line = next_without(match, seen, from, line)) != LINE_MATCH_NONE) {
            seen[line / WORD] |= bit_of(line);
            reached_from[line] = from;
            queue[count++] = match->taken_by[line];
        }
    }
    follow_back(match, reached_from, free_line);
    free(queue);
    free(reached_from);
    free(seen);
    return free_line != LINE_MATCH_NONE;
}
