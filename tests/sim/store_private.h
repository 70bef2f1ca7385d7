/* store_private.h - shared by the files of the store. store.c keeps keys and items. store_commands.c,
 * store_collections.c, store_streams.c and store_groups.c have the commands. */
#ifndef CARILLON_TESTS_SIM_STORE_PRIVATE_H
#define CARILLON_TESTS_SIM_STORE_PRIVATE_H

#include "tests/sim/store.h"

/* --- store.c --- */
struct str store_copy_text(struct str text);
void store_free_text(struct str text);
/* The new one is empty. */
struct item *store_insert(struct key *key, size_t at);
void store_remove(struct key *key, size_t at);
/* By name; key may be NULL. */
struct item *store_item(const struct key *key, struct str name);
bool store_drop(struct store *store, struct str name);
/* Drops it if its end has come. */
struct key *store_live(struct store *store, struct str name, uint64_t now_ms);
struct key *store_make(struct store *store, struct str name, enum key_type type);

/* --- store_streams.c and store_groups.c --- */
void store_answer_id(struct buf *out, uint64_t major, uint64_t minor);
void store_answer_entry(struct buf *out, const struct item *item);
/* NULL is fine. */
void store_free_group(struct stream_group *group);
struct stream_group *store_copy_group(const struct stream_group *group);

/* --- store_commands.c --- */
#define STORE_WRONG_TYPE   "WRONGTYPE Operation against a key holding the wrong kind of value"
#define STORE_NOT_A_NUMBER "ERR value is not an integer or out of range"

enum { STORE_WRITES = 1, STORE_GROWS = 2 }; /* GROWS: refused when memory is full */

struct store_command {
    const char *name;
    size_t argc_min;
    unsigned flags;
    void (*run)(struct store_call *call);
};

struct store_table {
    const struct store_command *rows;
    size_t count;
};

extern const struct store_table store_collection;
extern const struct store_table store_stream;
extern const struct store_table store_group;

/* Is the text that word, in whatever case? */
bool store_is(struct str text, const char *word);
bool store_number(struct str text, int64_t *out);
bool store_double(struct str text, double *out);
struct str store_number_text(double value, char out[40]);
/* The key argv[1] of that type. *out NULL: there is none. False: it is of another type, and that is answered. */
bool store_open(struct store_call *call, enum key_type type, struct key **out);
bool store_open_or_make(struct store_call *call, enum key_type type, struct key **out);
void store_drop_if_empty(struct store_call *call, const struct key *key);
void store_set_value(struct item *item, struct str value);
/* The item of that name, made at the end if need be. */
struct item *store_make_item(struct key *key, struct str name, bool *out_new);
/* HDEL, SREM and ZREM. */
void store_remove_members(struct store_call *call, enum key_type type);
/* HLEN, SCARD, ZCARD and XLEN. */
void store_count_items(struct store_call *call);

#endif
