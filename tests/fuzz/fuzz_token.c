/* fuzz_token.c - bytes as a token, and as the claims of one. The verifier has the right key. Only tokens that were
 * signed with that key may ever pass. The corpus has such a token, so the checks after the signature are reached. */
#include <stdlib.h>

#include "common/token/cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define NOW_MS 1700000000000u

static void must(bool holds)
{
    if (!holds)
        abort();
}

static struct token_keys *fixed_keys(void)
{
    static struct token_keys *keys;
    if (!keys) {
        keys = token_keys_create();
        must(!token_keys_add_secret(keys, "fuzz", STR("k1"), 0, STR("a fixed secret of more than 32 bytes"), NULL));
        must(!token_keys_add_jwk(keys, "fuzz", STR(""), 0,
                                 STR("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k2\","
                                     "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                                     "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"
                                     "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k3\","
                                     "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}"),
                                 NULL));
    }
    return keys;
}

/* Everything that claims point to can be read. */
static void read_claims(const struct claims *claims)
{
    struct str text;
    must(claims->sub.len > 0 && claims->sub.len <= 255 && str_is_utf8(claims->sub));
    must(str_is_utf8(claims->jti) && str_is_utf8(claims->iss) && str_is_utf8(claims->scope));
    for (size_t i = 0; i < claims->grant_count; i++)
        must(claims->grants[i].match.len > 0 && str_is_utf8(claims->grants[i].match));
    if (claims_text(claims, STR("sub"), &text))
        must(str_eq(text, claims->sub));
    claims_has_scope(claims, STR("chat"));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct token_cache *cache;
    struct str input = str_from((const char *)bytes, len);
    struct token_policy policy = token_policy_default();
    struct claims *claims = NULL, *cached = NULL;
    struct error error = {0};
    if (!cache)
        cache = token_cache_create(4, 1 << 20);
    enum reason reason = token_verify(fixed_keys(), &policy, input, NOW_MS, &claims, &error);
    must((reason == REASON_NONE) == (claims != NULL) && (reason == REASON_NONE) == (error.text[0] == '\0'));
    must(reason == token_cache_verify(cache, fixed_keys(), &policy, input, NOW_MS, &cached, NULL));
    if (claims)
        read_claims(claims);
    claims_unref(claims);
    claims_unref(cached);
    claims = NULL;
    if (claims_parse(input, &claims, &error) == ERR_NONE)
        read_claims(claims);
    claims_unref(claims);
    return 0;
}
