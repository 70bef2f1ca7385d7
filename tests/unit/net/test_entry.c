/* test_entry.c - entry steps between a request and its session, with fake ones that answer when the test wants it. */
#include <stdio.h>
#include <unistd.h>

#include "server/dialect/carillon.h"
#include "server/net/http/connection.h"
#include "server/net/ws/ws.h"
#include "tests/support/unit.h"
#include "tests/unit/net/net_fixture.h"

/* A step that does what the test says. */
struct fake {
    enum entry_verdict verdict;
    enum reason reason;
    struct entry *entry; /* that waits */
    unsigned begun;
    unsigned cancelled;
};

static enum entry_verdict begin(void *owner, struct entry *entry, const struct http_head *head, enum reason *out_reason)
{
    struct fake *fake = owner;
    assert_str(head->path, "/ws");
    assert_str(entry->admission.claims->sub, "u");
    fake->begun++;
    *out_reason = fake->reason;
    if (fake->verdict == ENTRY_WAITS)
        fake->entry = entry;
    return fake->verdict;
}

static void cancel(void *owner, struct entry *entry)
{
    struct fake *fake = owner;
    assert_ptr_equal(fake->entry, entry);
    fake->entry = NULL;
    fake->cancelled++;
}

struct scene {
    struct net_fixture *fixture;
    struct fake fakes[2];
};

static int set_up(void **state)
{
    static struct scene scene;
    scene = (struct scene){.fixture = fixture_create()};
    scene.fixture->settings->head_timeout_us = 20000000;
    scene.fixture->outside_steps = (struct outside_steps){
        .connect = {.begin = begin, .cancel = cancel, .owner = &scene.fakes[0]},
        .fault = {.begin = begin, .cancel = cancel, .owner = &scene.fakes[1]},
    };
    fixture_start(scene.fixture);
    *state = &scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;
    fixture_destroy(scene->fixture); /* fails when something still counts */
    return 0;
}

static int ask(struct scene *scene, const char *lines)
{
    char head[2048], target[600];
    int fd = fixture_connect(scene->fixture, false);
    snprintf(target, sizeof target, "/ws?token=%s", scene->fixture->token);
    fixture_send(fd, fixture_handshake(head, target, lines));
    return fd;
}

/* A client that waits for the first step's answer. */
static int ask_and_wait(struct scene *scene, const char *lines)
{
    scene->fakes[0].verdict = ENTRY_WAITS;
    int fd = ask(scene, lines);
    while (!scene->fakes[0].entry)
        fixture_turn(scene->fixture);
    return fd;
}

static void answer(struct fake *fake, enum reason reason)
{
    struct entry *entry = fake->entry;
    fake->entry = NULL;
    entry_answer(entry, reason);
}

static void expect(struct scene *scene, int fd, const char *part)
{
    free(fixture_read(scene->fixture, fd, part));
}

static void expect_refusal(struct scene *scene, int fd, const char *part)
{
    expect(scene, fd, part);
    close(fd);
}

static size_t places(const struct scene *scene)
{
    return quota_count(scene->fixture->quota, QUOTA_SESSIONS, STR(""));
}

static void steps_that_pass_cost_no_turn(void **state)
{
    struct scene *scene = *state;
    int fd = ask(scene, "");
    expect(scene, fd, "session_init");
    assert_int_equal(scene->fakes[0].begun + scene->fakes[1].begun, 2);
    close(fd);
}

static void a_late_answer_lets_the_client_in_with_what_it_sent(void **state)
{
    struct scene *scene = *state;
    char frame[256], byte;
    int fd = ask_and_wait(scene, "");
    fixture_send(fd, fixture_frame(frame, 0x81, "{\"type\":\"ping\",\"id\":7}"));
    for (int i = 0; i < 3; i++)
        fixture_turn(scene->fixture);
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(hub_sessions(scene->fixture->worker->hub)->count, 0);
    assert_int_equal(places(scene), 1);
    answer(&scene->fakes[0], REASON_NONE);
    expect(scene, fd, "\"type\":\"pong\",\"id\":7");
    assert_int_equal(hub_sessions(scene->fixture->worker->hub)->count, 1);
    close(fd);
}

static void a_step_changes_what_the_session_begins_with(void **state)
{
    struct scene *scene = *state;
    struct claims *claims;
    int fd = ask_and_wait(scene, "");
    struct entry *entry = scene->fakes[0].entry;
    assert_int_equal(claims_parse(STR("{\"sub\":\"u\",\"scope\":\"more\"}"), &claims, NULL), ERR_NONE);
    claims_unref(entry->admission.claims);
    entry->admission.claims = claims;
    assert_int_equal(entry_subscribe(entry, STR("news"), true, NULL), ERR_NONE);
    assert_int_equal(entry_subscribe(entry, STR("chat"), true, NULL), ERR_NONE);
    answer(&scene->fakes[0], REASON_NONE);
    expect(scene, fd, "session_init");
    size_t cursor = 0;
    const struct session *session = session_index_next(hub_sessions(scene->fixture->worker->hub), &cursor);
    assert_true(claims_has_scope(session->claims, STR("more")));
    assert_int_equal(session->subscription_count, 2);
    assert_non_null(hub_channel(scene->fixture->worker->hub, STR("news")));
    assert_non_null(hub_channel(scene->fixture->worker->hub, STR("chat")));
    close(fd);
}

static void a_step_is_told_of_a_bad_channel_name(void **state)
{
    struct scene *scene = *state;
    static char longest[CHANNEL_NAME_MAX + 1];
    struct error error;
    int fd = ask_and_wait(scene, "");
    struct entry *entry = scene->fakes[0].entry;
    memset(longest, 'x', sizeof longest);
    const struct str bad[] = {str_from(longest, sizeof longest), STR(""), STR("a b"), STR("\xff")};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(entry_subscribe(entry, bad[i], true, &error), ERR_INVALID_REQUEST);
        assert_true(str_starts_with(str_from_cstr(error.text), STR("channel")));
    }
    assert_int_equal(entry_subscribe(entry, str_from(longest, CHANNEL_NAME_MAX), true, NULL), ERR_NONE);
    answer(&scene->fakes[0], REASON_NONE);
    expect(scene, fd, "session_init");
    size_t cursor = 0;
    assert_int_equal(session_index_next(hub_sessions(scene->fixture->worker->hub), &cursor)->subscription_count, 1);
    assert_non_null(hub_channels_in_order(scene->fixture->worker->hub)->root);
    close(fd);
}

static void a_step_refuses_at_once_or_late_by_status_or_by_close(void **state)
{
    struct scene *scene = *state;
    for (int by_close = 0; by_close < 2; by_close++) {
        const char *lines = by_close ? "Origin: https://x\r\n" : "";
        scene->fakes[0] = (struct fake){.verdict = ENTRY_IS_REFUSED, .reason = REASON_SCOPE_MISSING};
        expect_refusal(scene, ask(scene, lines), by_close ? "\x03\xf0scope_missing" : "HTTP/1.1 403 ");
        int fd = ask_and_wait(scene, lines);
        answer(&scene->fakes[0], REASON_CONNECTION_LIMIT);
        expect_refusal(scene, fd,
                       by_close ? "\x03\xf5"
                                  "connection_limit"
                                : "HTTP/1.1 429 ");
    }
    assert_int_equal(scene->fakes[1].begun, 0);
    assert_int_equal(hub_sessions(scene->fixture->worker->hub)->count, 0);
    while (places(scene) > 0)
        fixture_turn(scene->fixture);
}

static void a_client_that_goes_away_cancels(void **state)
{
    struct scene *scene = *state;
    char frame[256];
    for (int sent = 0; sent < 2; sent++) {
        int fd = ask_and_wait(scene, "");
        if (sent)
            fixture_send(fd, fixture_frame(frame, 0x81, "{\"type\":\"ping\"}"));
        close(fd);
        while (scene->fakes[0].cancelled == (unsigned)sent)
            fixture_turn(scene->fixture);
        assert_null(scene->fakes[0].entry);
        assert_int_equal(places(scene), 0);
    }
    assert_int_equal(scene->fakes[1].begun, 0);
}

static void steps_come_in_order(void **state)
{
    struct scene *scene = *state;
    scene->fakes[1].verdict = ENTRY_WAITS;
    int fd = ask_and_wait(scene, "");
    assert_int_equal(scene->fakes[1].begun, 0);
    answer(&scene->fakes[0], REASON_NONE);
    assert_int_equal(scene->fakes[0].begun, 1);
    assert_int_equal(scene->fakes[1].begun, 1);
    assert_int_equal(hub_sessions(scene->fixture->worker->hub)->count, 0);
    answer(&scene->fakes[1], REASON_NONE);
    expect(scene, fd, "session_init");
    assert_int_equal(scene->fakes[0].begun + scene->fakes[1].begun, 2);
    close(fd);
}

/* The server takes so many bytes of a client meanwhile. More of them stay in the kernel. */
static void what_comes_meanwhile_is_bounded(void **state)
{
    struct scene *scene = *state;
    static char much[65536];
    int fd = ask_and_wait(scene, "");
    for (int full = 0; full < 4;) {
        full = send(fd, much, sizeof much, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? full + 1 : 0;
        if (full > 0)
            fixture_turn(scene->fixture);
    }
    const struct connection *connection = CONTAINER_OF(scene->fakes[0].entry, struct connection, entry);
    assert_true(connection->early.len >= scene->fixture->settings->head_bytes);
    assert_true(connection->early.len <= scene->fixture->settings->head_bytes + 32768);
    answer(&scene->fakes[0], REASON_SCOPE_MISSING);
    expect(scene, fd, "403 ");
    close(fd);
}

static void nobody_waits_while_draining(void **state)
{
    struct scene *scene = *state;
    int fd = ask_and_wait(scene, "");
    worker_drain(scene->fixture->worker, 0);
    expect_refusal(scene, fd, "\"draining\"");
    assert_int_equal(scene->fakes[0].cancelled, 1);
}

/* New settings without the endpoint. It is kept for its sessions, or nothing is left of it. */
static void remove_endpoint(struct net_fixture *fixture, bool kept)
{
    struct net_settings *without = net_settings_create();
    without->head_timeout_us = fixture->settings->head_timeout_us;
    if (kept)
        net_settings_keep_endpoint(without, fixture->settings->endpoints[0], fixture->quota);
    worker_configure(fixture->worker, without, &fixture->hub_settings, fixture->rules);
    net_settings_unref(without);
    fixture_turn(fixture);
}

/* Like one that asks for an unknown path, also where the endpoint refused by a close frame. */
static void a_client_does_not_enter_by_an_endpoint_that_is_gone(void **state)
{
    struct scene *scene = *state;
    int fds[2] = {ask_and_wait(scene, ""), -1};
    struct entry *first = scene->fakes[0].entry;
    scene->fakes[0].entry = NULL;
    fds[1] = ask_and_wait(scene, "Origin: https://x\r\n");
    remove_endpoint(scene->fixture, true);
    entry_answer(first, REASON_NONE);
    expect_refusal(scene, fds[0], "HTTP/1.1 404 ");
    remove_endpoint(scene->fixture, false);
    answer(&scene->fakes[0], REASON_NONE);
    expect_refusal(scene, fds[1], "HTTP/1.1 404 ");
    assert_int_equal(scene->fakes[1].begun, 0);
    while (places(scene) > 0)
        fixture_turn(scene->fixture);
}

/* It enters by what has taken the place of its endpoint. */
static void a_client_enters_by_the_endpoint_of_the_newest_settings(void **state)
{
    struct scene *scene = *state;
    struct net_settings *other = net_settings_create();
    int fd = ask_and_wait(scene, "");
    struct net_endpoint *now = net_settings_add_endpoint(other, STR("/ws"), &ws_transport, &carillon_dialect);
    now->base.limits = (struct endpoint_limits){.message_bytes = 1000, .channels = 77};
    worker_configure(scene->fixture->worker, other, &scene->fixture->hub_settings, scene->fixture->rules);
    net_settings_unref(other);
    fixture_turn(scene->fixture);
    answer(&scene->fakes[0], REASON_NONE);
    expect(scene, fd, "\"channels\":77");
    close(fd);
}

static void a_step_has_no_longer_than_the_request(void **state)
{
    struct scene *scene = *state;
    scene->fixture->settings->head_timeout_us = 100000;
    int fd = ask_and_wait(scene, "");
    expect_refusal(scene, fd, "503 ");
    assert_int_equal(scene->fakes[0].cancelled, 1);
    while (places(scene) > 0)
        fixture_turn(scene->fixture);
}

/* A step that would wait once the time is over decides as if it had waited. */
static void no_later_step_waits_once_the_time_is_over(void **state)
{
    struct scene *scene = *state;
    scene->fixture->settings->head_timeout_us = 100000;
    struct entry_step *steps = scene->fixture->worker->steps + 2; /* behind limits_step and ticket_step */
    steps[0].passes_late = true;
    for (int passes = 0; passes < 2; passes++) {
        scene->fakes[0] = scene->fakes[1] = (struct fake){.verdict = ENTRY_WAITS};
        steps[1].passes_late = passes == 1;
        int fd = ask_and_wait(scene, "");
        expect(scene, fd, passes ? "session_init" : "HTTP/1.1 503 ");
        assert_int_equal(scene->fakes[0].cancelled, 1);
        assert_int_equal(scene->fakes[1].begun, 1);
        assert_int_equal(scene->fakes[1].cancelled, 1);
        close(fd);
        while (places(scene) > 0)
            fixture_turn(scene->fixture);
    }
}

/* The second step has the time that the first one has left. */
static void all_steps_together_have_the_time_of_the_request(void **state)
{
    struct scene *scene = *state;
    scene->fixture->settings->head_timeout_us = 100000;
    scene->fakes[1].verdict = ENTRY_WAITS;
    int fd = ask_and_wait(scene, "");
    answer(&scene->fakes[0], REASON_NONE);
    expect_refusal(scene, fd, "\"not_ready\"");
    assert_int_equal(scene->fakes[0].cancelled, 0);
    assert_int_equal(scene->fakes[1].cancelled, 1);
    while (places(scene) > 0)
        fixture_turn(scene->fixture);
}

static void the_end_of_the_worker_cancels(void **state)
{
    struct scene *scene = *state;
    close(ask_and_wait(scene, ""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(steps_that_pass_cost_no_turn),
        TEST(a_late_answer_lets_the_client_in_with_what_it_sent),
        TEST(a_step_changes_what_the_session_begins_with),
        TEST(a_step_is_told_of_a_bad_channel_name),
        TEST(a_step_refuses_at_once_or_late_by_status_or_by_close),
        TEST(a_client_that_goes_away_cancels),
        TEST(steps_come_in_order),
        TEST(what_comes_meanwhile_is_bounded),
        TEST(nobody_waits_while_draining),
        TEST(a_client_does_not_enter_by_an_endpoint_that_is_gone),
        TEST(a_client_enters_by_the_endpoint_of_the_newest_settings),
        TEST(a_step_has_no_longer_than_the_request),
        TEST(no_later_step_waits_once_the_time_is_over),
        TEST(all_steps_together_have_the_time_of_the_request),
        TEST(the_end_of_the_worker_cancels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
