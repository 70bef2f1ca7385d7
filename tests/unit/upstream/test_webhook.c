#include "server/upstream/webhook.h"
#include "tests/support/unit.h"

/* The vector of the Standard Webhooks specification's libraries. */
#define VECTOR_SECRET    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define VECTOR_ID        "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define VECTOR_TIME      1614265330
#define VECTOR_BODY      "{\"test\": 2432232314}"
#define VECTOR_SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

/* The texts are those of the lines. */
static enum err create(const char *lines, struct webhook_secrets **out, struct error *error)
{
    struct str texts[4], rest = str_from_cstr(lines);
    size_t count = 0;
    while (rest.ptr)
        texts[count++] = str_split(&rest, '\n');
    return webhook_secrets_create(texts, count, out, error);
}

static struct webhook_secrets *parsed(const char *text)
{
    struct webhook_secrets *secrets = NULL;
    struct error error = {0};
    assert_int_equal(create(text, &secrets, &error), ERR_NONE);
    return secrets;
}

static void signs(const char *secret, const char *expected)
{
    struct webhook_secrets *secrets = parsed(secret);
    struct buf out = {0};
    webhook_write(&out, secrets, STR(VECTOR_ID), VECTOR_TIME, STR(VECTOR_BODY));
    assert_string_equal(buf_cstr(&out), expected);
    buf_fini(&out);
    webhook_secrets_unref(secrets);
}

static void test_the_signature_of_the_specification(void **state)
{
    signs(VECTOR_SECRET, "webhook-id: " VECTOR_ID "\r\nwebhook-timestamp: 1614265330\r\n"
                         "webhook-signature: " VECTOR_SIGNATURE "\r\n");
}

static void test_two_secrets_sign_both(void **state)
{
    signs("0123456789abcdef0123456789abcdef\n" VECTOR_SECRET,
          "webhook-id: " VECTOR_ID "\r\nwebhook-timestamp: 1614265330\r\n"
          "webhook-signature: v1,hK4CWvngkaAwjY1pABLuUbOIkEJjW9tAapq1no4ojG0= " VECTOR_SIGNATURE "\r\n");
}

static void refuses(const char *text, const char *expected)
{
    struct webhook_secrets *secrets = NULL;
    struct error error = {0};
    assert_int_equal(create(text, &secrets, &error), ERR_INVALID_REQUEST);
    assert_string_equal(error.text, expected);
    assert_null(secrets);
}

static void test_bad_secrets(void **state)
{
    const char *base64 = "a secret that begins with whsec_ must go on in base64";
    refuses("", "a secret must have 16 to 1024 bytes, and this one has 0");
    refuses("short", "a secret must have 16 to 1024 bytes, and this one has 5");
    refuses("whsec_MfKQ", "a secret must have 16 to 1024 bytes, and this one has 3");
    refuses("whsec_", base64);
    refuses("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa*w", base64);
    refuses("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwa", base64);
    refuses("0123456789abcdef\n0123456789abcdef\n0123456789abcdef", "expected at most 2 secrets, found 3");
    char long_secret[WEBHOOK_SECRET_MAX + 3];
    memset(long_secret, 'a', sizeof long_secret);
    long_secret[WEBHOOK_SECRET_MAX + 1] = '\0';
    refuses(long_secret, "a secret must have 16 to 1024 bytes, and this one has 1025");
}

static void test_base64_with_and_without_padding(void **state)
{
    struct buf one = {0}, other = {0};
    struct webhook_secrets *padded = parsed("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAA==");
    struct webhook_secrets *bare = parsed("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAA");
    webhook_write_hex(&one, padded, "n", "sha256=", STR("x"));
    webhook_write_hex(&other, bare, "n", "sha256=", STR("x"));
    assert_string_equal(buf_cstr(&one), buf_cstr(&other));
    assert_int_equal(one.len, strlen("n: sha256=\r\n") + 64);
    buf_fini(&one);
    buf_fini(&other);
    webhook_secrets_unref(padded);
    webhook_secrets_unref(bare);
}

static void test_hexadecimal(void **state)
{
    struct webhook_secrets *secrets = parsed("0123456789abcdef0123456789abcdef\nfedcba9876543210");
    struct buf out = {0};
    webhook_write_hex(&out, secrets, "name", "sha256=", STR("connection"));
    assert_string_equal(buf_cstr(&out), "name: sha256=5963d4d03ead8d9c771b838b44296f24661bb008fe37742525c7907ae0b3adcd,"
                                        "sha256=a36641556486273082585699899f2f75a10dd6aac68ef5a89964e828cc18c588\r\n");
    buf_fini(&out);
    webhook_secrets_unref(secrets);
}

static void test_secrets_are_replaced(void **state)
{
    struct webhook_secrets *old = parsed("0123456789abcdef0123456789abcdef"), *fresh = parsed(VECTOR_SECRET), *none;
    struct buf before = {0}, after = {0};
    struct error error;
    assert_int_equal(webhook_secrets_create(NULL, 0, &none, &error), ERR_NONE);
    webhook_write(&before, none, STR("id"), 7, STR("x"));
    webhook_write_hex(&before, none, "n", "p", STR("x"));
    webhook_write(&before, NULL, STR("id"), 7, STR("x"));
    webhook_write_hex(&before, NULL, "n", "p", STR("x"));
    assert_int_equal(before.len, 0);

    struct webhook_secrets *used = webhook_secrets_ref(old);
    webhook_secrets_replace(old, fresh);
    webhook_secrets_unref(old);
    webhook_write(&before, fresh, STR("id"), 7, STR("x"));
    webhook_secrets_unref(fresh);
    webhook_write(&after, used, STR("id"), 7, STR("x"));
    assert_string_equal(buf_cstr(&after), buf_cstr(&before));
    webhook_secrets_replace(used, none);
    webhook_secrets_unref(none);
    buf_clear(&after);
    webhook_write(&after, used, STR("id"), 7, STR("x"));
    assert_int_equal(after.len, 0);
    webhook_secrets_unref(used);
    buf_fini(&before);
    buf_fini(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_signature_of_the_specification),
        cmocka_unit_test(test_two_secrets_sign_both),
        cmocka_unit_test(test_bad_secrets),
        cmocka_unit_test(test_base64_with_and_without_padding),
        cmocka_unit_test(test_hexadecimal),
        cmocka_unit_test(test_secrets_are_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
