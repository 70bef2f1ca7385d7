/* test_claims.c - good and bad payloads, and the claims that are read from them. */
#include "common/protocol/channel_name.h"
#include "common/token/claims.h"
#include "tests/support/unit.h"

static struct claims *parse(const char *payload)
{
    struct claims *claims = NULL;
    struct error error = {0};
    if (claims_parse(str_from_cstr(payload), &claims, &error) != ERR_NONE)
        fail_msg("%s: %s", payload, error.text);
    return claims;
}

static void assert_refused(const char *payload, const char *why)
{
    struct claims *claims = NULL;
    struct error error = {0};
    enum err err = claims_parse(str_from_cstr(payload), &claims, &error);
    if (err != ERR_UNAUTHORIZED || error.code != err || !strstr(error.text, why))
        fail_msg("%.80s: expected \"%s\" in \"%s\"", payload, why, error.text);
    assert_null(claims);
}

static void test_everything(void **state)
{
    struct claims *claims = parse(
        " {\"sub\":\"us\\u0065r\",\"jti\":\"j\",\"iss\":\"https:\\/\\/id\",\"scope\":\"a b\",\"exp\":5,\"nbf\":1.5,"
        "\"iat\":1.0009,\"session_limit\":3,\"rate_limit\":60,\"aud\":\"x\",\"channels\":[\"a:*\",{\"match\":\"b\","
        "\"allow\":[\"subscribe\",\"h\\u0069story\"]},{\"match\":\"c\"},{\"match\":\"d\",\"allow\":[]}]} ");
    assert_str(claims->sub, "user");
    assert_str(claims->jti, "j");
    assert_str(claims->iss, "https://id");
    assert_str(claims->scope, "a b");
    assert_int_equal(claims->exp_ms, 5000);
    assert_int_equal(claims->nbf_ms, 1500);
    assert_int_equal(claims->iat_ms, 1000);
    assert_int_equal(claims->session_limit, 3);
    assert_int_equal(claims->rate_limit, 60);
    assert_int_equal(claims->grant_count, 4);
    assert_str(claims->grants[0].match, "a:*");
    assert_int_equal(claims->grants[0].allow, ALLOW_ALL);
    assert_str(claims->grants[1].match, "b");
    assert_int_equal(claims->grants[1].allow, ALLOW_SUBSCRIBE | ALLOW_HISTORY);
    assert_int_equal(claims->grants[2].allow, ALLOW_ALL);
    assert_int_equal(claims->grants[3].allow, 0);
    assert_true(claims_ref(claims) == claims);
    claims_unref(claims);
    assert_str(claims->sub, "user");
    claims_unref(claims);
}

/* RFC 7519, 2: any JSON number. Its value is exact, whatever its form. */
static void test_numbers(void **state)
{
    static const struct {
        const char *number;
        uint64_t ms;
    } times[] = {
        {"1700000000", 1700000000000},
        {"1.7e9", 1700000000000},
        {"17E8", 1700000000000},
        {"1700000000.0", 1700000000000},
        {"17000000000e-1", 1700000000000},
        {"1.700000000123e+9", 1700000000123},
        {"1700000000.1239999", 1700000000123},
        {"253402300799.999", 253402300799999},
        {"2.534023007999999999e11", 253402300799999},
        {"1.5", 1500},
        {"0.1", 100},
        {"1e-2", 10},
        {"0", 1},
        {"0e99999999999999999999", 1},
        {"1e-99999999999999999999", 1},
        {"-0", 1},
        {"-1", 1},
        {"-1.7e9", 1},
        {"-1e999", 1},
    };
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        struct buf payload = {0};
        buf_appendf(&payload, "{\"sub\":\"u\",\"exp\":%s,\"nbf\":%s,\"iat\":%s}", times[i].number, times[i].number,
                    times[i].number);
        struct claims *claims = parse(buf_cstr(&payload));
        if (claims->exp_ms != times[i].ms || claims->nbf_ms != times[i].ms || claims->iat_ms != times[i].ms)
            fail_msg("%s: %llu", times[i].number, (unsigned long long)claims->exp_ms);
        claims_unref(claims);
        buf_fini(&payload);
    }
    struct claims *claims = parse("{\"sub\":\"u\",\"session_limit\":1e1,\"rate_limit\":6.0e1}");
    assert_int_equal(claims->session_limit, 10);
    assert_int_equal(claims->rate_limit, 60);
    claims_unref(claims);
}

static void test_little(void **state)
{
    struct claims *claims = parse("{\"sub\":\"u\",\"channels\":[]}");
    assert_int_equal(claims->exp_ms, 0);
    assert_int_equal(claims->grant_count, 0);
    assert_int_equal(claims->jti.len + claims->iss.len + claims->scope.len, 0);
    assert_int_equal(claims->payload.type, JSON_OBJECT);
    claims_unref(claims);
}

static void test_sub(void **state)
{
    struct buf payload = {0};
    struct claims *claims;
    for (size_t len = 254; len <= 257; len++) {
        buf_clear(&payload);
        buf_append_lit(&payload, "{\"sub\":\"");
        for (size_t i = 0; i < len; i++)
            buf_append_char(&payload, 'x');
        buf_append_lit(&payload, "\"}");
        if (len <= 255) {
            claims = parse(buf_cstr(&payload));
            assert_int_equal(claims->sub.len, len);
            claims_unref(claims);
        } else {
            assert_refused(buf_cstr(&payload), "at most 255");
        }
    }
    buf_fini(&payload);
    assert_refused("{}", "sub: is missing");
    assert_refused("{\"sub\":\"\"}", "sub is empty");
    assert_refused("{\"sub\":7}", "sub: expected a string");
    assert_refused("{\"sub\":null}", "sub: expected a string");
    assert_refused("{\"sub\":[\"u\"]}", "sub: expected a string");
    assert_refused("{\"sub\":\"a\\u0000b\"}", "sub holds a NUL");
    assert_refused("{\"sub\":\"\xff\"}", "claims");
    assert_refused("{\"sub\":\"\\ud800\"}", "claims");
}

static void test_refusals(void **state)
{
    static const struct {
        const char *payload;
        const char *why;
    } cases[] = {
        {"", "claims"},
        {"[]", "claims"},
        {"null", "claims"},
        {"{\"sub\":\"u\"", "claims"},
        {"{\"sub\":\"u\"}{}", "claims"},
        {"{\"sub\":\"u\",\"sub\":\"v\"}", "sub: given twice"},
        {"{\"sub\":\"u\",\"s\\u0075b\":\"v\"}", "sub: given twice"},
        {"{\"sub\":\"u\",\"exp\":1,\"exp\":2}", "exp: given twice"},
        {"{\"sub\":\"u\",\"tenant\":1,\"tenant\":1}", "\"tenant\" is given twice"},
        {"{\"sub\":\"u\",\"tenant\":1,\"ten\\u0061nt\":2}", "\"tenant\" is given twice"},
        {"{\"sub\":\"u\",\"iss\":1}", "iss: expected a string"},
        {"{\"sub\":\"u\",\"jti\":{}}", "jti: expected a string"},
        {"{\"sub\":\"u\",\"aud\":1}", "aud: expected"},
        {"{\"sub\":\"u\",\"scope\":[\"a\"]}", "scope: expected a string"},
        {"{\"sub\":\"u\",\"exp\":\"1\"}", "exp: expected a number"},
        {"{\"sub\":\"u\",\"exp\":1700000000000}", "milliseconds"},
        {"{\"sub\":\"u\",\"exp\":253402300800}", "milliseconds"},
        {"{\"sub\":\"u\",\"exp\":1.7e12}", "milliseconds"},
        {"{\"sub\":\"u\",\"exp\":1e999999999999999999999}", "milliseconds"},
        {"{\"sub\":\"u\",\"session_limit\":15e-1}", "session_limit must be"},
        {"{\"sub\":\"u\",\"rate_limit\":1e20}", "rate_limit must be"},
        {"{\"sub\":\"u\",\"session_limit\":0}", "session_limit must be"},
        {"{\"sub\":\"u\",\"session_limit\":1.5}", "session_limit must be"},
        {"{\"sub\":\"u\",\"rate_limit\":-1}", "rate_limit must be"},
        {"{\"sub\":\"u\",\"rate_limit\":\"1\"}", "rate_limit: expected a number"},
        {"{\"sub\":\"u\",\"channels\":\"a\"}", "channels: expected an array"},
        {"{\"sub\":\"u\",\"channels\":[1]}", "channels must hold patterns"},
        {"{\"sub\":\"u\",\"channels\":[\"\"]}", "channels"},
        {"{\"sub\":\"u\",\"channels\":[\"a\",\"{\"]}", "channels"},
        {"{\"sub\":\"u\",\"channels\":[{}]}", "match: is missing"},
        {"{\"sub\":\"u\",\"channels\":[{\"match\":\"a\",\"match\":\"b\"}]}", "match: given twice"},
        {"{\"sub\":\"u\",\"channels\":[{\"match\":\"a\",\"allow\":\"publish\"}]}", "allow: expected an array"},
        {"{\"sub\":\"u\",\"channels\":[{\"match\":\"a\",\"allow\":[\"all\"]}]}", "may allow only"},
        {"{\"sub\":\"u\",\"channels\":[{\"match\":\"a\",\"allow\":[1]}]}", "may allow only"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_refused(cases[i].payload, cases[i].why);
}

static void test_templates(void **state)
{
    static const struct {
        const char *name;
        const char *text; /* NULL: none */
    } cases[] = {
        {"sub", "u"},    {"org", "acme"},   {"number", "12345678901234567890"},
        {"below", "-7"}, {"real", NULL},    {"bool", NULL},
        {"list", NULL},  {"escaped", "a*"}, {"none", NULL},
        {"", NULL},      {"path", "a/b"},   {"name", "Ren\xC3\xA9 \xF0\x9F\x90\x99"},
        {"nul", NULL},   {"quote", "\"\\"}, {"t\xC3\xA9l", "1"},
    };
    struct claims *claims = parse("{\"sub\":\"u\",\"org\":\"acme\",\"number\":12345678901234567890,\"below\":-7,"
                                  "\"real\":1.5,\"bool\":true,\"list\":[\"a\"],\"escaped\":\"a\\u002a\","
                                  "\"path\":\"a\\/b\",\"name\":\"Ren\\u00e9 \\ud83d\\udc19\",\"nul\":\"a\\u0000\","
                                  "\"quote\":\"\\\"\\\\\",\"t\\u00e9l\":\"\\u0031\"}");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str text = STR("untouched");
        bool found = claims_text(claims, str_from_cstr(cases[i].name), &text);
        assert_int_equal(found, cases[i].text != NULL);
        assert_str(text, cases[i].text ? cases[i].text : "untouched");
    }
    claims_unref(claims);
}

static void test_scope(void **state)
{
    struct claims *claims = parse("{\"sub\":\"u\",\"scope\":\"chat:read  chat:write\"}");
    assert_true(claims_has_scope(claims, STR("chat:read")));
    assert_true(claims_has_scope(claims, STR("chat:write")));
    assert_false(claims_has_scope(claims, STR("chat")));
    assert_false(claims_has_scope(claims, STR("chat:read chat:write")));
    assert_false(claims_has_scope(claims, STR("")));
    claims_unref(claims);
    claims = parse("{\"sub\":\"u\"}");
    assert_false(claims_has_scope(claims, STR("")));
    assert_false(claims_has_scope(claims, STR("a")));
    claims_unref(claims);
}

static struct claims *change(const char *token, const char *changes)
{
    struct claims *before = parse(token), *claims = NULL;
    assert_int_equal(claims_change(before, json_value_of(str_from_cstr(changes)), &claims, NULL), ERR_NONE);
    claims_unref(before);
    return claims;
}

static void test_changes(void **state)
{
    struct claims *claims = change("{\"sub\":\"ada\",\"jti\":\"7\",\"role\":\"admin\",\"exp\":50}",
                                   "{\"sub\":\"zoe\",\"r\\u006fle\":\"guest\",\"exp\":60}");
    assert_str(claims->payload.raw, "{\"sub\":\"zoe\",\"r\\u006fle\":\"guest\",\"exp\":60,\"jti\":\"7\"}");
    assert_str(claims->sub, "zoe");
    assert_int_equal(claims->exp_ms, 60000);
    assert_int_equal(claims_end_by_backend(claims), 60000);
    assert_str(claims_of_token(claims)->sub, "ada");
    assert_int_equal(claims_of_token(claims)->exp_ms, 50000);
    claims_unref(claims);
    claims = parse("{\"sub\":\"ada\",\"exp\":50}");
    assert_ptr_equal(claims_of_token(claims), claims);
    assert_int_equal(claims_end_by_backend(claims), 0);
    claims_unref(claims);
}

static void renews(struct claims *before, const char *token, const char *expected, uint64_t exp_ms)
{
    struct claims *claims = parse(token);
    assert_int_equal(claims_change_again(before, &claims, NULL), ERR_NONE);
    assert_str(claims->payload.raw, expected);
    assert_int_equal(claims->exp_ms, exp_ms);
    claims_unref(claims);
}

/* Each newer token gets the changes of the first answer, and not those of the token before. */
static void test_changes_again(void **state)
{
    struct claims *claims = change("{\"sub\":\"ada\",\"old\":1}", "{\"role\":\"guest\",\"exp\":60}");
    renews(claims, "{\"sub\":\"ada\",\"role\":\"admin\",\"exp\":90}", "{\"role\":\"guest\",\"exp\":60,\"sub\":\"ada\"}",
           60000);
    renews(claims, "{\"sub\":\"ada\",\"exp\":30}", "{\"role\":\"guest\",\"exp\":60,\"sub\":\"ada\"}", 30000);
    renews(claims, "{\"sub\":\"ada\"}", "{\"role\":\"guest\",\"exp\":60,\"sub\":\"ada\"}", 60000);
    struct claims *second = parse("{\"sub\":\"ada\",\"exp\":30}");
    assert_int_equal(claims_change_again(claims, &second, NULL), ERR_NONE);
    renews(second, "{\"sub\":\"ada\",\"exp\":90}", "{\"role\":\"guest\",\"exp\":60,\"sub\":\"ada\"}", 60000);
    claims_unref(second);
    claims_unref(claims);
    claims = parse("{\"sub\":\"ada\",\"role\":\"guest\"}");
    renews(claims, "{\"sub\":\"ada\",\"exp\":90}", "{\"sub\":\"ada\",\"exp\":90}", 90000);
    claims_unref(claims);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything), cmocka_unit_test(test_numbers),  cmocka_unit_test(test_little),
        cmocka_unit_test(test_sub),        cmocka_unit_test(test_refusals), cmocka_unit_test(test_templates),
        cmocka_unit_test(test_scope),      cmocka_unit_test(test_changes),  cmocka_unit_test(test_changes_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
