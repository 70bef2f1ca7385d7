/* test_session_limit_step.c - the entry step for tokens with a session_limit, at a broker that the test answers for. */
#include <stdio.h>
#include <unistd.h>

#include "server/net/entry/limits_step.h"
#include "server/net/entry/session_limit_step.h"
#include "tests/support/unit.h"
#include "tests/unit/net/net_fixture.h"

static enum entry_verdict refuse(void *owner, struct entry *entry, const struct http_head *head,
                                 enum reason *out_reason)
{
    (void)owner;
    (void)entry;
    (void)head;
    *out_reason = REASON_SCOPE_MISSING;
    return ENTRY_IS_REFUSED;
}

static const struct entry_step refusing = {.begin = refuse};

static int set_up(void **state)
{
    struct net_fixture *fixture = fixture_create();
    fixture->settings->head_timeout_us = 20000000;
    fixture->hub_settings.session_slot_ttl_ms = 30000;
    fixture->more_claims = ",\"session_limit\":1";
    fixture_make_token(fixture, fixture->keys);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    fixture_destroy(*state); /* fails when something still counts */
    return 0;
}

static int ask(struct net_fixture *fixture)
{
    char head[2048], target[600];
    int fd = fixture_connect(fixture, false);
    snprintf(target, sizeof target, "/ws?token=%s", fixture->token);
    fixture_send(fd, fixture_handshake(head, target, ""));
    return fd;
}

static int ask_and_wait(struct net_fixture *fixture)
{
    fixture_start(fixture);
    int fd = ask(fixture);
    while (!fixture->slot)
        fixture_turn(fixture);
    return fd;
}

static void answer(struct net_fixture *fixture, bool granted, enum err code)
{
    struct session_slot_request *slot = fixture->slot;
    fixture->slot = NULL;
    slot->granted = granted;
    if (code)
        request_fail(&slot->base, code, "no");
    request_answer(&slot->base);
}

static void expect(struct net_fixture *fixture, int fd, const char *part)
{
    free(fixture_read(fixture, fd, part));
}

/* Closes the connection, and waits until the node was asked for all this. */
static void expect_slots(struct net_fixture *fixture, int fd, const char *slots)
{
    close(fd);
    while (fixture->slots.len < strlen(slots))
        fixture_turn(fixture);
    assert_str(buf_str(&fixture->slots), slots);
}

static void begins_when_granted_with_what_it_sent(void **state)
{
    char frame[256];
    int fd = ask_and_wait(*state);
    fixture_send(fd, fixture_frame(frame, 0x81, "{\"type\":\"ping\",\"id\":7}"));
    for (int i = 0; i < 3; i++)
        fixture_turn(*state);
    answer(*state, true, ERR_NONE);
    expect(*state, fd, "\"type\":\"pong\",\"id\":7");
    expect_slots(*state, fd, "take leave ");
}

static void is_refused_as_the_endpoint_says(void **state)
{
    int fd = ask_and_wait(*state);
    answer(*state, false, ERR_NONE);
    expect(*state, fd, "HTTP/1.1 429 ");
    expect_slots(*state, fd, "take leave ");
}

static void begins_without_the_broker(void **state)
{
    int fd = ask_and_wait(*state);
    answer(*state, false, ERR_UNAVAILABLE);
    expect(*state, fd, "session_init");
    expect_slots(*state, fd, "take leave ");
}

/* A broker that does not answer in time keeps nobody out. Its answer is too late to matter. */
static void begins_late_at_a_silent_broker(void **state)
{
    struct net_fixture *fixture = *state;
    fixture->settings->head_timeout_us = 100000;
    int fd = ask_and_wait(fixture);
    expect(fixture, fd, "session_init");
    answer(fixture, false, ERR_NONE);
    fixture_turn(fixture);
    assert_int_equal(hub_sessions(fixture->worker->hub)->open_count, 1);
    expect_slots(fixture, fd, "take leave ");
}

static void gone_before_the_answer(void **state)
{
    int fd = ask_and_wait(*state);
    expect_slots(*state, fd, "take leave ");
    answer(*state, true, ERR_NONE); /* finds nobody */
}

static void is_refused_by_a_drain(void **state)
{
    struct net_fixture *fixture = *state;
    int fd = ask_and_wait(fixture);
    worker_drain(fixture->worker, 0);
    fixture_turn(fixture);
    answer(fixture, true, ERR_NONE);
    expect(fixture, fd,
           "\x03\xf4"
           "draining");
    expect_slots(fixture, fd, "take leave ");
}

static void is_given_back_when_a_later_step_refuses(void **state)
{
    struct net_fixture *fixture = *state;
    fixture_start(fixture);
    const struct entry_step steps[] = {limits_step, session_limit_step(fixture->worker->hub), refusing};
    fixture->worker->gate.steps = steps;
    fixture->worker->gate.step_count = COUNT_OF(steps);
    int fd = ask(fixture);
    while (!fixture->slot)
        fixture_turn(fixture);
    answer(fixture, true, ERR_NONE);
    expect(fixture, fd, "HTTP/1.1 403 ");
    expect_slots(fixture, fd, "take leave ");
}

static void others_pass_at_once(void **state)
{
    struct net_fixture *fixture = *state;
    fixture->more_claims = NULL;
    fixture_make_token(fixture, fixture->keys);
    fixture_start(fixture);
    int fd = ask(fixture);
    expect(fixture, fd, "session_init");
    expect_slots(fixture, fd, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(begins_when_granted_with_what_it_sent),
        TEST(is_refused_as_the_endpoint_says),
        TEST(begins_without_the_broker),
        TEST(begins_late_at_a_silent_broker),
        TEST(gone_before_the_answer),
        TEST(is_refused_by_a_drain),
        TEST(is_given_back_when_a_later_step_refuses),
        TEST(others_pass_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
