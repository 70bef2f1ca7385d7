/* test_peers.c - which nodes are told, asked and listened to. The broker only remembers what was sent. */
#include "server/node/peers.h"
#include "tests/support/unit.h"

static const uint64_t SECOND_US = 1000000;

struct scene {
    struct broker broker;
    struct metrics metrics;
    struct peers *peers;
    const char *registry;
    struct buf sent; /* "to<text>" one after the other */
};

static void control(struct broker *broker, struct str to, struct str bytes)
{
    struct scene *s = CONTAINER_OF(broker, struct scene, broker);
    buf_appendf(&s->sent, "%.*s<%.*s>", STR_ARG(to), STR_ARG(bytes));
}

static void nodes(struct broker *broker, struct buf *out)
{
    buf_append(out, str_from_cstr(CONTAINER_OF(broker, struct scene, broker)->registry));
}

static void setup(struct scene *s)
{
    static const struct node_control_ops ops = {.send = control, .list = nodes};
    memset(s, 0, sizeof *s);
    metrics_init(&s->metrics, -1);
    s->broker.nodes = &ops;
    s->registry = "me";
    s->peers = peers_create(&s->broker, &s->metrics, STR("me"));
    peers_set_settings(s->peers, STR("a 1\n"));
    assert_str(buf_str(&s->sent), ""); /* the broker is not up */
}

static void teardown(struct scene *s)
{
    peers_destroy(s->peers);
    buf_fini(&s->sent);
}

static void expect_sent(struct scene *s, const char *expected)
{
    assert_str(buf_str(&s->sent), expected);
    buf_clear(&s->sent);
}

static uint64_t disagreeing(const struct scene *s)
{
    const struct metrics *all[] = {&s->metrics};
    return metrics_value(all, 1, METRIC_NODES_DISAGREEING, 0);
}

static void expect_described(const struct scene *s, const char *expected)
{
    struct buf out = {0};
    peers_describe(s->peers, &out);
    assert_str(buf_str(&out), expected);
    buf_fini(&out);
}

static void test_telling(void **state)
{
    struct scene s;
    (void)state;
    setup(&s);
    peers_tick(s.peers, false, SECOND_US);
    expect_sent(&s, "");
    peers_tick(s.peers, true, 2 * SECOND_US);
    peers_tick(s.peers, true, 3 * SECOND_US);
    expect_sent(&s, "<terms 1 ask\na 1\n>");
    peers_set_settings(s.peers, STR("a 1\n"));
    expect_sent(&s, "");
    peers_set_settings(s.peers, STR("a 2\n"));
    expect_sent(&s, "<terms 1 ask\na 2\n>");
    peers_tick(s.peers, false, 4 * SECOND_US);
    peers_tick(s.peers, true, 5 * SECOND_US);
    expect_sent(&s, "<terms 1 ask\na 2\n>");
    teardown(&s);
}

static void test_hearing(void **state)
{
    struct scene s;
    (void)state;
    setup(&s);
    assert_true(peers_hear(s.peers, STR("x"), STR("terms 1 ask\na 1\n")));
    expect_sent(&s, "x<terms 1 tell\na 1\n>");
    assert_true(peers_hear(s.peers, STR("y"), STR("terms 1 tell\na 2\n")));
    expect_sent(&s, "");
    assert_int_equal(disagreeing(&s), 1);
    expect_described(&s, ",\"disagrees\":[{\"node\":\"y\",\"about\":\"a is \\\"1\\\" here and \\\"2\\\" there\"}]");
    assert_true(peers_hear(s.peers, STR("y"), STR("terms 1 tell\na 1\n")));
    assert_int_equal(disagreeing(&s), 0);
    expect_described(&s, "");
    assert_true(peers_hear(s.peers, STR("me"), STR("terms 1 ask\na 3\n")));
    assert_int_equal(disagreeing(&s), 0);
    assert_false(peers_hear(s.peers, STR("y"), STR("{\"v\":1}")));
    assert_false(peers_hear(s.peers, STR("y"), STR("terms")));
    assert_false(peers_hear(s.peers, STR("y"), STR("terms x")));
    assert_true(peers_hear(s.peers, STR("y"), STR("terms 1")));
    assert_int_equal(disagreeing(&s), 1);
    teardown(&s);
}

static void test_refusing(void **state)
{
    struct scene s;
    (void)state;
    setup(&s);
    assert_true(peers_hear(s.peers, STR("x"), STR("terms 2 tell\na 1\n")));
    assert_int_equal(disagreeing(&s), 1);
    assert_true(peers_hear(s.peers, STR("x"), STR("{\"v\":1}")));
    assert_false(peers_hear(s.peers, STR("y"), STR("{\"v\":1}")));
    assert_true(peers_hear(s.peers, STR("x"), STR("terms 1 tell\na 1\n")));
    assert_false(peers_hear(s.peers, STR("x"), STR("{\"v\":1}")));
    teardown(&s);
}

static void test_registry(void **state)
{
    struct scene s;
    (void)state;
    setup(&s);
    peers_tick(s.peers, true, SECOND_US);
    buf_clear(&s.sent);
    assert_true(peers_hear(s.peers, STR("x"), STR("terms 1 tell\na 2\n")));
    s.registry = "me\nx\ny";
    peers_tick(s.peers, true, 6 * SECOND_US);
    expect_sent(&s, "y<terms 1 ask\na 1\n>"); /* it has not been heard */
    s.registry = "me";
    for (uint64_t at = 11; at <= 21; at += 5) {
        assert_int_equal(disagreeing(&s), 1); /* the registry as read last may be a moment old */
        peers_tick(s.peers, true, at * SECOND_US);
    }
    assert_int_equal(disagreeing(&s), 0);
    expect_sent(&s, "");
    teardown(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_telling),
        cmocka_unit_test(test_hearing),
        cmocka_unit_test(test_refusing),
        cmocka_unit_test(test_registry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
