/* dev_keys.h - the keys of `carillon dev`: drawn once, and kept in .carillon-dev/ in the working directory, so that a
 * token in a page is good after a restart too. The folder is for its owner alone, and git ignores it.
 *
 *   .carillon-dev/token-secret   for `carillon token --secret-file`
 *   .carillon-dev/api-key        for `carillon publish --api-key-file` */
#ifndef CARILLON_CLI_DEV_KEYS_H
#define CARILLON_CLI_DEV_KEYS_H

#include "common/base/error.h"

#define DEV_FOLDER ".carillon-dev"
enum { DEV_KEY_MAX = 512 };

struct dev_keys {
    char token_secret[DEV_KEY_MAX + 1];
    char api_key[DEV_KEY_MAX + 1];
};

/* Reads the keys that are kept, or draws what is missing and keeps it. fresh: draws new ones in place of those that are
 * kept. Fails where a key cannot be used. The keys are drawn, but not kept, where the folder cannot be written; then
 * *out_unkept says why, else it is empty. */
enum err dev_keys_load(bool fresh, struct dev_keys *out, struct error *out_unkept, struct error *error);

#endif
