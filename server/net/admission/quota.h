/* quota.h - a quota counts by key: all connections, those of an address, of a user, of an endpoint; bytes of request
 * bodies. The process has one quota. Any thread may use it (a mutex). A key takes memory only while its count is not
 * zero. */
#ifndef CARILLON_NET_ADMISSION_QUOTA_H
#define CARILLON_NET_ADMISSION_QUOTA_H

#include "common/base/str.h"

struct quota;

struct quota *quota_create(void);
/* Release everything first. */
void quota_destroy(struct quota *quota);

/* Counts one more of key, unless there are max already. Returns the new count, or 0 when it was refused. */
size_t quota_take(struct quota *quota, struct str key, size_t max);
/* Counts one less: once for each successful quota_take. */
void quota_release(struct quota *quota, struct str key);

/* The same for an amount, such as bytes. It may be given back in parts. False: the count would be over max. */
bool quota_reserve(struct quota *quota, struct str key, size_t amount, size_t max);
void quota_give_back(struct quota *quota, struct str key, size_t amount);

size_t quota_count(struct quota *quota, struct str key);

/* A lease has all keys under which one connection counts. They are released together when the connection ends. A zeroed
 * lease is empty. A lease is moved by copying it; then forget the old one. */
enum { LEASE_KEYS_MAX = 4 };
struct counted;
struct lease {
    unsigned count;
    struct counted *of[LEASE_KEYS_MAX];
};

/* quota_take under the key "<kind>:<key>". max 0: there is no limit now, but a reload may bring one, so it counts. */
size_t lease_take(struct lease *lease, struct quota *quota, const char *kind, struct str key, size_t max);
void lease_release(struct lease *lease, struct quota *quota);

#endif
