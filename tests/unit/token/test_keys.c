/* test_keys.c - which keys are taken, in which form, and the texts about the others. */
#include <stdio.h>

#include "common/token/keys_private.h"
#include "tests/support/unit.h"
#include "tests/unit/token/made_keys.h"

static void assert_rejected(const char *text, unsigned algorithms, const char *why)
{
    struct error error = {0};
    struct token_keys *keys = token_keys_create();
    enum err err = token_keys_add_file_text(keys, "keys/app.pem", STR(""), algorithms, str_from_cstr(text), &error);
    if (err == ERR_NONE || !strstr(error.text, why) ||
        !str_starts_with(str_from_cstr(error.text), STR("keys/app.pem: ")))
        fail_msg("expected \"%s\" in \"%s\"", why, error.text);
    assert_int_equal(token_keys_count(keys), 0);
    token_keys_unref(keys);
}

static void assert_verifies(const char *text, const char *token)
{
    struct error error = {0};
    struct claims *claims = NULL;
    struct token_policy policy = token_policy_default();
    struct token_keys *keys = keys_of(text, "", 0);
    if (token_verify(keys, &policy, str_from_cstr(token), NOW_MS, &claims, &error))
        fail_msg("%s under %.60s", error.text, text);
    claims_unref(claims);
    token_keys_unref(keys);
}

static void test_every_form_of_a_key(void **state)
{
    struct made_key made[4];
    made_rsa(&made[0], 2048);
    made_ec(&made[1], "P-256");
    made_ec(&made[2], "P-384");
    made_ed25519(&made[3]);
    for (size_t i = 0; i < 4; i++) {
        struct buf token = {0};
        struct token_keys *signing = keys_of(made[i].private_pem.ptr, "", 0);
        assert_int_equal(token_issue(signing, 0, STR(""), STR(PAYLOAD), &token, NULL), ERR_NONE);
        assert_verifies(made[i].private_pem.ptr, buf_cstr(&token));
        assert_verifies(made[i].public_pem.ptr, buf_cstr(&token));
        assert_verifies(made[i].certificate_pem.ptr, buf_cstr(&token));
        assert_verifies(made[i].jwk.ptr, buf_cstr(&token));
        /* A public key cannot sign. */
        struct token_keys *public = keys_of(made[i].public_pem.ptr, "", 0);
        assert_int_equal(token_issue(public, 0, STR(""), STR(PAYLOAD), &token, NULL), ERR_INVALID_REQUEST);
        token_keys_unref(public);
        token_keys_unref(signing);
        buf_fini(&token);
        made_key_fini(&made[i]);
    }
}

static void test_weak_and_foreign_keys(void **state)
{
    struct made_key small, p521;
    made_rsa(&small, 1024);
    made_ec(&p521, "P-521");
    assert_rejected(small.public_pem.ptr, 0, "RSA key has 1024 bits");
    assert_rejected(small.jwk.ptr, 0, "RSA key has 1024 bits");
    assert_rejected(p521.public_pem.ptr, 0, "not supported");
    assert_rejected(p521.jwk.ptr, 0, "not supported");
    made_key_fini(&small);
    made_key_fini(&p521);
}

static void test_pem_that_is_none(void **state)
{
    struct made_key made;
    made_ec(&made, "P-256");
    assert_rejected("", 0, "no PEM block");
    assert_rejected("hello", 0, "no PEM block");
    assert_rejected("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", 0, "cannot be read");
    assert_rejected("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", 0, "X509 CRL");
    made.public_pem.ptr[60] ^= 1;
    assert_rejected(made.public_pem.ptr, 0, ""); /* in the DER, or in the point: refused in any case */
    made.public_pem.ptr[60] ^= 1;
    assert_rejected(made.public_pem.ptr, ALGORITHM_RS256, "EC P-256 and cannot serve RS256");
    /* openssl ecparam -genkey writes the parameters first. */
    struct buf text = {0};
    buf_append_lit(&text, "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n");
    buf_append(&text, buf_str(&made.private_pem));
    token_keys_unref(keys_of(buf_cstr(&text), "", 0));
    buf_fini(&text);
    made_key_fini(&made);
}

static void test_passphrase_is_not_asked_for(void **state)
{
    /* openssl genpkey -algorithm ed25519 -aes-128-cbc -pass pass:x */
    assert_rejected("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                    "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgAAAAAAAAAAAICCAAw\n"
                    "-----END ENCRYPTED PRIVATE KEY-----\n",
                    0, "passphrase");
}

static void test_secrets(void **state)
{
    struct error error;
    struct token_keys *keys = token_keys_create();
    assert_int_equal(
        token_keys_add_secret(keys, "token_secret", STR(""), 0, STR("0123456789012345678901234567890"), &error),
        ERR_INVALID_REQUEST);
    assert_non_null(strstr(error.text, "token_secret: the secret has 31 bytes; at least 32"));
    assert_null(strstr(error.text, "0123"));
    assert_int_equal(token_keys_add_secret(keys, "s", STR(""), 0, STR(""), &error), ERR_INVALID_REQUEST);
    assert_int_equal(token_keys_add_secret(keys, "s", STR(""), ALGORITHM_ES256, STR(SECRET), &error),
                     ERR_INVALID_REQUEST);
    assert_int_equal(token_keys_count(keys), 0);
    assert_int_equal(token_keys_add_secret(keys, "s", STR(""), 0, STR("01234567890123456789012345678901"), &error),
                     ERR_NONE);
    assert_int_equal(token_keys_count(keys), 1);
    token_keys_unref(keys);
}

/* RFC 7518, 3.2: a secret must be as long as the hash. */
static void test_secrets_serve_what_they_are_long_enough_for(void **state)
{
    static const struct {
        size_t bytes;
        unsigned able;
        const char *lacking; /* of all HMACs */
    } rows[] = {
        {32, ALGORITHM_HS256, "s: the secret has 32 bytes; HS384 needs at least 48"},
        {47, ALGORITHM_HS256, "HS384 needs at least 48"},
        {48, ALGORITHM_HS256 | ALGORITHM_HS384, "s: the secret has 48 bytes; HS512 needs at least 64"},
        {63, ALGORITHM_HS256 | ALGORITHM_HS384, "HS512 needs at least 64"},
        {64, ALGORITHM_HS256 | ALGORITHM_HS384 | ALGORITHM_HS512, NULL},
    };
    char secret[64];
    memset(secret, 'x', sizeof secret);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (unsigned bit = ALGORITHM_HS256; bit <= ALGORITHM_HS512; bit <<= 1) {
            struct token_keys *keys = token_keys_create();
            struct str text = str_from(secret, rows[i].bytes);
            struct error error = {0};
            struct buf token = {0};
            bool able = rows[i].able & bit;
            assert_int_equal(token_keys_add_secret(keys, "s", STR(""), bit, text, &error),
                             able ? ERR_NONE : ERR_INVALID_REQUEST);
            if (able) /* bound to that one alone, nothing is lacking */
                assert_int_equal(token_keys_check(keys, ALGORITHM_ALL, &error), ERR_NONE);
            else
                assert_non_null(strstr(error.text, "needs at least"));
            token_keys_unref(keys);
            keys = token_keys_create();
            assert_int_equal(token_keys_add_secret(keys, "s", STR(""), 0, text, &error), ERR_NONE);
            assert_int_equal(token_keys_check(keys, bit, &error), able ? ERR_NONE : ERR_INVALID_REQUEST);
            assert_int_equal(token_issue(keys, bit, STR(""), STR("{\"sub\":\"u\"}"), &token, &error),
                             able ? ERR_NONE : ERR_INVALID_REQUEST);
            if (!able)
                assert_non_null(strstr(error.text, "needs at least"));
            assert_int_equal(token_keys_check(keys, ALGORITHM_ALL, &error),
                             rows[i].lacking ? ERR_INVALID_REQUEST : ERR_NONE);
            if (rows[i].lacking && !strstr(error.text, rows[i].lacking))
                fail_msg("%s", error.text);
            buf_fini(&token);
            token_keys_unref(keys);
        }
    }
}

/* Some editors put this before a text. */
static void test_byte_order_marks(void **state)
{
    struct token_keys *keys = token_keys_create();
    struct error error;
#define JWK "\xEF\xBB\xBF {\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}"
    struct buf pem = {0};
    struct made_key made;
    made_ed25519(&made);
    buf_append_lit(&pem, "\xEF\xBB\xBF");
    buf_append(&pem, buf_str(&made.public_pem));
    assert_int_equal(token_keys_add_file_text(keys, "f", STR(""), 0, STR(JWK), &error), ERR_NONE);
    assert_int_equal(token_keys_add_file_text(keys, "f", STR(""), 0, buf_str(&pem), &error), ERR_NONE);
    assert_int_equal(token_keys_add_file_text(keys, "f", STR(""), 0, STR("\xFF\xFE-\0-\0"), &error),
                     ERR_INVALID_REQUEST);
    assert_non_null(strstr(error.text, "f: the text is UTF-16"));
    buf_fini(&pem);
    made_key_fini(&made);
    token_keys_unref(keys);
}

#define N32  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" /* 32 zero bytes */
#define P256 "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":"

static void test_bad_jwks(void **state)
{
    static const struct {
        const char *jwk;
        const char *why;
    } cases[] = {
        {"{", "byte"},
        {"{}", "kty: is missing"},
        {"{\"kty\":1}", "kty: expected a string"},
        {"{\"kty\":\"oct\"}", "\"k\" is missing"},
        {"{\"kty\":\"oct\",\"k\":\"\"}", "\"k\" is not base64url"},
        {"{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}", "the secret has 5 bytes"},
        {"{\"kty\":\"oct\",\"k\":\"" N32 "\",\"k\":\"" N32 "\"}", "k: given twice"},
        {"{\"kty\":\"oct\",\"k\":\"" N32 "=\"}", "not base64url"},
        {"{\"kty\":\"oct\",\"k\":\"" N32 "\",\"alg\":\"RS256\"}", "cannot serve RS256"},
        {"{\"kty\":\"oct\",\"k\":\"" N32 "\",\"alg\":\"none\"}", "\"none\" is not a known"},
        {"{\"kty\":\"oct\",\"k\":\"" N32 "\",\"use\":\"enc\"}", "not for signatures"},
        {"{\"kty\":\"oct\",\"k\":\"" N32 "\",\"key_ops\":[\"encrypt\"]}", "not for signatures"},
        {"{\"kty\":\"oct\",\"k\":\"" N32 "\",\"kid\":\"\"}", "\"kid\" is empty"},
        {"{\"kty\":\"RSA\",\"n\":\"" N32 "\"}", "\"e\" is missing"},
        {"{\"kty\":\"RSA\",\"n\":\"" N32 "\",\"e\":\"AQAB\"}", "RSA"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\"}", "\"x\" is missing"},
        {"{\"kty\":\"EC\",\"crv\":\"secp256k1\"}", "not supported"},
        {P256 "\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1\"}", "not base64url"},
        {P256 "\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a4\"}", "not valid"}, /* off the curve */
        {P256 "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}", "\"y\" has 31 bytes"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" N32 "\",\"y\":\"" N32 "\"}", "not valid"},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}", "has 3 bytes instead of 32"},
        {"{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" N32 "\"}", "not supported"},
        {"{\"keys\":{}}", "must be an array"},
        {"{\"keys\":[]}", "none of the 0 keys"},
        {"{\"keys\":[{\"kty\":\"oct\",\"k\":\"" N32 "\",\"use\":\"enc\"}]}", "none of the 1 keys"},
        {"{\"keys\":[{\"kty\":\"oct\",\"k\":\"" N32 "\"},{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}]}", "keys[1]: the secret"},
        {"{\"keys\":[7]}", "keys[0]: expected an object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_rejected(cases[i].jwk, 0, cases[i].why);
}

static void test_key_set(void **state)
{
    struct made_key made;
    struct buf json = {0};
    made_ed25519(&made);
    buf_appendf(&json,
                "{\"keys\":[%s,{\"kty\":\"oct\",\"k\":\"" N32 "\",\"kid\":\"s\",\"alg\":\"HS256\"},"
                "{\"kty\":\"PQC\",\"x\":1},{\"kty\":\"EC\",\"crv\":\"P-521\"},"
                "{\"kty\":\"RSA\",\"alg\":\"RSA-OAEP\"}]}",
                made.jwk.ptr);
    struct token_keys *keys = keys_of(buf_cstr(&json), "", 0);
    assert_int_equal(token_keys_count(keys), 2);
    assert_null(keys->list[0].kid);
    assert_string_equal(keys->list[1].kid, "s");
    assert_int_equal(keys->list[1].algorithms, ALGORITHM_HS256);
    token_keys_unref(keys);
    keys = token_keys_create();
    assert_int_equal(token_keys_add_jwk(keys, "f", STR("k"), 0, buf_str(&json), NULL), ERR_INVALID_REQUEST);
    assert_int_equal(
        token_keys_add_jwk(keys, "f", STR("other"), 0, STR("{\"kty\":\"oct\",\"k\":\"" N32 "\",\"kid\":\"s\"}"), NULL),
        ERR_INVALID_REQUEST);
    token_keys_unref(keys);
    buf_fini(&json);
    made_key_fini(&made);
}

static void test_algorithm_names(void **state)
{
    unsigned set = 0;
    struct error error;
    struct buf text = {0};
    assert_int_equal(algorithm_set_parse(STR("RS256, ES256 HS512,"), &set, &error), ERR_NONE);
    assert_int_equal(set, ALGORITHM_RS256 | ALGORITHM_ES256 | ALGORITHM_HS512);
    assert_int_equal(algorithm_set_parse(STR("RS256,none"), &set, &error), ERR_INVALID_REQUEST);
    assert_non_null(strstr(error.text, "\"none\""));
    assert_int_equal(algorithm_set_parse(STR(""), &set, &error), ERR_INVALID_REQUEST);
    assert_int_equal(algorithm_set_parse(STR(" , "), &set, &error), ERR_INVALID_REQUEST);
    algorithm_set_append(&text, ALGORITHM_ALL);
    assert_string_equal(buf_cstr(&text),
                        "HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA");
    assert_int_equal(algorithm_set_parse(buf_str(&text), &set, &error), ERR_NONE);
    assert_int_equal(set, ALGORITHM_ALL);
    buf_fini(&text);
}

/* With an exponent of 1 every text is its own signature. With an even exponent there is no private key at all. */
static void test_senseless_rsa(void **state)
{
    static const char *const exponents[] = {"AQ", "Ag", "AA"}; /* 1, 2, 0 */
    struct made_key made;
    made_rsa(&made, 2048);
    char *exponent = strstr(made.jwk.ptr, "\"e\":\"") + 5;
    for (size_t i = 0; i < COUNT_OF(exponents); i++) {
        snprintf(exponent, 8, "%s\"}", exponents[i]);
        assert_rejected(made.jwk.ptr, 0, "not valid");
    }
    made_key_fini(&made);
}

static void assert_digests(const char *a, const char *b, bool alike)
{
    struct token_keys *first = keys_of(a, "", 0), *second = keys_of(b, "", 0);
    assert_int_equal(token_keys_digest(first) == token_keys_digest(second), alike);
    token_keys_unref(first);
    token_keys_unref(second);
}

/* A node may sign with the private key of what another one only verifies with. */
static void test_digest(void **state)
{
    struct made_key made[2];
    made_ec(&made[0], "P-256");
    made_ed25519(&made[1]);
    assert_digests(made[0].private_pem.ptr, made[0].public_pem.ptr, true);
    assert_digests(made[0].certificate_pem.ptr, made[0].jwk.ptr, true);
    struct buf sets[2] = {{0}, {0}};
    for (int i = 0; i < 2; i++)
        buf_appendf(&sets[i], "{\"keys\":[%s,%s]}", made[i].jwk.ptr, made[!i].jwk.ptr);
    assert_digests(buf_cstr(&sets[0]), buf_cstr(&sets[1]), true);
    /* 1 in 65,536 of those that differ are alike. */
    struct token_keys *none = token_keys_create(), *one = keys_of_secret(SECRET, ""),
                      *two = keys_of_secret(SECRET "!", "");
    assert_int_not_equal(token_keys_digest(none), token_keys_digest(one));
    assert_int_not_equal(token_keys_digest(one), token_keys_digest(two));
    token_keys_unref(none);
    token_keys_unref(one);
    token_keys_unref(two);
    for (int i = 0; i < 2; i++) {
        buf_fini(&sets[i]);
        made_key_fini(&made[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_form_of_a_key),
        cmocka_unit_test(test_weak_and_foreign_keys),
        cmocka_unit_test(test_pem_that_is_none),
        cmocka_unit_test(test_passphrase_is_not_asked_for),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_secrets_serve_what_they_are_long_enough_for),
        cmocka_unit_test(test_byte_order_marks),
        cmocka_unit_test(test_bad_jwks),
        cmocka_unit_test(test_key_set),
        cmocka_unit_test(test_algorithm_names),
        cmocka_unit_test(test_senseless_rsa),
        cmocka_unit_test(test_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
