/* session_index.h - the sessions of a hub, and how each is found: by its id, by its uuid, by its user. To find a
 * session costs the same however many others there are, except for the steps of an order (common/base/sorted.h). An
 * open session is in both orders. A session that is ending is found by its id alone. One thread. */
#ifndef CARILLON_CORE_SESSION_INDEX_H
#define CARILLON_CORE_SESSION_INDEX_H

#include "server/core/session.h"

struct session_place {
    struct session *session; /* NULL: free */
    uint32_t generation;     /* of the session that is here or was here last */
    uint32_t next_free;
};

/* One user's open sessions are a treap by uuid. */
struct session_user {
    uint32_t hash; /* of the user's name */
    uint32_t root; /* place of the session at the treap's root, from 1; 0: the entry is free */
    uint32_t last; /* place of the session with the greatest uuid, from 1 */
};

/* Callers read count, open_count, renamed_count, by_uuid and place_count. The other members belong to session_index.c.
 */
struct session_index {
    size_t count;         /* of sessions, also those that are ending */
    size_t open_count;    /* of open sessions */
    size_t renamed_count; /* of them, those whose user is not that of their token: a backend has given them another */
    struct sorted by_uuid;
    uint32_t worker;
    struct session_place *places;
    uint32_t place_count;
    uint32_t place_cap;
    uint32_t first_free;        /* place_count when none is free */
    struct session_user *users; /* open addressing; the table has no entry for a user without sessions */
    uint32_t user_count;
    uint32_t user_cap; /* 0 or a power of two */
    uint64_t random;   /* balances the treaps of the users */
};

/* worker: the hub's number, a part of each id. */
void session_index_init(struct session_index *index, uint32_t worker);
/* All sessions have been removed. */
void session_index_fini(struct session_index *index);

/* Gives the open session its id. Its uuid and claims->sub are set, and stay the same text until session_index_end. */
void session_index_add(struct session_index *index, struct session *session);
/* The session is open no more. */
void session_index_end(struct session_index *index, struct session *session);
/* The session has ended, and its connection has gone. Its id names nothing from now on. */
void session_index_remove(struct session_index *index, struct session *session);

/* NULL when it has gone. */
struct session *session_index_find(const struct session_index *index, struct session_id id);
/* The open session with this uuid; NULL if there is none. */
struct session *session_index_find_uuid(const struct session_index *index, struct str uuid);
/* The user's open sessions, in the order of their uuids. Valid until a session is added or ends. A link of this order
 * stays valid as long as its session is open. */
struct sorted session_index_of_user(const struct session_index *index, struct str user);

/* Walks all sessions: start with *cursor = 0; NULL at the end. For the administration, never per event. */
struct session *session_index_next(const struct session_index *index, size_t *cursor);
/* The same walk over several turns. Each session has one place for its life, from 0 to below place_count. NULL: the
 * place is free. */
struct session *session_index_at(const struct session_index *index, size_t place);

/* The sessions of links in by_uuid, and in the order of a user. */
static inline struct session *session_of_uuid(struct sorted_link *link)
{
    return CONTAINER_OF(link, struct session, by_uuid);
}

static inline struct session *session_of_user(struct sorted_link *link)
{
    return CONTAINER_OF(link, struct session, by_user);
}

#endif
