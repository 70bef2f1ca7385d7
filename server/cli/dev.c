/* dev.c - `carillon dev`: the server for a developer's own machine. It needs no account, Redis or configuration, allows
 * everything, and keeps its keys in .carillon-dev/. It prints the commands to try it, ready to paste, or one line of
 * JSON for a program. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/cli/cli.h"
#include "server/cli/dev_flags.h"
#include "server/cli/dev_keys.h"
#include "server/cli/dev_lines.h"
#include "server/cli/dev_parent.h"
#include "server/cli/dev_presets.h"
#include "server/cli/dev_ready.h"
#include "server/cli/dev_tokens.h"
#include "server/cli/serve.h"
#include "server/dev/dev_http.h"
#include "server/dev/dev_server.h"
#include "server/dev/guard.h"

/* What is there besides the server. */
struct program {
    const char *name; /* argv[0] */
    struct dev_flags flags;
    struct dev_presets shapes;
    struct dev_keys keys;
    struct dev_tokens tokens;
    struct dev *dev;
    bool failed; /* to say that it is ready */
};

/* --- requests ----------------------------------------------------------------------------------------------------- */

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

/* --- ready -------------------------------------------------------------------------------------------------------- */

/* Fills the users' tokens, one allocation each. */
static enum err make_users(struct program *program, struct dev_user *users, struct error *error)
{
    enum err err = ERR_NONE;
    for (size_t i = 0; i < program->flags.user_count && err == ERR_NONE; i++) {
        struct buf token = {0};
        users[i].name = program->flags.users[i];
        err = dev_tokens_issue(&program->tokens, str_from_cstr(users[i].name), &token, error);
        users[i].token = str_dup(buf_str(&token));
        buf_fini(&token);
    }
    return err;
}

static void tell(struct program *program, const struct dev_facts *facts)
{
    struct buf line = {0};
    struct error error;
    dev_ready_append(&line, facts);
    dev_tell_facts(program->dev, buf_str(&line));
    if (program->flags.ready_file && dev_ready_write_file(program->flags.ready_file, buf_str(&line), &error)) {
        cli_say(program->name, "%s", error.text);
        program->failed = true;
        kill(getpid(), SIGTERM); /* whoever waits for the file would wait for ever */
    } else if (program->flags.json) {
        fputs(buf_cstr(&line), stdout);
        fflush(stdout);
    } else {
        dev_lines_print(facts);
    }
    buf_fini(&line);
}

/* Writes an address that a client on this machine can connect to. A listener on all addresses is reached by the
 * loopback address. So is a port of a container that the host has published. */
static void write_connectable(char out[LISTENER_ADDRESS_LEN + 1], const char *bound)
{
    bool any_4 = strncmp(bound, "0.0.0.0:", 8) == 0;
    bool any_6 = strncmp(bound, "[::]:", 5) == 0;
    snprintf(out, LISTENER_ADDRESS_LEN + 1, "%s%s",
             any_4   ? "127.0.0.1"
             : any_6 ? "[::1]"
                     : "",
             bound + (any_4   ? 7
                      : any_6 ? 4
                              : 0));
}

static void on_ready(void *owner, const struct server_addresses *bound, const struct options *options)
{
    struct program *program = owner;
    struct dev_user users[DEV_USERS_MAX] = {{0}};
    struct server_addresses shown, *addresses = &shown;
    const struct dev_facts facts = {
        .addresses = addresses, .options = options, .users = users, .user_count = program->flags.user_count};
    struct error error;
    write_connectable(shown.clients, bound->clients);
    write_connectable(shown.internal, bound->internal);
    dev_guard(program->dev, bound, program->flags.allow_remote);
    if (!*options->token_secret || options->api_keys.count == 0 || options->endpoints.count == 0)
        /* Somebody has taken the keys away by a flag. */
        cli_say(program->name, "listening on ws://%s, API on http://%s", addresses->clients, addresses->internal);
    else if (dev_tokens_open(&program->tokens, addresses, options, &error) || make_users(program, users, &error))
        cli_say(program->name, "no demo token: %s", error.text);
    else
        tell(program, &facts);
    for (size_t i = 0; i < DEV_USERS_MAX; i++)
        free((char *)(uintptr_t)users[i].token);
}

/* --- options --------------------------------------------------------------------------------------------------- */

static const char usage[] =
    "usage: carillon dev [--preset NAME]... [--user NAME]... [--port N] [--option value]...\n\n"
    "A server for this machine: events in memory, everything allowed. Prints a URL with a token, a line that listens\n"
    "and a line that publishes. POST /dev/v1/tokens of the internal listener makes more tokens (docs/dev.md).\n\n"
    "  --user NAME           user to print a URL with a token for, in place of demo; again for more\n"
    "  --json                print one line of JSON in place of the text: every URL, key and secret\n"
    "  --ready-file FILE     write that line to the file, for its owner alone, when the server is ready\n"
    "  --exit-with-parent    end when the process that started this one ends\n"
    "  --seed N              make ids, epochs and jitter repeat\n"
    "  --quiet               do not show what happens; without it there is a line for each connection, refusal,\n"
    "                        subscription, event, error and end\n"
    "  --allow-remote        let the internal listener be used from other machines, as in a container\n"
    "  --at TIME             begin at this time, such as 2026-01-15T10:30:00Z; POST /dev/v1/reset goes back to it\n"
    "  --clock KIND          frozen: time passes only by POST /dev/v1/clock; running [running]\n"
    "  --fresh               draw new keys in place of those in .carillon-dev/\n"
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
    "  --every TIME          time from one frame to the next [500ms]\n\n"
    "All options of \"serve\" hold, some with other defaults: host 127.0.0.1, workers 1, drain_window 0, and one rule\n"
    "that allows every channel. From the file of --config come rules and limits. Addresses, TLS, keys, workers and "
    "the\n"
    "broker are those of dev, unless a flag or the environment says otherwise.\n";

enum { OWN = 19 };

/* Presets of options that go over the file of --config: the file may be that of a production server. */
static size_t fill_presets(struct program *program, struct option_preset *out)
{
    const struct option_preset own[OWN] = {
        {"drain_window", "0", false},
        {"log.level", "info", false},
        {"channels", "[{\"match\":\"*\"," DEV_RULE "}]", false},
        {"host", "127.0.0.1", true},
        {"port", "8080", true},
        {"workers", "1", true},
        {"trusted_proxies", "", true},
        {"proxy_protocol", "off", true},
        {"internal.host", "127.0.0.1", true},
        {"internal.port", "8081", true},
        {"tls.certificate", "", true},
        {"tls.key", "", true},
        {"token.secret", program->keys.token_secret, true},
        {"token.keys", "", true},
        {"token.algorithms", "HS256,RS256,PS256,ES256,EdDSA", true},
        {"api.keys", program->keys.api_key, true},
        {"redis.url", "", true},
        {"redis.tls_certificate", "", true},
        {"redis.tls_key", "", true},
    };
    memcpy(out, own, sizeof own);
    return OWN + dev_presets_options(&program->shapes, out + OWN);
}

/* Whoever reaches the internal listener can make tokens for any user. */
static enum err check(void *owner, const struct options *options, struct buf *messages)
{
    const struct program *program = owner;
    bool has_keys = *options->token_secret && options->api_keys.count > 0 && options->endpoints.count > 0;
    if ((program->flags.json || program->flags.ready_file) && !has_keys) {
        buf_append_lit(messages, "--json, --ready-file: the line has an endpoint, a token and an API key; do not empty "
                                 "endpoints, token.secret or api.keys\n");
        return ERR_INVALID_REQUEST;
    }
    if (program->flags.allow_remote || guard_is_loopback(str_from_cstr(options->internal_host)))
        return ERR_NONE;
    buf_appendf(
        messages,
        "internal.host: %s is not of this machine alone, and whoever reaches it can make tokens and publish; in a "
        "container or a trusted network give --allow-remote\n",
        *options->internal_host ? options->internal_host : "\"\"");
    return ERR_INVALID_REQUEST;
}

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value;
}

/* Keys from the environment go over those that are kept. With both of them nothing is read or written. */
static bool has_own_keys(void)
{
    return is_set("CARILLON_TOKEN_SECRET") && is_set("CARILLON_API_KEYS");
}

/* The keys are drawn before the seed holds: they must not repeat. */
static enum err prepare(struct program *program, int argc, char **argv, struct error *error)
{
    struct error unkept = {0};
    enum err err = dev_flags_parse(&program->flags, argc, argv, error);
    if (err == ERR_NONE)
        err = dev_presets_parse(&program->shapes, program->flags.argc, program->flags.argv, error);
    if (err == ERR_NONE && program->flags.help)
        return ERR_NONE;
    if (err == ERR_NONE && !has_own_keys())
        err = dev_keys_load(program->flags.fresh, &program->keys, &unkept, error);
    if (err != ERR_NONE)
        return err;
    if (unkept.code)
        cli_say(program->name, "the keys are not kept: %s", unkept.text);
    program->dev = dev_create(&program->flags.start);
    program->tokens.dev = program->dev;
    if (!program->flags.quiet)
        dev_show_terminal(program->dev);
    return program->flags.exit_with_parent ? dev_parent_watch(error) : ERR_NONE;
}

int cli_dev(int argc, char **argv)
{
    struct program program = {.name = argv[0]};
    struct option_preset presets[OWN + DEV_PRESETS_MAX];
    struct error error;
    int code;
    switch (prepare(&program, argc, argv, &error)) {
    case ERR_NONE: {
        const struct serve_kind kind = {
            .usage = usage,
            .presets = presets,
            .preset_count = fill_presets(&program, presets),
            .ready = on_ready,
            .owner = &program,
            .check = check,
            .more = &handler,
            .hooks = program.dev ? dev_hooks(program.dev) : NULL, /* --help makes none */
        };
        code = serve_run(&kind, program.shapes.argc, program.shapes.argv);
        code = code == CLI_OK && program.failed ? CLI_FAILED : code;
        break;
    }
    case ERR_UNAVAILABLE: code = cli_fail(argv[0], CLI_FAILED, "%s", error.text); break;
    default: code = cli_usage(argv[0], "%s", error.text);
    }
    dev_presets_fini(&program.shapes);
    dev_flags_fini(&program.flags);
    dev_tokens_fini(&program.tokens);
    if (program.dev)
        dev_destroy(program.dev);
    return code;
}
