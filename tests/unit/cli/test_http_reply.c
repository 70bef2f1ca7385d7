/* test_http_reply.c - the error for a server's refusal. */
#include "server/cli/http_reply.h"
#include "tests/support/unit.h"

static enum err refusal(int status, const char *body, struct error *error)
{
    struct http_reply reply = {.status = status};
    buf_append(&reply.body, str_from_cstr(body));
    enum err err = http_reply_error(&reply, error);
    http_reply_fini(&reply);
    return err;
}

static void test_the_servers_words(void **state)
{
    struct error error;
    refusal(401, "{\"error\":{\"code\":\"unauthorized\",\"message\":\"the \\\"token\\\" has expired\"}}", &error);
    assert_string_equal(error.text, "the \"token\" has expired (unauthorized, HTTP status 401)");
}

static void test_other_bodies(void **state)
{
    static const char *const bodies[] = {
        "",
        "<html>",
        "[]",
        "{}",
        "{\"error\":\"x\"}",
        "{\"error\":{\"code\":\"x\"}}",
        "{\"error\":{\"code\":1,\"message\":\"x\"}}",
        "{\"error\":{\"code\":\"x\",\"message\":\"a\\u0000b\"}}",
    };
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct error error;
        refusal(404, bodies[i], &error);
        assert_string_equal(error.text, "the server answered with HTTP status 404");
    }
}

static void test_what_may_pass(void **state)
{
    static const int passing[] = {408, 425, 429, 500, 502, 503}, final[] = {301, 400, 401, 403, 404, 426, 431};
    struct error error;
    for (size_t i = 0; i < COUNT_OF(passing); i++)
        assert_int_equal(refusal(passing[i], "", &error), ERR_UNAVAILABLE);
    for (size_t i = 0; i < COUNT_OF(final); i++)
        assert_int_equal(refusal(final[i], "", &error), ERR_INVALID_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_servers_words),
        cmocka_unit_test(test_other_bodies),
        cmocka_unit_test(test_what_may_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
