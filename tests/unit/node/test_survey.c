/* test_survey.c - three nodes back to back, each with two workers' hubs. A question reaches all that it concerns. Where
 * a node or a worker does not answer, the answer is partial, not late for ever. */
#include <stdio.h>

#include "server/node/survey.h"
#include "tests/unit/core/hub_fixture.h"

enum { NODES = 3, WORKERS = 2, SESSIONS = NODES * WORKERS };

struct node;

/* Control messages go straight to the other node, unless the way is cut. */
struct fake_broker {
    struct broker base;
    struct node *node;
    enum broker_state state;
};

struct node {
    char id[UUID_LEN + 1];
    unsigned heard; /* control messages */
    uv_loop_t loop;
    struct turn turn;
    struct router router;
    struct metrics metrics;
    struct fake_broker broker;
    struct surveys *surveys;
    struct fixture worker[WORKERS];
    struct wire wire[WORKERS];
};

static struct node nodes[NODES];
static bool cut;            /* nothing gets from node to node */
static int missing_node;    /* in the list of nodes; -1: none */
static bool worker_is_busy; /* the last worker of the first node does not turn */
static struct survey *answer;

static void fake_control(struct broker *base, struct str to, struct str bytes)
{
    const struct node *from = ((struct fake_broker *)base)->node;
    for (int i = 0; i < NODES && !cut; i++)
        if (&nodes[i] != from && (to.len == 0 || str_eq_cstr(to, nodes[i].id))) {
            nodes[i].heard++;
            surveys_hear(nodes[i].surveys, str_from_cstr(from->id), bytes);
        }
}

static void fake_nodes(struct broker *base, struct buf *out)
{
    (void)base;
    for (int i = 0; i < NODES; i++)
        if (i != missing_node)
            buf_appendf(out, "%s\n", nodes[i].id);
}

static void fake_info(struct broker *base, struct broker_info *out)
{
    *out = (struct broker_info){.kind = "fake", .state = ((struct fake_broker *)base)->state};
}

static void ignore_subscribe(struct broker *base, struct str channel, const struct history_policy *history)
{
    (void)base;
    (void)channel;
    (void)history;
}

static void ignore_unsubscribe(struct broker *base, struct str channel)
{
    (void)base;
    (void)channel;
}

static const struct broker_ops fake_ops = {
    .info = fake_info, .subscribe = ignore_subscribe, .unsubscribe = ignore_unsubscribe};

static const struct node_control_ops fake_nodes_ops = {.send = fake_control, .list = fake_nodes};

static void setup_node(struct node *node, int index, uint64_t timeout_ms)
{
    memset(node, 0, sizeof *node);
    snprintf(node->id, sizeof node->id, "0198c0de-0000-7000-8000-000000%06x", 0xabc0 + (unsigned)index);
    uv_loop_init(&node->loop);
    turn_init(&node->turn, &node->loop);
    metrics_init(&node->metrics, -1);
    router_init(&node->router, &node->turn, &node->metrics);
    node->broker =
        (struct fake_broker){.base = {.ops = &fake_ops, .nodes = &fake_nodes_ops}, .node = node, .state = BROKER_UP};
    node->router.broker = &node->broker.base;
    for (int i = 0; i < WORKERS; i++) {
        char claims[32];
        snprintf(claims, sizeof claims, "{\"sub\":\"user-%d\"}", i);
        fixture_setup_as(&node->worker[i], 0, str_from_cstr(node->id));
        open_session(&node->worker[i], &node->wire[i], claims);
        router_add_worker(&node->router, &node->worker[i].replies);
    }
    struct survey_facts facts = {
        .node_id = str_from_cstr(node->id), .version = "1.2.3", .libraries = "none", .timeout_ms = timeout_ms};
    node->surveys = surveys_create(&node->router, &facts);
}

static void setup_nodes(uint64_t timeout_ms)
{
    cut = worker_is_busy = false;
    missing_node = -1;
    for (int i = 0; i < NODES; i++)
        setup_node(&nodes[i], i, timeout_ms);
}

/* All nodes answer, however busy the machine is. */
static int setup(void **state)
{
    (void)state;
    setup_nodes(600000);
    return 0;
}

/* A node or a worker does not answer. */
static int setup_silence(void **state)
{
    (void)state;
    setup_nodes(1000);
    return 0;
}

static void turn_all(void)
{
    for (int n = 0; n < NODES; n++) {
        uv_run(&nodes[n].loop, UV_RUN_NOWAIT);
        for (int w = 0; w < WORKERS; w++) {
            if (worker_is_busy && n == 0 && w == WORKERS - 1)
                continue;
            uv_run(&nodes[n].worker[w].loop, UV_RUN_NOWAIT);
            hub_flush(nodes[n].worker[w].hub);
        }
    }
}

static int teardown(void **state)
{
    (void)state;
    worker_is_busy = false;
    for (int n = 0; n < NODES; n++)
        surveys_close(nodes[n].surveys);
    turn_all();
    for (int n = 0; n < NODES; n++) {
        struct node *node = &nodes[n];
        for (int w = 0; w < WORKERS; w++) {
            close_session(&node->worker[w], &node->wire[w]);
            fixture_teardown(&node->worker[w]);
        }
        surveys_destroy(node->surveys);
        mailbox_close(&node->router.mailbox);
        router_fini(&node->router);
        turn_close(&node->turn);
        uv_run(&node->loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&node->loop), 0);
    }
    return 0;
}

static void note_answer(struct request *request, void *owner)
{
    assert_ptr_equal(owner, nodes[0].worker[0].hub);
    assert_null(answer);
    answer = survey_of(request);
}

/* Asks on behalf of the first worker of the first node. */
static void ask(const struct control_request *request)
{
    struct survey *survey = survey_create(request);
    survey->base.reply_to = &nodes[0].worker[0].replies;
    survey->base.done = note_answer;
    answer = NULL;
    survey_ask(nodes[0].surveys, survey);
}

static struct survey *ask_and_wait(const struct control_request *request)
{
    ask(request);
    while (!answer)
        turn_all();
    return answer;
}

static void test_all_workers_of_all_nodes(void **state)
{
    (void)state;
    struct survey *survey = ask_and_wait(&(struct control_request){.op = CONTROL_SESSIONS, .limit = 10});
    assert_int_equal(request_code(&survey->base), ERR_NONE);
    assert_false(survey->partial);
    assert_int_equal(survey->nodes_asked, NODES);
    assert_int_equal(survey->nodes_answered, NODES);
    assert_int_equal(survey->result.row_count, SESSIONS);
    for (int n = 0; n < NODES; n++) {
        size_t there = 0;
        for (size_t i = 0; i < SESSIONS; i++)
            there += str_eq_cstr(survey->result.rows[i].node, nodes[n].id);
        assert_int_equal(there, WORKERS);
    }
    request_destroy(&survey->base);
}

static void test_pages_over_nodes(void **state)
{
    char last[UUID_LEN + 1] = "";
    (void)state;
    for (int i = 0; i < SESSIONS; i++) {
        struct survey *survey =
            ask_and_wait(&(struct control_request){.op = CONTROL_SESSIONS, .limit = 1, .after = str_from_cstr(last)});
        assert_int_equal(survey->result.row_count, 1);
        assert_int_equal(survey->result.more, i < SESSIONS - 1);
        assert_true(str_compare(survey->result.rows[0].key, str_from_cstr(last)) > 0);
        memcpy(last, survey->result.rows[0].key.ptr, UUID_LEN);
        request_destroy(&survey->base);
    }
}

static void test_disconnect_everywhere(void **state)
{
    char reason[128];
    (void)state;
    struct survey *survey =
        ask_and_wait(&(struct control_request){.op = CONTROL_DISCONNECT, .user = STR("user-1"), .code = 4001});
    assert_int_equal(survey->result.count, NODES);
    request_destroy(&survey->base);
    for (int n = 0; n < NODES; n++) {
        assert_string_equal(next_frame(&nodes[n].wire[0], NULL), "");
        assert_int_equal(next_close(&nodes[n].wire[1], reason), 4001);
    }
}

/* Disconnects the session. Returns how many ended. The messages of the nodes are counted from here on. */
static uint64_t disconnect(const char *session_id)
{
    for (int n = 0; n < NODES; n++)
        nodes[n].heard = 0;
    struct survey *survey =
        ask_and_wait(&(struct control_request){.op = CONTROL_DISCONNECT, .session_id = str_from_cstr(session_id)});
    uint64_t count = survey->result.count;
    assert_false(survey->partial);
    request_destroy(&survey->base);
    return count;
}

static void test_a_session_is_asked_of_its_node(void **state)
{
    (void)state;
    assert_int_equal(disconnect(nodes[2].wire[1].session->uuid), 1);
    assert_int_equal(nodes[2].wire[1].session->state, SESSION_CLOSING);
    assert_int_equal(nodes[2].heard, 1);
    assert_int_equal(nodes[1].heard, 0);
    assert_int_equal(nodes[0].heard, 1); /* the answer */
    assert_int_equal(disconnect(nodes[0].wire[0].session->uuid), 1);
    for (int n = 0; n < NODES; n++)
        assert_int_equal(nodes[n].heard, 0);
}

static void test_a_session_with_its_channels(void **state)
{
    const char *id = nodes[2].wire[1].session->uuid;
    const struct control_request page = {.op = CONTROL_SESSION, .session_id = str_from_cstr(id), .limit = 1};
    struct control_request subscribe = {.op = CONTROL_SUBSCRIBE, .session_id = str_from_cstr(id)};
    (void)state;
    for (int i = 0; i < 2; i++) {
        subscribe.channel = i ? STR("a") : STR("b");
        request_destroy(&ask_and_wait(&subscribe)->base);
    }
    answer_join(&nodes[2].worker[1], "a", "e1", 7);
    struct survey *survey = ask_and_wait(&page);
    assert_str(survey->result.session->key, id);
    assert_str(survey->result.session->user, "user-1");
    assert_str(survey->result.session->node, nodes[2].id);
    assert_int_equal(survey->result.session->channels, 2);
    assert_int_equal(survey->result.row_count, 1);
    assert_true(survey->result.more && !survey->partial);
    assert_str(survey->result.rows[0].key, "a");
    assert_str(survey->result.rows[0].epoch, "e1");
    assert_int_equal(survey->result.rows[0].offset, 7);
    assert_true(survey->result.rows[0].subscribed);
    request_destroy(&survey->base);
    struct control_request gone = page;
    gone.session_id = STR("0198c0de-0000-7000-8000-0123456789ab");
    survey = ask_and_wait(&gone);
    assert_null(survey->result.session);
    assert_int_equal(survey->result.row_count, 0);
    request_destroy(&survey->base);
}

/* The id names no node in the list. Its node has joined just now, or has gone, or is of an earlier version. */
static void test_a_session_of_an_unknown_node_is_asked_of_all(void **state)
{
    (void)state;
    missing_node = 1;
    assert_int_equal(disconnect(nodes[1].wire[0].session->uuid), 1);
    assert_int_equal(nodes[2].heard, 1);
    assert_int_equal(disconnect("0198c0de-0000-7000-8000-0123456789ab"), 0);
    assert_int_equal(nodes[1].heard, 1);
    assert_int_equal(disconnect("no uuid"), 0);
    assert_int_equal(nodes[1].heard, 1);
}

static void test_two_nodes_of_the_same_digits_are_both_asked(void **state)
{
    (void)state;
    const char *digits = nodes[1].id + UUID_LEN - 6;
    memcpy(nodes[2].id + UUID_LEN - 6, digits, 6);
    nodes[2].id[0] = 'a';
    assert_int_equal(disconnect(nodes[1].wire[1].session->uuid), 1);
    assert_int_equal(nodes[1].heard, 1);
    assert_int_equal(nodes[2].heard, 1);
}

static void test_channel_counts_are_added_up(void **state)
{
    (void)state;
    struct control_request subscribe = {.op = CONTROL_SUBSCRIBE, .user = STR("user-0"), .channel = STR("vip")};
    struct survey *survey = ask_and_wait(&subscribe);
    assert_int_equal(survey->result.count, NODES);
    request_destroy(&survey->base);
    for (int n = 0; n < NODES; n++)
        answer_join(&nodes[n].worker[0], "vip", "", 0);
    survey = ask_and_wait(&(struct control_request){.op = CONTROL_CHANNEL, .channel = STR("vip")});
    assert_int_equal(survey->result.row_count, 1);
    assert_int_equal(survey->result.rows[0].subscribers, NODES);
    assert_int_equal(survey->result.rows[0].nodes, NODES);
    request_destroy(&survey->base);
}

static void test_info(void **state)
{
    (void)state;
    struct survey *survey = ask_and_wait(&(struct control_request){.op = CONTROL_INFO});
    assert_int_equal(survey->result.count, SESSIONS);
    const char *text = buf_cstr(&survey->nodes);
    for (int n = 0; n < NODES; n++)
        assert_non_null(strstr(text, nodes[n].id));
    assert_non_null(strstr(text, ",\"version\":\"1.2.3\""));
    assert_non_null(strstr(text, "\"workers\":2"));
    assert_non_null(strstr(text, "\"sessions\":2"));
    request_destroy(&survey->base);
}

static void test_silent_node(void **state)
{
    (void)state;
    cut = true;
    struct survey *survey = ask_and_wait(&(struct control_request){.op = CONTROL_INFO});
    assert_true(survey->partial);
    assert_int_equal(survey->nodes_asked, NODES);
    assert_int_equal(survey->nodes_answered, 1);
    assert_int_equal(survey->result.count, 2);
    request_destroy(&survey->base);
}

static void test_busy_worker(void **state)
{
    (void)state;
    worker_is_busy = true;
    struct survey *survey = ask_and_wait(&(struct control_request){.op = CONTROL_INFO});
    assert_true(survey->partial);
    assert_int_equal(survey->result.count, SESSIONS - 1);
    request_destroy(&survey->base);
    worker_is_busy = false;
    turn_all(); /* its late answer harms nobody */
    survey = ask_and_wait(&(struct control_request){.op = CONTROL_INFO});
    assert_false(survey->partial);
    assert_int_equal(survey->result.count, SESSIONS);
    request_destroy(&survey->base);
}

static void test_broker_down_is_partial(void **state)
{
    (void)state;
    nodes[0].broker.state = BROKER_DOWN;
    struct survey *survey = ask_and_wait(&(struct control_request){.op = CONTROL_INFO});
    assert_true(survey->partial);
    request_destroy(&survey->base);
}

static void test_nonsense_from_a_node_is_ignored(void **state)
{
    (void)state;
    cut = true;
    ask(&(struct control_request){.op = CONTROL_INFO});
    static const char *const nonsense[] = {
        "", "{}", "{\"v\":1,\"ask\":1,\"op\":\"explode\"}",
        "{\"v\":1,\"answer\":1,\"count\":99,\"more\":false,\"partial\":false,\"rows\":[]}"};
    for (size_t i = 0; i < COUNT_OF(nonsense); i++)
        surveys_hear(nodes[0].surveys, str_from_cstr(nodes[1].id), str_from_cstr(nonsense[i]));
    while (!answer)
        turn_all();
    assert_int_equal(answer->result.count, 2);
    request_destroy(&answer->base);
}

static void test_closing_answers_what_waits(void **state)
{
    (void)state;
    cut = true;
    ask(&(struct control_request){.op = CONTROL_INFO});
    turn_all();
    turn_all();
    assert_null(answer);
    surveys_close(nodes[0].surveys);
    turn_all();
    assert_non_null(answer);
    assert_true(answer->partial);
    request_destroy(&answer->base);
    struct survey *survey = ask_and_wait(&(struct control_request){.op = CONTROL_INFO});
    assert_int_equal(request_code(&survey->base), ERR_UNAVAILABLE);
    request_destroy(&survey->base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_workers_of_all_nodes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pages_over_nodes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disconnect_everywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_session_is_asked_of_its_node, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_session_with_its_channels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_session_of_an_unknown_node_is_asked_of_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_nodes_of_the_same_digits_are_both_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_channel_counts_are_added_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_info, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silent_node, setup_silence, teardown),
        cmocka_unit_test_setup_teardown(test_busy_worker, setup_silence, teardown),
        cmocka_unit_test_setup_teardown(test_broker_down_is_partial, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nonsense_from_a_node_is_ignored, setup_silence, teardown),
        cmocka_unit_test_setup_teardown(test_closing_answers_what_waits, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
