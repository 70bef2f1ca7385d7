/* dev_server.c - `carillon dev`: the server for a developer's own machine. It needs no account, Redis or configuration.
 * It draws keys at its start and allows everything. It prints the commands to try it, ready to paste. */
#include <stdio.h>

#include "common/base/random.h"
#include "server/cli/cli.h"
#include "server/cli/dev_lines.h"
#include "server/cli/dev_presets.h"
#include "server/cli/dev_tokens.h"
#include "server/cli/serve.h"
#include "server/dev/dev_server.h"

enum { KEY_BYTES = 24, KEY_TEXT = 2 * KEY_BYTES };

static void draw_key(char out[KEY_TEXT + 1])
{
    unsigned char key[KEY_BYTES];
    random_bytes(key, sizeof key);
    for (size_t i = 0; i < sizeof key; i++)
        snprintf(out + 2 * i, 3, "%02x", key[i]);
}

/* What is there besides the server. */
struct program {
    struct dev_tokens tokens;
    struct dev *dev;
};

/* Who answers requests for the path, and with which owner. */
static const struct http_handler *route(struct program *program, struct str path, void **out_owner)
{
    bool of_tokens = dev_tokens_handler.has(&program->tokens, path);
    *out_owner = of_tokens ? (void *)&program->tokens : (void *)program->dev;
    return of_tokens ? &dev_tokens_handler : &dev_handler;
}

static bool has(void *owner, struct str path)
{
    const struct http_handler *handler = route(owner, path, &owner);
    return handler->has(owner, path);
}

static bool admit(void *owner, struct http_call *call)
{
    const struct http_handler *handler = route(owner, call->request.path, &owner);
    return handler->admit(owner, call);
}

static void serve(void *owner, struct http_call *call)
{
    const struct http_handler *handler = route(owner, call->request.path, &owner);
    handler->serve(owner, call);
}

static const struct http_handler handler = {.has = has, .admit = admit, .serve = serve};

static void on_ready(void *owner, const struct server_addresses *addresses, const struct options *options)
{
    struct dev_tokens *tokens = &((struct program *)owner)->tokens;
    struct error error;
    struct buf token = {0};
    if (!*options->token_secret || options->api_keys.count == 0 || options->endpoints.count == 0)
        /* Somebody has given keys of their own, which are theirs to use. */
        cli_say("carillon dev", "listening on ws://%s, API on http://%s", addresses->clients, addresses->internal);
    else if (dev_tokens_open(tokens, addresses, options, &error) || dev_tokens_demo(tokens, &token, &error))
        cli_say("carillon dev", "no demo token: %s", error.text);
    else
        dev_lines_print(addresses, options, str_from_cstr(buf_cstr(&token)));
    buf_fini(&token);
}

static const char usage[] =
    "usage: carillon dev [--preset NAME]... [--port N] [--option value]...\n\n"
    "A server for this machine: events in memory, keys drawn at the start, everything allowed. Prints a URL with a\n"
    "token, a line that listens and a line that publishes. POST /dev/v1/tokens of the internal listener makes more\n"
    "tokens. All options of \"serve\" hold, some with other defaults: host 127.0.0.1, workers 1, drain_window 0,\n"
    "log.level debug, one rule that allows every channel.\n\n"
    "  --preset NAME         endpoints for clients of one shape, in place of /ws; again for more, all for each of "
    "them\n"
    "                        (docs/endpoints.md):\n"
    "                          events            /ws and /api/ws\n"
    "                          request-response  /\n"
    "                          ticket-sockets    /ai-chat/{thread}/transcript, /notifications, and\n"
    "                                            /white-label/{workspace}/transcript/{id}; tickets at\n"
    "                                            /websocket/ticket\n"
    "                          streaming         /ws/transcribe\n"
    "  --subprotocol NAME    name that clients of request-response offer beside the token [app-v1]\n"
    "  --backend URL         backend that gets the messages of request-response and streaming. Without it an upstream\n"
    "                        inside the server answers\n"
    "  --answer JSON|echo    what that upstream answers: a frame with {id}, {action}, {text}, {n}, {bytes} and {last}\n"
    "                        filled in, or each message as it came\n"
    "  --frames N            frames of an answer; {text} grows from frame to frame [1]\n"
    "  --every TIME          time from one frame to the next [500ms]\n";

int cli_dev(int argc, char **argv)
{
    static char secret[KEY_TEXT + 1];
    static char api_key[KEY_TEXT + 1];
    enum { OWN = 7 };
    struct option_preset presets[OWN + DEV_PRESETS_MAX] = {
        {"drain_window", "0"},
        {"log.level", "debug"},
        {"host", "127.0.0.1"},
        {"workers", "1"},
        {"channels", "[{\"match\": \"*\", \"allow\": [\"subscribe\", \"publish\", \"presence\", \"history\"], "
                     "\"presence\": true, \"history\": {\"size\": 100, \"ttl\": \"1h\"}}]"},
        {"token.secret", secret},
        {"api.keys", api_key},
    };
    struct dev_presets shapes;
    struct program program = {.dev = dev_create()};
    struct error error;
    int code;
    draw_key(secret);
    draw_key(api_key);
    if (dev_presets_parse(&shapes, argc, argv, &error)) {
        code = cli_usage(argv[0], "%s", error.text);
    } else {
        const struct serve_kind kind = {
            .usage = usage,
            .presets = presets,
            .preset_count = OWN + dev_presets_options(&shapes, presets + OWN),
            .ready = on_ready,
            .owner = &program,
            .more = &handler,
            .hooks = dev_hooks(program.dev),
        };
        code = serve_run(&kind, shapes.argc, shapes.argv);
    }
    dev_presets_fini(&shapes);
    dev_tokens_fini(&program.tokens);
    dev_destroy(program.dev);
    return code;
}
