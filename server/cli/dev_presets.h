/* dev_presets.h - the flags of `carillon dev` that are no options of the server: shapes of clients to serve, and the
 * upstream inside the server that answers those clients. They become presets of options (option_table.h). */
#ifndef CARILLON_CLI_DEV_PRESETS_H
#define CARILLON_CLI_DEV_PRESETS_H

#include "common/base/buf.h"
#include "server/app/options.h"

enum { DEV_SHAPES = 4, DEV_SUBPROTOCOLS_MAX = 16, DEV_PRESETS_MAX = 5 };

/* What a rule of `carillon dev` has besides its `match`. Subscribers are told who joins and leaves, too. */
#define DEV_RULE_QUIET                                                                                                 \
    "\"allow\":[\"subscribe\",\"publish\",\"presence\",\"history\"],\"presence\":true,"                                \
    "\"history\":{\"size\":100,\"ttl\":\"1h\"}"
#define DEV_RULE DEV_RULE_QUIET ",\"presence_events\":true"

/* Texts of argv are borrowed. */
struct dev_presets {
    bool wanted[DEV_SHAPES]; /* in the order of dev_shapes */
    const char *subprotocols[DEV_SUBPROTOCOLS_MAX];
    size_t subprotocol_count;
    const char *answer;  /* JSON, or "echo"; NULL: one that clients of the shape accept */
    const char *backend; /* URL of a backend in place of the upstream inside; NULL: none */
    unsigned long frames;
    unsigned long every_ms;
    struct buf endpoints; /* JSON, for the presets of options */
    struct buf upstreams;
    char **argv; /* the words that are left, on the heap; ends with NULL */
    int argc;
};

/* Takes its flags out of the words of the call. On failure the error says which word is wrong. The caller ends it with
 * dev_presets_fini in either case. */
enum err dev_presets_parse(struct dev_presets *presets, int argc, char **argv, struct error *error);
/* Writes the presets of options, at most DEV_PRESETS_MAX. Returns how many; 0 without --preset. They are borrowed. */
size_t dev_presets_options(struct dev_presets *presets, struct option_preset *out);
void dev_presets_fini(struct dev_presets *presets);

#endif
