/* algorithm.c - see algorithm.h. */
#include "common/token/algorithm.h"

#include <pthread.h>

static const struct algorithm algorithms[] = {
    {"HS256", ALGORITHM_HS256, KEY_SECRET, "SHA256", 32, false},
    {"HS384", ALGORITHM_HS384, KEY_SECRET, "SHA384", 48, false},
    {"HS512", ALGORITHM_HS512, KEY_SECRET, "SHA512", 64, false},
    {"RS256", ALGORITHM_RS256, KEY_RSA, "SHA256", 0, false},
    {"RS384", ALGORITHM_RS384, KEY_RSA, "SHA384", 0, false},
    {"RS512", ALGORITHM_RS512, KEY_RSA, "SHA512", 0, false},
    {"PS256", ALGORITHM_PS256, KEY_RSA, "SHA256", 0, true},
    {"PS384", ALGORITHM_PS384, KEY_RSA, "SHA384", 0, true},
    {"PS512", ALGORITHM_PS512, KEY_RSA, "SHA512", 0, true},
    {"ES256", ALGORITHM_ES256, KEY_P256, "SHA256", 64, false},
    {"ES384", ALGORITHM_ES384, KEY_P384, "SHA384", 96, false},
    {"EdDSA", ALGORITHM_EDDSA, KEY_ED25519, NULL, 64, false},
};

enum { ALGORITHM_COUNT = sizeof algorithms / sizeof algorithms[0] };

static const EVP_MD *digests[ALGORITHM_COUNT];
static pthread_once_t digests_once = PTHREAD_ONCE_INIT;

const struct algorithm *algorithm_by_name(struct str name)
{
    for (size_t i = 0; i < ALGORITHM_COUNT; i++)
        if (str_eq_cstr(name, algorithms[i].name))
            return &algorithms[i];
    return NULL;
}

const struct algorithm *algorithm_first(unsigned set)
{
    for (size_t i = 0; i < ALGORITHM_COUNT; i++)
        if (set & algorithms[i].bit)
            return &algorithms[i];
    return NULL;
}

unsigned algorithm_set_of(enum key_kind kind)
{
    unsigned set = 0;
    for (size_t i = 0; i < ALGORITHM_COUNT; i++)
        if (algorithms[i].kind == kind)
            set |= algorithms[i].bit;
    return set;
}

enum err algorithm_set_parse(struct str names, unsigned *out, struct error *error)
{
    unsigned set = 0;
    while (names.ptr) {
        struct str part = str_split(&names, ',');
        while (part.ptr) {
            struct str word = str_split(&part, ' ');
            if (word.len == 0)
                continue;
            const struct algorithm *algorithm = algorithm_by_name(word);
            if (!algorithm) {
                struct buf known = {0};
                algorithm_set_append(&known, ALGORITHM_ALL);
                error_set(error, ERR_INVALID_REQUEST, "\"%.*s\" is not a known algorithm; known are %s",
                          (int)(word.len < 40 ? word.len : 40), word.ptr, buf_cstr(&known));
                buf_fini(&known);
                return ERR_INVALID_REQUEST;
            }
            set |= algorithm->bit;
        }
    }
    if (!set)
        return error_set(error, ERR_INVALID_REQUEST, "no algorithm given; name at least one, such as HS256");
    *out = set;
    return ERR_NONE;
}

void algorithm_set_append(struct buf *out, unsigned set)
{
    const char *separator = "";
    for (size_t i = 0; i < ALGORITHM_COUNT; i++) {
        if (!(set & algorithms[i].bit))
            continue;
        buf_appendf(out, "%s%s", separator, algorithms[i].name);
        separator = ", ";
    }
}

const char *key_kind_text(enum key_kind kind)
{
    switch (kind) {
    case KEY_SECRET: return "secret";
    case KEY_RSA: return "RSA";
    case KEY_P256: return "EC P-256";
    case KEY_P384: return "EC P-384";
    case KEY_ED25519: return "Ed25519";
    }
    return "unknown";
}

static void fetch_digests(void)
{
    for (size_t i = 0; i < ALGORITHM_COUNT; i++)
        if (algorithms[i].digest)
            digests[i] = EVP_MD_fetch(NULL, algorithms[i].digest, NULL);
}

const EVP_MD *algorithm_digest(const struct algorithm *algorithm)
{
    pthread_once(&digests_once, fetch_digests);
    return digests[algorithm - algorithms];
}
