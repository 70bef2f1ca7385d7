/* token_flags.c - see token_flags.h. */
#include "server/cli/token_flags.h"

#include <stdlib.h>

#include "server/cli/cli.h"

static struct str without_newline(struct str text)
{
    while (text.len > 0 && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
        text.len--;
    return text;
}

static enum err add_key(struct token_flags *flags, const char *path, bool is_secret, struct error *error)
{
    struct buf bytes = {0};
    enum err err = cli_read_file(path, TOKEN_FILE_MAX, &bytes, error);
    if (!err && is_secret)
        err = token_keys_add_secret(flags->keys, path, STR(""), 0, without_newline(buf_str(&bytes)), error);
    else if (!err)
        err = token_keys_add_file_text(flags->keys, path, STR(""), 0, buf_str(&bytes), error);
    buf_wipe(&bytes);
    return err;
}

static enum err add_item(struct flag_list *list, const char *item, struct error *error)
{
    if (list->count == FLAG_LIST_MAX)
        return error_set(error, ERR_INVALID_REQUEST, "an option is given more than %d times", FLAG_LIST_MAX);
    list->items[list->count++] = item;
    return ERR_NONE;
}

static enum err take_flag(struct token_flags *flags, int flag, struct error *error)
{
    switch (flag) {
    case FLAG_SECRET_FILE: return add_key(flags, optarg, true, error);
    case FLAG_KEY_FILE: return add_key(flags, optarg, false, error);
    case FLAG_CHANNEL: return add_item(&flags->channels, optarg, error);
    case FLAG_ISS: return add_item(&flags->issuers, optarg, error);
    case FLAG_AUD: return add_item(&flags->audiences, optarg, error);
    case FLAG_CLAIM: return add_item(&flags->claims, optarg, error);
    case FLAG_SUB: flags->sub = optarg; break;
    case FLAG_SCOPE: flags->scope = optarg; break;
    case FLAG_EXPIRES: flags->expires = optarg; break;
    case FLAG_NOT_BEFORE: flags->not_before = optarg; break;
    case FLAG_JTI: flags->jti = optarg; break;
    case FLAG_ALG: flags->algorithms = optarg; break;
    case FLAG_KID: flags->kid = optarg; break;
    case 'h': flags->help = true; break;
    default: return error_set(error, ERR_INVALID_REQUEST, "an option is wrong"); /* getopt has said which */
    }
    return ERR_NONE;
}

enum err token_flags_read(struct token_flags *flags, int argc, char **argv, const struct option *options,
                          struct error *error)
{
    int flag;
    enum err err = ERR_NONE;
    flags->keys = token_keys_create();
    optind = 1;
    while (!err && !flags->help && (flag = getopt_long(argc, argv, "h", options, NULL)) != -1)
        err = take_flag(flags, flag, error);
    const char *secret = getenv("CARILLON_TOKEN_SECRET");
    if (!err && !flags->help && token_keys_count(flags->keys) == 0 && secret && *secret)
        err = token_keys_add_secret(flags->keys, "CARILLON_TOKEN_SECRET", STR(""), 0, str_from_cstr(secret), error);
    return err;
}

bool token_parse_seconds(const char *text, uint64_t *out)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    struct str s = str_from_cstr(text);
    uint64_t count;
    if (s.len < 2 || s.len > 8 || !str_to_u64(str_from(s.ptr, s.len - 1), &count))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (s.ptr[s.len - 1] != units[i].unit)
            continue;
        *out = count * units[i].seconds;
        return true;
    }
    return false;
}

void token_flags_fini(struct token_flags *flags)
{
    token_keys_unref(flags->keys);
}
