/* test_broker_tickets.c - what each broker must do with tickets. Every test runs with the memory broker, whose clock is
 * a number, and with two nodes on one Redis, whose wall clock is moved (tests/support/wall_clock.c). */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "redis_pair.h"
#include "server/broker/memory/memory_broker.h"

/* Two nodes, or one that is both. */
struct fixture {
    struct rig *rig;
    struct node *one, *other;
    void (*pass)(const struct fixture *f, int seconds); /* time goes on */
    struct redis_pair *pair;                            /* NULL: the memory broker */
    int64_t *redis_offset_s;                            /* of its wall clock */
    struct rig own_rig;
    struct node own_node;
};

enum { LEASE_S = 400, RESUME_S = 600, TTL_S = 1500 };

static const struct ticket_facts chat = {{"chat", 4}, {"t1", 2}, {"{\"sub\":\"a\"}", 11}, true};
static const struct ticket_facts chat_once = {{"chat", 4}, {"t1", 2}, {"{\"sub\":\"a\"}", 11}, false};

static struct ticket_request *make(enum ticket_action action, const char *key, const struct ticket_facts *facts,
                                   const char *holder, const char *positions)
{
    struct ticket_request *request =
        ticket_request_create(action, str_from_cstr(key), facts, str_from_cstr(holder), str_from_cstr(positions));
    request->ttl_ms = TTL_S * 1000;
    request->lease_ms = LEASE_S * 1000;
    request->resume_ms = RESUME_S * 1000;
    request->max = 1000;
    return request;
}

static void ask(const struct fixture *f, struct node *node, struct ticket_request *request, const char *expected)
{
    size_t before = node->ticket_count;
    node->broker->ops->ask(node->broker, &request->base);
    RIG_WAIT(f->rig, node->ticket_count > before);
    assert_string_equal(node_ticket(node, before), expected);
}

#define ASK(node, action, key, facts, holder, positions, expected)                                                     \
    ask(f, f->node, make(action, key, facts, holder, positions), expected)

static void a_ticket_for_one_use_is_used_once(void **state)
{
    const struct fixture *f = *state;
    static const struct ticket_facts other_purpose = {{"transcript", 10}, {"t1", 2}, {"", 0}, false};
    static const struct ticket_facts other_resource = {{"chat", 4}, {"t2", 2}, {"", 0}, false};
    ASK(other, TICKET_USE, "k1", &chat, "h1", "", "unknown");
    ASK(one, TICKET_ISSUE, "k1", &chat_once, "", "", "done");
    ASK(other, TICKET_USE, "k1", &other_purpose, "h1", "", "wrong");
    ASK(other, TICKET_USE, "k1", &other_resource, "h1", "", "wrong");
    ASK(other, TICKET_USE, "k1", &chat, "h1", "", "done once chat t1 {\"sub\":\"a\"} ");
    ASK(one, TICKET_USE, "k1", &chat, "h2", "", "used");
    ASK(one, TICKET_FREE, "k1", NULL, "h2", "", "unknown");
    ASK(other, TICKET_FREE, "k1", NULL, "h1", "", "done"); /* the client got no session */
    ASK(one, TICKET_USE, "k1", &chat, "h2", "", "done once chat t1 {\"sub\":\"a\"} ");
    ASK(one, TICKET_ISSUE, "k2", &chat_once, "", "", "done");
    struct ticket_request *any = make(TICKET_USE, "k2", &other_resource, "h3", "");
    any->any_resource = any->any_purpose = true;
    ask(f, f->one, any, "done once chat t1 {\"sub\":\"a\"} ");
    ASK(one, TICKET_ISSUE, "k3", &chat_once, "", "", "done");
    f->pass(f, TTL_S + 1);
    ASK(other, TICKET_USE, "k3", &chat, "h1", "", "unknown");
}

static void a_ticket_that_resumes_is_of_one_session_at_a_time(void **state)
{
    const struct fixture *f = *state;
    ASK(one, TICKET_ISSUE, "r1", &chat, "", "", "done");
    ASK(one, TICKET_USE, "r1", &chat, "h1", "", "done resume chat t1 {\"sub\":\"a\"} ");
    ASK(one, TICKET_KEEP, "r1", &chat, "h1", "p1", "done");
    ASK(other, TICKET_USE, "r1", &chat, "h2", "", "held");
    ASK(one, TICKET_KEEP, "r1", &chat, "h1", "p2", "wanted");
    ASK(one, TICKET_KEEP, "r1", &chat, "h1", "p3", "done");
    ASK(other, TICKET_LOST, "r1", NULL, "h2", "none of its", "unknown");
    ASK(one, TICKET_LOST, "r1", NULL, "h1", "p4", "done");
    f->pass(f, RESUME_S / 2);
    ASK(other, TICKET_USE, "r1", &chat, "h2", "", "done resume chat t1 {\"sub\":\"a\"} p4");
    ASK(one, TICKET_KEEP, "r1", &chat, "h1", "late", "used"); /* it is another session's */
    ASK(one, TICKET_LOST, "r1", NULL, "h1", "late", "unknown");
    ASK(other, TICKET_LOST, "r1", NULL, "h2", "p5", "done");
    f->pass(f, RESUME_S + 1);
    ASK(one, TICKET_USE, "r1", &chat, "h3", "", "unknown");
}

static void a_dead_nodes_ticket_is_free_after_the_lease(void **state)
{
    const struct fixture *f = *state;
    ASK(one, TICKET_ISSUE, "d1", &chat, "", "", "done");
    ASK(one, TICKET_USE, "d1", &chat, "h1", "", "done resume chat t1 {\"sub\":\"a\"} ");
    ASK(one, TICKET_KEEP, "d1", &chat, "h1", "p1", "done");
    ASK(other, TICKET_USE, "d1", &chat, "h2", "", "held");
    f->pass(f, LEASE_S + 1);
    ASK(other, TICKET_USE, "d1", &chat, "h2", "", "done resume chat t1 {\"sub\":\"a\"} p1");
    f->pass(f, LEASE_S + RESUME_S + 1);
    ASK(one, TICKET_USE, "d1", &chat, "h3", "", "unknown");
}

static void a_clean_end_uses_the_ticket(void **state)
{
    const struct fixture *f = *state;
    ASK(one, TICKET_ISSUE, "e1", &chat, "", "", "done");
    ASK(one, TICKET_USE, "e1", &chat, "h1", "", "done resume chat t1 {\"sub\":\"a\"} ");
    ASK(one, TICKET_END, "e1", NULL, "h1", "", "done");
    ASK(other, TICKET_USE, "e1", &chat, "h2", "", "used");
    ASK(one, TICKET_KEEP, "e1", &chat, "h1", "p", "used");
    ASK(one, TICKET_ISSUE, "e2", &chat, "", "", "done");
    ASK(one, TICKET_USE, "e2", &chat, "h1", "", "done resume chat t1 {\"sub\":\"a\"} ");
    ASK(one, TICKET_FREE, "e2", NULL, "h1", "", "done");
    ASK(other, TICKET_USE, "e2", &chat, "h2", "", "done resume chat t1 {\"sub\":\"a\"} ");
}

static void a_lost_ticket_is_kept_again(void **state)
{
    const struct fixture *f = *state;
    ASK(one, TICKET_KEEP, "l1", &chat, "h1", "p1", "done");
    ASK(other, TICKET_USE, "l1", &chat, "h2", "", "held");
    ASK(one, TICKET_LOST, "l1", NULL, "h1", "p2", "done");
    ASK(other, TICKET_USE, "l1", &chat, "h2", "", "done resume chat t1 {\"sub\":\"a\"} p2");
}

static void a_token_is_spent_once(void **state)
{
    const struct fixture *f = *state;
    ASK(one, TICKET_SPEND, "s1", NULL, "", "", "done");
    ASK(other, TICKET_SPEND, "s1", NULL, "", "", "used");
    ASK(other, TICKET_SPEND, "s2", NULL, "", "", "done");
    f->pass(f, TTL_S + 1);
    ASK(one, TICKET_SPEND, "s1", NULL, "", "", "done");
}

static size_t answers_of(const struct fixture *f)
{
    return f->one->ticket_count + (f->one == f->other ? 0 : f->other->ticket_count);
}

static void one_of_ten_wins(void **state)
{
    const struct fixture *f = *state;
    enum { CLIENTS = 10 };
    struct node *const nodes[] = {f->one, f->other};
    ASK(one, TICKET_ISSUE, "x0", &chat, "", "", "done");
    ASK(one, TICKET_ISSUE, "x1", &chat_once, "", "", "done");
    for (int ticket = 0; ticket < 2; ticket++) {
        size_t expected = answers_of(f) + CLIENTS;
        f->one->tickets_used = f->other->tickets_used = 0;
        for (int i = 0; i < CLIENTS; i++) {
            char key[] = {'x', (char)('0' + ticket), 0}, holder[] = {'h', (char)('0' + i), 0};
            struct broker *broker = nodes[i % 2]->broker;
            broker->ops->ask(broker, &make(TICKET_USE, key, &chat, holder, "")->base);
        }
        RIG_WAIT(f->rig, answers_of(f) == expected);
        size_t of_other = f->one == f->other ? 0 : f->other->tickets_used;
        assert_int_equal(f->one->tickets_used + of_other, 1);
    }
}

static void there_is_a_limit(void **state)
{
    const struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        char key[3] = {'f', (char)('0' + i), 0};
        struct ticket_request *request = make(TICKET_ISSUE, key, &chat, "", "");
        request->max = 2;
        request->ttl_ms = 3000;
        ask(f, f->one, request, i < 2 ? "done" : "unavailable");
    }
    if (f->pair) { /* here a node counts by its own clock */
        uint64_t end_us = clock_now_us() + 4100000;
        RIG_WAIT(f->rig, clock_now_us() >= end_us);
    } else {
        f->pass(f, 5);
    }
    struct ticket_request *request = make(TICKET_ISSUE, "f3", &chat, "", "");
    request->max = 2;
    ask(f, f->one, request, "done");
}

/* ---- the two brokers ---- */

static uint64_t fake_now_us;

static uint64_t now_us(void)
{
    return fake_now_us;
}

static const struct clock fake_clock = {.now_us = now_us, .wall_ms = now_us};

static void pass_fake(const struct fixture *f, int seconds)
{
    uv_run(&f->rig->loop, UV_RUN_NOWAIT);
    fake_now_us += (uint64_t)seconds * 1000000;
}

static void pass_redis(const struct fixture *f, int seconds)
{
    *f->redis_offset_s += seconds;
}

static int set_up_memory(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    fake_now_us = 1000000;
    clock_use(&fake_clock);
    rig_init(&f->own_rig);
    node_init(&f->own_node);
    struct memory_broker_config config = {.turn = &f->own_rig.turn, .node_id = STR("n1"), .user_share = 50};
    f->own_node.broker = memory_broker_create(&config, &node_sink, &f->own_node, f->own_node.metrics);
    f->rig = &f->own_rig;
    f->one = f->other = &f->own_node;
    f->pass = pass_fake;
    *state = f;
    return 0;
}

static int tear_down_memory(void **state)
{
    struct fixture *f = *state;
    node_fini(&f->own_node, &f->own_rig);
    rig_fini(&f->own_rig);
    clock_use(NULL);
    free(f);
    return 0;
}

/* The pages of wall_clock.c, which the server that is started next maps too. */
enum { WALL_CLOCK_BYTES = 16 };

static int64_t *offer_wall_clock(char *path)
{
    int file = mkstemp(path);
    assert_true(file >= 0 && ftruncate(file, WALL_CLOCK_BYTES) == 0);
    int64_t *offset_s = mmap(NULL, WALL_CLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    assert_true(offset_s != MAP_FAILED);
    close(file);
    setenv("WALL_CLOCK_FILE", path, 1);
    setenv("LD_PRELOAD", WALL_CLOCK_LIBRARY, 1);
    return offset_s;
}

static int set_up_redis(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    char path[] = "/tmp/carillon-test-clock-XXXXXX";
    void *pair;
    f->redis_offset_s = offer_wall_clock(path);
    redis_pair_set_up(&pair);
    unsetenv("LD_PRELOAD");
    unlink(path);
    f->pair = pair;
    f->rig = &f->pair->rig;
    f->one = &f->pair->a;
    f->other = &f->pair->b;
    f->pass = pass_redis;
    *state = f;
    return 0;
}

static int tear_down_redis(void **state)
{
    struct fixture *f = *state;
    void *pair = f->pair;
    munmap(f->redis_offset_s, WALL_CLOCK_BYTES);
    free(f);
    return redis_pair_tear_down(&pair);
}

/* One random step, asked of both. The choice of keys is small, so that steps meet. */
static void ask_both(struct node *const nodes[2], int step)
{
    static const char *const holders[] = {"h1", "h2", "h3"};
    static char keys[3][16] = {"a", "b", "c"};
    enum ticket_action action = (enum ticket_action)random_below(TICKET_END + 1); /* tokens have keys of their own */
    const struct ticket_facts *facts = random_below(2) ? &chat : &chat_once;
    char *key = keys[random_below(3)];
    const char *holder = holders[random_below(3)];
    uint64_t lease_ms = random_below(4) ? 3600000 : 0, anything = random_below(4);
    char positions[24];
    if (action == TICKET_ISSUE && random_below(4))
        action = TICKET_USE;
    if (action == TICKET_ISSUE)
        snprintf(key, sizeof keys[0], "new%d", step); /* no ticket is issued twice */
    snprintf(positions, sizeof positions, "p%d", step);
    for (int i = 0; i < 2; i++) {
        struct ticket_request *request = make(action, key, facts, holder, positions);
        request->ttl_ms = request->resume_ms = 3600000;
        request->lease_ms = lease_ms;
        request->any_purpose = anything & 1;
        request->any_resource = anything & 2;
        nodes[i]->broker->ops->ask(nodes[i]->broker, &request->base);
    }
}

/* The same random steps at both brokers, with few tickets and holders: every answer is the same. The two nodes take
 * turns. No ticket ends by time, but a lease of no length is over at once. */
static void both_brokers_do_the_same(void **state)
{
    enum { TURNS = 300, STEPS = 10 };
    struct fixture *f = *state;
    struct memory_broker_config config = {.turn = &f->rig->turn, .node_id = STR("n1"), .user_share = 50};
    node_init(&f->own_node);
    f->own_node.broker = memory_broker_create(&config, &node_sink, &f->own_node, f->own_node.metrics);
    for (int turn = 0; turn < TURNS; turn++) {
        struct node *const nodes[] = {&f->own_node, turn % 2 ? f->other : f->one};
        size_t before[] = {nodes[0]->ticket_count, nodes[1]->ticket_count};
        for (int step = 0; step < STEPS; step++)
            ask_both(nodes, turn * STEPS + step);
        for (int i = 0; i < 2; i++)
            RIG_WAIT(f->rig, nodes[i]->ticket_count == before[i] + STEPS);
        for (size_t step = 0; step < STEPS; step++) {
            const char *in_memory = node_ticket(nodes[0], before[0] + step),
                       *in_redis = node_ticket(nodes[1], before[1] + step);
            if (strcmp(in_memory, in_redis) != 0)
                fail_msg("step %zu of turn %d: %s in memory, %s in Redis", step, turn, in_memory, in_redis);
        }
    }
    node_fini(&f->own_node, f->rig);
}

#define WITH_BOTH(test)                                                                                                \
    cmocka_unit_test_setup_teardown(test, set_up_memory, tear_down_memory),                                            \
        cmocka_unit_test_setup_teardown(test, set_up_redis, tear_down_redis)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BOTH(a_ticket_for_one_use_is_used_once),
        WITH_BOTH(a_ticket_that_resumes_is_of_one_session_at_a_time),
        WITH_BOTH(a_dead_nodes_ticket_is_free_after_the_lease),
        WITH_BOTH(a_clean_end_uses_the_ticket),
        WITH_BOTH(a_lost_ticket_is_kept_again),
        WITH_BOTH(a_token_is_spent_once),
        WITH_BOTH(one_of_ten_wins),
        WITH_BOTH(there_is_a_limit),
        cmocka_unit_test_setup_teardown(both_brokers_do_the_same, set_up_redis, tear_down_redis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
