/* test_api_send.c - what /api/v1/send and /api/v1/sessions/{id}/send ask of the nodes, and what they answer. */
#include "tests/unit/api/api_fixture.h"

#define SESSION "0198c0de-0000-7000-8000-00000000000f"
#define ROUTE   "/api/v1/sessions/" SESSION "/send"

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

static void send_bytes(const char *path, const char *content_type, struct str body)
{
    const struct http_request request = {
        .method = STR("POST"),
        .path = str_from_cstr(path),
        .query = STR(""),
        .authorization = STR("Bearer " KEY),
        .api_key = STR(""),
        .content_type = str_from_cstr(content_type),
        .body = body,
        .address = STR("127.0.0.1"),
    };
    send_http(&f, &x, &request);
}

/* The survey asks to send this, and is answered. */
static void expect_sent(struct str message, bool binary)
{
    assert_non_null(f.survey);
    assert_int_equal(f.survey->question.op, CONTROL_SEND);
    assert_true(str_eq(f.survey->question.message, message));
    assert_int_equal(f.survey->question.binary, binary);
    f.survey->result.count = 1;
    answer_survey(&f);
    expect(&x, 200, "{\"count\":1}");
}

static void test_types(void **state)
{
    static const char *const texts[] = {"text/plain", "TEXT/html; charset=utf-8", "application/json", "a/b+JSON ; x"};
    static const char *const binaries[] = {"application/octet-stream", "audio/opus", "text", "+jso", "x"};
    static const char *const refused[] = {"", " ; charset=utf-8", "application/x-www-form-urlencoded",
                                          "Multipart/Form-Data; boundary=x"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        send_bytes(ROUTE, texts[i], STR("{\"a\":1}"));
        assert_str(f.survey->question.session_id, SESSION);
        expect_sent(STR("{\"a\":1}"), false);
    }
    for (size_t i = 0; i < COUNT_OF(binaries); i++) {
        send_bytes(ROUTE, binaries[i], STR("\xff\0z"));
        expect_sent(STR("\xff\0z"), true);
    }
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        send_bytes(ROUTE, refused[i], STR("x"));
        assert_null(f.survey);
        expect_part(&x, 415, "Content-Type: expected text/* or application/json");
    }
    send_bytes(ROUTE, "text/plain", STR("\xff"));
    expect_part(&x, 400, "not UTF-8");
    send_bytes("/api/v1/sessions/me/send", "text/plain", STR("x"));
    expect_part(&x, 404, "not the id of a session");
}

static void test_answers(void **state)
{
    (void)state;
    send_bytes(ROUTE, "text/plain", STR(""));
    answer_survey(&f);
    expect(&x, 410, "{\"error\":{\"code\":\"gone\",\"message\":\"the session has ended; nothing was sent\"}}");
    send_bytes(ROUTE, "text/plain", STR("x"));
    f.survey->partial = true;
    answer_survey(&f);
    assert_int_equal(x.call.response.retry_after_s, 1);
    expect_part(&x, 503, "it is not known whether the message was sent");
    send_bytes(ROUTE, "text/plain", STR("x"));
    f.survey->partial = true;
    f.survey->result.count = 1;
    answer_survey(&f);
    expect_part(&x, 200, "\"count\":1,\"partial\":true");
    send_request(&f, &x, "POST", "/api/v1/send", "{\"session_id\":\"" SESSION "\",\"text\":\"x\"}");
    answer_survey(&f);
    expect(&x, 200, "{\"count\":0}");
}

static void test_messages_in_json(void **state)
{
    (void)state;
    send_request(&f, &x, "POST", "/api/v1/send", "{\"user\":\"a\\\"da\",\"text\":\"say \\\"hi\\\"\"}");
    assert_str(f.survey->question.user, "a\"da");
    expect_sent(STR("say \"hi\""), false);
    send_request(&f, &x, "POST", "/api/v1/send", "{\"channel\":\"c\",\"json\": { \"n\" : 1.0e3 } }");
    assert_str(f.survey->question.channel, "c");
    expect_sent(STR("{ \"n\" : 1.0e3 }"), false);
    static const struct {
        const char *base64;
        struct str bytes;
    } good[] = {
        {"", STR("")},
        {"YQ==", STR("a")},
        {"YWI=", STR("ab")},
        {"YWJj", STR("abc")},
        {"YWI", STR("ab")},
        {"YQ", STR("a")},
        {"-_-_", STR("\xfb\xff\xbf")},
        {"+/+/", STR("\xfb\xff\xbf")},
        {"\\u0059Q==", STR("a")},
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        char body[128];
        snprintf(body, sizeof body, "{\"user\":\"u\",\"binary\":\"%s\"}", good[i].base64);
        send_request(&f, &x, "POST", "/api/v1/send", body);
        expect_sent(good[i].bytes, true);
    }
    static const char *const bad[] = {"Y", "=", "==", "====", "YQ=", "YQ===", "YWJj=", "YQ==YQ==", "Y Q=", "YR==", "%"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char body[128];
        snprintf(body, sizeof body, "{\"user\":\"u\",\"binary\":\"%s\"}", bad[i]);
        send_request(&f, &x, "POST", "/api/v1/send", body);
        assert_null(f.survey);
        expect_part(&x, 400, "binary: expected base64");
    }
    send_request(&f, &x, "POST", "/api/v1/send", "{\"user\":\"u\",\"text\":\"a\\u0000\"}");
    expect_part(&x, 400, "text: must not contain");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_types, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_messages_in_json, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
