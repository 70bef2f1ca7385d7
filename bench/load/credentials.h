/* credentials.h - what the clients show at the door: a token each, made before any clock starts. Any thread. */
#ifndef CARILLON_BENCH_LOAD_CREDENTIALS_H
#define CARILLON_BENCH_LOAD_CREDENTIALS_H

#include "common/base/buf.h"
#include "common/token/keys.h"

/* An array of `count` tokens, for users "bench-<first>" and so on, that grant `channel` and all that begins with it and
 * a colon. In any case credentials_free. */
enum err credentials_make(const struct token_keys *keys, struct str channel, size_t first, size_t count,
                          struct buf **out, struct error *error);

/* NULL is fine. */
void credentials_free(struct buf *tokens, size_t count);

#endif
