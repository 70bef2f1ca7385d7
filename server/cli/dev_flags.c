/* dev_flags.c - see dev_flags.h. */
#include "server/cli/dev_flags.h"

#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "server/cli/dev_facts.h"

enum { USER_BYTES_MAX = 256 };

typedef enum err take_word(struct dev_flags *flags, const char *word, struct error *error);

static enum err take_ready_file(struct dev_flags *flags, const char *word, struct error *error)
{
    if (!*word)
        return error_set(error, ERR_INVALID_REQUEST, "--ready-file: the name of a file is expected");
    flags->ready_file = word;
    return ERR_NONE;
}

static enum err take_seed(struct dev_flags *flags, const char *word, struct error *error)
{
    if (!str_to_u64(str_from_cstr(word), &flags->start.seed))
        return error_set(error, ERR_INVALID_REQUEST, "--seed: a whole number from 0 is expected");
    flags->start.has_seed = true;
    return ERR_NONE;
}

static enum err take_time(struct dev_flags *flags, const char *word, struct error *error)
{
    if (!clock_parse(str_from_cstr(word), &flags->start.clock.wall_ms))
        return error_set(error, ERR_INVALID_REQUEST, "--at: a time such as 2026-01-15T10:30:00Z is expected");
    flags->start.clock.has_wall = true;
    return ERR_NONE;
}

static enum err take_clock(struct dev_flags *flags, const char *word, struct error *error)
{
    bool frozen = strcmp(word, "frozen") == 0;
    if (!frozen && strcmp(word, "running") != 0)
        return error_set(error, ERR_INVALID_REQUEST, "--clock: frozen or running is expected");
    flags->start.clock.rate = frozen ? 0 : 1;
    return ERR_NONE;
}

static enum err take_user(struct dev_flags *flags, const char *word, struct error *error)
{
    struct str name = str_from_cstr(word);
    if (name.len == 0 || name.len > USER_BYTES_MAX || !str_is_utf8(name))
        return error_set(error, ERR_INVALID_REQUEST, "--user: 1 to %d bytes of UTF-8 are expected", USER_BYTES_MAX);
    for (size_t i = 0; i < name.len; i++) /* the printed lines can be pasted */
        if ((unsigned char)name.ptr[i] < 0x20 || strchr("\"'\\\x7F", name.ptr[i]))
            return error_set(error, ERR_INVALID_REQUEST,
                             "--user: a name without quotes, backslashes and control characters is expected");
    if (flags->user_count == DEV_USERS_MAX)
        return error_set(error, ERR_INVALID_REQUEST, "--user: at most %d of them", DEV_USERS_MAX);
    flags->users[flags->user_count++] = word;
    return ERR_NONE;
}

/* A flag has a place for its switch, or takes a word. */
static const struct {
    const char *name;
    size_t offset; /* of the bool in struct dev_flags */
    take_word *take;
} table[] = {
    {"--json", offsetof(struct dev_flags, json), NULL},
    {"--quiet", offsetof(struct dev_flags, quiet), NULL},
    {"--fresh", offsetof(struct dev_flags, fresh), NULL},
    {"--exit-with-parent", offsetof(struct dev_flags, exit_with_parent), NULL},
    {"--allow-remote", offsetof(struct dev_flags, allow_remote), NULL},
    {"--ready-file", 0, take_ready_file},
    {"--seed", 0, take_seed},
    {"--at", 0, take_time},
    {"--clock", 0, take_clock},
    {"--user", 0, take_user},
};

enum { FLAGS = sizeof table / sizeof *table };

/* FLAGS: it is none of them. *out_value: what follows its '=', or NULL. */
static size_t find(const char *word, const char **out_value)
{
    for (size_t i = 0; i < FLAGS; i++) {
        size_t len = strlen(table[i].name);
        if (strncmp(word, table[i].name, len) != 0 || (word[len] && word[len] != '='))
            continue;
        *out_value = word[len] ? word + len + 1 : NULL;
        return i;
    }
    return FLAGS;
}

static enum err take_flag(struct dev_flags *flags, size_t flag, const char *value, char **rest, int *taken,
                          struct error *error)
{
    if (!table[flag].take) {
        if (value)
            return error_set(error, ERR_INVALID_REQUEST, "%s takes no value", table[flag].name);
        *(bool *)((char *)flags + table[flag].offset) = true;
        return ERR_NONE;
    }
    if (!value && !(value = rest[(*taken)++]))
        return error_set(error, ERR_INVALID_REQUEST, "%s: its value is missing", table[flag].name);
    return table[flag].take(flags, value, error);
}

enum err dev_flags_parse(struct dev_flags *flags, int argc, char **argv, struct error *error)
{
    enum err err = ERR_NONE;
    *flags = (struct dev_flags){.argv = xcalloc((size_t)argc + 1, sizeof *flags->argv), .start.clock.rate = 1};
    for (int i = 0; i < argc && err == ERR_NONE; i++) {
        const char *value = NULL;
        size_t flag = i == 0 ? FLAGS : find(argv[i], &value);
        int taken = 0;
        flags->help = flags->help || strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
        if (flag == FLAGS)
            flags->argv[flags->argc++] = argv[i];
        else
            err = take_flag(flags, flag, value, argv + i + 1, &taken, error);
        i += taken;
    }
    if (flags->user_count == 0)
        flags->users[flags->user_count++] = DEMO_USER;
    return err;
}

void dev_flags_fini(struct dev_flags *flags)
{
    free(flags->argv);
}
