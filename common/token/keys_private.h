/* keys_private.h - the keys of a keyset, for the files of this folder that look for one. */
#ifndef CARILLON_TOKEN_KEYS_PRIVATE_H
#define CARILLON_TOKEN_KEYS_PRIVATE_H

#include <stdatomic.h>

#include "common/token/key.h"
#include "common/token/keys.h"

struct token_keys {
    _Atomic unsigned refs;
    struct token_key *list;
    size_t count;
};

/* The secret that is too short for the algorithm. NULL if there is none, or if another key serves the algorithm. */
const struct token_key *keys_find_too_short(const struct token_keys *keys, const struct algorithm *algorithm);

#endif
