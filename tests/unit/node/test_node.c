/* test_node.c - the composition of a node, with a real hub and the memory broker, without a socket. It opens, serves,
 * ticks, answers questions, and closes in each state. */
#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/protocol/ws_frame.h"
#include "server/broker/memory/memory_broker.h"
#include "server/core/session_ticket.h"
#include "server/dialect/carillon.h"
#include "server/node/node.h"
#include "tests/support/unit.h"

static struct fixture {
    uv_loop_t loop;
    struct node node;
    /* The one worker. */
    struct mailbox mailbox;
    struct hub *hub;
    struct rules *rules;
    struct metrics metrics;
    struct endpoint endpoint;
    struct turn_hook flush;
    struct session *session;
    struct buf written;
    struct survey *answer;
    int freed;
} f;

/* The text without the heads of the frames. */
static enum write_result on_write(struct session *session, struct str frames, uint32_t *out_unsent)
{
    for (size_t i = 0; i < frames.len; i++)
        if (frames.ptr[i] >= ' ' && frames.ptr[i] < 0x7F)
            buf_append_char(&f.written, frames.ptr[i]);
    *out_unsent = 0;
    return WRITE_ALL;
}

static void on_finish(struct session *session, bool abrupt)
{
}

static uint64_t on_clock(void *owner)
{
    return clock_now_us();
}

static const struct transport_ops transport = {.write = on_write, .finish = on_finish, .framing = &ws_framing};

static const struct hub_ops hub_ops = {.clock_us = on_clock};

static void flush(struct turn_hook *hook)
{
    hub_flush(f.hub);
}

static void create_worker(void)
{
    static const struct hub_settings settings = {
        .outbox_max_bytes = 65536,
        .outbox_max_messages = 100,
        .event_bytes = 1024,
        .close_timeout_us = 5000000,
        .linger_us = 1000000,
        .custom_events = true,
    };
    struct rule rule = {.match = STR("room"), .allow = ALLOW_ALL, .history = {.size = 10, .ttl_ms = 60000}};
    rule.presence = (struct presence_policy){.kept = true, .ttl_ms = 60000};
    f.rules = rules_create(&rule, 1);
    metrics_init(&f.metrics, 0);
    mailbox_init(&f.mailbox, &f.node.turn, NULL);
    const struct hub_options options = {
        .node = &node_ops,
        .node_owner = &f.node.router,
        .ops = &hub_ops,
        .settings = &settings,
        .rules = f.rules,
        .metrics = &f.metrics,
        .replies = &f.mailbox,
        .now_us = clock_now_us(),
    };
    f.hub = hub_create(&options);
    f.mailbox.owner = f.hub;
    hub_advance(f.hub, clock_now_us(), clock_wall_ms());
    f.flush.run = flush;
    turn_add_hook(&f.node.turn, &f.flush);
    router_add_worker(&f.node.router, &f.mailbox);
}

static void destroy_worker(void)
{
    mailbox_close(&f.mailbox);
    hub_destroy(f.hub);
    turn_remove_hook(&f.node.turn, &f.flush);
    rules_unref(f.rules);
}

static void init(void)
{
    memset(&f, 0, sizeof f);
    uv_loop_init(&f.loop);
    const struct node_options options = {
        .loop = &f.loop, .id = "n1", .version = "1.0", .libraries = "none", .started_us = clock_now_us()};
    node_init(&f.node, &options);
}

static int setup(void **state)
{
    init();
    const struct memory_broker_config config = {
        .turn = &f.node.turn,
        .node_id = STR("n1"),
        .idempotency_window_ms = 60000,
        .empty_ttl_ms = 60000,
        .positions_max = 100,
        .ids_bytes_max = 65536,
        .history_bytes_max = 65536,
        .user_share = 100,
    };
    node_open(&f.node, memory_broker_create(&config, &node_sink, &f.node.router, &f.node.metrics));
    create_worker();
    return 0;
}

static void open_session(void)
{
    struct claims *claims;
    struct error error;
    assert_int_equal(claims_parse(STR("{\"sub\":\"ann\"}"), &claims, &error), ERR_NONE);
    const struct session_start start = {.claims = claims, .endpoint = &f.endpoint, .ops = &transport};
    endpoint_init(&f.endpoint, &carillon_dialect, NULL);
    f.endpoint.limits = (struct endpoint_limits){.message_bytes = 65536, .channels = 10};
    f.session = hub_open(f.hub, &start);
    claims_unref(claims);
}

static void await_text(const char *text)
{
    for (int turns = 0; !f.written.len || !strstr(buf_cstr(&f.written), text); turns++) {
        if (turns > 200)
            fail_msg("%s has not come: %s", text, buf_cstr(&f.written));
        uv_run(&f.loop, UV_RUN_ONCE);
    }
}

/* In the order of node.h. */
static void end(bool has_worker)
{
    if (f.session) {
        hub_gone(f.hub, f.session);
        hub_flush(f.hub);
    }
    node_close(&f.node);
    while (!f.node.is_closed)
        uv_run(&f.loop, UV_RUN_ONCE);
    node_answer_waiting(&f.node);
    if (has_worker)
        destroy_worker();
    node_fini(&f.node);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f.loop), 0); /* nothing is left on it */
    buf_fini(&f.written);
}

static int teardown(void **state)
{
    end(true);
    return 0;
}

static void test_publish(void **state)
{
    open_session();
    hub_receive(f.hub, f.session, STR("{\"type\":\"subscribe\",\"data\":{\"channel\":\"room\"}}"));
    await_text("\"type\":\"subscribed\"");
    hub_receive(
        f.hub, f.session,
        STR("{\"type\":\"publish\",\"id\":1,\"data\":{\"channel\":\"room\",\"type\":\"message\",\"data\":\"hi\"}}"));
    await_text("\"offset\":1");
    await_text("\"type\":\"published\"");
    hub_receive(f.hub, f.session, STR("{\"type\":\"history\",\"id\":2,\"data\":{\"channel\":\"room\"}}"));
    await_text("\"events\":[{");
    hub_receive(f.hub, f.session, STR("{\"type\":\"presence\",\"id\":3,\"data\":{\"channel\":\"room\"}}"));
    await_text("\"type\":\"presence\"");
}

static void test_tick(void **state)
{
    for (int turns = 0; f.node.router.catchups.now_us == 0; turns++) {
        assert_true(turns < 1000);
        uv_run(&f.loop, UV_RUN_ONCE);
    }
    assert_int_equal(atomic_load(&f.node.router.broker_state), BROKER_UP);
}

static void note_answer(struct request *request, void *owner)
{
    f.answer = survey_of(request);
}

static struct survey *ask_info(void)
{
    struct survey *survey = survey_create(&(struct control_request){.op = CONTROL_INFO});
    survey->base.reply_to = &f.mailbox;
    survey->base.done = note_answer;
    survey_ask(f.node.surveys, survey);
    return survey;
}

static void test_survey(void **state)
{
    ask_info();
    for (int turns = 0; !f.answer; turns++) {
        assert_true(turns < 1000);
        uv_run(&f.loop, UV_RUN_ONCE);
    }
    assert_false(f.answer->partial);
    assert_non_null(strstr(buf_cstr(&f.answer->nodes), "{\"node\":\"n1\",\"version\":\"1.0\""));
    request_destroy(&f.answer->base);
}

/* A request that is on its way when the node ends is answered, or freed with the node. */
static void test_close_under_way(void **state)
{
    setup(state);
    open_session();
    hub_receive(f.hub, f.session, STR("{\"type\":\"subscribe\",\"data\":{\"channel\":\"room\"}}"));
    await_text("\"type\":\"subscribed\"");
    hub_receive(f.hub, f.session,
                STR("{\"type\":\"publish\",\"data\":{\"channel\":\"room\",\"type\":\"message\",\"data\":\"hi\"}}"));
    hub_receive(f.hub, f.session, STR("{\"type\":\"history\",\"id\":2,\"data\":{\"channel\":\"room\"}}"));
    hub_receive(f.hub, f.session, STR("{\"type\":\"presence\",\"id\":3,\"data\":{\"channel\":\"room\"}}"));
    ask_info();
    end(true);
    assert_non_null(f.answer);
    assert_int_equal(request_code(&f.answer->base), ERR_UNAVAILABLE);
    request_destroy(&f.answer->base);
}

static void free_request(struct request *request, void *hub)
{
    assert_int_equal(request_code(request), ERR_UNAVAILABLE);
    assert_ptr_equal(hub, f.hub);
    request_destroy(request);
    f.freed++;
}

static void note_ticket(void *waiter, enum err err, enum ticket_outcome outcome)
{
    *(enum err *)waiter = err;
}

/* Timers of hubs run until their worker is destroyed, so a hub may ask when the broker has closed already. The answer
 * to one of these tickets makes its asker ask once more. */
static void test_ask_after_the_end(void **state)
{
    const struct ticket_question question = {.ticket = STR("t"), .any_purpose = true, .any_resource = true};
    enum err err = ERR_NONE;
    setup(state);
    node_close(&f.node);
    while (!f.node.is_closed)
        uv_run(&f.loop, UV_RUN_ONCE);
    session_ticket_use(f.hub, &question, note_ticket, &err);
    session_ticket_leave(session_ticket_use(f.hub, &question, note_ticket, NULL));
    for (int i = 0; i < 40; i++) { /* more than the broker is asked for at once */
        struct history_read *read = history_read_create(STR("room"), STR(""));
        read->base.done = free_request;
        hub_ask(f.hub, &read->base);
    }
    node_answer_waiting(&f.node);
    assert_int_equal(err, ERR_UNAVAILABLE);
    assert_int_equal(f.freed, 40);
    destroy_worker();
    node_fini(&f.node);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f.loop), 0);
}

/* A process that fails at its start closes what it has. */
static void test_close_without_broker(void **state)
{
    init();
    end(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_publish, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tick, setup, teardown),
        cmocka_unit_test_setup_teardown(test_survey, setup, teardown),
        cmocka_unit_test(test_close_under_way),
        cmocka_unit_test(test_ask_after_the_end),
        cmocka_unit_test(test_close_without_broker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
