/* session_index.c - see session_index.h. The table of users has twelve bytes an entry. A user's sessions hang together
 * by links in the sessions themselves. So a session costs one more link here, and nothing is allocated for it. */
#include "server/core/session_index.h"

#include "common/base/alloc.h"

enum { PLACES_AT_FIRST = 64, USERS_AT_FIRST = 64 };

static struct str name_by_uuid(struct sorted_link *link)
{
    return str_from(session_of_uuid(link)->uuid, UUID_LEN);
}

static struct str name_by_user(struct sorted_link *link)
{
    return str_from(session_of_user(link)->uuid, UUID_LEN);
}

void session_index_init(struct session_index *index, uint32_t worker)
{
    *index = (struct session_index){.worker = worker};
    sorted_init(&index->by_uuid, name_by_uuid);
    random_bytes(&index->random, sizeof index->random);
    index->random |= 1;
}

void session_index_fini(struct session_index *index)
{
    free(index->places);
    free(index->users);
    *index = (struct session_index){0};
}

/* --- places ------------------------------------------------------------------------------------------------------- */

static void take_place(struct session_index *index, struct session *session)
{
    if (index->first_free == index->place_count) {
        if (index->place_count == index->place_cap) {
            index->place_cap = index->place_cap ? index->place_cap * 2 : PLACES_AT_FIRST;
            index->places = xrealloc(index->places, index->place_cap * sizeof *index->places);
        }
        index->places[index->place_count] = (struct session_place){.next_free = index->place_count + 1};
        index->place_count++;
    }
    uint32_t at = index->first_free;
    struct session_place *place = &index->places[at];
    index->first_free = place->next_free;
    place->session = session;
    place->generation += place->generation == UINT32_MAX ? 2 : 1; /* 0 names no session */
    session->id = (struct session_id){.worker = index->worker, .slot = at, .generation = place->generation};
    index->count++;
}

static void give_place_back(struct session_index *index, const struct session *session)
{
    struct session_place *place = &index->places[session->id.slot];
    place->session = NULL;
    place->next_free = index->first_free;
    index->first_free = session->id.slot;
    index->count--;
}

/* --- users -------------------------------------------------------------------------------------------------------- */

static uint32_t hash_user(struct str user)
{
    return (uint32_t)str_hash(user);
}

static struct session *session_at(const struct session_index *index, uint32_t from_1)
{
    return index->places[from_1 - 1].session;
}

static uint32_t next_entry(const struct session_index *index, uint32_t at)
{
    return (at + 1) & (index->user_cap - 1);
}

/* The entry of the user, or the free entry where it would go. The table is not empty. */
static struct session_user *find_user(const struct session_index *index, struct str user, uint32_t hash)
{
    uint32_t at = hash & (index->user_cap - 1);
    while (index->users[at].root &&
           !(index->users[at].hash == hash && str_eq(session_at(index, index->users[at].root)->claims->sub, user)))
        at = next_entry(index, at);
    return &index->users[at];
}

static void resize_users(struct session_index *index, uint32_t cap)
{
    struct session_user *old = index->users;
    uint32_t old_cap = index->user_cap;
    index->users = xcalloc(cap, sizeof *index->users);
    index->user_cap = cap;
    for (uint32_t i = 0; i < old_cap; i++) {
        uint32_t at = old[i].hash & (cap - 1);
        if (!old[i].root)
            continue;
        while (index->users[at].root)
            at = next_entry(index, at);
        index->users[at] = old[i];
    }
    free(old);
}

/* Entries after it move up, so that no search ends at the hole too early. */
static void remove_user(struct session_index *index, const struct session_user *entry)
{
    uint32_t hole = (uint32_t)(entry - index->users), mask = index->user_cap - 1;
    for (uint32_t at = next_entry(index, hole); index->users[at].root; at = next_entry(index, at)) {
        uint32_t home = index->users[at].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            index->users[hole] = index->users[at];
            hole = at;
        }
    }
    index->users[hole] = (struct session_user){0};
    index->user_count--;
    if (index->user_cap > USERS_AT_FIRST && index->user_count < index->user_cap / 8)
        resize_users(index, index->user_cap / 4);
}

static struct sorted order_of(const struct session_index *index, const struct session_user *entry)
{
    struct sorted order = {.name = name_by_user, .random = index->random};
    if (entry->root) {
        order.root = &session_at(index, entry->root)->by_user;
        order.last = &session_at(index, entry->last)->by_user;
    }
    return order;
}

/* Of an order that is not empty. */
static void keep_order(struct session_user *entry, const struct sorted *order)
{
    entry->root = session_of_user(order->root)->id.slot + 1;
    entry->last = session_of_user(order->last)->id.slot + 1;
}

static void add_to_user(struct session_index *index, struct session *session)
{
    if (index->user_count >= index->user_cap / 4 * 3)
        resize_users(index, index->user_cap ? index->user_cap * 2 : USERS_AT_FIRST);
    uint32_t hash = hash_user(session->claims->sub);
    struct session_user *entry = find_user(index, session->claims->sub, hash);
    struct sorted order = order_of(index, entry);
    if (!entry->root)
        index->user_count++;
    sorted_put(&order, &session->by_user);
    index->random = order.random;
    entry->hash = hash;
    keep_order(entry, &order);
}

static void remove_from_user(struct session_index *index, struct session *session)
{
    struct session_user *entry = find_user(index, session->claims->sub, hash_user(session->claims->sub));
    struct sorted order = order_of(index, entry);
    sorted_remove(&order, &session->by_user);
    if (order.root)
        keep_order(entry, &order);
    else
        remove_user(index, entry);
}

/* --- sessions ----------------------------------------------------------------------------------------------------- */

/* The same for a session's whole life: a newer token has the same user, and gets the same changes. */
static bool is_renamed(const struct session *session)
{
    return !str_eq(session->claims->sub, claims_of_token(session->claims)->sub);
}

void session_index_add(struct session_index *index, struct session *session)
{
    take_place(index, session);
    sorted_put(&index->by_uuid, &session->by_uuid);
    add_to_user(index, session);
    index->open_count++;
    index->renamed_count += is_renamed(session);
}

void session_index_end(struct session_index *index, struct session *session)
{
    sorted_remove(&index->by_uuid, &session->by_uuid);
    remove_from_user(index, session);
    index->open_count--;
    index->renamed_count -= is_renamed(session);
}

void session_index_remove(struct session_index *index, struct session *session)
{
    give_place_back(index, session);
}

struct session *session_index_find(const struct session_index *index, struct session_id id)
{
    if (id.generation == 0 || id.worker != index->worker || id.slot >= index->place_count)
        return NULL;
    const struct session_place *place = &index->places[id.slot];
    return place->generation == id.generation ? place->session : NULL;
}

struct session *session_index_find_uuid(const struct session_index *index, struct str uuid)
{
    struct sorted_link *link = sorted_from(&index->by_uuid, uuid);
    return link && str_eq(name_by_uuid(link), uuid) ? session_of_uuid(link) : NULL;
}

struct sorted session_index_of_user(const struct session_index *index, struct str user)
{
    static const struct session_user nobody = {0};
    return order_of(index, index->user_cap ? find_user(index, user, hash_user(user)) : &nobody);
}

struct session *session_index_next(const struct session_index *index, size_t *cursor)
{
    while (*cursor < index->place_count) {
        struct session *session = index->places[(*cursor)++].session;
        if (session)
            return session;
    }
    return NULL;
}

struct session *session_index_at(const struct session_index *index, size_t place)
{
    return place < index->place_count ? index->places[place].session : NULL;
}
