/* line_match.c - see line_match.h. A matching in a bipartite graph grows along augmenting paths, which are found
 * breadth first. */
#include "server/dev/line_match.h"

#include <stdlib.h>

#include "common/base/alloc.h"

enum { WORD = 64 };

void line_match_init(struct line_match *match, size_t expectations, size_t lines)
{
    size_t words = lines / WORD + 1;
    *match = (struct line_match){.expectations = expectations, .lines = lines, .words = words};
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
    free(match->allowed);
    free(match->line_of);
    free(match->taken_by);
}

void line_match_allow(struct line_match *match, size_t expectation, size_t line)
{
    match->allowed[expectation * match->words + line / WORD] |= (uint64_t)1 << line % WORD;
}

/* The first bit from there on that is set in bits and not in without, which may be NULL. */
static size_t next_bit(const uint64_t *bits, const uint64_t *without, size_t words, size_t from)
{
    uint64_t mask = UINT64_MAX << from % WORD;
    for (size_t word = from / WORD; word < words; word++, mask = UINT64_MAX) {
        uint64_t left = bits[word] & mask & ~(without ? without[word] : 0);
        if (left)
            return word * WORD + (size_t)__builtin_ctzll(left);
    }
    return LINE_MATCH_NONE;
}

size_t line_match_next(const struct line_match *match, size_t expectation, size_t from)
{
    return next_bit(match->allowed + expectation * match->words, NULL, match->words, from);
}

void line_match_take(struct line_match *match, size_t expectation, size_t line)
{
    match->line_of[expectation] = line;
    match->taken_by[line] = expectation;
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
        const uint64_t *allowed = match->allowed + from * match->words;
        while (free_line == LINE_MATCH_NONE &&
               (line = next_bit(allowed, seen, match->words, line)) != LINE_MATCH_NONE) {
            seen[line / WORD] |= (uint64_t)1 << line % WORD;
            reached_from[line] = from;
            if (match->taken_by[line] == LINE_MATCH_NONE)
                free_line = line;
            else
                queue[count++] = match->taken_by[line];
        }
    }
    follow_back(match, reached_from, free_line);
    free(queue);
    free(reached_from);
    free(seen);
    return free_line != LINE_MATCH_NONE;
}
