/* channel_name.c - channel names, the rights on a channel, and patterns over names: see channel_name.h. */
#include "common/protocol/channel_name.h"

static bool is_space(uint32_t code)
{
    /* White_Space of the Unicode Character Database, without the ones that are control characters. */
    return code == ' ' || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
           code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

static const char *what_is_wrong(size_t len, uint32_t code)
{
    if (len == 0)
        return "not valid UTF-8";
    if (code < 0x20 || (code >= 0x7F && code < 0xA0))
        return "a control character";
    if (is_space(code))
        return "a space";
    if ((code >= 0xFDD0 && code <= 0xFDEF) || (code & 0xFFFE) == 0xFFFE)
        return "a non-character";
    return NULL;
}

enum err channel_name_check(struct str name, struct error *error)
{
    if (name.len == 0)
        return error_set(error, ERR_SUBSCRIPTION_FAILED, "the channel name is empty");
    if (name.len > CHANNEL_NAME_MAX)
        return error_set(error, ERR_SUBSCRIPTION_FAILED, "channel names are up to %d bytes, this one has %zu",
                         CHANNEL_NAME_MAX, name.len);
    for (size_t at = 0; at < name.len;) {
        uint32_t code = 0;
        size_t len = str_utf8_next(str_skip(name, at), &code);
        const char *wrong = what_is_wrong(len, code);
        if (wrong)
            return error_set(error, ERR_SUBSCRIPTION_FAILED, "byte %zu of the channel name is %s", at, wrong);
        at += len;
    }
    return ERR_NONE;
}

enum err channel_check(struct str name, struct error *error)
{
    struct error why;
    if (channel_name_check(name, &why))
        return error_set(error, ERR_INVALID_REQUEST, "channel: %s", why.text);
    return ERR_NONE;
}

static const struct {
    const char *word;
    enum allow allow;
} allow_words[] = {
    {"subscribe", ALLOW_SUBSCRIBE},
    {"publish", ALLOW_PUBLISH},
    {"presence", ALLOW_PRESENCE},
    {"history", ALLOW_HISTORY},
};

unsigned allow_from_word(struct str word)
{
    for (size_t i = 0; i < sizeof allow_words / sizeof *allow_words; i++)
        if (str_eq_cstr(word, allow_words[i].word))
            return allow_words[i].allow;
    return 0;
}

const char *allow_word(enum allow allow)
{
    size_t i = 0;
    while (i + 1 < sizeof allow_words / sizeof *allow_words && allow_words[i].allow != allow)
        i++;
    return allow_words[i].word;
}

/* --- patterns --------------------------------------------------------------------------------------------------- */

/* A match has three steps:
 * 1. The pattern becomes tokens, with the values of claims as literal bytes.
 * 2. The literal ends are compared.
 * 3. A table matches the part between the outermost wildcards.
 * There is no backtracking, so no pattern and no name can make it slow. */

/* A token is a literal byte, or one of these. */
enum {
    ANY_RUN = 256, /* '*' */
    TEXT_RUN,      /* {name} with a value that is not known: any, but not the empty one */
    SEGMENT_RUN,   /* the same without ':' */
};

/* Literals are at most as many as the name has bytes (else nothing can match), wildcards as the pattern has. */
enum { TOKENS_MAX = 2 * CHANNEL_NAME_MAX };

struct tokens {
    size_t count;
    size_t literals;
    uint16_t token[TOKENS_MAX];
};

static bool add_literal(struct tokens *tokens, struct str text, size_t literals_max)
{
    if (text.len > literals_max - tokens->literals)
        return false;
    for (size_t i = 0; i < text.len; i++)
        tokens->token[tokens->count++] = (unsigned char)text.ptr[i];
    tokens->literals += text.len;
    return true;
}

static void add_wildcard(struct tokens *tokens, uint16_t wildcard)
{
    bool again = wildcard == ANY_RUN && tokens->count > 0 && tokens->token[tokens->count - 1] == ANY_RUN;
    if (!again)
        tokens->token[tokens->count++] = wildcard;
}

/* False if the pattern cannot match any name of at most literals_max bytes. */
static bool spell_out(struct str pattern, pattern_lookup *lookup, void *context, size_t literals_max,
                      struct tokens *tokens)
{
    tokens->count = tokens->literals = 0;
    while (pattern.len > 0) {
        size_t used = 1;
        if (pattern.ptr[0] == '*') {
            add_wildcard(tokens, ANY_RUN);
        } else if (pattern.ptr[0] == '{') {
            const char *close = memchr(pattern.ptr, '}', pattern.len);
            if (!close)
                return false;
            used = (size_t)(close - pattern.ptr) + 1;
            struct str value;
            if (!lookup)
                add_wildcard(tokens, TEXT_RUN);
            else if (!lookup(context, str_from(pattern.ptr + 1, used - 2), &value) || value.len == 0 ||
                     !add_literal(tokens, value, literals_max))
                return false;
        } else if (!add_literal(tokens, str_from(pattern.ptr, 1), literals_max)) {
            return false;
        }
        pattern = str_skip(pattern, used);
    }
    return true;
}

/* reached[j]: the first j tokens match the name up to the present byte. One row of the table is kept. */
static bool match_table(const uint16_t *token, size_t count, struct str name)
{
    bool reached[TOKENS_MAX + 1] = {true};
    for (size_t j = 0; j < count && token[j] == ANY_RUN; j++)
        reached[j + 1] = true;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char byte = (unsigned char)name.ptr[i];
        bool diagonal = reached[0]; /* reached[j] before this byte */
        reached[0] = false;
        for (size_t j = 0; j < count; j++) {
            bool before = reached[j + 1];
            if (token[j] == ANY_RUN)
                reached[j + 1] = before || reached[j];
            else if (token[j] == TEXT_RUN)
                reached[j + 1] = before || diagonal;
            else if (token[j] == SEGMENT_RUN)
                reached[j + 1] = byte != ':' && (before || diagonal);
            else
                reached[j + 1] = diagonal && byte == token[j];
            diagonal = before;
        }
    }
    return reached[count];
}

static bool match_tokens(const struct tokens *tokens, struct str name)
{
    const uint16_t *token = tokens->token;
    size_t count = tokens->count;
    while (count > 0 && name.len > 0 && token[0] == (unsigned char)name.ptr[0]) {
        token++;
        count--;
        name = str_skip(name, 1);
    }
    while (count > 0 && name.len > 0 && token[count - 1] == (unsigned char)name.ptr[name.len - 1]) {
        count--;
        name.len--;
    }
    if (count == 0 || token[0] < ANY_RUN || token[count - 1] < ANY_RUN)
        return count == 0 && name.len == 0;
    if (count > 1)
        return match_table(token, count, name);
    return token[0] == ANY_RUN || (name.len > 0 && (token[0] == TEXT_RUN || !memchr(name.ptr, ':', name.len)));
}

/* Takes off both what they begin with alike, up to the first wildcard. Of many rules most are told apart by how they
 * begin, so this comes before any other work. */
static bool skip_common(struct str *pattern, struct str *name)
{
    if (pattern->len > CHANNEL_NAME_MAX || name->len > CHANNEL_NAME_MAX)
        return false;
    while (pattern->len > 0 && pattern->ptr[0] != '*' && pattern->ptr[0] != '{') {
        if (name->len == 0 || name->ptr[0] != pattern->ptr[0])
            return false;
        *pattern = str_skip(*pattern, 1);
        *name = str_skip(*name, 1);
    }
    return true;
}

bool pattern_matches(struct str pattern, struct str name, pattern_lookup *lookup, void *context)
{
    struct tokens tokens;
    return skip_common(&pattern, &name) && spell_out(pattern, lookup, context, name.len, &tokens) &&
           match_tokens(&tokens, name);
}

enum pattern_fit pattern_fits(struct str pattern, struct str name)
{
    struct tokens tokens;
    bool unknown = false;
    if (!skip_common(&pattern, &name) || !spell_out(pattern, NULL, NULL, name.len, &tokens) ||
        !match_tokens(&tokens, name))
        return PATTERN_APART;
    for (size_t i = 0; i < tokens.count; i++)
        if (tokens.token[i] == TEXT_RUN) {
            tokens.token[i] = SEGMENT_RUN;
            unknown = true;
        }
    return !unknown || match_tokens(&tokens, name) ? PATTERN_FITS : PATTERN_FITS_WITH_COLON;
}

bool pattern_next_claim(struct str *rest, struct str *out_name)
{
    const char *end = rest->ptr + rest->len;
    const char *open = rest->len ? memchr(rest->ptr, '{', rest->len) : NULL;
    const char *close = open ? memchr(open, '}', (size_t)(end - open)) : NULL;
    if (!close)
        return false;
    *out_name = str_from(open + 1, (size_t)(close - open) - 1);
    *rest = str_from(close + 1, (size_t)(end - close) - 1);
    return true;
}

size_t pattern_literals(struct str pattern)
{
    size_t literals = 0;
    for (size_t i = 0; i < pattern.len; i++) {
        const char *close = pattern.ptr[i] == '{' ? memchr(pattern.ptr + i, '}', pattern.len - i) : NULL;
        if (close)
            i = (size_t)(close - pattern.ptr);
        else
            literals += pattern.ptr[i] != '*';
    }
    return literals;
}

static bool is_claim_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                    c == '.' || c == '-';
        if (!fine)
            return false;
    }
    return name.len > 0;
}

enum err pattern_check(struct str pattern, struct error *error)
{
    if (pattern.len == 0)
        return error_set(error, ERR_INVALID_REQUEST, "the channel pattern is empty");
    if (pattern.len > CHANNEL_NAME_MAX)
        return error_set(error, ERR_INVALID_REQUEST, "channel patterns are up to %d bytes, this one has %zu",
                         CHANNEL_NAME_MAX, pattern.len);
    for (size_t at = 0; at < pattern.len; at++) {
        if (pattern.ptr[at] == '}')
            return error_set(error, ERR_INVALID_REQUEST, "byte %zu of the channel pattern: '}' without '{'", at);
        if (pattern.ptr[at] != '{')
            continue;
        const char *name = pattern.ptr + at + 1;
        const char *close = memchr(name, '}', pattern.len - at - 1);
        if (!close)
            return error_set(error, ERR_INVALID_REQUEST, "byte %zu of the channel pattern: '{' without '}'", at);
        if (!is_claim_name(str_from(name, (size_t)(close - name))))
            return error_set(error, ERR_INVALID_REQUEST,
                             "byte %zu of the channel pattern: a claim name is letters, digits, '_', '.' and '-'", at);
        at += (size_t)(close - name) + 1;
    }
    return ERR_NONE;
}
