/* quota.h - a quota counts sessions, connections and bytes, by their kind and a key. The process has one quota. Any
 * thread may use it (a mutex). A key takes memory only while its count is not zero. */
#ifndef CARILLON_NET_ADMISSION_QUOTA_H
#define CARILLON_NET_ADMISSION_QUOTA_H

#include "common/base/str.h"

struct quota;

/* What is counted. The key is empty where none is named. */
enum quota_kind {
    QUOTA_SESSIONS,    /* all, those included that wait for an entry step */
    QUOTA_OF_ADDRESS,  /* those of a client's address; its address_key */
    QUOTA_OF_ENDPOINT, /* those of an endpoint; its path */
    QUOTA_OF_USER,     /* those of a user; the token's sub */
    QUOTA_INTERNAL,    /* connections of the internal listener that have sent a request */
    QUOTA_BODIES,      /* bytes of request bodies */
};

struct quota *quota_create(void);
/* Release everything first. */
void quota_destroy(struct quota *quota);

/* Counts an amount, which may be given back in parts. False: the count would be over max. */
bool quota_reserve(struct quota *quota, enum quota_kind kind, size_t amount, size_t max);
void quota_give_back(struct quota *quota, enum quota_kind kind, size_t amount);

size_t quota_count(struct quota *quota, enum quota_kind kind, struct str key);

/* A lease has all keys under which one connection counts. They are released together when the connection ends. A zeroed
 * lease is empty. A lease is moved by copying it; then forget the old one. */
enum { LEASE_KEYS_MAX = 4 };
struct counted;
struct lease {
    unsigned count;
    struct counted *of[LEASE_KEYS_MAX];
};

/* Counts one more, unless there are max already. Returns the new count, or 0 when it was refused. max 0: there is no
 * limit now, but a reload may bring one, so it counts. */
size_t lease_take(struct lease *lease, struct quota *quota, enum quota_kind kind, struct str key, size_t max);
void lease_release(struct lease *lease, struct quota *quota);

#endif
