/* options_verdict.h - what is wrong with settings, or may be meant otherwise: lines that begin with the place of an
 * option. For options_validate*.c and options_advise*.c. */
#ifndef CARILLON_APP_OPTIONS_VERDICT_H
#define CARILLON_APP_OPTIONS_VERDICT_H

#include "server/app/options.h"

struct verdict {
    const struct options *options;
    const struct option_sources *sources;
    struct buf *messages;
    enum err err; /* ERR_NONE until something is refused */
};

/* "carillon.jsonc:7: endpoints[1].path: ..." The key may lead into a record; the place is the nearest thing around it
 * that was given. */
void verdict_refuse(struct verdict *verdict, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with "note: " before the text, for what is allowed. */
void verdict_note(struct verdict *verdict, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "endpoints[1].path" and "upstreams.ai.url". member "" is the record itself. Returns out. */
enum { VERDICT_KEY_LEN = 192 };
const char *key_in_list(char out[VERDICT_KEY_LEN], const char *list, size_t index, const char *member);
const char *key_in_map(char out[VERDICT_KEY_LEN], const char *map, const char *name, const char *member);

/* Of options_validate_endpoints.c and options_validate_upstreams.c. */
void validate_endpoints(struct verdict *verdict);
void validate_upstreams(struct verdict *verdict);
/* Tickets and lifecycle events. */
void validate_tickets(struct verdict *verdict);
void validate_lifecycle(struct verdict *verdict);
/* Of options_advise_endpoints.c: endpoints, upstreams and tickets. */
void advise_endpoints(struct verdict *verdict);

/* The upstream of that name; NULL: there is none. */
const struct upstream_options *find_upstream(const struct options *options, const char *name);
/* Is the backend called by HTTP? */
bool upstream_is_http(const struct upstream_options *upstream);

#endif
