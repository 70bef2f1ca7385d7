/* peers.c - see peers.h. */
#include "server/node/peers.h"

#include "common/base/alloc.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/json/json.h"
#include "server/node/settings_digest.h"

enum { PEERS_MAX = 1024, LOOKS_MAX = 2 };
static const uint64_t LOOK_US = 5000000; /* how often the registry is looked at */

struct peer {
    struct list_link link;
    bool refused;
    unsigned missing;   /* looks at the registry in a row that did not find it */
    struct buf differs; /* in words; empty: it agrees */
    struct str id;
    char bytes[];
};

struct peers {
    struct broker *broker;
    struct metrics *metrics;
    struct str node_id;
    struct buf digest;
    struct list_link all;
    size_t count;
    bool was_up;
    uint64_t look_us; /* when the registry is looked at again */
};

/* --- telling ------------------------------------------------------------------------------------------------------ */

/* Sends to one node, or to all others (to empty). */
static void send_digest(struct peers *peers, struct str to, bool ask)
{
    struct buf message = {0};
    buf_appendf(&message, "terms %d %s\n", NODES_PROTOCOL, ask ? "ask" : "tell");
    buf_append(&message, buf_str(&peers->digest));
    peers->broker->nodes->send(peers->broker, to, buf_str(&message));
    buf_fini(&message);
}

/* --- who they are ------------------------------------------------------------------------------------------------- */

static struct peer *find(const struct peers *peers, struct str id)
{
    LIST_EACH(link, &peers->all)
    {
        struct peer *peer = CONTAINER_OF(link, struct peer, link);
        if (str_eq(peer->id, id))
            return peer;
    }
    return NULL;
}

static struct peer *add(struct peers *peers, struct str id)
{
    if (peers->count == PEERS_MAX)
        return NULL;
    struct peer *peer = xcalloc(1, sizeof *peer + id.len);
    memcpy(peer->bytes, id.ptr, id.len);
    peer->id = str_from(peer->bytes, id.len);
    list_append(&peers->all, &peer->link);
    peers->count++;
    return peer;
}

/* Takes the text. */
static void set_differs(struct peers *peers, struct peer *peer, struct buf *differs)
{
    metrics_gauge_add(peers->metrics, METRIC_NODES_DISAGREEING, (differs->len > 0) - (peer->differs.len > 0));
    buf_fini(&peer->differs);
    peer->differs = *differs;
}

static void forget(struct peers *peers, struct peer *peer)
{
    set_differs(peers, peer, &(struct buf){0});
    list_remove(&peer->link);
    peers->count--;
    free(peer);
}

/* --- hearing ------------------------------------------------------------------------------------------------------ */

/* Takes the text. Logs it when it is not the same as before. */
static void note_difference(struct peers *peers, struct peer *peer, struct buf *differs)
{
    if (str_eq(buf_str(&peer->differs), buf_str(differs))) {
        buf_fini(differs);
        return;
    }
    if (differs->len)
        log_warn("peers", "node %.*s does not agree with this one, and must: %s", STR_ARG(peer->id), buf_cstr(differs));
    else
        log_info("peers", "node %.*s agrees with this one now", STR_ARG(peer->id));
    set_differs(peers, peer, differs);
}

bool peers_hear(struct peers *peers, struct str from, struct str bytes)
{
    struct peer *peer = find(peers, from);
    struct str rest = bytes;
    struct str head = str_split(&rest, '\n');
    uint64_t protocol;
    if (!str_eq(str_split(&head, ' '), STR("terms")) || !head.ptr || !str_to_u64(str_split(&head, ' '), &protocol))
        return peer && peer->refused;
    if (str_eq(from, peers->node_id) || (!peer && !(peer = add(peers, from))))
        return true;
    struct buf differs = {0};
    peer->missing = 0;
    peer->refused = protocol != NODES_PROTOCOL;
    if (peer->refused)
        buf_appendf(&differs,
                    "it speaks version %llu of the nodes' protocol, this one version %d: what it says is refused",
                    (unsigned long long)protocol, NODES_PROTOCOL);
    else
        settings_digest_compare(buf_str(&peers->digest), rest.ptr ? rest : STR(""), &differs);
    note_difference(peers, peer, &differs);
    if (head.ptr && str_eq(head, STR("ask")))
        send_digest(peers, from, false);
    return true;
}

/* --- time --------------------------------------------------------------------------------------------------------- */

/* Asks each registered node that has sent no digest yet. Forgets nodes that have left the registry. */
static void look(struct peers *peers)
{
    struct buf list = {0};
    LIST_EACH(link, &peers->all)
    CONTAINER_OF(link, struct peer, link)->missing++;
    peers->broker->nodes->list(peers->broker, &list);
    struct str rest = buf_str(&list);
    while (rest.ptr) {
        struct str id = str_split(&rest, '\n');
        struct peer *peer = find(peers, id);
        if (peer)
            peer->missing = 0;
        else if (id.len && !str_eq(id, peers->node_id))
            send_digest(peers, id, true);
    }
    buf_fini(&list);
    LIST_EACH(link, &peers->all)
    {
        struct peer *peer = CONTAINER_OF(link, struct peer, link);
        if (peer->missing > LOOKS_MAX)
            forget(peers, peer);
    }
}

void peers_tick(struct peers *peers, bool up, uint64_t now_us)
{
    if (up && !peers->was_up) {
        send_digest(peers, STR(""), true);
        peers->look_us = now_us + LOOK_US;
    } else if (up && now_us >= peers->look_us) {
        look(peers);
        peers->look_us = now_us + LOOK_US;
    }
    peers->was_up = up;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

void peers_set_settings(struct peers *peers, struct str digest)
{
    if (str_eq(buf_str(&peers->digest), digest))
        return;
    buf_clear(&peers->digest);
    buf_append(&peers->digest, digest);
    if (peers->was_up)
        send_digest(peers, STR(""), true); /* their answers are compared with the new ones */
}

void peers_describe(const struct peers *peers, struct buf *out)
{
    bool any = false;
    LIST_EACH(link, &peers->all)
    {
        const struct peer *peer = CONTAINER_OF(link, struct peer, link);
        if (!peer->differs.len)
            continue;
        buf_append(out, any ? STR(",{\"node\":") : STR(",\"disagrees\":[{\"node\":"));
        any = true;
        json_append_string(out, peer->id);
        buf_append_lit(out, ",\"about\":");
        json_append_string(out, buf_str(&peer->differs));
        buf_append_char(out, '}');
    }
    if (any)
        buf_append_char(out, ']');
}

struct peers *peers_create(struct broker *broker, struct metrics *metrics, struct str node_id)
{
    struct peers *peers = xcalloc(1, sizeof *peers);
    *peers = (struct peers){.broker = broker, .metrics = metrics, .node_id = node_id};
    list_init(&peers->all);
    return peers;
}

void peers_destroy(struct peers *peers)
{
    LIST_EACH(link, &peers->all) forget(peers, CONTAINER_OF(link, struct peer, link));
    buf_fini(&peers->digest);
    free(peers);
}
