/* test_control.c - a backend's questions to one hub, and how the answers of several hubs become one. */
#include <stdio.h>

#include "server/core/control.h"
#include "tests/unit/core/hub_fixture.h"

static struct fixture f;
static struct wire wires[8];

static int setup(void **state)
{
    (void)state;
    fixture_setup(&f);
    return 0;
}

/* Runs it to its end. Returns in how many parts. */
static size_t run(const struct control_request *request, struct control_result *result)
{
    struct control_walk walk = {0};
    size_t parts = 1;
    *result = (struct control_result){0};
    while (!control_run(f.hub, request, &walk, result))
        parts++;
    return parts;
}

static uint64_t run_count(struct control_request request)
{
    struct control_result result;
    struct error error;
    assert_int_equal(control_check(&request, &error), ERR_NONE);
    run(&request, &result);
    hub_flush(f.hub);
    assert_int_equal(result.row_count, 0);
    return result.count;
}

static void test_disconnect(void **state)
{
    char reason[128];
    (void)state;
    open_session(&f, &wires[0], "{\"sub\":\"eve\"}");
    open_session(&f, &wires[1], "{\"sub\":\"eve\"}");
    open_session(&f, &wires[2], "{\"sub\":\"bob\"}");
    struct str second = str_from(wires[1].session->uuid, UUID_LEN);
    struct control_request one = {
        .op = CONTROL_DISCONNECT, .session_id = second, .code = 4002, .reason = STR("moved house")};
    assert_int_equal(run_count(one), 1);
    assert_int_equal(next_close(&wires[1], reason), 4002);
    assert_string_equal(reason, "moved house");
    /* The second is closing already and does not count again. */
    assert_int_equal(run_count((struct control_request){.op = CONTROL_DISCONNECT, .user = STR("eve")}), 1);
    assert_non_null(strstr(next_frame(&wires[0], NULL), "\"error\""));
    assert_int_equal(next_close(&wires[0], reason), 1008);
    assert_string_equal(reason, "disconnected");
    assert_string_equal(next_frame(&wires[2], NULL), "");
    assert_int_equal(run_count((struct control_request){.op = CONTROL_INFO}), 1);
    for (int i = 0; i < 3; i++)
        close_session(&f, &wires[i]);
    fixture_teardown(&f);
}

static void test_subscribe_and_unsubscribe(void **state)
{
    (void)state;
    open_session(&f, &wires[0], "{\"sub\":\"eve\"}");
    open_session(&f, &wires[1], "{\"sub\":\"eve\"}");
    struct control_request request = {.op = CONTROL_SUBSCRIBE, .user = STR("eve"), .channel = STR("secret")};
    assert_int_equal(run_count(request), 2);
    assert_int_equal(run_count(request), 0);
    answer_join(&f, "secret", "", 0);
    for (int i = 0; i < 2; i++)
        assert_non_null(strstr(next_frame(&wires[i], NULL), "\"subscribed\""));
    request.op = CONTROL_UNSUBSCRIBE;
    request.user = STR("");
    request.session_id = str_from(wires[0].session->uuid, UUID_LEN);
    assert_int_equal(run_count(request), 1);
    assert_non_null(strstr(next_frame(&wires[0], NULL), "\"unsubscribed\""));
    assert_string_equal(next_frame(&wires[1], NULL), "");
    for (int i = 0; i < 2; i++)
        close_session(&f, &wires[i]);
    fixture_teardown(&f);
}

static void test_sessions_come_in_pages(void **state)
{
    struct control_request request = {.op = CONTROL_SESSIONS, .limit = 2};
    struct control_result result;
    char last[UUID_LEN + 1] = "";
    size_t seen = 0;
    (void)state;
    for (int i = 0; i < 7; i++)
        open_session(&f, &wires[i], i % 2 ? "{\"sub\":\"odd\",\"exp\":1768476600}" : "{\"sub\":\"even\"}");
    do {
        request.after = str_from_cstr(last);
        run(&request, &result);
        assert_int_equal(result.row_count, seen == 6 ? 1 : 2);
        assert_int_equal(result.more, seen < 6 - 1);
        for (size_t i = 0; i < result.row_count; i++, seen++) {
            assert_true(str_compare(result.rows[i].key, str_from_cstr(last)) > 0);
            memcpy(last, result.rows[i].key.ptr, UUID_LEN);
            assert_str(result.rows[i].address, "192.0.2.1");
            assert_int_equal(result.rows[i].connected_ms, f.wall_ms);
            assert_int_equal(result.rows[i].expires_ms, str_eq_cstr(result.rows[i].user, "odd") ? 1768476600000 : 0);
        }
        control_result_fini(&result);
    } while (seen < 7);
    request = (struct control_request){.op = CONTROL_SESSIONS, .limit = 10, .user = STR("odd")};
    run(&request, &result);
    assert_int_equal(result.row_count, 3);
    assert_false(result.more);
    control_result_fini(&result);
    for (int i = 0; i < 7; i++)
        close_session(&f, &wires[i]);
    fixture_teardown(&f);
}

static void test_channels(void **state)
{
    struct control_result result;
    (void)state;
    open_session(&f, &wires[0], "{\"sub\":\"eve\"}");
    open_session(&f, &wires[1], "{\"sub\":\"bob\"}");
    static const char *const names[] = {"public:b", "public:a", "other"};
    for (int i = 0; i < 3; i++) {
        run_count(
            (struct control_request){.op = CONTROL_SUBSCRIBE, .user = STR("eve"), .channel = str_from_cstr(names[i])});
        if (i != 2) /* the broker has not answered for "other" */
            answer_join(&f, names[i], "", 0);
    }
    run_count((struct control_request){.op = CONTROL_SUBSCRIBE, .user = STR("bob"), .channel = STR("public:b")});
    run(&(struct control_request){.op = CONTROL_CHANNELS, .limit = 10, .prefix = STR("public:")}, &result);
    assert_int_equal(result.row_count, 2);
    assert_str(result.rows[0].key, "public:a");
    assert_int_equal(result.rows[0].subscribers, 1);
    assert_str(result.rows[1].key, "public:b");
    assert_int_equal(result.rows[1].subscribers, 2);
    control_result_fini(&result);
    run(&(struct control_request){.op = CONTROL_CHANNELS, .limit = 1, .after = STR("public:a")}, &result);
    assert_int_equal(result.row_count, 1);
    assert_str(result.rows[0].key, "public:b");
    control_result_fini(&result);
    run(&(struct control_request){.op = CONTROL_CHANNEL, .channel = STR("public:b")}, &result);
    assert_int_equal(result.row_count, 1);
    assert_int_equal(result.rows[0].subscribers, 2);
    control_result_fini(&result);
    run(&(struct control_request){.op = CONTROL_CHANNEL, .channel = STR("other")}, &result);
    assert_int_equal(result.row_count, 0);
    for (int i = 0; i < 2; i++)
        close_session(&f, &wires[i]);
    fixture_teardown(&f);
}

static void assert_rows_in_order(const struct control_result *result, size_t count)
{
    assert_int_equal(result->row_count, count);
    for (size_t i = 1; i < count; i++)
        assert_true(str_compare(result->rows[i - 1].key, result->rows[i].key) < 0);
}

/* More than are looked at in a turn: the page is the same, and so is what is done. */
static void test_many_in_parts(void **state)
{
    enum { SESSIONS = 1700, EVES = 850, ANNS = 3, BOBS = SESSIONS - EVES - ANNS };
    static struct wire many[SESSIONS];
    struct control_result result;
    (void)state;
    for (int i = 0; i < SESSIONS; i++)
        open_session(&f, &many[i],
                     i % 2          ? "{\"sub\":\"eve\"}"
                     : i % 800 == 0 ? "{\"sub\":\"ann\"}"
                                    : "{\"sub\":\"bob\"}");
    struct control_request page = {.op = CONTROL_SESSIONS, .limit = 1000};
    assert_int_equal(run(&page, &result), 3);
    assert_rows_in_order(&result, 1000);
    assert_true(result.more);
    control_result_fini(&result);
    page.limit = 1;
    assert_int_equal(run(&page, &result), 1); /* of which it sees two, however many there are */
    control_result_fini(&result);
    page.user = STR("eve");
    page.limit = EVES;
    assert_int_equal(run(&page, &result), 2); /* of her own sessions only */
    assert_rows_in_order(&result, EVES);
    assert_false(result.more);
    control_result_fini(&result);
    page.user = STR("ann");
    assert_int_equal(run(&page, &result), 1);
    assert_rows_in_order(&result, ANNS);
    assert_false(result.more);
    control_result_fini(&result);
    page.user = STR("nobody");
    assert_int_equal(run(&page, &result), 1);
    assert_rows_in_order(&result, 0);
    control_result_fini(&result);
    /* Sessions close between the parts, the one it goes on after among them. */
    struct control_request by_user = {.op = CONTROL_SUBSCRIBE, .user = STR("eve"), .channel = STR("c")};
    struct control_walk walk = {0};
    result = (struct control_result){0};
    assert_false(control_run(f.hub, &by_user, &walk, &result));
    struct session *last = session_index_find_uuid(hub_sessions(f.hub), str_from(walk.name, UUID_LEN));
    assert_non_null(last);
    session_end(last, REASON_DISCONNECTED);
    assert_true(control_run(f.hub, &by_user, &walk, &result));
    assert_int_equal(result.count, EVES);
    struct control_request all_bobs = {.op = CONTROL_DISCONNECT, .user = STR("bob")};
    assert_int_equal(run_count(all_bobs), BOBS);
    assert_int_equal(run_count(all_bobs), 0);
    assert_int_equal(run_count((struct control_request){.op = CONTROL_INFO}), SESSIONS - BOBS - 1);
    for (int i = 0; i < SESSIONS; i++)
        close_session(&f, &many[i]);
    assert_int_equal(run_count((struct control_request){.op = CONTROL_INFO}), 0);
    fixture_teardown(&f);
}

static void test_many_channels_in_parts(void **state)
{
    enum { CHANNELS = 1200 };
    struct control_result result;
    char name[32];
    (void)state;
    f.endpoint->limits.channels = CHANNELS;
    open_session(&f, &wires[0], "{\"sub\":\"eve\"}");
    for (int i = 0; i < CHANNELS; i++) {
        snprintf(name, sizeof name, "%s:%04d", i % 2 ? "a" : "b", (i * 7) % CHANNELS);
        run_count(
            (struct control_request){.op = CONTROL_SUBSCRIBE, .user = STR("eve"), .channel = str_from_cstr(name)});
        if (i < CHANNELS - 10) /* the others still wait for the broker */
            answer_join(&f, name, "", 0);
    }
    struct control_request page = {.op = CONTROL_CHANNELS, .limit = 1000, .prefix = STR("b:")};
    assert_int_equal(run(&page, &result), 2);
    assert_int_equal(result.row_count, CHANNELS / 2 - 5);
    assert_false(result.more);
    struct control_request rest = {
        .op = CONTROL_CHANNELS, .limit = 3, .prefix = STR("b:"), .after = result.rows[100].key};
    struct control_result second;
    assert_int_equal(run(&rest, &second), 1);
    for (size_t i = 0; i < 3; i++)
        assert_true(str_eq(second.rows[i].key, result.rows[101 + i].key));
    assert_true(second.more);
    control_result_fini(&second);
    control_result_fini(&result);
    close_session(&f, &wires[0]);
    fixture_teardown(&f);
}

/* The session's list is in no order of names. */
static void test_channels_of_a_session_come_in_pages(void **state)
{
    enum { CHANNELS = 1000 };
    static const uint64_t limits[] = {1, 7, 100, 999, 1000};
    char name[32], last[32];
    struct control_result result;
    (void)state;
    f.endpoint->limits.channels = CHANNELS;
    open_session(&f, &wires[0], "{\"sub\":\"eve\"}");
    struct control_request request = {.op = CONTROL_SESSION, .session_id = str_from_cstr(wires[0].session->uuid)};
    for (int i = 0; i < CHANNELS; i++) {
        snprintf(name, sizeof name, "c:%04d", (i * 637) % CHANNELS);
        run_count(
            (struct control_request){.op = CONTROL_SUBSCRIBE, .user = STR("eve"), .channel = str_from_cstr(name)});
    }
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        size_t seen = 0;
        request.limit = limits[i];
        request.after = STR("");
        do {
            assert_int_equal(run(&request, &result), 1);
            assert_int_equal(result.session->channels, CHANNELS);
            for (size_t row = 0; row < result.row_count; row++, seen++) {
                snprintf(last, sizeof last, "c:%04zu", seen);
                assert_str(result.rows[row].key, last);
            }
            assert_true(result.row_count == limits[i] || seen == CHANNELS);
            assert_int_equal(result.more, seen < CHANNELS);
            request.after = str_from_cstr(last);
            control_result_fini(&result);
        } while (seen < CHANNELS);
    }
    run(&request, &result); /* after the last one */
    assert_non_null(result.session);
    assert_int_equal(result.row_count, 0);
    control_result_fini(&result);
    close_session(&f, &wires[0]);
    hub_flush(f.hub);
    run(&request, &result);
    assert_null(result.session);
    fixture_teardown(&f);
}

static void expect_channel(const struct control_request *request, const char *epoch, uint64_t offset, bool subscribed,
                           bool recovering)
{
    struct control_result result;
    run(request, &result);
    assert_int_equal(result.row_count, 1);
    assert_str(result.rows[0].epoch, epoch);
    assert_int_equal(result.rows[0].offset, offset);
    assert_int_equal(result.rows[0].subscribed, subscribed);
    assert_int_equal(result.rows[0].recovering, recovering);
    control_result_fini(&result);
}

/* Two sessions have one channel. The one that recovers is behind the other. */
static void test_positions_of_a_session(void **state)
{
    struct control_request page = {.op = CONTROL_SESSION, .limit = 10};
    (void)state;
    open_session(&f, &wires[0], "{\"sub\":\"eve\"}");
    open_session(&f, &wires[1], "{\"sub\":\"bob\"}");
    page.session_id = str_from_cstr(wires[0].session->uuid);
    run_count((struct control_request){.op = CONTROL_SUBSCRIBE, .user = STR("eve"), .channel = STR("log:a")});
    expect_channel(&page, "", 0, false, false);
    answer_join(&f, "log:a", "e", 9);
    expect_channel(&page, "e", 9, true, false);
    page.session_id = str_from_cstr(wires[1].session->uuid);
    send_text(&f, &wires[1],
              "{\"type\":\"subscribe\",\"data\":{\"channel\":\"log:a\",\"since\":{\"epoch\":\"e\",\"offset\":3}}}");
    expect_channel(&page, "", 0, false, true);
    answer_recovery(&f, take_recovery(&f), RECOVERY_FOUND, 3, 5, 9);
    expect_channel(&page, "e", 5, true, true);
    answer_recovery(&f, take_recovery(&f), RECOVERY_FOUND, 5, 9, 9);
    expect_channel(&page, "e", 9, true, false);
    for (int i = 0; i < 2; i++)
        close_session(&f, &wires[i]);
    fixture_teardown(&f);
}

static void test_merge(void **state)
{
    struct control_row first[] = {{.key = STR("a"), .subscribers = 1, .nodes = 1},
                                  {.key = STR("c"), .subscribers = 2, .nodes = 1}};
    struct control_row second[] = {{.key = STR("b"), .subscribers = 4, .nodes = 1},
                                   {.key = STR("c"), .subscribers = 8, .nodes = 1}};
    struct control_result one = {.count = 1, .rows = first, .row_count = 2};
    struct control_result two = {.count = 2, .rows = second, .row_count = 2};
    struct control_result all = {0};
    (void)state;
    control_result_merge(&all, &one, 3);
    control_result_merge(&all, &two, 3);
    assert_int_equal(all.count, 3);
    assert_int_equal(all.row_count, 3);
    assert_false(all.more);
    assert_str(all.rows[2].key, "c");
    assert_int_equal(all.rows[2].subscribers, 10);
    assert_int_equal(all.rows[2].nodes, 2);
    control_result_fini(&all);
    control_result_merge(&all, &one, 2);
    control_result_merge(&all, &two, 2);
    assert_int_equal(all.row_count, 2);
    assert_str(all.rows[1].key, "b");
    assert_true(all.more);
    control_result_fini(&all);
}

static void test_check(void **state)
{
    static char long_reason[CONTROL_REASON_MAX + 1];
    static const struct {
        struct control_request request;
        const char *names;
    } bad[] = {
        {{.op = CONTROL_DISCONNECT}, "user"},
        {{.op = CONTROL_DISCONNECT, .user = STR("u"), .session_id = STR("s")}, "session_id"},
        {{.op = CONTROL_DISCONNECT, .user = STR("u"), .code = 999}, "code"},
        {{.op = CONTROL_DISCONNECT, .user = STR("u"), .code = 1005}, "code"},
        {{.op = CONTROL_DISCONNECT, .user = STR("u"), .code = 1006}, "code"},
        {{.op = CONTROL_DISCONNECT, .user = STR("u"), .code = 5000}, "code"},
        {{.op = CONTROL_DISCONNECT, .user = STR("u"), .reason = STR("r")}, "reason"},
        {{.op = CONTROL_DISCONNECT, .user = STR("u"), .code = 4000, .reason = {long_reason, sizeof long_reason}},
         "reason"},
        {{.op = CONTROL_SUBSCRIBE, .user = STR("u")}, "channel"},
        {{.op = CONTROL_UNSUBSCRIBE, .user = STR("u"), .channel = STR("a b")}, "channel"},
        {{.op = CONTROL_SEND}, "session_id, user and channel"},
        {{.op = CONTROL_SEND, .user = STR("u"), .channel = STR("c")}, "session_id, user and channel"},
        {{.op = CONTROL_SEND, .channel = STR("a b")}, "channel"},
        {{.op = CONTROL_SEND, .user = STR("u"), .message = STR("\xff")}, "UTF-8"},
        {{.op = CONTROL_SESSIONS}, "limit"},
        {{.op = CONTROL_SESSION, .limit = 1}, "session_id"},
        {{.op = CONTROL_SESSION, .session_id = STR("s")}, "limit"},
        {{.op = CONTROL_CHANNELS, .limit = CONTROL_PAGE_MAX + 1}, "limit"},
        {{.op = CONTROL_OP_COUNT}, "operation"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct error error;
        assert_int_equal(control_check(&bad[i].request, &error), ERR_INVALID_REQUEST);
        assert_non_null(strstr(error.text, bad[i].names));
    }
}

static void expect_frame(struct wire *wire, const char *text, int opcode)
{
    int found;
    assert_string_equal(next_frame(wire, &found), text);
    assert_int_equal(found, opcode);
}

static void test_send(void **state)
{
    (void)state;
    open_session(&f, &wires[0], "{\"sub\":\"eve\"}");
    open_session(&f, &wires[1], "{\"sub\":\"eve\"}");
    open_session(&f, &wires[2], "{\"sub\":\"bob\"}");
    struct control_request one = {
        .op = CONTROL_SEND, .session_id = str_from(wires[1].session->uuid, UUID_LEN), .message = STR("hello")};
    assert_int_equal(run_count(one), 1);
    expect_frame(&wires[1], "hello", 1);
    one.binary = true;
    assert_int_equal(run_count(one), 1);
    expect_frame(&wires[1], "hello", 2);
    const struct control_request user = {.op = CONTROL_SEND, .user = STR("eve"), .message = STR("to eve")};
    assert_int_equal(run_count(user), 2);
    for (int i = 0; i < 2; i++)
        expect_frame(&wires[i], "to eve", 1);
    const struct control_request channel = {.op = CONTROL_SEND, .channel = STR("public:a"), .message = STR("to all")};
    assert_int_equal(run_count(channel), 0);
    for (int i = 0; i < 3; i += 2)
        send_text(&f, &wires[i], "{\"type\":\"subscribe\",\"data\":{\"channel\":\"public:a\"}}");
    assert_int_equal(run_count(channel), 0); /* not joined yet */
    answer_join(&f, "public:a", "", 0);
    assert_int_equal(run_count(channel), 2);
    for (int i = 0; i < 3; i += 2) {
        assert_non_null(strstr(next_frame(&wires[i], NULL), "subscribed"));
        expect_frame(&wires[i], "to all", 1);
    }
    session_end(wires[1].session, REASON_DISCONNECTED); /* it is ending: nothing more is queued */
    hub_flush(f.hub);
    assert_int_equal(run_count(one), 0);
    for (int i = 0; i < 3; i++)
        close_session(&f, &wires[i]);
    fixture_teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_disconnect, setup),
        cmocka_unit_test_setup(test_subscribe_and_unsubscribe, setup),
        cmocka_unit_test_setup(test_send, setup),
        cmocka_unit_test_setup(test_sessions_come_in_pages, setup),
        cmocka_unit_test_setup(test_channels, setup),
        cmocka_unit_test_setup(test_many_in_parts, setup),
        cmocka_unit_test_setup(test_many_channels_in_parts, setup),
        cmocka_unit_test_setup(test_channels_of_a_session_come_in_pages, setup),
        cmocka_unit_test_setup(test_positions_of_a_session, setup),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
