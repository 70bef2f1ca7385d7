/* quota.h - how many of each key there are at once: connections in all, of an address, of a user, of an endpoint; bytes
 * of request bodies. One for the process; any thread (a mutex). A key is there only while its count is not zero. */
#ifndef CARILLON_NET_ADMISSION_QUOTA_H
#define CARILLON_NET_ADMISSION_QUOTA_H

#include "common/base/str.h"

struct quota;

struct quota *quota_create(void);
/* Everything has been released before. */
void quota_destroy(struct quota *quota);

/* Counts one more of key, unless there are max already. Returns the new count, or 0 when it was refused. */
size_t quota_take(struct quota *quota, struct str key, size_t max);
/* Counts one less: once for each successful quota_take. */
void quota_release(struct quota *quota, struct str key);

/* The same for an amount, of bytes for instance, which may be given back in parts. False: refused, it would be over
 * max. */
bool quota_reserve(struct quota *quota, struct str key, size_t amount, size_t max);
void quota_give_back(struct quota *quota, struct str key, size_t amount);

size_t quota_count(struct quota *quota, struct str key);

/* All that one connection has been counted under, to be released together when it ends. A zeroed one is empty; it may
 * be moved by copying, the old one then being forgotten. */
enum { LEASE_KEYS_MAX = 4 };
struct counted;
struct lease {
    unsigned count;
    struct counted *of[LEASE_KEYS_MAX];
};

/* quota_take under the key "<kind>:<key>"; max 0: no limit now, but counted, for a limit that comes later. */
size_t lease_take(struct lease *lease, struct quota *quota, const char *kind, struct str key, size_t max);
void lease_release(struct lease *lease, struct quota *quota);

#endif
