/* store_private.h - between store.c and store_commands.c. */
#ifndef CARILLON_TESTS_SIM_STORE_PRIVATE_H
#define CARILLON_TESTS_SIM_STORE_PRIVATE_H

#include "tests/sim/store.h"

struct str copy_text(struct str text);
void free_text(struct str text);
/* The new one is empty. */
struct item *insert_item(struct key *key, size_t at);
void remove_item(struct key *key, size_t at);
/* By name; key may be NULL. */
struct item *find_item(const struct key *key, struct str name);

bool drop_key(struct store *store, struct str name);
/* Drops it if its end has come. */
struct key *live_key(struct store *store, struct str name, uint64_t now_ms);
struct key *make_key(struct store *store, struct str name, enum key_type type);

#endif
