/* dev_flags.h - the flags of `carillon dev` itself: how it starts, what it tells, and whose tokens it prints. The
 * shapes of clients have their flags in dev_presets.h. */
#ifndef CARILLON_CLI_DEV_FLAGS_H
#define CARILLON_CLI_DEV_FLAGS_H

#include "common/base/error.h"
#include "server/dev/dev_server.h"

enum { DEV_USERS_MAX = 32 };

/* Texts of argv are borrowed. */
struct dev_flags {
    bool help; /* asked for, which argv says too: nothing is started, or written */
    bool json;
    bool quiet;
    bool fresh;
    bool exit_with_parent;
    bool allow_remote;
    struct dev_start start;
    const char *ready_file; /* NULL: none */
    const char *users[DEV_USERS_MAX];
    size_t user_count; /* at least 1 */
    int argc;          /* the words that are none of these flags */
    char **argv;       /* owned; ends with NULL */
};

/* Reads the flags out of argv. A mistake is ERR_INVALID_REQUEST. Call dev_flags_fini in any case. */
enum err dev_flags_parse(struct dev_flags *flags, int argc, char **argv, struct error *error);
void dev_flags_fini(struct dev_flags *flags);

#endif
