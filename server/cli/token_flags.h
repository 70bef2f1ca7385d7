/* token_flags.h - the options that `carillon token mint` and `carillon token inspect` have in common: keys above all.
 */
#ifndef CARILLON_CLI_TOKEN_FLAGS_H
#define CARILLON_CLI_TOKEN_FLAGS_H

#include <getopt.h>

#include "common/token/keys.h"

enum { TOKEN_FILE_MAX = 1024 * 1024, FLAG_LIST_MAX = 64 };

enum token_flag {
    FLAG_SECRET_FILE = 256,
    FLAG_KEY_FILE,
    FLAG_SUB,
    FLAG_CHANNEL,
    FLAG_SCOPE,
    FLAG_EXPIRES,
    FLAG_NOT_BEFORE,
    FLAG_ISS,
    FLAG_AUD,
    FLAG_JTI,
    FLAG_CLAIM,
    FLAG_ALG,
    FLAG_KID
};

struct flag_list {
    const char *items[FLAG_LIST_MAX];
    size_t count;
};

/* The texts are borrowed from argv and the environment. */
struct token_flags {
    struct token_keys *keys; /* one reference, empty if no key is given */
    struct flag_list channels, audiences, issuers, claims;
    const char *sub, *scope, *expires, *not_before, *jti, *algorithms, *kid;
    bool help;
};

/* Reads argv by the options, whose values are of enum token_flag. Keys come from the files that the options name, else
 * from CARILLON_TOKEN_SECRET. Afterwards optind is at the first argument that is no option. Call token_flags_fini also
 * after a failure. */
enum err token_flags_read(struct token_flags *flags, int argc, char **argv, const struct option *options,
                          struct error *error);
void token_flags_fini(struct token_flags *flags);

/* "90s", "15m", "1h", "30d" in seconds. False: the text is none of these. */
bool token_parse_seconds(const char *text, uint64_t *out);

/* `carillon token inspect`, in token_inspect.c. argv[0] is the name by which it was called. */
int token_inspect(int argc, char **argv);

#endif
