/* test_api.c - keys, routes, and the requests that go to all nodes. */
#include "tests/unit/api/api_fixture.h"

static struct fixture f;
static struct router_of x;

static int setup(void **state)
{
    (void)state;
    fixture_setup(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_teardown(&f);
    return 0;
}

static const struct {
    const char *method;
    const char *path;
    bool needs_key;
} routes[] = {
#define ROUTE(method, path, key, symbol, text, function) {method, path, key},
#include "common/protocol/routes.def"
#undef ROUTE
};

static void send_with(const char *method, const char *path, struct str authorization, struct str api_key)
{
    send_request(&f, &x, "GET", "/livez", ""); /* for a call that is set up */
    expect(&x, 200, "{\"status\":\"alive\"}");
    x.responses = 0;
    x.call.response = (struct http_response){0};
    x.call.request.method = str_from_cstr(method);
    x.call.request.path = str_from_cstr(path);
    x.call.request.authorization = authorization;
    x.call.request.api_key = api_key;
    api_handle(f.api, &x.call);
}

static void test_every_route_asks_for_its_key(void **state)
{
    static const struct {
        struct str authorization, api_key;
    } bad[] = {
        {STR(""), STR("")},        {STR(""), STR("wrong")},
        {STR(""), STR(KEY "x")},   {STR(""), {KEY, sizeof KEY - 2}},
        {STR(""), STR(KEY KEY)},   {STR("Bearer wrong"), STR("")},
        {STR("Bearer "), STR("")}, {STR("Basic " KEY), STR("")},
        {STR(KEY), STR("")},
    };
    (void)state;
    for (size_t r = 0; r < COUNT_OF(routes); r++) {
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
            send_with(routes[r].method, routes[r].path, bad[i].authorization, bad[i].api_key);
            if (routes[r].needs_key)
                expect_part(&x, 401, "{\"error\":{\"code\":\"unauthorized\",\"message\":\"");
            else
                expect_part(&x, 200, "");
        }
    }
}

/* Before their body is read: who has no key is told so at once, and what needs no key takes no body. */
static void test_the_head_alone_decides_whether_a_body_is_read(void **state)
{
    static const struct {
        const char *method, *path, *key;
        int status; /* 0: the body is to be read */
    } rows[] = {
        {"POST", "/api/v1/publish", KEY, 0},   {"GET", "/api/v1/info", KEY, 0},
        {"POST", "/api/v1/publish", "", 401},  {"GET", "/api/v1/info", "x", 401},
        {"POST", "/api/v1/nothing", KEY, 404}, {"GET", "/api/v1/publish", KEY, 405},
        {"POST", "/livez", KEY, 405},          {"GET", "/livez", "", 400},
        {"HEAD", "/metrics", "", 400},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        send_with("GET", "/livez", STR(""), STR("")); /* for a call that is set up */
        expect_part(&x, 200, "");
        x.responses = 0;
        x.call.response = (struct http_response){0};
        x.call.request.method = str_from_cstr(rows[i].method);
        x.call.request.path = str_from_cstr(rows[i].path);
        x.call.request.api_key = str_from_cstr(rows[i].key);
        x.call.request.has_body = true;
        bool admitted = api_admit(f.api, &x.call);
        assert_int_equal(admitted, rows[i].status == 0);
        if (!admitted)
            expect_part(&x, rows[i].status, "{\"error\":");
        assert_int_equal(x.responses, !admitted);
    }
}

static void test_options_of_the_server(void **state)
{
    (void)state;
    send_request(&f, &x, "OPTIONS", "*", "");
    assert_string_equal(x.call.response.allow, "GET, HEAD, POST, OPTIONS");
    expect(&x, 200, "");
}

static void test_two_keys_two_headers(void **state)
{
    (void)state;
    f.keys[1] = STR("another key, while they rotate");
    f.config.key_count = 2;
    api_configure(f.api, &f.config);
    send_with("POST", "/api/v1/publish", STR("bearer " KEY), STR(""));
    expect_part(&x, 400, "invalid_request");
    send_with("POST", "/api/v1/publish", STR("Bearer another key, while they rotate"), STR(""));
    expect_part(&x, 400, "invalid_request");
    send_with("POST", "/api/v1/publish", STR(""), STR("another key, while they rotate"));
    expect_part(&x, 400, "invalid_request");
    f.keys[0] = f.keys[1];
    f.config.key_count = 1;
    api_configure(f.api, &f.config);
    send_with("POST", "/api/v1/publish", STR("Bearer " KEY), STR(""));
    expect_part(&x, 401, "unauthorized");
}

static void test_without_keys_the_api_is_closed(void **state)
{
    (void)state;
    f.config.key_count = 0;
    api_configure(f.api, &f.config);
    send_with("GET", "/api/v1/info", STR(""), STR(""));
    expect_part(&x, 401, "set api.keys");
    send_with("GET", "/api/v1/info", STR("Bearer " KEY), STR(""));
    expect_part(&x, 401, "set api.keys");
}

static void test_no_such_route(void **state)
{
    static const char *const paths[] = {"/",
                                        "",
                                        "/api/v1/nothing",
                                        "/api/v2/info",
                                        "/api/v1/info/",
                                        "/api/v1/channels/",
                                        "/api/v1/channels/x/nothing",
                                        "/api/v1/channels/x/members",
                                        "/api/v1/ticket",
                                        "/ws"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        send_request(&f, &x, "GET", paths[i], "");
        expect_part(&x, 404, "{\"error\":{\"code\":\"not_found\",\"message\":\"there is no route ");
    }
    send_request(&f, &x, "GET", "/api/v1/publish", "");
    assert_string_equal(x.call.response.allow, "POST");
    expect_part(&x, 405, "\"code\":\"invalid_request\"");
    send_request(&f, &x, "DELETE", "/metrics", "");
    assert_string_equal(x.call.response.allow, "GET, HEAD");
    expect_part(&x, 405, "use GET");
}

static void test_health(void **state)
{
    (void)state;
    send_request(&f, &x, "GET", "/readyz", "");
    expect(&x, 200, "{\"status\":\"ready\",\"broker\":\"up\",\"broker_kind\":\"memory\"}");
    f.broker_state = BROKER_DOWN;
    send_request(&f, &x, "GET", "/readyz", "");
    expect(&x, 503, "{\"status\":\"broker_down\",\"broker\":\"down\",\"broker_kind\":\"memory\"}");
    f.broker_state = BROKER_CONNECTING;
    send_request(&f, &x, "GET", "/readyz", "");
    expect(&x, 503, "{\"status\":\"starting\",\"broker\":\"connecting\",\"broker_kind\":\"memory\"}");
    f.draining = true;
    send_request(&f, &x, "GET", "/readyz", "");
    expect_part(&x, 503, "\"status\":\"draining\"");
    send_request(&f, &x, "GET", "/livez", "");
    expect(&x, 200, "{\"status\":\"alive\"}");
    send_request(&f, &x, "GET", "/metrics", "");
    assert_string_equal(x.call.response.content_type, METRICS_CONTENT_TYPE);
    expect(&x, 200, "# EOF\n");
}

static void test_disconnect(void **state)
{
    (void)state;
    send_request(&f, &x, "POST", "/api/v1/disconnect", "{\"user\":\"e\\\"ve\"}");
    assert_int_equal(f.survey->question.op, CONTROL_DISCONNECT);
    assert_str(f.survey->question.user, "e\"ve");
    assert_int_equal(f.survey->question.code, 0);
    f.survey->result.count = 2;
    answer_survey(&f);
    expect(&x, 200, "{\"count\":2}");
    send_request(&f, &x, "POST", "/api/v1/disconnect", "{\"session_id\":\"s\",\"code\":4002,\"reason\":\"moved\"}");
    assert_str(f.survey->question.session_id, "s");
    assert_int_equal(f.survey->question.code, 4002);
    assert_str(f.survey->question.reason, "moved");
    f.survey->partial = true;
    f.survey->nodes_asked = 3;
    f.survey->nodes_answered = 2;
    answer_survey(&f);
    expect(&x, 200, "{\"count\":0,\"partial\":true,\"nodes_asked\":3,\"nodes_answered\":2}");
    send_request(&f, &x, "POST", "/api/v1/disconnect", "{\"user\":\"u\",\"reason\":\"moved\"}");
    assert_int_equal(f.survey->question.code, 1008);
    answer_survey(&f);
    expect_part(&x, 200, "count");
    send_request(&f, &x, "POST", "/api/v1/disconnect", "{\"user\":\"u\",\"code\":4000}");
    assert_str(f.survey->question.reason, "disconnected");
    answer_survey(&f);
    expect_part(&x, 200, "count");
}

static void test_bad_changes(void **state)
{
    static const struct {
        const char *path;
        const char *body;
        const char *part;
    } bad[] = {
        {"/api/v1/disconnect", "{}", "user and session_id"},
        {"/api/v1/disconnect", "{\"user\":\"\"}", "not empty"},
        {"/api/v1/disconnect", "{\"user\":7}", "user: expected a string"},
        {"/api/v1/disconnect", "{\"user\":\"x\",\"session_id\":\"\"}", "only one of"},
        {"/api/v1/disconnect", "{\"user\":\"x\",\"code\":0}", "code: "},
        {"/api/v1/disconnect", "{\"user\":\"x\",\"code\":4000.5}", "code: "},
        {"/api/v1/disconnect", "{\"user\":\"x\",\"code\":1005}", "code: 1005"},
        {"/api/v1/disconnect", "{\"user\":\"x\",\"code\":5000}", "code: 5000"},
        {"/api/v1/disconnect", "not json", "byte"},
        {"/api/v1/subscribe", "{\"user\":\"x\"}", "channel: "},
        {"/api/v1/subscribe", "{\"user\":\"x\",\"channel\":\"with space\"}", "channel: "},
        {"/api/v1/unsubscribe", "{\"channel\":\"x\"}", "user and session_id"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        send_request(&f, &x, "POST", bad[i].path, bad[i].body);
        expect_part(&x, 400, bad[i].part);
        assert_null(f.survey);
    }
}

static void test_subscribe_and_unsubscribe(void **state)
{
    (void)state;
    send_request(&f, &x, "POST", "/api/v1/subscribe", "{\"user\":\"eve\",\"channel\":\"vip\"}");
    assert_int_equal(f.survey->question.op, CONTROL_SUBSCRIBE);
    assert_str(f.survey->question.channel, "vip");
    answer_survey(&f);
    expect(&x, 200, "{\"count\":0}");
    send_request(&f, &x, "POST", "/api/v1/unsubscribe", "{\"session_id\":\"s\",\"channel\":\"vip\"}");
    assert_int_equal(f.survey->question.op, CONTROL_UNSUBSCRIBE);
    answer_survey(&f);
    expect(&x, 200, "{\"count\":0}");
}

static void give_rows(const struct control_row *rows, size_t count, bool more)
{
    struct control_result part = {.rows = (struct control_row *)(uintptr_t)rows, .row_count = count, .more = more};
    control_result_merge(&f.survey->result, &part, CONTROL_PAGE_MAX);
}

static void test_sessions(void **state)
{
    static const struct control_row row = {.key = STR("s1"),
                                           .user = STR("e\"ve"),
                                           .node = STR("node-1"),
                                           .address = STR("192.0.2.1"),
                                           .connected_ms = 1768473000000,
                                           .channels = 2,
                                           .outbox_bytes = 3};
    (void)state;
    send_request(&f, &x, "GET", "/api/v1/sessions", "");
    assert_int_equal(f.survey->question.limit, 100);
    assert_str(f.survey->question.after, "");
    give_rows(&row, 1, true);
    answer_survey(&f);
    expect(&x, 200,
           "{\"sessions\":[{\"session_id\":\"s1\",\"user\":\"e\\\"ve\",\"node\":\"node-1\",\"address\":\"192.0.2.1\","
           "\"connected_at\":\"2026-01-15T10:30:00.000Z\",\"expires_at\":null,\"channels\":2,\"outbox_bytes\":3}],"
           "\"next\":\"s1\"}");
    send_request(&f, &x, "GET", "/api/v1/sessions?limit=7&after=s%31&user=a+b", "");
    assert_int_equal(f.survey->question.limit, 7);
    assert_str(f.survey->question.after, "s1");
    assert_str(f.survey->question.user, "a b");
    answer_survey(&f);
    expect(&x, 200, "{\"sessions\":[],\"next\":null}");
    static const char *const bad[] = {
        "limit=0", "limit=1001", "limit=x", "limit=", "limit=1&limit=2", "after=%zz", "user=%ff"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char target[64] = "/api/v1/sessions?";
        send_request(&f, &x, "GET", strcat(target, bad[i]), "");
        expect_part(&x, 400, "invalid_request");
    }
}

#define SESSION "/api/v1/sessions/0198c0de-0000-7000-8000-0000000000aa"

static void test_session(void **state)
{
    static const struct control_row session = {.key = STR("s1"), .user = STR("eve"), .node = STR("n"), .channels = 9};
    static const struct control_row rows[] = {{.key = STR("a\""), .epoch = STR("e"), .offset = 4, .subscribed = 1},
                                              {.key = STR("b"), .recovering = 1}};
    (void)state;
    send_request(&f, &x, "GET", SESSION "?limit=2&after=A", "");
    assert_int_equal(f.survey->question.op, CONTROL_SESSION);
    assert_str(f.survey->question.session_id, "0198c0de-0000-7000-8000-0000000000aa");
    assert_str(f.survey->question.after, "A");
    assert_int_equal(f.survey->question.limit, 2);
    control_result_set_session(&f.survey->result, &session);
    give_rows(rows, 2, true);
    answer_survey(&f);
    expect(&x, 200,
           "{\"session_id\":\"s1\",\"user\":\"eve\",\"node\":\"n\",\"address\":\"\",\"connected_at\":null,"
           "\"expires_at\":null,\"outbox_bytes\":0,\"channel_count\":9,\"channels\":[{\"channel\":\"a\\\"\","
           "\"subscribed\":true,\"recovering\":false,\"recoverable\":true,\"epoch\":\"e\",\"offset\":4},{\"channel\":"
           "\"b\",\"subscribed\":false,\"recovering\":true,\"recoverable\":false}],\"next\":\"b\"}");
    send_request(&f, &x, "GET", SESSION, "");
    assert_int_equal(f.survey->question.limit, 100);
    answer_survey(&f);
    expect_part(&x, 404, "\"code\":\"not_found\"");
    send_request(&f, &x, "GET", SESSION, "");
    f.survey->partial = true;
    answer_survey(&f);
    expect_part(&x, 503, "\"code\":\"unavailable\"");
    send_request(&f, &x, "GET", "/api/v1/sessions/me", "");
    expect_part(&x, 404, "\"code\":\"not_found\"");
    static const char *const bad[] = {SESSION "?limit=0", SESSION "?limit=1001", SESSION "?user=u",
                                      SESSION "?after=%ff"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        send_request(&f, &x, "GET", bad[i], "");
        expect_part(&x, 400, "invalid_request");
    }
}

static void test_channels(void **state)
{
    static const struct control_row rows[] = {{.key = STR("a"), .subscribers = 2}, {.key = STR("b"), .subscribers = 1}};
    (void)state;
    send_request(&f, &x, "GET", "/api/v1/channels?prefix=a", "");
    assert_int_equal(f.survey->question.op, CONTROL_CHANNELS);
    assert_str(f.survey->question.prefix, "a");
    give_rows(rows, 2, false);
    answer_survey(&f);
    expect(
        &x, 200,
        "{\"channels\":[{\"channel\":\"a\",\"subscribers\":2},{\"channel\":\"b\",\"subscribers\":1}],\"next\":null}");
}

static void test_channel(void **state)
{
    static const struct control_row row = {.key = STR("b:with/slash+"), .subscribers = 3, .nodes = 2};
    (void)state;
    send_request(&f, &x, "GET", "/api/v1/channels/b%3Awith%2fslash+", "");
    assert_str(f.survey->question.channel, "b:with/slash+");
    give_rows(&row, 1, false);
    answer_survey(&f);
    expect(&x, 200, "{\"channel\":\"b:with/slash+\",\"subscribers\":3,\"nodes\":2}");
    send_request(&f, &x, "GET", "/api/v1/channels/x", "");
    answer_survey(&f);
    expect_part(&x, 404, "\"code\":\"not_found\"");
    send_request(&f, &x, "GET", "/api/v1/channels/x", "");
    f.survey->partial = true;
    answer_survey(&f);
    expect_part(&x, 200, "{\"channel\":\"x\",\"subscribers\":0,\"nodes\":0,\"partial\":true");
    static const char *const bad[] = {"/api/v1/channels/%",     "/api/v1/channels/a%2", "/api/v1/channels/%gg",
                                      "/api/v1/channels/a%20b", "/api/v1/channels/%ff", "/api/v1/channels/%00"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        send_request(&f, &x, "GET", bad[i], "");
        expect_part(&x, 400, "invalid_request");
    }
}

static void test_info(void **state)
{
    (void)state;
    send_request(&f, &x, "GET", "/api/v1/info", "");
    f.survey->result.count = 4;
    buf_append_lit(&f.survey->nodes, "{\"node\":\"node-0\"},{\"node\":\"node-1\"}");
    answer_survey(&f);
    expect(&x, 200,
           "{\"version\":\"1.2.3\",\"node\":\"node-0\",\"sessions\":4,\"nodes\":[{\"node\":\"node-0\"},{\"node\":"
           "\"node-1\"}]}");
    send_request(&f, &x, "GET", "/api/v1/info", "");
    request_fail(&f.survey->base, ERR_RATE_LIMITED, "too many");
    answer_survey(&f);
    assert_int_equal(x.call.response.retry_after_s, 1);
    expect(&x, 429, "{\"error\":{\"code\":\"rate_limited\",\"message\":\"too many\"}}");
}

static void expect_revocation(const char *body, enum revocation_kind kind, const char *value, uint64_t before_ms,
                              uint64_t until_ms)
{
    send_request(&f, &x, "POST", "/api/v1/revoke", body);
    assert_non_null(f.request);
    struct revoke_request *request = CONTAINER_OF(f.request, struct revoke_request, base);
    assert_int_equal(request->revocation.kind, kind);
    assert_str(request->revocation.value, value);
    assert_int_equal(request->revocation.issued_before_ms, before_ms);
    assert_int_equal(request->revocation.until_ms, until_ms);
    f.request->done(f.request, &f);
    f.request = NULL;
    expect(&x, 200, "{}");
}

static void test_revoke(void **state)
{
    (void)state;
    expect_revocation("{\"jti\":\"t-1\"}", REVOCATION_JTI, "t-1", 0, 1005000);
    expect_revocation("{\"jti\":\"t-1\",\"exp\":2000}", REVOCATION_JTI, "t-1", 0, 2600000);
    expect_revocation("{\"user\":\"al\\u0069ce\"}", REVOCATION_USER, "alice", 1000000, 1005000);
    expect_revocation("{\"user\":\"a\",\"issued_before\":900}", REVOCATION_USER, "a", 900000, 1005000);
    expect_revocation("{\"user\":\"a\",\"issued_before\":9.005e2}", REVOCATION_USER, "a", 900500, 1005000);
    send_request(&f, &x, "POST", "/api/v1/revoke", "{\"jti\":\"t\"}");
    request_fail(f.request, ERR_UNAVAILABLE, "not now");
    f.request->done(f.request, &f);
    f.request = NULL;
    assert_int_equal(x.call.response.retry_after_s, 1);
    expect(&x, 503, "{\"error\":{\"code\":\"unavailable\",\"message\":\"not now\"}}");
}

static void test_bad_revocations(void **state)
{
    static const char *const bad[] = {
        "{}",
        "{\"jti\":\"\"}",
        "{\"user\":\"\"}",
        "{\"user\":\"a\",\"jti\":\"b\"}",
        "{\"user\":\"a\",\"exp\":2000}",
        "{\"user\":\"a\",\"issued_before\":\"2026-01-01\"}",
        "{\"user\":\"a\",\"issued_before\":-1.5}",
        "{\"user\":\"a\",\"issued_before\":1e-4}",
        "{\"jti\":\"a\",\"exp\":1e12}",
        "{\"user\":\"a\",\"issued_before\":1000000000000000}",
        "{\"user\":7}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        send_request(&f, &x, "POST", "/api/v1/revoke", bad[i]);
        expect_part(&x, 400, "invalid_request");
    }
    f.revocation_count = 10;
    send_request(&f, &x, "POST", "/api/v1/revoke", "{\"jti\":\"one too many\"}");
    expect_part(&x, 503, "revocation.max");
    assert_null(f.request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_route_asks_for_its_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_head_alone_decides_whether_a_body_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_options_of_the_server, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_keys_two_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_keys_the_api_is_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_such_route, setup, teardown),
        cmocka_unit_test_setup_teardown(test_health, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disconnect, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_subscribe_and_unsubscribe, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sessions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_session, setup, teardown),
        cmocka_unit_test_setup_teardown(test_channels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_channel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_revoke, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_revocations, setup, teardown),
        cmocka_unit_test_setup_teardown(test_info, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
