/* dev.c - `carillon dev`: the server for a developer's own machine. It needs no account, Redis or configuration. It
 * draws keys at its start and allows everything. It prints the commands to try it, ready to paste. */
#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/token/issue.h"
#include "server/cli/cli.h"
#include "server/cli/serve.h"

#define DEMO_USER    "demo"
#define DEMO_CHANNEL "demo"

enum { KEY_BYTES = 24, KEY_TEXT = 2 * KEY_BYTES, DEMO_TOKEN_DAYS = 30 };

static void draw_key(char out[KEY_TEXT + 1])
{
    unsigned char key[KEY_BYTES];
    random_bytes(key, sizeof key);
    for (size_t i = 0; i < sizeof key; i++)
        snprintf(out + 2 * i, 3, "%02x", key[i]);
}

/* A token for the demo user, signed with the secret that the server verifies with. */
static enum err issue_demo_token(const char *secret, struct buf *out, struct error *error)
{
    char payload[256];
    uint64_t now_s = clock_wall_ms() / 1000;
    snprintf(payload, sizeof payload, "{\"sub\":\"%s\",\"iat\":%llu,\"exp\":%llu,\"channels\":[\"*\"]}", DEMO_USER,
             (unsigned long long)now_s, (unsigned long long)(now_s + DEMO_TOKEN_DAYS * 86400));
    struct token_keys *keys = token_keys_create();
    enum err err = token_keys_add_secret(keys, "token.secret", STR(""), 0, str_from_cstr(secret), error);
    if (err == ERR_NONE)
        err = token_issue(keys, 0, STR(""), str_from_cstr(payload), out, error);
    token_keys_unref(keys);
    return err;
}

/* How this program was called, so that the lines below can be pasted in another terminal in the same folder. */
static const char *program(void)
{
    static char path[4096];
    char here[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    if (len <= 0)
        return "carillon";
    path[len] = '\0';
    size_t here_len = getcwd(here, sizeof here) ? strlen(here) : 0;
    if (here_len > 1 && strncmp(path, here, here_len) == 0 && path[here_len] == '/') {
        path[here_len - 1] = '.'; /* "./build/release/carillon": a shell looks for a bare name elsewhere */
        return path + here_len - 1;
    }
    return path;
}

static void print_lines(void *owner, const struct server_addresses *addresses, const struct options *options)
{
    (void)owner;
    struct error error;
    struct buf token = {0};
    const char *name = program();
    if (!*options->token_secret || options->api_keys.count == 0 || options->endpoints.count == 0) {
        /* Somebody has given keys of their own, which are theirs to use. */
        cli_say("carillon dev", "listening on ws://%s, API on http://%s", addresses->clients, addresses->internal);
        return;
    }
    if (issue_demo_token(options->token_secret, &token, &error)) {
        cli_say("carillon dev", "no demo token: %s", error.text);
        return;
    }
    const char *path = options->endpoints.items[0].path;
    printf("\nCarillon for development: events in memory, everything allowed to the demo token. Stop with Ctrl-C.\n\n"
           "Connect (user \"" DEMO_USER "\"):\n\n"
           "  ws://%s%s?token=%s\n\n"
           "Listen, in a second terminal:\n\n"
           "  %s listen --url ws://%s%s --token %s " DEMO_CHANNEL "\n\n"
           "Publish, in a third one:\n\n"
           "  curl -s http://%s/api/v1/publish -H 'X-API-Key: %s' -d "
           "'{\"channel\":\"" DEMO_CHANNEL "\",\"type\":\"notification\",\"data\":{\"message\":\"Hello there!\"}}'\n\n",
           addresses->clients, path, buf_cstr(&token), name, addresses->clients, path, buf_cstr(&token),
           addresses->internal, options->api_keys.items[0]);
    fflush(stdout);
    buf_fini(&token);
}

int cli_dev(int argc, char **argv)
{
    static char secret[KEY_TEXT + 1];
    static char api_key[KEY_TEXT + 1];
    static const struct option_preset presets[] = {
        {"drain_window", "0"},
        {"log.level", "debug"},
        {"host", "127.0.0.1"},
        {"workers", "1"},
        {"channels", "[{\"match\": \"*\", \"allow\": [\"subscribe\", \"publish\", \"presence\", \"history\"], "
                     "\"presence\": true, \"history\": {\"size\": 100, \"ttl\": \"1h\"}}]"},
        {"token.secret", secret},
        {"api.keys", api_key},
    };
    const struct serve_kind kind = {
        .usage =
            "usage: carillon dev [--port N] [--option value]...\n\n"
            "A server for this machine: events in memory, keys drawn at the start, everything allowed. Prints a URL "
            "with a\ntoken, a line that listens and a line that publishes. All options of \"serve\" hold, some with "
            "other defaults:\nhost 127.0.0.1, workers 1, drain_window 0, log.level debug, one rule that allows every "
            "channel.\n",
        .presets = presets,
        .preset_count = sizeof presets / sizeof *presets,
        .ready = print_lines,
    };
    draw_key(secret);
    draw_key(api_key);
    return serve_run(&kind, argc, argv);
}
