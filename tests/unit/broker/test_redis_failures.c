/* test_redis_failures.c - the Redis broker when Redis is away, stuck, full or unwilling. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "redis_server.h"
#include "rig.h"
#include "server/broker/redis/redis_broker.h"
#include "tests/support/unit.h"

/* Patient is a node that Redis answers in time whatever else the machine does. */
enum { PENDING_MAX = 20, PATIENT_MS = 20000, IMPATIENT_MS = 400 };

struct fixture {
    struct redis_server server;
    struct rig rig;
    struct node node;
};

/* Under sanitizers everything takes longer (tests/support/wait.py has the same). */
static uint64_t slowed(uint64_t ms)
{
    const char *factor = getenv("CARILLON_TEST_SLOWDOWN");
    return factor && atoi(factor) > 1 ? ms * (uint64_t)atoi(factor) : ms;
}

static void start_node_with(struct fixture *f, const char *url, uint64_t command_timeout_ms)
{
    struct redis_broker_config config = {
        .turn = &f->rig.turn,
        .url = str_from_cstr(url),
        .prefix = STR("test"),
        .node_id = STR("a"),
        .connect_timeout_ms = 1000,
        .command_timeout_ms = command_timeout_ms,
        .retry_max_ms = 300,
        .canary_interval_ms = 100,
        .idempotency_window_ms = 60000,
        .empty_ttl_ms = 60000,
        .pending_max = PENDING_MAX,
        .pending_bytes_max = 1 << 20,
        .custom_events = true,
        .event_bytes = 4096,
    };
    struct error error;
    node_init(&f->node);
    f->node.broker = redis_broker_create(&config, &node_sink, &f->node, f->node.metrics, &error);
    if (!f->node.broker)
        fail_msg("%s", error.text);
}

static void start_node(struct fixture *f, const char *url)
{
    start_node_with(f, url, PATIENT_MS);
}

static int set_up_with(void **state, const char *const *more)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    redis_server_start(&f->server, more);
    rig_init(&f->rig);
    *state = f;
    return 0;
}

static int set_up_up(void **state)
{
    set_up_with(state, NULL);
    struct fixture *f = *state;
    start_node(f, f->server.url);
    RIG_WAIT(&f->rig, f->node.info.state == BROKER_UP);
    return 0;
}

static int set_up_impatient(void **state)
{
    set_up_with(state, NULL);
    struct fixture *f = *state;
    start_node_with(f, f->server.url, slowed(IMPATIENT_MS));
    RIG_WAIT(&f->rig, f->node.info.state == BROKER_UP);
    return 0;
}

static int set_up_down(void **state)
{
    set_up_with(state, NULL);
    struct fixture *f = *state;
    redis_server_kill(&f->server);
    start_node(f, f->server.url);
    return 0;
}

static int set_up_locked(void **state)
{
    return set_up_with(state, (const char *const[]){"--requirepass", "open sesame", NULL});
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->node.broker)
        node_fini(&f->node, &f->rig);
    rig_fini(&f->rig);
    redis_server_end(&f->server);
    free(f);
    return 0;
}

static void assert_says(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("expected \"%s\" in: %s", part, text);
}

static void waits_for_redis_at_the_start(void **state)
{
    struct fixture *f = *state;
    node_subscribe(&f->node, "c", 10);
    node_publish(&f->node, "c", "1", "", 10);
    assert_int_equal(node_answer(&f->node, &f->rig, 0)->err, ERR_UNAVAILABLE);
    assert_true(f->node.answers[0].retry_after_ms > 0);
    assert_says(f->node.answers[0].text, "nothing was published");
    RIG_WAIT(&f->rig, strstr(f->node.info.text, "next try in"));
    assert_says(f->node.info.text, "connection refused");
    assert_says(f->node.info.text, "127.0.0.1");
    assert_int_equal(f->node.info.state, BROKER_CONNECTING);
    node_publish(&f->node, "c", "1", "", 10);
    assert_in_range(node_answer(&f->node, &f->rig, 1)->retry_after_ms, 100, 500);
    assert_int_equal(f->node.subscribed_count, 0);
    redis_server_restart(&f->server);
    RIG_WAIT(&f->rig, f->node.info.state == BROKER_UP && f->node.subscribed_count == 1);
    assert_int_equal(f->node.subscribed[0].err, ERR_NONE);
    assert_true(f->node.subscribed[0].epoch[0] != '\0');
    assert_string_equal(f->node.info.text, "");
    assert_int_equal(node_metric(&f->node, METRIC_BROKER_RECONNECTS), 0);
}

/* So many that Redis reads the subscriptions in several helpings, and answers others in between. */
static void answers_all_that_waited(void **state)
{
    enum { CHANNELS = 10000 };
    struct fixture *f = *state;
    char name[40];
    for (int i = 0; i < CHANNELS; i++) {
        snprintf(name, sizeof name, "conversation:number-%d", i);
        node_subscribe(&f->node, name, 10);
    }
    redis_server_restart(&f->server);
    RIG_WAIT(&f->rig, f->node.info.state == BROKER_UP && f->node.subscribed_count >= CHANNELS);
}

static void comes_back_after_redis_was_away(void **state)
{
    struct fixture *f = *state;
    node_subscribe(&f->node, "c", 10);
    node_subscribe(&f->node, "left", 10);
    RIG_WAIT(&f->rig, f->node.subscribed_count == 2);
    redis_server_kill(&f->server);
    RIG_WAIT(&f->rig, f->node.info.state == BROKER_DOWN);
    node_publish(&f->node, "c", "1", "", 10);
    assert_int_equal(node_answer(&f->node, &f->rig, 0)->err, ERR_UNAVAILABLE);
    node_unsubscribe(&f->node, "left");
    node_subscribe(&f->node, "new", 10);
    RIG_WAIT(&f->rig, strstr(f->node.info.text, "refused"));
    redis_server_restart(&f->server);
    RIG_WAIT(&f->rig, f->node.info.state == BROKER_UP);
    assert_int_equal(node_metric(&f->node, METRIC_BROKER_RECONNECTS), 1);
    node_publish(&f->node, "left", "1", "", 10);
    node_publish(&f->node, "c", "2", "", 10);
    RIG_WAIT(&f->rig, f->node.event_count == 1 && f->node.subscribed_count == 4);
    assert_string_equal(f->node.events[0].data, "2");
    bool new_first = strcmp(f->node.subscribed[2].channel, "new") == 0;
    assert_string_equal(f->node.subscribed[new_first ? 2 : 3].channel, "new");
    assert_string_equal(f->node.subscribed[new_first ? 3 : 2].channel, "c");
    assert_true(f->node.subscribed[2].epoch[0] && f->node.subscribed[3].epoch[0]);
    assert_int_equal(node_metric(&f->node, METRIC_BROKER_SUBSCRIPTIONS), 2);
}

/* Others may have published meanwhile: who subscribes from now on must not hear of a position that is passed. */
static void tells_positions_again_when_it_is_back(void **state)
{
    struct fixture *f = *state;
    char answer[100];
    node_subscribe(&f->node, "c", 10);
    node_subscribe(&f->node, "unnumbered", 0);
    RIG_WAIT(&f->rig, f->node.subscribed_count == 2);
    node_publish(&f->node, "c", "1", "", 10);
    assert_int_equal(node_answer(&f->node, &f->rig, 0)->offset, 1);
    REDIS_RUN(&f->server, answer, "HINCRBY", "test:{c}:meta", "offset", "5");
    REDIS_RUN(&f->server, answer, "CLIENT", "KILL", "TYPE", "pubsub");
    RIG_WAIT(&f->rig, f->node.subscribed_count == 4); /* all of them: of the other one something may be missed too */
    const struct seen_subscribed *numbered =
        &f->node.subscribed[strcmp(f->node.subscribed[2].channel, "c") == 0 ? 2 : 3];
    assert_string_equal(numbered->channel, "c");
    assert_string_equal(numbered->epoch, f->node.answers[0].epoch);
    assert_int_equal(numbered->offset, 6);
    RIG_WAIT(&f->rig, f->node.info.state == BROKER_UP);
    node_publish(&f->node, "c", "2", "", 10);
    RIG_WAIT(&f->rig, f->node.event_count == 2);
    assert_int_equal(f->node.events[1].offset, 7);
    assert_int_equal(f->node.subscribed_count, 4);
}

/* Both connections are needed: losing one makes both again. */
static void notices_one_lost_connection(void **state)
{
    struct fixture *f = *state;
    static const char *const types[] = {"pubsub", "normal"};
    char out[64];
    node_subscribe(&f->node, "c", 10);
    for (size_t i = 0; i < 2; i++) {
        REDIS_RUN(&f->server, out, "CLIENT", "KILL", "TYPE", types[i], "SKIPME", "yes");
        RIG_WAIT(&f->rig, f->node.info.state == BROKER_DOWN);
        RIG_WAIT(&f->rig, f->node.info.state == BROKER_UP);
    }
    node_publish(&f->node, "c", "1", "", 10);
    RIG_WAIT(&f->rig, f->node.event_count == 1);
}

/* Connections are cut under load. A publisher tries again with the same event_id until it is answered. Then every
 * event is stored exactly once, and an acknowledged event stays at the offset that was told. */
static void loses_and_doubles_nothing(void **state)
{
    enum { COUNT = 1000, IN_FLIGHT = 15 };
    struct fixture *f = *state;
    struct node *node = &f->node;
    static bool acknowledged[COUNT], taken[COUNT + 1];
    unsigned published = 0, done = 0, cuts = 0;
    char out[64];
    for (size_t looked = 0; done < COUNT;) {
        for (; looked < node->answer_count; looked++) {
            const struct seen_answer *answer = &node->answers[looked];
            int number = atoi(answer->event_id + 1);
            if (answer->err) {
                RIG_WAIT(&f->rig, node->info.state == BROKER_UP);
                node_publish(node, "c", "1", answer->event_id, 2 * COUNT);
                continue;
            }
            assert_false(acknowledged[number]);
            assert_in_range(answer->offset, 1, COUNT);
            assert_false(taken[answer->offset]);
            acknowledged[number] = taken[answer->offset] = true;
            done++;
        }
        if (published < COUNT && published - done < IN_FLIGHT) {
            char event_id[24];
            snprintf(event_id, sizeof event_id, "k%u", published++);
            node_publish(node, "c", "1", event_id, 2 * COUNT);
            if (published % 200 == 100) {
                uv_run(&f->rig.loop, UV_RUN_NOWAIT); /* some are in Redis and not answered yet */
                REDIS_RUN(&f->server, out, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
                cuts++;
            }
        } else {
            uv_run(&f->rig.loop, UV_RUN_ONCE);
        }
    }
    assert_int_equal(cuts, 5);
    assert_true(node->refused > 0);
    REDIS_RUN(&f->server, out, "XLEN", "test:{c}:log");
    assert_string_equal(out, "1000");
}

static void notices_that_redis_is_stuck(void **state)
{
    struct fixture *f = *state;
    char out[64];
    node_publish(&f->node, "c", "0", "", 10);
    assert_int_equal(node_answer(&f->node, &f->rig, 0)->err, ERR_NONE);
    redis_server_pause(&f->server, true);
    node_publish(&f->node, "c", "1", "same", 10);
    assert_int_equal(node_answer(&f->node, &f->rig, 1)->err, ERR_UNAVAILABLE);
    assert_says(f->node.answers[1].text, "may or may not");
    assert_says(f->node.answers[1].text, "safe");
    RIG_WAIT(&f->rig, f->node.info.state == BROKER_DOWN);
    /* Connections are accepted by the kernel, but nothing answers. */
    RIG_WAIT(&f->rig, strstr(f->node.info.text, "login"));
    redis_server_pause(&f->server, false);
    RIG_WAIT(&f->rig, f->node.info.state == BROKER_UP);
    node_publish(&f->node, "c", "1", "same", 10);
    assert_int_equal(node_answer(&f->node, &f->rig, 2)->err, ERR_NONE);
    assert_int_equal(f->node.answers[2].offset, 2);
    REDIS_RUN(&f->server, out, "XLEN", "test:{c}:log");
    assert_string_equal(out, "2");
}

/* With nothing under way it is the canary that notices. */
static void notices_a_silent_redis_without_traffic(void **state)
{
    struct fixture *f = *state;
    redis_server_pause(&f->server, true);
    RIG_WAIT(&f->rig, f->node.info.state == BROKER_DOWN);
    redis_server_pause(&f->server, false);
    RIG_WAIT(&f->rig, f->node.info.state == BROKER_UP);
}

static void bounds_what_waits(void **state)
{
    struct fixture *f = *state;
    redis_server_pause(&f->server, true);
    for (int i = 0; i < PENDING_MAX + 5; i++)
        node_publish(&f->node, "c", "1", "", 10);
    node_answer(&f->node, &f->rig, 4);
    for (int i = 0; i < 5; i++)
        assert_says(f->node.answers[i].text, "too many");
    node_answer(&f->node, &f->rig, PENDING_MAX + 4);
    for (int i = 5; i < PENDING_MAX + 5; i++)
        assert_says(f->node.answers[i].text, "may or may not");
    redis_server_pause(&f->server, false);
    RIG_WAIT(&f->rig, f->node.info.state == BROKER_UP);
    node_publish(&f->node, "c", "1", "", 10);
    assert_int_equal(node_answer(&f->node, &f->rig, PENDING_MAX + 5)->err, ERR_NONE);
}

static void answers_what_waits_when_closed(void **state)
{
    struct fixture *f = *state;
    redis_server_pause(&f->server, true);
    node_publish(&f->node, "c", "1", "", 10);
    node_subscribe(&f->node, "c", 10);
    uv_run(&f->rig.loop, UV_RUN_NOWAIT);
    node_close(&f->node, &f->rig);
    assert_int_equal(f->node.answer_count, 1);
    assert_int_equal(f->node.answers[0].err, ERR_UNAVAILABLE);
    assert_int_equal(f->node.subscribed_count, 1);
    assert_int_equal(f->node.subscribed[0].err, ERR_UNAVAILABLE);
    redis_server_pause(&f->server, false);
}

static void says_what_is_wrong_with_the_login(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *login, *says;
    } rows[] = {
        {"", "wants a password"},  {":hunter2@", "WRONGPASS"},       {"nobody:hunter2@", "WRONGPASS"},
        {":open%20sesame@", NULL}, {"default:open%20sesame@", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char url[128];
        snprintf(url, sizeof url, "redis://%s127.0.0.1:%d/3", rows[i].login, f->server.port);
        start_node(f, url);
        if (rows[i].says) {
            RIG_WAIT(&f->rig, strstr(f->node.info.text, "next try"));
            assert_says(f->node.info.text, rows[i].says);
            assert_null(strstr(f->node.info.text, "hunter2"));
        } else {
            RIG_WAIT(&f->rig, f->node.info.state == BROKER_UP);
        }
        node_fini(&f->node, &f->rig);
        f->node.broker = NULL;
    }
}

/* Where localhost is ::1 first and Redis listens on 127.0.0.1 alone, as it does by default. */
static void tries_all_addresses_of_a_name(void **state)
{
    struct fixture *f = *state;
    char url[128];
    snprintf(url, sizeof url, "redis://:open%%20sesame@localhost:%d", f->server.port);
    start_node(f, url);
    RIG_WAIT(&f->rig, f->node.info.state == BROKER_UP);
    assert_int_equal(node_metric(&f->node, METRIC_BROKER_ERRORS), 0);
}

/* One channel's trouble must not keep the broker from coming up. */
static void comes_up_although_a_channel_is_broken(void **state)
{
    struct fixture *f = *state;
    char out[64];
    redis_server_restart(&f->server);
    REDIS_RUN(&f->server, out, "SET", "test:{bad}:meta", "text");
    node_subscribe(&f->node, "bad", 10);
    node_subscribe(&f->node, "good", 10);
    RIG_WAIT(&f->rig, f->node.info.state == BROKER_UP && f->node.subscribed_count == 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(f->node.subscribed[i].err == ERR_NONE, strcmp(f->node.subscribed[i].channel, "good") == 0);
}

static void refuses_what_a_full_or_read_only_redis_refuses(void **state)
{
    struct fixture *f = *state;
    char out[64];
    REDIS_RUN(&f->server, out, "CONFIG", "SET", "maxmemory", "1");
    node_publish(&f->node, "c", "1", "", 10);
    node_publish(&f->node, "live", "1", "k", 0);
    assert_int_equal(node_answer(&f->node, &f->rig, 1)->err, ERR_UNAVAILABLE);
    for (int i = 0; i < 2; i++) {
        assert_says(f->node.answers[i].text, "out of memory");
        assert_true(f->node.answers[i].retry_after_ms > 0);
    }
    assert_int_equal(f->node.info.state, BROKER_UP);
    node_subscribe(&f->node, "full", 10);
    RIG_WAIT(&f->rig, f->node.subscribed_count == 1);
    REDIS_RUN(&f->server, out, "CONFIG", "SET", "maxmemory", "0");
    REDIS_RUN(&f->server, out, "REPLICAOF", "127.0.0.1", "1");
    node_publish(&f->node, "c", "1", "", 10);
    const struct seen_answer *answer = node_answer(&f->node, &f->rig, 2);
    assert_int_equal(answer->err, ERR_UNAVAILABLE);
    if (!strstr(answer->text, "the connection to Redis was lost")) /* a canary may find it out first */
        assert_says(answer->text, "read-only");
    assert_int_equal(f->node.subscribed[0].err, ERR_NONE);
    assert_string_equal(f->node.subscribed[0].epoch, ""); /* events could come, but there is no position yet */
    /* An event that is published on a replica reaches nobody else. So a replica is not used until it is a primary
     * again. */
    RIG_WAIT(&f->rig, f->node.info.state == BROKER_DOWN && strstr(f->node.info.text, "it is a replica"));
    node_subscribe(&f->node, "read-only", 10);
    REDIS_RUN(&f->server, out, "REPLICAOF", "NO", "ONE");
    RIG_WAIT(&f->rig, f->node.info.state == BROKER_UP && f->node.subscribed_count >= 2);
    node_publish(&f->node, "c", "1", "", 10);
    assert_int_equal(node_answer(&f->node, &f->rig, 3)->err, ERR_NONE);
    assert_int_equal(f->node.answers[3].offset, 1); /* the refused ones have changed nothing */
}

static void hang_up(uv_handle_t *guest)
{
    free(guest);
}

static void on_said(uv_write_t *request, int status)
{
    (void)status;
    uv_close((uv_handle_t *)request->handle, hang_up);
    free(request);
}

static void say_something_else(uv_stream_t *listener, int status)
{
    uv_tcp_t *guest = xcalloc(1, sizeof *guest);
    uv_write_t *request = xcalloc(1, sizeof *request);
    uv_buf_t text = uv_buf_init((char[]){"HTTP/1.1 400 Bad Request\r\n\r\n"}, 28);
    assert_int_equal(status, 0);
    uv_tcp_init(listener->loop, guest);
    assert_int_equal(uv_accept(listener, (uv_stream_t *)guest), 0);
    uv_write(request, (uv_stream_t *)guest, &text, 1, on_said);
}

static void notices_that_it_is_not_redis(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in address;
    int len = sizeof address;
    static uv_tcp_t listener; /* closed by the loop after this function */
    char url[64];
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_init(&f->rig.loop, &listener);
    uv_tcp_bind(&listener, (struct sockaddr *)&address, 0);
    assert_int_equal(uv_listen((uv_stream_t *)&listener, 8, say_something_else), 0);
    uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &len);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", ntohs(address.sin_port));
    start_node(f, url);
    RIG_WAIT(&f->rig, strstr(f->node.info.text, "next try"));
    assert_says(f->node.info.text, "does not speak the Redis protocol");
    uv_close((uv_handle_t *)&listener, NULL);
}

static void refuses_bad_names(void **state)
{
    struct redis_broker_config config = {.url = STR("redis://h"), .prefix = STR("a{b"), .node_id = STR("n")};
    struct error error;
    (void)state;
    assert_null(redis_broker_create(&config, &node_sink, NULL, NULL, &error));
    assert_says(error.text, "prefix");
    config.prefix = STR("p");
    config.node_id = STR("n 1");
    assert_null(redis_broker_create(&config, &node_sink, NULL, NULL, &error));
    assert_says(error.text, "node id");
    config.node_id = STR("n");
    config.url = STR("unix:/hunter2");
    assert_null(redis_broker_create(&config, &node_sink, NULL, NULL, &error));
    assert_says(error.text, "Unix socket");
}

/* ---- entries of streams ---- */

struct appended {
    struct mailbox mailbox;
    unsigned count;
    enum err last;
};

static void note_appended(struct request *request, void *owner)
{
    struct appended *appended = owner;
    appended->count++;
    appended->last = request_code(request);
    request_destroy(request);
}

static void append(struct fixture *f, struct appended *appended, const char *n)
{
    const struct str texts[] = {STR("n"), str_from_cstr(n), STR("data"), STR("\x00\xff")};
    struct stream_append *request = stream_append_create(STR("carillon:audio"), 1000, 4, texts);
    request->base.reply_to = &appended->mailbox;
    request->base.done = note_appended;
    f->node.broker->ops->ask(f->node.broker, &request->base);
}

static void appends_to_a_stream_or_says_why_not(void **state)
{
    struct fixture *f = *state;
    struct appended appended = {0};
    char answer[300];
    mailbox_init(&appended.mailbox, &f->rig.turn, &appended);
    append(f, &appended, "1");
    append(f, &appended, "2");
    RIG_WAIT(&f->rig, appended.count == 2);
    assert_int_equal(appended.last, ERR_NONE);
    REDIS_RUN(&f->server, answer, "XLEN", "carillon:audio");
    assert_string_equal(answer, "2");
    REDIS_RUN(&f->server, answer, "CONFIG", "SET", "maxmemory", "1");
    append(f, &appended, "3");
    RIG_WAIT(&f->rig, appended.count == 3);
    assert_int_equal(appended.last, ERR_UNAVAILABLE);
    REDIS_RUN(&f->server, answer, "CONFIG", "SET", "maxmemory", "0");
    for (int i = 0; i <= PENDING_MAX; i++)
        append(f, &appended, "4");
    RIG_WAIT(&f->rig, appended.count == 4 + PENDING_MAX);
    REDIS_RUN(&f->server, answer, "XLEN", "carillon:audio");
    assert_int_equal(atoi(answer), 2 + PENDING_MAX); /* the one over it was refused */
    redis_server_kill(&f->server);
    RIG_WAIT(&f->rig, f->node.info.state == BROKER_DOWN);
    append(f, &appended, "5");
    RIG_WAIT(&f->rig, appended.count == 5 + PENDING_MAX);
    assert_int_equal(appended.last, ERR_UNAVAILABLE);
    assert_int_equal(node_metric(&f->node, METRIC_BROKER_ERRORS) > 0, true);
    mailbox_close(&appended.mailbox);
}

int main(void)
{
#define FROM(start, test) cmocka_unit_test_setup_teardown(test, start, tear_down)
    const struct CMUnitTest tests[] = {
        FROM(set_up_down, waits_for_redis_at_the_start),
        FROM(set_up_down, answers_all_that_waited),
        FROM(set_up_up, comes_back_after_redis_was_away),
        FROM(set_up_up, tells_positions_again_when_it_is_back),
        FROM(set_up_up, notices_one_lost_connection),
        FROM(set_up_up, loses_and_doubles_nothing),
        FROM(set_up_impatient, notices_that_redis_is_stuck),
        FROM(set_up_impatient, notices_a_silent_redis_without_traffic),
        FROM(set_up_impatient, bounds_what_waits),
        FROM(set_up_up, answers_what_waits_when_closed),
        FROM(set_up_locked, says_what_is_wrong_with_the_login),
        FROM(set_up_locked, tries_all_addresses_of_a_name),
        FROM(set_up_down, comes_up_although_a_channel_is_broken),
        FROM(set_up_up, refuses_what_a_full_or_read_only_redis_refuses),
        FROM(set_up_up, appends_to_a_stream_or_says_why_not),
        FROM(set_up_locked, notices_that_it_is_not_redis),
        cmocka_unit_test(refuses_bad_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
