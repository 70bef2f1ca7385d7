/* test_session_ticket.c - tickets: used before the session, kept while it lives, let go at its end, and used again from
 * where the client surely was. */
#include "server/core/session.h"
#include "server/core/session_ticket.h"
#include "tests/unit/core/hub_fixture.h"

enum { LEASE_MS = 6000, RESUME_MS = 60000, PING_MS = 20000, PONG_MS = 10000 };

static const struct ticket_facts resuming = {{"chat", 4}, {"t1", 2}, {"{\"sub\":\"alice\"}", 15}, true};
static const struct ticket_facts once = {{"chat", 4}, {"t1", 2}, {"{\"sub\":\"alice\"}", 15}, false};

static struct fixture f;
static struct wire a;
static struct session_ticket *ticket;
static const struct first_channel channel = {{"log:a", 5}, false};
static char heard[64];

static int setup(void **state)
{
    (void)state;
    memset(&f, 0, sizeof f);
    fixture_setup(&f);
    f.endpoint->ping_interval_us = 0; /* a test that wants pings begins them */
    f.settings.ticket_lease_ms = LEASE_MS;
    f.settings.ticket_resume_ms = RESUME_MS;
    hub_configure(f.hub, &f.settings, f.rules);
    heard[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_null(f.ticket);
    fixture_teardown(&f);
    return 0;
}

static void on_answered(void *waiter, enum err err, enum ticket_outcome outcome)
{
    assert_ptr_equal(waiter, &ticket);
    snprintf(heard + strlen(heard), sizeof heard - strlen(heard), "%s %d;", err_code(err), (int)outcome);
}

static void use(void)
{
    const struct ticket_question question = {.ticket = STR("secret"), .purpose = STR("chat"), .resource = STR("t1")};
    ticket = session_ticket_use(f.hub, &question, on_answered, &ticket);
}

/* The request that is under way. */
static struct ticket_request *expect_asked(enum ticket_action action)
{
    struct ticket_request *request = f.ticket;
    assert_non_null(request);
    assert_int_equal(request->action, action);
    f.ticket = NULL;
    return request;
}

static void answer(struct ticket_request *request, enum err code, enum ticket_outcome outcome)
{
    request->outcome = outcome;
    if (code)
        request_fail(&request->base, code, "no");
    request->base.done(&request->base, f.hub);
    hub_flush(f.hub);
}

/* Positions are the text that the broker has. */
static void grant(const struct ticket_facts *facts, const char *positions)
{
    struct ticket_request *request = expect_asked(TICKET_USE);
    ticket_request_tell(request, facts, str_from_cstr(positions));
    answer(request, ERR_NONE, TICKET_DONE);
}

static void begin(void)
{
    f.next_ticket = ticket;
    f.channels = &channel;
    f.channel_count = 1;
    open_session(&f, &a, "{\"sub\":\"alice\"}");
}

static void open_resuming(void)
{
    use();
    grant(&resuming, "");
    begin();
    answer_join(&f, "log:a", "e", 3);
    pass(&f, 20);
    struct ticket_request *keep = expect_asked(TICKET_KEEP); /* at once: a node that dies now loses nothing */
    assert_str(keep->positions, "e 3 - log:a\n");
    assert_str(keep->facts.claims, "{\"sub\":\"alice\"}");
    assert_int_equal(keep->lease_ms, LEASE_MS);
    assert_int_equal(keep->resume_ms, RESUME_MS);
    answer(keep, ERR_NONE, TICKET_DONE);
}

static void begin_pings(void)
{
    struct endpoint *endpoint = fixture_copy_endpoint(&f);
    endpoint->ping_interval_us = PING_MS * 1000;
    endpoint->pong_timeout_us = PONG_MS * 1000;
    fixture_use_endpoint(&f, endpoint);
}

/* The next frame is a ping. False: there is none, or another one, which is read over. */
static bool take_ping(bool *out_any)
{
    int opcode = 0;
    next_frame(&a, &opcode);
    *out_any = opcode != 0;
    return opcode == 9;
}

/* Until a ping has been written; keeps the ticket meanwhile. */
static void await_ping(void)
{
    bool any;
    for (int i = 0; i < 400; i++) {
        do
            if (take_ping(&any))
                return;
        while (any);
        pass(&f, 100);
        if (f.ticket)
            answer(expect_asked(TICKET_KEEP), ERR_NONE, TICKET_DONE);
    }
    fail_msg("no ping");
}

static void let_go(enum ticket_action action, const char *positions)
{
    struct ticket_request *request = expect_asked(action);
    assert_str(request->positions, positions);
    answer(request, ERR_NONE, TICKET_DONE);
    pass(&f, 2 * RESUME_MS);
    assert_null(f.ticket);
}

/* The broker joins the second channel while it is told of the first one. */
static void test_each_channel_is_told_at_once(void **state)
{
    static const struct first_channel both[] = {{{"log:a", 5}, false}, {{"log:b", 5}, false}};
    (void)state;
    use();
    grant(&resuming, "");
    f.next_ticket = ticket;
    f.channels = both;
    f.channel_count = 2;
    open_session(&f, &a, "{\"sub\":\"alice\"}");
    answer_join(&f, "log:b", "e", 5);
    pass(&f, 20);
    struct ticket_request *keep = expect_asked(TICKET_KEEP);
    assert_str(keep->positions, "e 5 - log:b\n");
    f.last_join.id--; /* the join before */
    answer_join(&f, "log:a", "e", 3);
    answer(keep, ERR_NONE, TICKET_DONE);
    keep = expect_asked(TICKET_KEEP);
    assert_str(keep->positions, "e 3 - log:a\ne 5 - log:b\n");
    answer(keep, ERR_NONE, TICKET_DONE);
    close_session(&f, &a);
    let_go(TICKET_LOST, "e 3 - log:a\ne 5 - log:b\n");
}

static void test_is_asked_for_by_its_hash(void **state)
{
    (void)state;
    use();
    struct ticket_request *request = f.ticket;
    char key[TICKET_KEY_LEN + 1];
    ticket_key(STR("secret"), key);
    assert_str(request->key, key);
    assert_str(request->facts.purpose, "chat");
    assert_str(request->facts.resource, "t1");
    grant(&once, "");
    assert_string_equal(heard, "none 0;");
    assert_str(session_ticket_claims(ticket), "{\"sub\":\"alice\"}");
    begin();
    assert_false(a.session->has_ticket); /* used for good: nothing more is said */
    close_session(&f, &a);
    assert_null(f.ticket);
}

static void test_refused(void **state)
{
    (void)state;
    use();
    answer(expect_asked(TICKET_USE), ERR_NONE, TICKET_HELD);
    assert_string_equal(heard, "none 4;");
    session_ticket_leave(ticket);
    assert_null(f.ticket);
}

/* It is not known whether the broker has done it. */
static void test_without_the_broker_it_is_given_back(void **state)
{
    (void)state;
    use();
    answer(expect_asked(TICKET_USE), ERR_UNAVAILABLE, TICKET_DONE);
    assert_string_equal(heard, "unavailable 0;");
    session_ticket_leave(ticket);
    for (int i = 0; i < 3; i++) {
        answer(expect_asked(TICKET_FREE), ERR_UNAVAILABLE, TICKET_DONE);
        assert_null(f.ticket);
        pass(&f, LEASE_MS / 3 + 20);
    }
    let_go(TICKET_FREE, "");
}

static void test_given_back_before_the_answer(void **state)
{
    (void)state;
    use();
    session_ticket_leave(ticket);
    grant(&resuming, "e 7 - log:a\n");
    assert_string_equal(heard, "");
    let_go(TICKET_FREE, "e 7 - log:a\n");
}

/* A renewal before the session begins keeps the positions of the session before. */
static void test_is_kept_before_the_session(void **state)
{
    (void)state;
    use();
    grant(&resuming, "e 7 i log:a\n");
    pass(&f, LEASE_MS / 3 + 20);
    struct ticket_request *keep = expect_asked(TICKET_KEEP);
    assert_str(keep->positions, "e 7 i log:a\n");
    answer(keep, ERR_NONE, TICKET_DONE);
    session_ticket_leave(ticket);
    let_go(TICKET_FREE, "e 7 i log:a\n");
}

static void test_a_lost_session_leaves_what_is_proven(void **state)
{
    (void)state;
    open_resuming();
    begin_pings();
    deliver_numbered(&f, 4);
    await_ping();
    deliver_numbered(&f, 5);
    hub_pong(f.hub, a.session);
    deliver_numbered(&f, 6);
    close_session(&f, &a); /* without a close frame */
    let_go(TICKET_LOST, "e 4 i-4 log:a\n");
}

static void test_without_a_pong_nothing_is_proven(void **state)
{
    (void)state;
    open_resuming();
    begin_pings();
    deliver_numbered(&f, 4);
    await_ping();
    close_session(&f, &a);
    let_go(TICKET_LOST, "e 3 - log:a\n");
}

static void test_an_answered_close_proves_all(void **state)
{
    (void)state;
    open_resuming();
    deliver_numbered(&f, 4);
    session_end_with(a.session, 1012, STR(""));
    hub_flush(f.hub);
    hub_close_answered(f.hub, a.session);
    close_session(&f, &a);
    let_go(TICKET_LOST, "e 4 i-4 log:a\n");
}

static void test_a_clean_end_uses_it(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        open_resuming();
        session_end_with(a.session, i ? 1000 : 4001, STR(""));
        close_session(&f, &a);
        answer(expect_asked(TICKET_END), ERR_NONE, TICKET_DONE);
        pass(&f, 120000); /* the channel does not linger */
    }
}

static void test_the_next_session_gets_what_was_missed(void **state)
{
    (void)state;
    use();
    grant(&resuming, "x 1 - log:b\ne 7 i-7 log:a\n");
    begin();
    struct recovery *recovery = take_recovery(&f);
    assert_string_equal(recovery->epoch, "e");
    assert_int_equal(recovery->offset, 7);
    assert_string_equal(recovery->id, "i-7");
    answer_join(&f, "log:a", "e", 9);
    answer_recovery(&f, recovery, RECOVERY_FOUND, 7, 9, 9);
    assert_non_null(strstr(next_frame(&a, NULL), "subscribed"));
    assert_non_null(strstr(next_frame(&a, NULL), "\"offset\":8,"));
    assert_non_null(strstr(next_frame(&a, NULL), "\"offset\":9,"));
    close_session(&f, &a);
    let_go(TICKET_LOST, "e 7 i-7 log:a\n"); /* no pong has come */
}

static void test_nonsense_of_the_broker_is_left_out(void **state)
{
    static const char *const texts[] = {
        "e x - log:a\n", " 1 - log:a\n", "e 1 log:a\n",
        "e 1",           "\n\n\n",       "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee 1 - log:a\n"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        use();
        grant(&resuming, texts[i]);
        begin();
        assert_true(list_is_empty(&f.recoveries));
        close_session(&f, &a);
        answer(expect_asked(TICKET_LOST), ERR_NONE, TICKET_DONE);
    }
}

static void test_another_client_wants_it(void **state)
{
    bool any;
    (void)state;
    begin_pings();
    open_resuming();
    for (int answers = 1; answers >= 0; answers--) {
        while (!f.ticket)
            pass(&f, 100);
        do
            take_ping(&any);
        while (any);
        answer(expect_asked(TICKET_KEEP), ERR_NONE, TICKET_WANTED);
        assert_true(take_ping(&any));
        if (answers)
            hub_pong(f.hub, a.session);
        pass(&f, 1900);
        pass(&f, 200);
        assert_int_equal(a.session->state == SESSION_OPEN, answers);
    }
    assert_int_equal(a.session->closing_reason, REASON_PONG_TIMEOUT);
    a.session->closing_code = 1012; /* as endpoints with tickets have it */
    if (f.ticket)
        answer(expect_asked(TICKET_KEEP), ERR_NONE, TICKET_DONE);
    close_session(&f, &a);
    let_go(TICKET_LOST, "e 3 - log:a\n");
}

static void test_another_session_has_taken_it(void **state)
{
    (void)state;
    open_resuming();
    pass(&f, LEASE_MS / 3 + 20);
    answer(expect_asked(TICKET_KEEP), ERR_NONE, TICKET_USED);
    assert_int_equal(a.session->closing_reason, REASON_TICKET_USED);
    close_session(&f, &a);
    answer(expect_asked(TICKET_END), ERR_NONE, TICKET_UNKNOWN);
}

static void test_a_broker_that_is_away_is_told_later(void **state)
{
    (void)state;
    open_resuming();
    for (int i = 0; i < 3; i++) {
        pass(&f, LEASE_MS / 3 + 20);
        answer(expect_asked(TICKET_KEEP), ERR_UNAVAILABLE, TICKET_DONE);
    }
    assert_int_equal(a.session->state, SESSION_OPEN);
    close_session(&f, &a);
    answer(expect_asked(TICKET_LOST), ERR_UNAVAILABLE, TICKET_DONE);
    pass(&f, LEASE_MS / 3 + 20);
    let_go(TICKET_LOST, "e 3 - log:a\n");
}

static void test_ends_while_it_is_asked(void **state)
{
    (void)state;
    open_resuming();
    pass(&f, LEASE_MS / 3 + 20);
    struct ticket_request *keep = expect_asked(TICKET_KEEP);
    close_session(&f, &a);
    assert_null(f.ticket);
    answer(keep, ERR_NONE, TICKET_DONE);
    let_go(TICKET_LOST, "e 3 - log:a\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_is_asked_for_by_its_hash),
        TEST(test_refused),
        TEST(test_without_the_broker_it_is_given_back),
        TEST(test_given_back_before_the_answer),
        TEST(test_each_channel_is_told_at_once),
        TEST(test_is_kept_before_the_session),
        TEST(test_a_lost_session_leaves_what_is_proven),
        TEST(test_without_a_pong_nothing_is_proven),
        TEST(test_an_answered_close_proves_all),
        TEST(test_a_clean_end_uses_it),
        TEST(test_the_next_session_gets_what_was_missed),
        TEST(test_nonsense_of_the_broker_is_left_out),
        TEST(test_another_client_wants_it),
        TEST(test_another_session_has_taken_it),
        TEST(test_a_broker_that_is_away_is_told_later),
        TEST(test_ends_while_it_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
