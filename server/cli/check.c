/* check.c - `carillon check`: reads and checks the settings as `serve` does, and starts nothing. With a token it says
 * what they allow to it, and why. */
#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "server/app/configure.h"
#include "server/app/explain.h"
#include "server/cli/cli.h"

static void print_help(void)
{
    fputs(
        "usage: carillon check --config FILE [--option value]...\n"
        "       carillon check --config FILE --token-file FILE --channel NAME [--option value]...\n"
        "       carillon check --config FILE --token-file FILE --endpoint PATH [--origin ORIGIN] [--option "
        "value]...\n\n"
        "Reads the configuration with the environment and the flags over it, as \"carillon serve\" does, and the "
        "files\n"
        "of keys and certificates that it names, and says what is wrong with it, and in lines with \"note\" what is\n"
        "often meant otherwise. With --channel or --endpoint it says what the configuration allows to a token, which\n"
        "entry decides, and why. Exit code 0: the server would start with it, and would allow what is asked; 1: it\n"
        "would not; 2: the call is wrong.\n\n"
        "  --print-config                    show the settings and where each came from\n"
        "  --token TOKEN                     the token of a client. Other users of this machine can see it\n"
        "  --token-file FILE                 a file with the token; - is standard input\n"
        "  --channel NAME                    what may the token do with this channel?\n"
        "  --endpoint PATH                   may a client connect here? Path and query of the URL\n"
        "  --origin ORIGIN                   the client is a web page of this origin\n"
        "  --help                            this text; \"carillon serve --help\" lists the options\n",
        stdout);
}

/* What the call asks beside the options. */
struct check_call {
    bool help;
    bool print;
    bool wrong;
    const char *token, *token_file;
    const char *channel, *endpoint, *origin;
};

/* Appends a mistake with the place of the option that it begins with: "carillon.jsonc:7: tls.key: ...". */
static void append_with_place(struct buf *messages, const struct option_sources *sources, const char *text)
{
    char key[192], source[512];
    snprintf(key, sizeof key, "%.*s", (int)strcspn(text, ":"), text);
    option_source_text(&options_table, sources, key, source);
    if (strcmp(source, "default") != 0) /* it begins with an option that was set */
        buf_appendf(messages, "%s: ", source);
    buf_appendf(messages, "%s\n", text);
}

/* Reads the files that the settings name, and appends the mistakes found there. */
static enum err try_files(const struct options *options, const struct option_sources *sources, struct buf *messages)
{
    struct error error;
    enum err err = configuration_try(options, &error);
    if (err != ERR_NONE)
        append_with_place(messages, sources, error.text);
    return err;
}

/* The answer to --channel and --endpoint. The configuration has been tried before. */
static enum err answer_question(const struct check_call *call, const struct options *options,
                                const struct option_sources *sources, struct buf *out, struct buf *messages)
{
    const struct cli_secret place = {
        .name = "token", .value = call->token, .path = call->token_file, .env = "CARILLON_TOKEN"};
    struct configuration configuration;
    struct buf token = {0};
    struct error error;
    enum err err = cli_read_secret(&place, &token, &error);
    if (err == ERR_NONE && token.len == 0)
        err = error_set(&error, ERR_INVALID_REQUEST, "a token is needed: give --token-file FILE, or - for stdin");
    if (err == ERR_NONE)
        err = configuration_make(options, NULL, NULL, &configuration, &error);
    if (err != ERR_NONE) {
        buf_appendf(messages, "%s\n", error.text);
    } else {
        const struct question question = {.token = buf_str(&token),
                                          .channel = str_from_cstr(call->channel ? call->channel : ""),
                                          .target = str_from_cstr(call->endpoint ? call->endpoint : ""),
                                          .origin = str_from_cstr(call->origin ? call->origin : ""),
                                          .now_ms = clock_wall_ms()};
        err = explain(&configuration, options, sources, &question, out) ? ERR_NONE : ERR_UNAUTHORIZED;
        configuration_fini(&configuration);
    }
    buf_wipe(&token);
    return err;
}

/* Settings that have been loaded. Appends to out what goes to stdout. */
static enum err check(const struct check_call *call, const struct options *options,
                      const struct option_sources *sources, struct buf *out, struct buf *messages)
{
    bool asks = call->channel || call->endpoint;
    enum err err = options_validate(options, sources, messages);
    if (err == ERR_NONE)
        err = try_files(options, sources, messages);
    if (err == ERR_NONE && !asks)
        options_advise(options, sources, messages);
    if (call->print)
        options_print(&options_table, options, sources, out);
    else if (err == ERR_NONE && asks)
        err = answer_question(call, options, sources, out, messages);
    else if (err == ERR_NONE)
        buf_appendf(out, "%s: ok\n", sources->file ? sources->file : "options");
    return err;
}

int cli_check(int argc, char **argv)
{
    struct check_call call = {0};
    const struct option_switch switches[] = {
        {"--help", &call.help}, {"-h", &call.help}, {"--print-config", &call.print}};
    const struct option_word words[] = {{"--token", &call.token},
                                        {"--token-file", &call.token_file},
                                        {"--channel", &call.channel},
                                        {"--endpoint", &call.endpoint},
                                        {"--origin", &call.origin}};
    const struct options_input input = {.argc = argc - 1,
                                        .argv = argv + 1,
                                        .env = environ,
                                        .switches = switches,
                                        .switch_count = sizeof switches / sizeof *switches,
                                        .words = words,
                                        .word_count = sizeof words / sizeof *words,
                                        .wrong_call = &call.wrong};
    struct options options;
    struct option_sources sources;
    struct buf messages = {0};
    struct buf out = {0};
    enum err err = options_load(&options_table, &input, &options, &sources, &messages);
    bool loaded = err == ERR_NONE;
    if (call.help) {
        buf_clear(&messages);
        print_help();
    } else if (loaded) {
        err = check(&call, &options, &sources, &out, &messages);
    }
    if (loaded) {
        options_fini(&options_table, &options);
        option_sources_fini(&sources);
    }
    fputs(buf_cstr(&messages), stderr);
    fputs(buf_cstr(&out), stdout);
    buf_fini(&messages);
    buf_fini(&out);
    if (call.help)
        return CLI_OK;
    if (call.wrong)
        return cli_help_hint(argv[0]);
    return err == ERR_NONE ? CLI_OK : CLI_FAILED;
}
