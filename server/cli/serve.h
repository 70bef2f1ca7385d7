/* serve.h - what `serve` and `dev` share: the same server with other presets. */
#ifndef CARILLON_CLI_SERVE_H
#define CARILLON_CLI_SERVE_H

#include "server/app/server.h"

struct serve_kind {
    const char *usage;
    const struct option_preset *presets;
    size_t preset_count;
    void (*ready)(void *owner, const struct server_addresses *addresses, const struct options *options);
    void *owner;
    const struct http_handler *more; /* as in struct server_start, and the next */
    const struct server_hooks *hooks;
    /* Of the command, after those of options_validate: appends what is wrong. NULL: it has none. */
    enum err (*check)(void *owner, const struct options *options, struct buf *messages);
};

/* Loads options over the presets and runs a node. Returns the exit code. */
int serve_run(const struct serve_kind *kind, int argc, char **argv);

#endif
