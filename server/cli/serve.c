/* serve.c - `carillon serve`: the server. Options in, a running node out. */
#include "server/cli/serve.h"

#include <stdio.h>
#include <unistd.h>

#include "common/base/log.h"
#include "server/app/server.h"
#include "server/app/signals.h"
#include "server/cli/cli.h"

static void print_help(const struct serve_kind *kind)
{
    struct buf help = {0};
    options_help(&options_table, kind->presets, kind->preset_count, &help);
    fputs(kind->usage, stdout);
    fputs("\n  --config FILE         settings: JSON with comments\n"
          "  --print-config        show the settings, secrets masked, and where each came from; start nothing\n"
          "  --help                this text\n\n"
          "An option comes from its default, then the file, then the environment (CARILLON_<OPTION>), then a flag.\n\n",
          stdout);
    fputs(buf_cstr(&help), stdout);
    buf_fini(&help);
}

static enum cli_exit print_config(const struct options *options, const struct option_sources *sources)
{
    struct buf out = {0};
    options_print(&options_table, options, sources, &out);
    fputs(buf_cstr(&out), stdout);
    buf_fini(&out);
    return CLI_OK;
}

int serve_run(const struct serve_kind *kind, int argc, char **argv)
{
    bool help = false;
    bool print = false;
    bool wrong_call = false;
    const struct option_switch switches[] = {{"--help", &help}, {"-h", &help}, {"--print-config", &print}};
    const struct options_input input = {.argc = argc - 1,
                                        .argv = argv + 1,
                                        .env = environ,
                                        .presets = kind->presets,
                                        .preset_count = kind->preset_count,
                                        .switches = switches,
                                        .switch_count = sizeof switches / sizeof *switches,
                                        .wrong_call = &wrong_call};
    struct options options;
    struct option_sources sources;
    struct buf messages = {0};
    enum err err = options_load(&options_table, &input, &options, &sources, &messages);
    bool loaded = err == ERR_NONE;
    int code = CLI_FAILED;
    if (!help && !print)
        signals_hold();
    if (!help && loaded)
        err = options_validate(&options, &sources, &messages);
    if (!help && loaded && err == ERR_NONE && kind->check)
        err = kind->check(kind->owner, &options, &messages);
    if (!help)
        fputs(buf_cstr(&messages), stderr);
    buf_fini(&messages);
    if (help) {
        print_help(kind);
        code = CLI_OK;
    } else if (wrong_call) {
        code = cli_help_hint(argv[0]);
    } else if (loaded && print) {
        code = err == ERR_NONE ? (int)print_config(&options, &sources) : CLI_FAILED;
    } else if (err == ERR_NONE) {
        const struct server_start start = {.options = &options,
                                           .sources = &sources,
                                           .input = &input,
                                           .ready = kind->ready,
                                           .owner = kind->owner,
                                           .more = kind->more,
                                           .hooks = kind->hooks};
        return server_run(&start);
    }
    if (loaded) {
        options_fini(&options_table, &options);
        option_sources_fini(&sources);
    }
    return code;
}

int cli_serve(int argc, char **argv)
{
    static const struct serve_kind kind = {
        .usage = "usage: carillon serve [--config FILE] [--option value]...\n\n"
                 "Serves WebSocket clients, and the HTTP API on an internal address, until SIGTERM. SIGHUP reads the "
                 "settings again.\n"};
    return serve_run(&kind, argc, argv);
}
