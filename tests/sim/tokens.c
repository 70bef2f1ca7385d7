/* tokens.c - see tokens.h. */
#include "tests/sim/tokens.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "server/core/revocations.h"
#include "tests/sim/client.h"
#include "tests/sim/redis.h"
#include "tests/sim/world.h"

enum { USERS = 3, REVOKED_MAX = 64, SECOND_US = 1000000 };
enum { RETRY_MIN_US = 50000, RETRY_SPREAD_US = 600000 };

static const uint64_t limits[USERS] = {0, 2, 1};
static const char limit_reason[] = "connection_limit", revoked_reason[] = "token_revoked";

struct holder {
    struct claims *claims; /* of the token shown last; NULL: none yet */
    unsigned tokens;       /* had so far */
    bool put_out;          /* as revoked */
    bool begun;            /* its session */
    bool uncounted;        /* it was let in by a node that could not ask Redis */
    char reason[40];       /* why its last connection has ended */
};

struct revoked {
    struct revocation revocation;
    char value[32];
    bool acknowledged;
    bool lost;        /* Redis does not have it any more */
    uint64_t knowers; /* lives of nodes, a bit each, that knew it then: one that goes on brings it back */
};

static struct tokens {
    struct sim_node **nodes;
    size_t node_count;
    struct holder holders[CLIENTS_MAX];
    size_t client_count;
    struct revoked revoked[REVOKED_MAX];
    size_t revoked_count;
    size_t waiting;
    bool calm;
    bool flushed; /* Redis was emptied under the nodes' connections: none of them has a reason to bring back what it
                     knows */
} tokens;

static struct sim_node *any_node(void)
{
    for (size_t i = 0, at = world_below(CHANCE_PLAN, tokens.node_count); i < tokens.node_count; i++)
        if (tokens.nodes[(at + i) % tokens.node_count]->alive)
            return tokens.nodes[(at + i) % tokens.node_count];
    return NULL;
}

/* ---- clients ---- */

static void issue(size_t client)
{
    struct holder *holder = &tokens.holders[client];
    char payload[160], limit[48] = "";
    struct error error;
    uint64_t most = limits[client % USERS];
    if (most)
        snprintf(limit, sizeof limit, ",\"session_limit\":%llu", (unsigned long long)most);
    int len = snprintf(payload, sizeof payload, "{\"sub\":\"user%zu\",\"jti\":\"%zu.%u\",\"iat\":%llu%s}",
                       client % USERS, client, ++holder->tokens, (unsigned long long)world_wall_ms() / 1000, limit);
    if (holder->claims)
        claims_unref(holder->claims);
    if (claims_parse(str_from(payload, (size_t)len), &holder->claims, &error))
        world_fail("%s", error.text);
}

struct claims *tokens_show(size_t client)
{
    struct holder *holder = &tokens.holders[client];
    if (!holder->claims || (holder->put_out && world_below(CHANCE_PLAN, 4)))
        issue(client);
    holder->put_out = holder->begun = holder->uncounted = false;
    holder->reason[0] = '\0';
    return claims_ref(holder->claims);
}

void tokens_session_begins(size_t client)
{
    uint64_t count = 0;
    bool is_certain = tokens.calm;
    tokens.holders[client].begun = true;
    for (size_t i = client % USERS; i < tokens.client_count; i += USERS)
        if (tokens.holders[i].begun && client_has_session(i)) { /* it may not have heard of its end yet */
            count++;
            is_certain = is_certain && !tokens.holders[i].uncounted;
        }
    if (is_certain && limits[client % USERS] && count > limits[client % USERS])
        world_fail("client %zu: its session begins, and user%zu has %llu now", client, client % USERS,
                   (unsigned long long)count);
}

static bool covers(const struct revoked *revoked, const struct claims *claims)
{
    const struct revocation *revocation = &revoked->revocation;
    bool user = revocation->kind == REVOCATION_USER;
    return str_eq(revocation->value, user ? claims->sub : claims->jti) &&
           (!revocation->issued_before_ms || claims->iat_ms < revocation->issued_before_ms);
}

static void check_end(size_t client, const char *reason)
{
    const struct holder *holder = &tokens.holders[client];
    bool right = strcmp(reason, revoked_reason) != 0;
    for (size_t i = 0; !right && i < tokens.revoked_count; i++)
        right = covers(&tokens.revoked[i], holder->claims);
    if (!right)
        world_fail("client %zu is put out as revoked, which its token is not", client);
    if (strcmp(reason, limit_reason) == 0 && (!limits[client % USERS] || holder->begun))
        world_fail("client %zu is put out because of a limit", client);
}

void tokens_session_ends(size_t client, const char *reason)
{
    struct holder *holder = &tokens.holders[client];
    check_end(client, reason);
    snprintf(holder->reason, sizeof holder->reason, "%s", reason);
    holder->put_out = strcmp(reason, revoked_reason) == 0;
    holder->begun = false;
}

/* ---- the gate ---- */

static size_t count_sessions(const struct sim_node *node, struct str user)
{
    size_t count = 0;
    for (unsigned i = 0; i < node->worker_count; i++) {
        size_t cursor = 0;
        for (const struct session *session;
             (session = session_index_next(hub_sessions(node->workers[i].hub), &cursor));)
            count += str_eq(session->claims->sub, user);
    }
    return count;
}

const char *tokens_refusal(const struct sim_node *node, size_t client, const struct claims *claims)
{
    tokens.holders[client].uncounted |= atomic_load(&node->real.router.broker_state) != BROKER_UP;
    if (revocations_cover(node->real.revocations, claims, world_wall_ms()))
        return revoked_reason;
    if (claims->session_limit && count_sessions(node, claims->sub) >= claims->session_limit)
        return limit_reason;
    return NULL;
}

/* ---- revocation ---- */

static bool is_in_redis(const struct revoked *revoked)
{
    const struct key *key = store_find(redis_store(), STR("carillon:revoked"), world_wall_ms());
    char member[80];
    snprintf(member, sizeof member, "%s %llu %s", revoked->revocation.kind == REVOCATION_USER ? "user" : "jti",
             (unsigned long long)revoked->revocation.issued_before_ms, revoked->value);
    for (size_t i = 0; key && i < key->count; i++)
        if (str_eq_cstr(key->items[i].name, member))
            return true;
    return false;
}

/* Running nodes bring back the revocations that Redis has lost. */
static void note_loss(struct revoked *revoked)
{
    revoked->lost = !is_in_redis(revoked);
    revoked->knowers = 0;
    if (tokens.flushed)
        return;
    for (size_t i = 0; i < tokens.node_count; i++) {
        const struct sim_node *node = tokens.nodes[i];
        bool user = revoked->revocation.kind == REVOCATION_USER;
        struct claims claims = {.iat_ms = revoked->revocation.issued_before_ms - user};
        *(user ? &claims.sub : &claims.jti) = revoked->revocation.value;
        if (node->alive && revocations_cover(node->real.revocations, &claims, world_wall_ms()))
            revoked->knowers |= UINT64_C(1) << node->life;
    }
}

void tokens_note_loss(void)
{
    for (size_t i = 0; i < tokens.revoked_count; i++)
        if (tokens.revoked[i].acknowledged)
            note_loss(&tokens.revoked[i]);
}

void tokens_note_flush(void)
{
    tokens.flushed = true;
    tokens_note_loss();
}

static void ask_to_revoke(void *owner, uint64_t number);

static void try_later(uint64_t number)
{
    tokens.waiting++;
    world_at(world_now_us() + RETRY_MIN_US + world_below(CHANCE_PLAN, RETRY_SPREAD_US), ask_to_revoke, NULL, number);
}

static void on_answer(struct request *request, void *owner)
{
    struct revoked *revoked = request->waiter;
    uint64_t number = (uint64_t)(revoked - tokens.revoked);
    bool good = !request->error;
    request_destroy(request);
    tokens.waiting--;
    if (!good) {
        try_later(number);
        return;
    }
    world_trace("%s is revoked", revoked->value);
    revoked->acknowledged = true;
    note_loss(revoked); /* Redis may have lost it before this answer has come */
}

/* In the worker's thread. */
static void send_revocation(void *owner, void *argument)
{
    struct sim_worker *worker = owner;
    struct revoked *revoked = argument;
    struct revoke_request *request = revoke_request_create(&revoked->revocation);
    request->base.reply_to = &worker->mailbox;
    request->base.done = on_answer;
    request->base.waiter = revoked;
    router_ask(&worker->node->real.router, &request->base);
}

static void ask_to_revoke(void *owner, uint64_t number)
{
    struct sim_node *node = any_node();
    tokens.waiting--;
    if (!node) {
        try_later(number);
        return;
    }
    struct sim_worker *worker = &node->workers[world_below(CHANCE_PLAN, node->worker_count)];
    tokens.waiting++;
    loop_post(worker->loop, send_revocation, worker, &tokens.revoked[number]);
}

void tokens_revoke(size_t client)
{
    const struct claims *claims = tokens.holders[client].claims;
    if (!claims || tokens.revoked_count == REVOKED_MAX)
        return;
    struct revoked *revoked = &tokens.revoked[tokens.revoked_count];
    bool user = world_below(CHANCE_PLAN, 3) == 0;
    snprintf(revoked->value, sizeof revoked->value, "%.*s", STR_ARG(user ? claims->sub : claims->jti));
    revoked->revocation = (struct revocation){.kind = user ? REVOCATION_USER : REVOCATION_JTI,
                                              .value = str_from_cstr(revoked->value),
                                              .issued_before_ms = user ? world_wall_ms() : 0,
                                              .until_ms = world_wall_ms() + UINT64_C(24) * 3600 * 1000};
    world_trace("%s shall be revoked", revoked->value);
    tokens.waiting++;
    ask_to_revoke(NULL, tokens.revoked_count++);
}

bool tokens_are_quiet(void)
{
    return tokens.waiting == 0;
}

/* ---- checks ---- */

void tokens_expect_calm(void)
{
    tokens.calm = true;
}

/* Redis has it, or a node that was to bring it back. */
static bool must_hold(const struct revoked *revoked)
{
    bool known = !revoked->lost;
    for (size_t i = 0; i < tokens.node_count; i++)
        known = known || (tokens.nodes[i]->alive && revoked->knowers >> tokens.nodes[i]->life & 1);
    return revoked->acknowledged && known;
}

void tokens_check_revoked(void)
{
    for (size_t i = 0; i < tokens.revoked_count; i++)
        for (size_t k = 0; must_hold(&tokens.revoked[i]) && k < tokens.client_count; k++)
            if (client_is_connected(k) && covers(&tokens.revoked[i], tokens.holders[k].claims))
                world_fail("client %zu is connected, and %s is revoked", k, tokens.revoked[i].value);
}

static void check_user(size_t user)
{
    uint64_t come = 0, in = 0;
    for (size_t i = user; i < tokens.client_count; i += USERS) {
        const struct holder *holder = &tokens.holders[i];
        come++;
        in += holder->begun;
        if (!holder->begun && strcmp(holder->reason, limit_reason) != 0)
            world_fail("client %zu does not get in, and is told \"%s\"", i, holder->reason);
    }
    if (in != (come < limits[user] ? come : limits[user]))
        world_fail("user%zu may have %llu sessions; %llu have come and %llu are in", user,
                   (unsigned long long)limits[user], (unsigned long long)come, (unsigned long long)in);
}

void tokens_check_crowd(void)
{
    for (size_t i = 0; i < tokens.client_count; i++)
        if (limits[i % USERS] && client_is_connected(i))
            client_disconnect(i);
    world_run_until(world_now_us() + SECOND_US);
    for (size_t i = 0; i < tokens.client_count; i++)
        if (limits[i % USERS]) {
            issue(i);
            client_connect(i, any_node());
        }
    world_run_until(world_now_us() + SECOND_US);
    for (size_t user = 0; user < USERS; user++)
        if (limits[user])
            check_user(user);
}

void tokens_check_places(void)
{
    static const struct str suffix = {":sessions", 9};
    const struct store *store = redis_store();
    size_t cursor = 0;
    for (const struct key *key; (key = map_next(&store->keys, &cursor));)
        if (key->name.len > suffix.len &&
            str_eq(str_from(key->name.ptr + key->name.len - suffix.len, suffix.len), suffix))
            for (size_t i = 0; i < key->count; i++)
                if (key->items[i].score > (double)world_wall_ms())
                    world_fail("all nodes have ended in order, and %.*s still has a session", STR_ARG(key->name));
}

/* ---- life ---- */

void tokens_begin(struct sim_node **nodes, size_t node_count, size_t client_count)
{
    tokens = (struct tokens){.nodes = nodes, .node_count = node_count, .client_count = client_count};
}

void tokens_end(void)
{
    for (size_t i = 0; i < tokens.client_count; i++)
        if (tokens.holders[i].claims)
            claims_unref(tokens.holders[i].claims);
}
