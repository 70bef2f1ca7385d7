/* line_match.h - gives each expectation a line of its own. An expectation may allow many lines, and a line many
 * expectations. An expectation that comes later may move those before it to other lines that they allow, so the order
 * of the list does not count. Expectations and lines are numbers from 0. Pure.
 *
 * The owner is asked about a pair when that is needed, and once. Memory is two bits for each pair. */
#ifndef CARILLON_DEV_LINE_MATCH_H
#define CARILLON_DEV_LINE_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_MATCH_NONE SIZE_MAX

struct line_match {
    size_t expectations;
    size_t lines;
    size_t words;      /* of one expectation in the next two */
    uint64_t *asked;   /* a bit for each line of each expectation */
    uint64_t *allowed; /* the same; clear before it is asked */
    uint64_t *taken;   /* a bit for each line */
    size_t *line_of;   /* of each expectation; LINE_MATCH_NONE: it has none */
    size_t *taken_by;  /* the expectation of each line; LINE_MATCH_NONE: it is free */
    bool (*allows)(void *owner, size_t expectation, size_t line);
    void *owner;
};

void line_match_init(struct line_match *match, size_t expectations, size_t lines,
                     bool (*allows)(void *owner, size_t expectation, size_t line), void *owner);
void line_match_fini(struct line_match *match);

/* The first line from there on that the expectation allows; LINE_MATCH_NONE: there is none. */
size_t line_match_next(struct line_match *match, size_t expectation, size_t from);
/* Gives the line, which is free and allowed, to the expectation, which has none. */
void line_match_take(struct line_match *match, size_t expectation, size_t line);
/* Gives the expectation any line. False: it is not possible, whatever the others have. */
bool line_match_find(struct line_match *match, size_t expectation);

#endif
