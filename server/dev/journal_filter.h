/* journal_filter.h - which lines of the journal somebody wants. A member that is not given asks for nothing. */
#ifndef CARILLON_DEV_JOURNAL_FILTER_H
#define CARILLON_DEV_JOURNAL_FILTER_H

#include "common/json/json.h"
#include "server/dev/journal.h"

/* All texts are borrowed from what the filter was read from. */
struct journal_filter {
    unsigned kinds;     /* a set: 1 << enum journal_kind; 0: all */
    struct str session; /* empty: any, as the next three */
    struct str user;
    struct str channel; /* with '*' for any run of bytes */
    struct str rule;
    struct str text; /* the whole text of a line */
    bool has_code;
    uint64_t code;
    struct json_value frame; /* what the frame must have (json_match.h) */
};

/* Reads an object such as {"kind":"subscribed","channel":"room:*","user":"ada"}. `where` names it in errors. An unknown
 * member or kind is an error. scratch: the texts that have escapes lie there. */
enum err journal_filter_read(struct json_value object, const char *where, struct journal_filter *out,
                             struct buf *scratch, struct error *error);

/* Reads a kind, or an array of kinds. */
enum err journal_filter_kinds_of(struct json_value value, unsigned *out, struct error *error);
/* Reads a list of kinds with commas, as in a query. */
enum err journal_filter_kinds(struct str list, unsigned *out, struct error *error);

bool journal_filter_takes(const struct journal_filter *filter, const struct journal_line *line);
/* The same in two parts, for a line that many filters look at: all conditions but that of the frame; and that of the
 * frame. */
bool journal_filter_takes_rest(const struct journal_filter *filter, const struct journal_note *note);
bool journal_filter_takes_frame(const struct journal_filter *filter, struct json_value frame);
/* The frame of a line as JSON; absent if it is none. */
struct json_value journal_filter_frame(const struct journal_note *note);
/* Appends the last few lines that the filter would take if one of its conditions were another one, the oldest first.
 * For those who look for what they have missed. As the elements of a JSON array, without its brackets; out is empty. */
void journal_filter_append_nearest(const struct journal_filter *filter, const struct journal *journal, uint64_t after,
                                   struct buf *out);

#endif
