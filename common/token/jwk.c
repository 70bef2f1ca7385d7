/* jwk.c - JSON Web Keys (RFC 7517, RFC 7518 section 6, RFC 8037) to OpenSSL keys. Only public members are read, except
 * the secret of an oct key. See key.h. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include "common/base/alloc.h"
#include "common/token/base64url.h"
#include "common/token/key.h"

enum { COORDINATE_MAX = 48 };

struct jwk {
    struct json_value kty, kid, alg, use, key_ops, crv, n, e, x, y, k;
};

static enum err bind_jwk(struct json_value value, struct jwk *jwk, struct error *error)
{
    const struct json_field fields[] = {
        {"kty", JSON_STRING, true, &jwk->kty},
        {"kid", JSON_STRING, false, &jwk->kid},
        {"alg", JSON_STRING, false, &jwk->alg},
        {"use", JSON_STRING, false, &jwk->use},
        {"key_ops", JSON_ARRAY, false, &jwk->key_ops},
        {"crv", JSON_STRING, false, &jwk->crv},
        {"n", JSON_STRING, false, &jwk->n},
        {"e", JSON_STRING, false, &jwk->e},
        {"x", JSON_STRING, false, &jwk->x},
        {"y", JSON_STRING, false, &jwk->y},
        {"k", JSON_STRING, false, &jwk->k},
    };
    return json_bind(value, "", fields, sizeof fields / sizeof fields[0], error);
}

/* Words of the registries never need escapes; with one, the text is just an unknown word. */
static struct str plain(struct json_value string)
{
    return string.type == JSON_STRING ? str_from(string.raw.ptr + 1, string.raw.len - 2) : STR("");
}

static bool is_for_signatures(const struct jwk *jwk)
{
    if (jwk->use.type && !str_eq(plain(jwk->use), STR("sig")))
        return false;
    if (!jwk->key_ops.type)
        return true;
    struct json_cursor at = json_walk(jwk->key_ops);
    struct str key;
    struct json_value operation;
    while (json_next(&at, &key, &operation))
        if (str_eq(plain(operation), STR("verify")) || str_eq(plain(operation), STR("sign")))
            return true;
    return false;
}

static bool is_known_kind(const struct jwk *jwk)
{
    struct str kty = plain(jwk->kty);
    struct str crv = plain(jwk->crv);
    if (str_eq(kty, STR("EC")))
        return str_eq(crv, STR("P-256")) || str_eq(crv, STR("P-384"));
    if (str_eq(kty, STR("OKP")))
        return str_eq(crv, STR("Ed25519"));
    return str_eq(kty, STR("RSA")) || str_eq(kty, STR("oct"));
}

bool jwk_is_foreign(struct json_value value)
{
    /* Without bind_jwk: an unknown type may have members of our names and other types. */
    struct jwk jwk = {
        .kty = json_member(value, STR("kty")),
        .alg = json_member(value, STR("alg")),
        .use = json_member(value, STR("use")),
        .key_ops = json_member(value, STR("key_ops")),
        .crv = json_member(value, STR("crv")),
    };
    if (jwk.kty.type != JSON_STRING)
        return false; /* malformed: not foreign, an error to be told */
    return !is_for_signatures(&jwk) || !is_known_kind(&jwk) ||
           (jwk.alg.type == JSON_STRING && !algorithm_by_name(plain(jwk.alg)));
}

static enum err decode_member(struct json_value value, const char *name, struct buf *out, struct error *error)
{
    if (!value.type)
        return error_set(error, ERR_INVALID_REQUEST, "the member \"%s\" is missing", name);
    if (value.raw.len == 2 || !base64url_decode(plain(value), out))
        return error_set(error, ERR_INVALID_REQUEST, "the member \"%s\" is not base64url (without padding)", name);
    return ERR_NONE;
}

static EVP_PKEY *public_key(const char *type, OSSL_PARAM_BLD *build)
{
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *from = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params && from && EVP_PKEY_fromdata_init(from) == 1)
        EVP_PKEY_fromdata(from, &pkey, EVP_PKEY_PUBLIC_KEY, params);
    EVP_PKEY_CTX_free(from);
    OSSL_PARAM_free(params);
    ERR_clear_error();
    return pkey;
}

static enum err adopt_or_fail(struct token_key *key, EVP_PKEY *pkey, const char *what, struct error *error)
{
    if (!pkey)
        return error_set(error, ERR_INVALID_REQUEST, "the %s key is not valid (a point off the curve, or bad numbers)",
                         what);
    return key_adopt(key, pkey, error);
}

static enum err from_rsa(struct token_key *key, const struct jwk *jwk, struct error *error)
{
    struct buf n = {0}, e = {0};
    BIGNUM *modulus = NULL, *exponent = NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    enum err err = decode_member(jwk->n, "n", &n, error);
    if (!err)
        err = decode_member(jwk->e, "e", &e, error);
    if (!err && (n.len > TOKEN_RSA_MAX_BITS / 8 + 1 || e.len > 8))
        err = error_set(error, ERR_INVALID_REQUEST, "the RSA key is too large; %d to %d bits are accepted",
                        TOKEN_RSA_MIN_BITS, TOKEN_RSA_MAX_BITS);
    if (err)
        goto done;
    modulus = BN_bin2bn((const unsigned char *)n.ptr, (int)n.len, NULL);
    exponent = BN_bin2bn((const unsigned char *)e.ptr, (int)e.len, NULL);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent);
    err = adopt_or_fail(key, public_key("RSA", build), "RSA", error);
done:
    OSSL_PARAM_BLD_free(build);
    BN_free(modulus);
    BN_free(exponent);
    buf_fini(&n);
    buf_fini(&e);
    return err;
}

static enum err from_ec(struct token_key *key, const struct jwk *jwk, struct error *error)
{
    bool p256 = str_eq(plain(jwk->crv), STR("P-256"));
    size_t size = p256 ? 32 : COORDINATE_MAX;
    struct buf point = {0};
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    buf_append_char(&point, 4); /* uncompressed: 4, x, y (SEC 1, 2.3.3) */
    enum err err = decode_member(jwk->x, "x", &point, error);
    if (!err && point.len != 1 + size)
        err =
            error_set(error, ERR_INVALID_REQUEST, "the member \"x\" has %zu bytes instead of %zu", point.len - 1, size);
    if (!err)
        err = decode_member(jwk->y, "y", &point, error);
    if (!err && point.len != 1 + 2 * size)
        err = error_set(error, ERR_INVALID_REQUEST, "the member \"y\" has %zu bytes instead of %zu",
                        point.len - 1 - size, size);
    if (!err) {
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, p256 ? "prime256v1" : "secp384r1", 0);
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point.ptr, point.len);
        err = adopt_or_fail(key, public_key("EC", build), p256 ? "EC P-256" : "EC P-384", error);
    }
    OSSL_PARAM_BLD_free(build);
    buf_fini(&point);
    return err;
}

static enum err from_okp(struct token_key *key, const struct jwk *jwk, struct error *error)
{
    struct buf x = {0};
    enum err err = decode_member(jwk->x, "x", &x, error);
    if (!err && x.len != 32)
        err = error_set(error, ERR_INVALID_REQUEST, "the member \"x\" has %zu bytes instead of 32", x.len);
    if (!err)
        err =
            adopt_or_fail(key, EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)x.ptr, x.len),
                          "Ed25519", error);
    buf_fini(&x);
    return err;
}

static enum err from_oct(struct token_key *key, const struct jwk *jwk, struct error *error)
{
    struct buf secret = {0};
    enum err err = decode_member(jwk->k, "k", &secret, error);
    if (!err)
        err = key_adopt_secret(key, buf_str(&secret), error);
    buf_wipe(&secret);
    return err;
}

static enum err from_kind(struct token_key *key, const struct jwk *jwk, struct error *error)
{
    struct str kty = plain(jwk->kty);
    char quoted[ERROR_QUOTE_LEN];
    if (!is_for_signatures(jwk))
        return error_set(error, ERR_INVALID_REQUEST,
                         "the key is not for signatures (its \"use\" or \"key_ops\" says so)");
    if (!is_known_kind(jwk))
        return error_set(error, ERR_INVALID_REQUEST,
                         "kty %s with this \"crv\" is not supported; RSA, EC P-256, EC P-384, OKP Ed25519 and oct are",
                         error_quote(kty, quoted));
    if (str_eq(kty, STR("RSA")))
        return from_rsa(key, jwk, error);
    if (str_eq(kty, STR("EC")))
        return from_ec(key, jwk, error);
    if (str_eq(kty, STR("OKP")))
        return from_okp(key, jwk, error);
    return from_oct(key, jwk, error);
}

static enum err take_kid(struct token_key *key, struct json_value kid, struct error *error)
{
    struct buf scratch = {0};
    struct str text = STR("");
    enum err err = ERR_NONE;
    if (!json_text(kid, &scratch, &text) || text.len == 0)
        err = error_set(error, ERR_INVALID_REQUEST, "the member \"kid\" is empty or holds a NUL");
    else if (key->kid && !str_eq_cstr(text, key->kid))
        err = error_set(error, ERR_INVALID_REQUEST, "the key has another kid than the one configured for it");
    else if (!key->kid)
        key->kid = str_dup(text);
    buf_fini(&scratch);
    return err;
}

enum err key_from_jwk(struct token_key *key, struct json_value value, struct error *error)
{
    struct jwk jwk = {0};
    char quoted[ERROR_QUOTE_LEN];
    enum err err = bind_jwk(value, &jwk, error);
    if (!err && jwk.kid.type)
        err = take_kid(key, jwk.kid, error);
    if (!err)
        err = from_kind(key, &jwk, error);
    if (err || !jwk.alg.type)
        return err;
    const struct algorithm *algorithm = algorithm_by_name(plain(jwk.alg));
    if (!algorithm)
        return error_set(error, ERR_INVALID_REQUEST, "its \"alg\" %s is not a known signature algorithm",
                         error_quote(plain(jwk.alg), quoted));
    return key_restrict(key, algorithm->bit, error);
}
