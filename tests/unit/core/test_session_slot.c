/* test_session_slot.c - session slots: taken before the session, kept while it lives, given back once. */
#include "server/core/session_slot.h"
#include "server/core/session_uuid.h"
#include "tests/unit/core/hub_fixture.h"

#define LIMITED "{\"sub\":\"alice\",\"session_limit\":2}"

static struct fixture f;
static struct wire a;
static struct claims *claims;
static struct session_slot *slot;
static char heard[32];

static int setup(void **state)
{
    (void)state;
    fixture_setup(&f);
    f.settings.session_slot_ttl_ms = 30000;
    hub_configure(f.hub, &f.settings, f.rules);
    heard[0] = '\0';
    return claims_parse(STR(LIMITED), &claims, NULL) != ERR_NONE;
}

static int teardown(void **state)
{
    (void)state;
    claims_unref(claims);
    fixture_teardown(&f);
    return 0;
}

static void on_answered(void *waiter, bool granted)
{
    assert_ptr_equal(waiter, &slot);
    strcat(heard, granted ? "yes " : "no ");
}

static void take(void)
{
    session_uuid_make(f.wall_ms, STR(""), f.next_uuid);
    slot = session_slot_take(f.hub, str_from_cstr(f.next_uuid), claims, on_answered, &slot);
    assert_non_null(f.slot);
}

static void answer(bool granted, enum err code)
{
    struct session_slot_request *request = f.slot;
    f.slot = NULL;
    request->granted = granted;
    if (code)
        request_fail(&request->base, code, "no");
    request->base.done(&request->base, f.hub);
}

static void open_with_slot(void)
{
    f.next_slot = slot;
    open_session(&f, &a, LIMITED);
}

static void expect_asked(const char *text)
{
    assert_str(buf_str(&f.asked), text);
    buf_clear(&f.asked);
}

static void test_is_needed(void **state)
{
    struct claims *others;
    (void)state;
    assert_int_equal(claims_parse(STR("{\"sub\":\"alice\"}"), &others, NULL), ERR_NONE);
    assert_true(session_slot_is_needed(f.hub, claims));
    assert_false(session_slot_is_needed(f.hub, others));
    claims_unref(others);
    f.settings.session_slot_ttl_ms = 0; /* without other nodes */
    hub_configure(f.hub, &f.settings, f.rules);
    assert_false(session_slot_is_needed(f.hub, claims));
}

static void test_is_of_the_session_that_begins_with_it(void **state)
{
    char uuid[UUID_LEN + 1];
    (void)state;
    take();
    assert_int_equal(f.slot->limit, 2);
    assert_int_equal(f.slot->ttl_ms, 30000);
    snprintf(uuid, sizeof uuid, "%.*s", STR_ARG(f.slot->session));
    assert_string_equal(heard, "");
    answer(true, ERR_NONE);
    assert_string_equal(heard, "yes ");
    open_with_slot();
    assert_string_equal(a.session->uuid, uuid);
    expect_asked("take alice\n");
    close_session(&f, &a);
    expect_asked("leave alice\n");
}

static void test_refused(void **state)
{
    (void)state;
    take();
    answer(false, ERR_NONE);
    assert_string_equal(heard, "no ");
    pass(&f, 60000);
    session_slot_leave(slot);
    expect_asked("take alice\nleave alice\n");
}

static void test_without_the_broker_it_is_granted_and_kept(void **state)
{
    (void)state;
    take();
    answer(false, ERR_UNAVAILABLE);
    assert_string_equal(heard, "yes ");
    open_with_slot();
    pass(&f, 10010);
    expect_asked("take alice\nkeep alice\n");
    close_session(&f, &a);
}

static void test_is_kept_while_it_lives(void **state)
{
    (void)state;
    take();
    answer(true, ERR_NONE);
    pass(&f, 10010); /* also before the session begins */
    open_with_slot();
    for (int i = 0; i < 2; i++)
        pass(&f, 10010);
    expect_asked("take alice\nkeep alice\nkeep alice\nkeep alice\n");
    close_session(&f, &a);
    expect_asked("leave alice\n");
    pass(&f, 60000);
    expect_asked("");
}

static void test_renewals_follow_another_ttl(void **state)
{
    (void)state;
    f.settings.session_slot_ttl_ms = 3600000;
    hub_configure(f.hub, &f.settings, f.rules);
    take();
    answer(true, ERR_NONE);
    open_with_slot();
    pass(&f, 60000);
    f.settings.session_slot_ttl_ms = 30000;
    hub_configure(f.hub, &f.settings, f.rules);
    pass(&f, 10100);
    expect_asked("take alice\nkeep alice\n");
    close_session(&f, &a);
}

static void test_given_back_before_the_answer(void **state)
{
    (void)state;
    take();
    session_slot_leave(slot);
    expect_asked("take alice\nleave alice\n");
    answer(true, ERR_NONE); /* finds nobody */
    pass(&f, 60000);
    assert_string_equal(heard, "");
    expect_asked("");
}

/* Whatever the answer, the slot is kept. So is the slot of a session that has begun. */
static void test_nobody_waits_any_more(void **state)
{
    (void)state;
    for (int granted = 0; granted < 2; granted++) {
        take();
        session_slot_stop_waiting(slot);
        open_with_slot();
        answer(granted, ERR_NONE);
        pass(&f, 10010);
        expect_asked("take alice\nkeep alice\n");
        close_session(&f, &a);
        expect_asked("leave alice\n");
    }
    assert_string_equal(heard, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_is_needed),
        TEST(test_is_of_the_session_that_begins_with_it),
        TEST(test_refused),
        TEST(test_without_the_broker_it_is_granted_and_kept),
        TEST(test_is_kept_while_it_lives),
        TEST(test_renewals_follow_another_ttl),
        TEST(test_given_back_before_the_answer),
        TEST(test_nobody_waits_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
