/* test_verify.c - every algorithm both ways, the published examples, and the attacks. */
#include <pthread.h>

#include "common/token/base64url.h"
#include "common/token/jws.h"
#include "common/token/keys_private.h"
#include "tests/support/unit.h"
#include "tests/unit/token/made_keys.h"

static struct made_key rsa, p256, p384, ed25519;

static int make_keys(void **state)
{
    made_rsa(&rsa, 2048);
    made_ec(&p256, "P-256");
    made_ec(&p384, "P-384");
    made_ed25519(&ed25519);
    return 0;
}

static int drop_keys(void **state)
{
    made_key_fini(&rsa);
    made_key_fini(&p256);
    made_key_fini(&p384);
    made_key_fini(&ed25519);
    return 0;
}

static enum reason verify_under(const struct token_keys *keys, const struct token_policy *policy, struct str token,
                                struct error *error)
{
    struct claims *claims = NULL;
    *error = (struct error){0};
    enum reason reason = token_verify(keys, policy, token, NOW_MS, &claims, error);
    assert_true((reason == REASON_NONE) == (claims != NULL));
    assert_true((reason == REASON_NONE) == (error->text[0] == '\0'));
    if (claims)
        assert_true(str_eq_cstr(claims->sub, "user-1"));
    claims_unref(claims);
    return reason;
}

static enum reason verify(const struct token_keys *keys, const char *token)
{
    struct error error;
    struct token_policy policy = token_policy_default();
    return verify_under(keys, &policy, str_from_cstr(token), &error);
}

/* Refused as invalid, and the error says why without repeating the token. */
static void assert_refused(const struct token_keys *keys, const char *token, const char *why)
{
    struct error error;
    struct token_policy policy = token_policy_default();
    assert_int_equal(verify_under(keys, &policy, str_from_cstr(token), &error), REASON_TOKEN_INVALID);
    if (!strstr(error.text, why))
        fail_msg("expected \"%s\" in \"%s\"", why, error.text);
    if (strlen(token) > 40)
        assert_null(strstr(error.text, token + strlen(token) - 20));
}

static const struct {
    const char *algorithm;
    struct made_key *key; /* NULL: the secret */
} pairs[] = {
    {"HS256", NULL}, {"HS384", NULL}, {"HS512", NULL}, {"RS256", &rsa},  {"RS384", &rsa},  {"RS512", &rsa},
    {"PS256", &rsa}, {"PS384", &rsa}, {"PS512", &rsa}, {"ES256", &p256}, {"ES384", &p384}, {"EdDSA", &ed25519},
};

enum { PAIRS = sizeof pairs / sizeof pairs[0] };

static struct token_keys *signer(size_t i)
{
    return pairs[i].key ? keys_of(pairs[i].key->private_pem.ptr, "", 0) : keys_of_secret(SECRET, "");
}

static struct token_keys *verifier(size_t i)
{
    return pairs[i].key ? keys_of(pairs[i].key->public_pem.ptr, "", 0) : keys_of_secret(SECRET, "");
}

static void test_every_algorithm_verifies_what_it_signs(void **state)
{
    for (size_t i = 0; i < PAIRS; i++) {
        struct buf token = {0};
        struct error error = {0};
        struct token_keys *signing = signer(i), *verifying = verifier(i);
        unsigned bit = algorithm_by_name(str_from_cstr(pairs[i].algorithm))->bit;
        enum err err = token_issue(signing, bit, STR("k/1"), STR(PAYLOAD), &token, &error);
        if (err)
            fail_msg("%s: %s", pairs[i].algorithm, error.text);
        assert_int_equal(verify(verifying, buf_cstr(&token)), REASON_NONE);
        /* With any one bit of the signature flipped, it no longer does. */
        struct jws jws = {0};
        assert_int_equal(jws_split(buf_str(&token), &jws, NULL), ERR_NONE);
        const struct algorithm *algorithm = algorithm_first(bit);
        assert_true(signature_verify(&verifying->list[0], algorithm, jws.signed_text, jws.signature));
        size_t at = (size_t)(jws.signature.ptr - jws.bytes.ptr);
        for (size_t byte = 0; byte < jws.signature.len; byte += 7) {
            jws.bytes.ptr[at + byte] ^= 1;
            assert_false(signature_verify(&verifying->list[0], algorithm, jws.signed_text, jws.signature));
            jws.bytes.ptr[at + byte] ^= 1;
        }
        /* Nor at another length. */
        for (size_t len = 0; len < jws.signature.len; len += 5)
            assert_false(
                signature_verify(&verifying->list[0], algorithm, jws.signed_text, str_from(jws.signature.ptr, len)));
        jws_fini(&jws);
        buf_fini(&token);
        token_keys_unref(signing);
        token_keys_unref(verifying);
    }
}

static void test_no_key_serves_anothers_algorithm(void **state)
{
    struct buf token = {0};
    for (size_t i = 0; i < PAIRS; i++) {
        for (size_t other = 0; other < PAIRS; other++) {
            char header[64];
            struct token_keys *signing = signer(i), *verifying = verifier(i);
            snprintf(header, sizeof header, "{\"alg\":\"%s\"}", pairs[other].algorithm);
            raw_token(&token, signing, pairs[i].algorithm, header, PAYLOAD);
            assert_int_equal(verify(verifying, token.ptr), i == other ? REASON_NONE : REASON_TOKEN_INVALID);
            token_keys_unref(signing);
            token_keys_unref(verifying);
        }
    }
    buf_fini(&token);
}

/* RFC 7515 A.1 and A.3, RFC 8037 A.4: signatures not made by our own code. */
static void test_published_examples(void **state)
{
    static const struct {
        const char *jwk;
        const char *token;
        const char *algorithm;
    } examples[] = {
        {"{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9"
         "CAow\"}",
         "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
         "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
         "HS256"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36H"
         "LN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
         "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290"
         "Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
         "ES256"},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
         "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhi"
         "jcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
         "EdDSA"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        struct jws jws = {0};
        struct jws_header header = {0};
        struct token_keys *keys = keys_of(examples[i].jwk, "", 0);
        assert_int_equal(jws_split(str_from_cstr(examples[i].token), &jws, NULL), ERR_NONE);
        assert_int_equal(jws_read_header(&jws, &header, NULL), ERR_NONE);
        assert_string_equal(header.algorithm->name, examples[i].algorithm);
        assert_true(signature_verify(&keys->list[0], header.algorithm, jws.signed_text, jws.signature));
        jws_header_fini(&header);
        jws_fini(&jws);
        token_keys_unref(keys);
    }
}

static void test_unsigned_tokens_are_refused(void **state)
{
    static const char *const names[] = {"none", "None", "NONE", "nOnE", "", "HS257", "hs256", "HS256 "};
    struct token_keys *keys = keys_of_secret(SECRET, "");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char header[64];
        struct buf token = {0};
        snprintf(header, sizeof header, "{\"alg\":\"%s\",\"typ\":\"JWT\"}", names[i]);
        raw_token(&token, keys, "HS256", header, PAYLOAD);
        assert_refused(keys, token.ptr, i < 4 ? "not signed" : "not a known algorithm");
        *(strrchr(token.ptr, '.') + 1) = '\0';
        assert_refused(keys, token.ptr, i < 4 ? "not signed" : "not a known algorithm");
        buf_fini(&token);
    }
    token_keys_unref(keys);
}

/* A known attack: everybody has the public key. If its text counted as an HMAC secret, everybody could sign. */
static void test_public_key_is_no_secret(void **state)
{
    struct buf token = {0}, signature = {0};
    struct error error;
    struct token_keys *keys = keys_of(rsa.public_pem.ptr, "", 0);
    struct token_key forged = {.source = NULL, .kind = KEY_SECRET, .algorithms = ALGORITHM_HS256};
    buf_append(&forged.secret, buf_str(&rsa.public_pem));
    base64url_append(&token, STR("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"));
    buf_append_char(&token, '.');
    base64url_append(&token, STR(PAYLOAD));
    signature_make(&forged, algorithm_by_name(STR("HS256")), buf_str(&token), &signature, NULL);
    buf_append_char(&token, '.');
    base64url_append(&token, buf_str(&signature));
    assert_refused(keys, buf_cstr(&token), "no key for the token's alg HS256");
    assert_int_equal(token_keys_add_secret(keys, "secret_file", STR(""), 0, buf_str(&rsa.public_pem), &error),
                     ERR_INVALID_REQUEST);
    assert_non_null(strstr(error.text, "PEM"));
    assert_int_equal(token_keys_add_pem(keys, "key_file", STR(""), ALGORITHM_HS256, buf_str(&rsa.public_pem), &error),
                     ERR_INVALID_REQUEST);
    assert_non_null(strstr(error.text, "cannot serve HS256"));
    key_fini(&forged);
    buf_fini(&token);
    buf_fini(&signature);
    token_keys_unref(keys);
}

static void test_kid_chooses_and_does_not_fool(void **state)
{
    struct buf token = {0};
    struct token_keys *one = keys_of_secret(SECRET, "one");
    struct token_keys *two = keys_of_secret("another secret, also of thirty-two bytes or more", "two");
    struct token_keys *both = keys_of_secret(SECRET, "one");
    token_keys_add_secret(both, "second", STR("two"), 0, buf_str(&two->list[0].secret), NULL);

    raw_token(&token, two, "HS256", "{\"alg\":\"HS256\",\"kid\":\"two\"}", PAYLOAD);
    assert_int_equal(verify(both, token.ptr), REASON_NONE);
    raw_token(&token, two, "HS256", "{\"alg\":\"HS256\",\"kid\":\"t\\u0077o\"}", PAYLOAD);
    assert_int_equal(verify(both, token.ptr), REASON_NONE);
    raw_token(&token, two, "HS256", "{\"alg\":\"HS256\"}", PAYLOAD);
    assert_int_equal(verify(both, token.ptr), REASON_NONE);
    raw_token(&token, two, "HS256", "{\"alg\":\"HS256\",\"kid\":\"one\"}", PAYLOAD);
    assert_refused(both, token.ptr, "signature");

    static const struct {
        const char *header;
        const char *why;
    } tricks[] = {
        {"{\"alg\":\"HS256\",\"kid\":\"three\"}", "no key with kid \"three\""},
        {"{\"alg\":\"HS256\",\"kid\":\"../../../../dev/null\"}", "no key with kid"},
        {"{\"alg\":\"HS256\",\"kid\":\"x' UNION SELECT 'k\"}", "no key with kid"},
        {"{\"alg\":\"HS256\",\"kid\":\"\"}", "kid must be"},
        {"{\"alg\":\"HS256\",\"kid\":\"two\\u0000\"}", "kid must be"},
        {"{\"alg\":\"HS256\",\"kid\":2}", "kid: expected a string"},
        {"{\"alg\":\"HS256\",\"kid\":null}", "kid: expected a string"},
        {"{\"alg\":\"HS256\",\"kid\":[\"two\"]}", "kid: expected a string"},
        {"{\"alg\":\"HS256\",\"kid\":\"two\",\"kid\":\"one\"}", "kid: given twice"},
        {"{\"alg\":\"HS256\",\"kid\":\"one\",\"k\\u0069d\":\"two\"}", "kid: given twice"},
    };
    for (size_t i = 0; i < sizeof tricks / sizeof tricks[0]; i++)
        assert_refused(both, raw_token(&token, two, "HS256", tricks[i].header, PAYLOAD), tricks[i].why);

    char long_kid[400];
    snprintf(long_kid, sizeof long_kid, "{\"alg\":\"HS256\",\"kid\":\"%0300d\"}", 0);
    assert_refused(both, raw_token(&token, two, "HS256", long_kid, PAYLOAD), "kid must be");
    /* A known kid is final: the key under it must serve the algorithm, no other is looked for. */
    token_keys_add_pem(both, "rsa", STR("rsa"), 0, buf_str(&rsa.public_pem), NULL);
    assert_refused(both, raw_token(&token, two, "HS256", "{\"alg\":\"HS256\",\"kid\":\"rsa\"}", PAYLOAD),
                   "does not serve");
    /* A key that has no name contradicts no name. */
    struct token_keys *nameless = keys_of_secret(SECRET, "");
    raw_token(&token, one, "HS256", "{\"alg\":\"HS256\",\"kid\":\"any\"}", PAYLOAD);
    assert_int_equal(verify(nameless, token.ptr), REASON_NONE);
    token_keys_unref(nameless);
    token_keys_unref(one);
    token_keys_unref(two);
    token_keys_unref(both);
    buf_fini(&token);
}

static void test_at_most_four_keys_are_tried(void **state)
{
    struct buf token = {0};
    struct token_keys *signing = keys_of_secret(SECRET, "");
    struct token_keys *keys = token_keys_create();
    char secret[64];
    for (int i = 0; i < 4; i++) {
        snprintf(secret, sizeof secret, "%d: thirty-two bytes and some more of them", i);
        token_keys_add_secret(keys, "other", STR(""), 0, str_from_cstr(secret), NULL);
    }
    token_keys_add_secret(keys, "right", STR(""), 0, STR(SECRET), NULL);
    assert_refused(keys, raw_token(&token, signing, "HS256", "{\"alg\":\"HS256\"}", PAYLOAD), "at most 4");
    token_keys_unref(signing);
    token_keys_unref(keys);
    buf_fini(&token);
}

static void test_headers(void **state)
{
    static const struct {
        const char *header;
        const char *why; /* NULL: accepted */
    } cases[] = {
        {"{\"alg\":\"HS256\"}", NULL},
        {" {\"typ\":\"jwt\", \"alg\":\"HS256\", \"x\":[1,{}]} ", NULL},
        {"{\"typ\":\"at+JWT\",\"alg\":\"HS256\"}", NULL},
        {"{\"typ\":\"application/at+jwt\",\"alg\":\"HS256\"}", NULL},
        {"{\"typ\":\"APPLICATION\\/AT\\u002bJWT\",\"alg\":\"HS256\"}", NULL},
        {"{\"typ\":\"application/jwt\",\"alg\":\"HS256\"}", NULL},
        {"{\"typ\":\"application/\",\"alg\":\"HS256\"}", "typ \"application/\""},
        {"{\"typ\":\"application/application/jwt\",\"alg\":\"HS256\"}", "typ \""},
        {"{\"typ\":\"text/jwt\",\"alg\":\"HS256\"}", "typ \"text/jwt\""},
        {"{\"typ\":\"JWT\\u0000\",\"alg\":\"HS256\"}", "typ \"\""},
        {"{\"typ\":\"JOSE\",\"alg\":\"HS256\"}", "typ \"JOSE\""},
        {"{\"typ\":1,\"alg\":\"HS256\"}", "typ: expected a string"},
        {"{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "crit"},
        {"{\"alg\":\"HS256\",\"crit\":[]}", "crit"},
        {"{\"alg\":\"HS256\",\"crit\":null}", "crit"},
        {"{\"alg\":\"HS256\",\"cr\\u0069t\":[\"b64\"],\"b64\":false}", "crit"},
        {"{\"alg\":\"HS256\",\"alg\":\"HS256\"}", "alg: given twice"},
        {"{\"alg\":\"none\",\"al\\u0067\":\"HS256\"}", "alg: given twice"},
        {"{\"alg\":\"HS256\",\"jku\":\"a\",\"jku\":\"b\"}", "\"jku\" is given twice"},
        {"{\"alg\":\"HS256\",\"a\\/b\":1,\"a/b\":2}", "\"a/b\" is given twice"},
        {"{\"alg\":\"HS256\",\"a\\u0000\":1}", "NUL"},
        {"{\"alg\":[\"HS256\"]}", "alg: expected a string"},
        {"{\"alg\":null}", "alg: expected a string"},
        {"{}", "alg: is missing"},
        {"[]", "header"},
        {"\"HS256\"", "header"},
        {"{\"alg\":\"HS256\"} x", "header"},
        {"{\"alg\":\"HS256\",}", "header"},
        {"{'alg':'HS256'}", "header"},
        {"\xEF\xBB\xBF{\"alg\":\"HS256\"}", "header"},
        {"{\"alg\":\"HS256\",\"x\":\"\xff\"}", "header"},
        {"", "header"},
    };
    struct token_keys *keys = keys_of_secret(SECRET, "");
    struct buf token = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        raw_token(&token, keys, "HS256", cases[i].header, PAYLOAD);
        if (cases[i].why)
            assert_refused(keys, token.ptr, cases[i].why);
        else
            assert_int_equal(verify(keys, token.ptr), REASON_NONE);
    }
    buf_fini(&token);
    token_keys_unref(keys);
}

static void test_form(void **state)
{
    struct token_keys *keys = keys_of_secret(SECRET, "");
    struct buf good = {0}, bad = {0};
    raw_token(&good, keys, "HS256", "{\"alg\":\"HS256\"}", PAYLOAD);
    assert_int_equal(verify(keys, good.ptr), REASON_NONE);

    static const char *const dots[] = {"", ".", "..", "...", "a", "a.b", "a.b.c.d"};
    for (size_t i = 0; i < sizeof dots / sizeof dots[0]; i++)
        assert_int_equal(verify(keys, dots[i]), REASON_TOKEN_INVALID);

    /* Anything at the end, in the middle or in front: also what lax decoders skip. */
    static const char *const extras[] = {"=", " ", "\n", "+", "/", "A", ".", "%3D", "\xC3\xA9"};
    for (size_t i = 0; i < sizeof extras / sizeof extras[0]; i++) {
        for (size_t at = 0; at <= good.len; at += at < good.len ? 9 : 1) {
            buf_clear(&bad);
            buf_append(&bad, str_from(good.ptr, at));
            buf_append(&bad, str_from_cstr(extras[i]));
            buf_append(&bad, str_from(good.ptr + at, good.len - at));
            assert_int_equal(verify(keys, buf_cstr(&bad)), REASON_TOKEN_INVALID);
        }
    }
    /* A NUL at any place, and every truncation. */
    struct error error;
    struct token_policy policy = token_policy_default();
    for (size_t at = 0; at <= good.len; at++) {
        buf_clear(&bad);
        buf_append(&bad, str_from(good.ptr, at));
        buf_append_char(&bad, '\0');
        buf_append(&bad, str_from(good.ptr + at, good.len - at));
        assert_int_equal(verify_under(keys, &policy, buf_str(&bad), &error), REASON_TOKEN_INVALID);
        if (at < good.len)
            assert_int_equal(verify_under(keys, &policy, str_from(good.ptr, at), &error), REASON_TOKEN_INVALID);
    }
    /* The last character of a 32-byte signature carries two unused bits, which must be zero. */
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char last = good.ptr[good.len - 1];
    for (const char *digit = digits; *digit; digit++) {
        good.ptr[good.len - 1] = *digit;
        assert_int_equal(verify(keys, good.ptr), *digit == last ? REASON_NONE : REASON_TOKEN_INVALID);
    }
    good.ptr[good.len - 1] = (char)(strchr(digits, last) + 1)[0];
    assert_refused(keys, good.ptr, "signature is not base64url");
    good.ptr[good.len - 1] = last;
    /* Stripped: the dot stays or goes. */
    char *dot = strrchr(good.ptr, '.');
    dot[1] = '\0';
    assert_refused(keys, good.ptr, "signature (0 bytes)");
    dot[0] = '\0';
    assert_refused(keys, good.ptr, "two dots");
    buf_fini(&good);
    buf_fini(&bad);
    token_keys_unref(keys);
}

static void test_size(void **state)
{
    struct token_keys *keys = keys_of_secret(SECRET, "");
    struct token_policy policy = token_policy_default();
    struct buf payload = {0}, token = {0};
    struct error error;
    buf_appendf(&payload, "{\"sub\":\"user-1\",\"exp\":1700000100,\"x\":\"%05000d\"}", 0);
    raw_token(&token, keys, "HS256", "{\"alg\":\"HS256\"}", buf_cstr(&payload));
    policy.max_bytes = token.len;
    assert_int_equal(verify_under(keys, &policy, buf_str(&token), &error), REASON_NONE);
    policy.max_bytes = token.len - 1;
    assert_int_equal(verify_under(keys, &policy, buf_str(&token), &error), REASON_TOKEN_INVALID);
    assert_non_null(strstr(error.text, "at most"));
    buf_clear(&payload);
    buf_appendf(&payload, "{\"alg\":\"HS256\",\"x\":\"%03000d\"}", 0);
    raw_token(&token, keys, "HS256", buf_cstr(&payload), PAYLOAD);
    assert_refused(keys, token.ptr, "header is over");
    buf_fini(&payload);
    buf_fini(&token);
    token_keys_unref(keys);
}

static void test_elliptic_signatures(void **state)
{
    struct token_keys *keys = keys_of(p256.private_pem.ptr, "", 0);
    struct buf token = {0}, zero = {0};
    raw_token(&token, keys, "ES256", "{\"alg\":\"ES256\"}", PAYLOAD);
    char *signature = strrchr(token.ptr, '.') + 1;
    static const size_t lengths[] = {0, 1, 32, 63, 64, 65, 70, 72, 96, 128};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char zeros[128] = {0};
        buf_clear(&zero);
        buf_append(&zero, str_from(token.ptr, (size_t)(signature - token.ptr)));
        base64url_append(&zero, str_from(zeros, lengths[i]));
        assert_refused(keys, buf_cstr(&zero), "signature");
    }
    /* The right numbers, each a zero byte wider: the same signature must not have two forms. */
    struct jws jws = {0};
    struct buf wide = {0};
    assert_int_equal(jws_split(buf_str(&token), &jws, NULL), ERR_NONE);
    buf_append_char(&wide, '\0');
    buf_append(&wide, str_from(jws.signature.ptr, 32));
    buf_append_char(&wide, '\0');
    buf_append(&wide, str_from(jws.signature.ptr + 32, 32));
    const struct algorithm *es256 = algorithm_first(ALGORITHM_ES256);
    assert_true(signature_verify(&keys->list[0], es256, jws.signed_text, jws.signature));
    assert_false(signature_verify(&keys->list[0], es256, jws.signed_text, buf_str(&wide)));
    jws_fini(&jws);
    buf_fini(&wide);
    /* A P-256 key under ES384: not one of its algorithms. */
    assert_refused(keys, raw_token(&token, keys, "ES256", "{\"alg\":\"ES384\"}", PAYLOAD), "no key for");
    assert_int_equal(token_keys_add_pem(keys, "k", STR(""), ALGORITHM_ES384, buf_str(&p256.public_pem), NULL),
                     ERR_INVALID_REQUEST);
    buf_fini(&token);
    buf_fini(&zero);
    token_keys_unref(keys);
}

static void test_policy_allows_algorithms(void **state)
{
    struct token_keys *keys = keys_of(rsa.private_pem.ptr, "", 0);
    struct token_policy policy = token_policy_default();
    struct buf token = {0};
    struct error error;
    policy.algorithms = ALGORITHM_PS256;
    raw_token(&token, keys, "RS256", "{\"alg\":\"RS256\"}", PAYLOAD);
    assert_int_equal(verify_under(keys, &policy, buf_str(&token), &error), REASON_TOKEN_INVALID);
    assert_non_null(strstr(error.text, "allowed algorithms"));
    raw_token(&token, keys, "PS256", "{\"alg\":\"PS256\"}", PAYLOAD);
    assert_int_equal(verify_under(keys, &policy, buf_str(&token), &error), REASON_NONE);
    token_keys_unref(keys);
    /* Bound to one algorithm, the key serves no other. */
    keys = keys_of(rsa.private_pem.ptr, "", ALGORITHM_RS256);
    policy.algorithms = ALGORITHM_ALL;
    raw_token(&token, keys, "RS256", "{\"alg\":\"RS256\"}", PAYLOAD);
    assert_int_equal(verify(keys, token.ptr), REASON_NONE);
    struct token_keys *unbound = keys_of(rsa.private_pem.ptr, "", 0);
    raw_token(&token, unbound, "PS256", "{\"alg\":\"PS256\"}", PAYLOAD);
    assert_refused(keys, token.ptr, "no key for");
    token_keys_unref(unbound);
    token_keys_unref(keys);
    buf_fini(&token);
}

static void test_times(void **state)
{
    /* now is 1700000000, the leeway 30 s. */
    static const struct {
        const char *payload;
        enum reason reason;
    } cases[] = {
        {"{\"sub\":\"user-1\",\"exp\":1700000001}", REASON_NONE},
        {"{\"sub\":\"user-1\",\"exp\":1699999970.001}", REASON_NONE},
        {"{\"sub\":\"user-1\",\"exp\":1699999970}", REASON_TOKEN_EXPIRED},
        {"{\"sub\":\"user-1\",\"exp\":0}", REASON_TOKEN_EXPIRED},
        {"{\"sub\":\"user-1\",\"exp\":0.0004}", REASON_TOKEN_EXPIRED},
        {"{\"sub\":\"user-1\",\"exp\":253402300799}", REASON_NONE},
        {"{\"sub\":\"user-1\",\"exp\":253402300800}", REASON_TOKEN_INVALID},
        {"{\"sub\":\"user-1\",\"exp\":18446744073709551616}", REASON_TOKEN_INVALID},
        {"{\"sub\":\"user-1\",\"exp\":\"1700000100\"}", REASON_TOKEN_INVALID},
        {"{\"sub\":\"user-1\",\"exp\":-1}", REASON_TOKEN_EXPIRED},
        {"{\"sub\":\"user-1\",\"exp\":1.7e9}", REASON_NONE},
        {"{\"sub\":\"user-1\",\"exp\":1700000100.5e3}", REASON_TOKEN_INVALID},
        {"{\"sub\":\"user-1\",\"exp\":null}", REASON_TOKEN_INVALID},
        {"{\"sub\":\"user-1\",\"exp\":true}", REASON_TOKEN_INVALID},
        {"{\"sub\":\"user-1\"}", REASON_TOKEN_INVALID},
        {"{\"sub\":\"user-1\",\"exp\":1700000100,\"nbf\":1700000030}", REASON_NONE},
        {"{\"sub\":\"user-1\",\"exp\":1700000100,\"nbf\":1700000030.001}", REASON_TOKEN_NOT_YET_VALID},
        {"{\"sub\":\"user-1\",\"exp\":1700000100,\"nbf\":\"0\"}", REASON_TOKEN_INVALID},
        {"{\"sub\":\"user-1\",\"exp\":1700000100,\"iat\":1700000030}", REASON_NONE},
        {"{\"sub\":\"user-1\",\"exp\":1700000100,\"iat\":1700000031}", REASON_TOKEN_NOT_YET_VALID},
    };
    struct token_keys *keys = keys_of_secret(SECRET, "");
    struct token_policy policy = token_policy_default();
    struct buf token = {0};
    struct error error;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        raw_token(&token, keys, "HS256", "{\"alg\":\"HS256\"}", cases[i].payload);
        enum reason reason = verify_under(keys, &policy, buf_str(&token), &error);
        if (reason != cases[i].reason)
            fail_msg("%s: %s", cases[i].payload, reason_text(reason));
    }
    policy.require_exp = false;
    raw_token(&token, keys, "HS256", "{\"alg\":\"HS256\"}", "{\"sub\":\"user-1\"}");
    assert_int_equal(verify_under(keys, &policy, buf_str(&token), &error), REASON_NONE);
    raw_token(&token, keys, "HS256", "{\"alg\":\"HS256\"}", "{\"sub\":\"user-1\",\"exp\":0}");
    assert_int_equal(verify_under(keys, &policy, buf_str(&token), &error), REASON_TOKEN_EXPIRED);
    policy.leeway_ms = 0;
    raw_token(&token, keys, "HS256", "{\"alg\":\"HS256\"}", "{\"sub\":\"user-1\",\"exp\":1700000000}");
    assert_int_equal(verify_under(keys, &policy, buf_str(&token), &error), REASON_TOKEN_EXPIRED);
    buf_fini(&token);
    token_keys_unref(keys);
}

static void test_issuer_and_audience(void **state)
{
    static const struct str issuers[] = {{"https://id.example", 18}, {"other", 5}};
    static const struct str audiences[] = {{"carillon", 8}, {"chat", 4}};
    static const struct {
        const char *members;
        bool good;
    } cases[] = {
        {"\"iss\":\"https://id.example\",\"aud\":\"carillon\"", true},
        {"\"iss\":\"https:\\/\\/id.example\",\"aud\":[\"x\",\"chat\"]", true},
        {"\"iss\":\"other\",\"aud\":\"ch\\u0061t\"", true},
        {"\"iss\":\"other\",\"aud\":[\"carillon\",7]", true},
        {"\"iss\":\"other\",\"aud\":[]", false},
        {"\"iss\":\"other\",\"aud\":[[\"chat\"]]", false},
        {"\"iss\":\"other\",\"aud\":\"Chat\"", false},
        {"\"iss\":\"other\",\"aud\":\"chat \"", false},
        {"\"iss\":\"other\",\"aud\":\"carillon chat\"", false},
        {"\"iss\":\"other\",\"aud\":7", false},
        {"\"iss\":\"other\",\"aud\":{\"chat\":1}", false},
        {"\"iss\":\"other\"", false},
        {"\"iss\":\"https://id.example/\",\"aud\":\"chat\"", false},
        {"\"iss\":\"\",\"aud\":\"chat\"", false},
        {"\"aud\":\"chat\"", false},
    };
    struct token_keys *keys = keys_of_secret(SECRET, "");
    struct token_policy policy = token_policy_default();
    struct buf payload = {0}, token = {0};
    struct error error;
    policy.issuers = issuers;
    policy.issuer_count = 2;
    policy.audiences = audiences;
    policy.audience_count = 2;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buf_clear(&payload);
        buf_appendf(&payload, "{\"sub\":\"user-1\",\"exp\":1700000100,%s}", cases[i].members);
        raw_token(&token, keys, "HS256", "{\"alg\":\"HS256\"}", buf_cstr(&payload));
        enum reason reason = verify_under(keys, &policy, buf_str(&token), &error);
        if (reason != (cases[i].good ? REASON_NONE : REASON_TOKEN_INVALID))
            fail_msg("%s: %s", cases[i].members, reason_text(reason));
    }
    buf_fini(&payload);
    buf_fini(&token);
    token_keys_unref(keys);
}

/* A claim that would be refused is not even read while the signature is wrong: the reason must not tell. */
static void test_signature_comes_before_claims(void **state)
{
    struct token_keys *signing = keys_of_secret("a stranger's secret of more than thirty-two bytes", "");
    struct token_keys *keys = keys_of_secret(SECRET, "");
    struct buf token = {0};
    assert_refused(keys, raw_token(&token, signing, "HS256", "{\"alg\":\"HS256\"}", "{\"exp\":1}"), "signature");
    assert_refused(keys, raw_token(&token, signing, "HS256", "{\"alg\":\"HS256\"}", "not json"), "signature");
    buf_fini(&token);
    token_keys_unref(signing);
    token_keys_unref(keys);
}

struct shared {
    struct token_keys *keys; /* own reference of each thread */
    struct str token;
    bool good;
};

static void *verify_often(void *arg)
{
    struct shared *shared = arg;
    struct token_policy policy = token_policy_default();
    shared->good = true;
    for (int i = 0; i < 20; i++) {
        struct claims *claims = NULL;
        if (token_verify(shared->keys, &policy, shared->token, NOW_MS, &claims, NULL) != REASON_NONE)
            shared->good = false;
        claims_unref(claims);
    }
    token_keys_unref(shared->keys);
    return NULL;
}

static void test_threads_share_a_keyset(void **state)
{
    enum { THREADS = 3 };
    pthread_t threads[THREADS];
    struct shared shared[THREADS];
    struct buf token[2] = {{0}, {0}};
    struct token_keys *keys = keys_of(rsa.private_pem.ptr, "", 0);
    assert_int_equal(token_keys_add_pem(keys, "ed25519", STR("e"), 0, str_from_cstr(ed25519.private_pem.ptr), NULL),
                     ERR_NONE);
    raw_token(&token[0], keys, "PS256", "{\"alg\":\"PS256\"}", PAYLOAD);
    assert_int_equal(token_issue(keys, ALGORITHM_EDDSA, STR(""), STR(PAYLOAD), &token[1], NULL), ERR_NONE);
    for (size_t i = 0; i < THREADS; i++) {
        shared[i] = (struct shared){.keys = token_keys_ref(keys), .token = buf_str(&token[i % 2])};
        assert_int_equal(pthread_create(&threads[i], NULL, verify_often, &shared[i]), 0);
    }
    token_keys_unref(keys);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(shared[i].good);
    }
    buf_fini(&token[0]);
    buf_fini(&token[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_algorithm_verifies_what_it_signs),
        cmocka_unit_test(test_no_key_serves_anothers_algorithm),
        cmocka_unit_test(test_published_examples),
        cmocka_unit_test(test_unsigned_tokens_are_refused),
        cmocka_unit_test(test_public_key_is_no_secret),
        cmocka_unit_test(test_kid_chooses_and_does_not_fool),
        cmocka_unit_test(test_at_most_four_keys_are_tried),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_elliptic_signatures),
        cmocka_unit_test(test_policy_allows_algorithms),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_issuer_and_audience),
        cmocka_unit_test(test_signature_comes_before_claims),
        cmocka_unit_test(test_threads_share_a_keyset),
    };
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
