/* running.c - see running.h. Only what says where the server listens is read: other words and variables may be any. */
#include "server/cli/running.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/app/options.h"
#include "server/cli/cli.h"

enum { WORDS_MAX = 4096, FILE_MAX = 4 << 20 };

/* Texts that each end with a zero byte, as /proc has them. They stay in `text`. */
struct words {
    struct buf text;
    char *items[WORDS_MAX + 1]; /* ends with NULL */
    size_t count;
};

static enum err words_read(unsigned pid, const char *name, struct words *out, struct error *error)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/%s", pid, name);
    enum err err = cli_read_file(path, FILE_MAX, &out->text, error);
    if (err)
        return err;
    buf_append_char(&out->text, '\0');
    for (char *word = out->text.ptr, *end = word + out->text.len - 1; word < end && out->count < WORDS_MAX;
         word += strlen(word) + 1)
        out->items[out->count++] = word;
    return ERR_NONE;
}

/* The place of the first word after "carillon serve" or "carillon dev"; 0: there is no such thing. */
static size_t first_flag(const struct words *line)
{
    for (size_t i = 0; i + 1 < line->count; i++) {
        const char *slash = strrchr(line->items[i], '/');
        if (strcmp(slash ? slash + 1 : line->items[i], "carillon") == 0 &&
            (strcmp(line->items[i + 1], "serve") == 0 || strcmp(line->items[i + 1], "dev") == 0))
            return i + 2;
    }
    return 0;
}

/* Whether the word is this flag in one of its spellings, with or without a value behind '='. */
static bool is_flag(const char *word, const char *flag)
{
    for (; *word && *word != '='; word++, flag++)
        if ((*word == '.' || *word == '_' ? '-' : *word) != *flag)
            return false;
    return !*flag;
}

/* Keeps the flags that say where the server listens, each with the word behind it unless it has a '='. */
static void keep_flags(struct words *line)
{
    static const char *const flags[] = {"--config", "--internal-host", "--internal-port"};
    size_t kept = 0;
    for (size_t i = first_flag(line); i < line->count; i++)
        for (size_t f = 0; f < sizeof flags / sizeof *flags; f++)
            if (is_flag(line->items[i], flags[f])) {
                bool takes_next = !strchr(line->items[i], '=') && i + 1 < line->count;
                line->items[kept++] = line->items[i];
                if (takes_next)
                    line->items[kept++] = line->items[++i];
                break;
            }
    line->items[line->count = kept] = NULL;
}

static void keep_variables(struct words *env)
{
    static const char *const names[] = {"CARILLON_CONFIG=", "CARILLON_INTERNAL_HOST=", "CARILLON_INTERNAL_PORT="};
    size_t kept = 0;
    for (size_t i = 0; i < env->count; i++)
        for (size_t n = 0; n < sizeof names / sizeof *names; n++)
            if (strncmp(env->items[i], names[n], strlen(names[n])) == 0)
                env->items[kept++] = env->items[i];
    env->items[env->count = kept] = NULL;
}

/* Takes the configuration file away from both. */
static void drop_file(struct words *line, struct words *env)
{
    size_t kept = 0;
    for (size_t i = 0; i < line->count; i++) {
        if (!is_flag(line->items[i], "--config"))
            line->items[kept++] = line->items[i];
        else if (!strchr(line->items[i], '='))
            i++;
    }
    line->items[line->count = kept] = NULL;
    kept = 0;
    for (size_t i = 0; i < env->count; i++)
        if (strncmp(env->items[i], "CARILLON_CONFIG=", 16) != 0)
            env->items[kept++] = env->items[i];
    env->items[env->count = kept] = NULL;
}

static enum err load(const struct words *line, const struct words *env, struct options *out,
                     struct option_sources *out_sources, struct buf *messages)
{
    const struct options_input input = {.argc = (int)line->count, .argv = line->items, .env = env->items};
    return options_load(&options_table, &input, out, out_sources, messages);
}

static enum err append_url(const struct options *options, struct buf *out, struct error *error)
{
    const char *host = options->internal_host;
    if (options->internal_port == 0)
        return error_set(error, ERR_INVALID_REQUEST,
                         "internal.port is 0 there, so nothing says which port it took: give --url");
    if (strcmp(host, "0.0.0.0") == 0)
        host = "127.0.0.1";
    else if (strcmp(host, "::") == 0 || strcmp(host, "[::]") == 0)
        host = "::1";
    bool bare = strchr(host, ':') && host[0] != '[';
    buf_appendf(out, bare ? "http://[%s]:%llu" : "http://%s:%llu", host, (unsigned long long)options->internal_port);
    return ERR_NONE;
}

/* Of the words that say so. The file's relative name starts in the folder of that process. */
static enum err find_url(unsigned pid, struct words *line, struct words *env, struct buf *out, struct error *error)
{
    char folder[64];
    struct options options;
    struct option_sources sources;
    struct buf messages = {0};
    keep_flags(line);
    keep_variables(env);
    snprintf(folder, sizeof folder, "/proc/%u/cwd", pid);
    enum err err = chdir(folder) == 0 ? load(line, env, &options, &sources, &messages) : ERR_NOT_FOUND;
    if (err) {
        buf_clear(&messages);
        drop_file(line, env);
        err = load(line, env, &options, &sources, &messages);
    }
    if (err) {
        error_set(error, err, "process %u: %s", pid, buf_cstr(&messages));
    } else {
        err = append_url(&options, out, error);
        options_fini(&options_table, &options);
        option_sources_fini(&sources);
    }
    buf_fini(&messages);
    return err;
}

enum err running_url(unsigned pid, struct buf *out, struct error *error)
{
    static struct words line, env;
    enum err err = words_read(pid, "cmdline", &line, error);
    if (!err && first_flag(&line) == 0)
        err = error_set(error, ERR_NOT_FOUND, "process %u is not carillon serve or carillon dev", pid);
    if (!err)
        err = words_read(pid, "environ", &env, error);
    if (!err)
        err = find_url(pid, &line, &env, out, error);
    buf_fini(&line.text);
    buf_fini(&env.text);
    return err;
}
