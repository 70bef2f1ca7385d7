/* check.c - `carillon check`: reads and checks the settings as `serve` does, and starts nothing. */
#include <stdio.h>
#include <unistd.h>

#include "server/app/configure.h"
#include "server/cli/cli.h"

static void print_help(void)
{
    fputs("usage: carillon check --config FILE [--option value]...\n\n"
          "Reads the configuration with the environment and the flags over it, as \"carillon serve\" does, and the "
          "files\n"
          "of keys and certificates that it names, and says what is wrong with it, and in lines with \"note\" what is\n"
          "often meant otherwise. Exit code 0: the server would start with it; 1: it would not;\n2: the call is "
          "wrong.\n\n"
          "  --print-config                    show the settings and where each came from\n"
          "  --help                            this text; \"carillon serve --help\" lists the options\n",
          stdout);
}

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

int cli_check(int argc, char **argv)
{
    bool help = false;
    bool print = false;
    bool wrong_call = false;
    const struct option_switch switches[] = {{"--help", &help}, {"-h", &help}, {"--print-config", &print}};
    const struct options_input input = {.argc = argc - 1,
                                        .argv = argv + 1,
                                        .env = environ,
                                        .switches = switches,
                                        .switch_count = sizeof switches / sizeof *switches,
                                        .wrong_call = &wrong_call};
    struct options options;
    struct option_sources sources;
    struct buf messages = {0};
    struct buf out = {0};
    enum err err = options_load(&options_table, &input, &options, &sources, &messages);
    if (help) {
        print_help();
        if (err == ERR_NONE) {
            options_fini(&options_table, &options);
            option_sources_fini(&sources);
        }
        buf_fini(&messages);
        return CLI_OK;
    }
    if (err == ERR_NONE) {
        err = options_validate(&options, &sources, &messages);
        if (err == ERR_NONE)
            err = try_files(&options, &sources, &messages);
        if (err == ERR_NONE)
            options_advise(&options, &sources, &messages);
        if (print)
            options_print(&options_table, &options, &sources, &out);
        else if (err == ERR_NONE)
            buf_appendf(&out, "%s: ok\n", sources.file ? sources.file : "options");
        options_fini(&options_table, &options);
        option_sources_fini(&sources);
    }
    fputs(buf_cstr(&messages), stderr);
    fputs(buf_cstr(&out), stdout);
    buf_fini(&messages);
    buf_fini(&out);
    if (wrong_call)
        return cli_help_hint(argv[0]);
    return err == ERR_NONE ? CLI_OK : CLI_FAILED;
}
