/* channel_name.c - channel names, and the rights on a channel: see channel_name.h. Patterns are in pattern.c. */
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
