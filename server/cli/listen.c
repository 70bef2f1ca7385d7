/* listen.c - carillon listen: a subscriber for the terminal and for scripts. This file has the options and the
 * reconnecting. subscriber.c has one connection. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "server/cli/cli.h"
#include "server/cli/subscriber.h"

enum { BACKOFF_MIN_MS = 100, BACKOFF_MAX_MS = 5000, STABLE_US = 5 * 1000 * 1000 };

static const char usage[] =
    "usage: carillon listen [OPTION]... CHANNEL...\n"
    "\n"
    "Subscribes to the channels and prints each event as one line of JSON. Reconnects by itself, and on channels with\n"
    "history goes on where it was: what was published meanwhile comes first, or a line says that it cannot be had.\n"
    "\n"
    "  --url URL          ws:// or wss:// (default ws://127.0.0.1:8080/ws); SSL_CERT_FILE in the environment can name\n"
    "                     the authorities to trust\n"
    "  --token TOKEN      the JWT; visible to others on this machine, so better one of:\n"
    "  --token-file FILE  the file that holds it\n"
    "  CARILLON_TOKEN     in the environment; not used when the URL has a token or ticket parameter\n"
    "  --last N           first print up to N of the newest events of each channel with history\n"
    "  --raw              print every frame from the server, answers and notices too\n"
    "  --count N          exit after N events\n"
    "  --no-reconnect     exit with 1 when the connection ends\n"
    "  --help\n"
    "\n"
    "examples:\n"
    "  carillon listen --token-file token.jwt public:news user:user-456\n"
    "  carillon listen --token-file token.jwt --count 1 public:news | jq .data\n"
    "\n"
    "exit code: 0 after --count events or when the reader of the output has gone; 1 refused; 2 wrong call\n";

struct listen {
    const char *url_text;
    struct cli_secret secret;
    bool no_reconnect;
    struct cli_subscriber subscriber;
};

/* Returns -1 to go on, else the exit code. */
static int parse_options(struct listen *listen, int argc, char **argv)
{
    static const struct option options[] = {
        {"url", required_argument, NULL, 'u'},
        {"token", required_argument, NULL, 't'},
        {"token-file", required_argument, NULL, 'f'},
        {"last", required_argument, NULL, 'l'},
        {"raw", no_argument, NULL, 'r'},
        {"count", required_argument, NULL, 'c'},
        {"no-reconnect", no_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (c) {
        case 'u': listen->url_text = optarg; break;
        case 't': listen->secret.value = optarg; break;
        case 'f': listen->secret.path = optarg; break;
        case 'r': listen->subscriber.raw = true; break;
        case 'n': listen->no_reconnect = true; break;
        case 'c':
            if (!str_to_u64(str_from_cstr(optarg), &listen->subscriber.count) || listen->subscriber.count == 0)
                return cli_usage(argv[0], "--count should be a number of events from 1, not \"%s\"", optarg);
            break;
        case 'l':
            if (!str_to_u64(str_from_cstr(optarg), &listen->subscriber.last) || listen->subscriber.last == 0)
                return cli_usage(argv[0], "--last should be a number of events from 1, not \"%s\"", optarg);
            break;
        case 'h': fputs(usage, stdout); return CLI_OK;
        default: return cli_help_hint(argv[0]);
        }
    }
    if (optind == argc)
        return cli_usage(argv[0], "name at least one channel");
    listen->subscriber.channels = argv + optind;
    listen->subscriber.channel_count = (size_t)(argc - optind);
    return -1;
}

static bool has_parameter(struct str query, struct str name)
{
    struct str rest = query;
    while (rest.ptr) {
        struct str value = str_split(&rest, '&');
        if (str_eq(str_split(&value, '='), name))
            return true;
    }
    return false;
}

/* Finds the URL and the token. */
static enum err prepare(struct listen *listen, struct buf *token, struct error *error)
{
    struct url *url = &listen->subscriber.url;
    enum err err = url_parse(str_from_cstr(listen->url_text), "ws", url, error);
    if (err)
        return err;
    bool in_url = has_parameter(url->query, STR("token")) || has_parameter(url->query, STR("ticket"));
    bool in_option = listen->secret.value || listen->secret.path;
    if (in_url && in_option)
        return error_set(error, ERR_INVALID_REQUEST, "the token is in --url and in another option: leave one out");
    if (!in_url)
        err = cli_read_secret(&listen->secret, token, error);
    listen->subscriber.token = buf_str(token);
    return err;
}

static void sleep_ms(uint64_t ms)
{
    struct timespec left = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

/* A random time between 100 ms and a bound that doubles up to 5 s. So clients of a restarted server do not come all at
 * once. A pause that the server asked for is kept. */
static uint64_t backoff_ms(unsigned attempt, uint64_t asked_ms)
{
    uint64_t bound_ms = (uint64_t)BACKOFF_MIN_MS << (attempt < 6 ? attempt + 1 : 6);
    if (bound_ms > BACKOFF_MAX_MS)
        bound_ms = BACKOFF_MAX_MS;
    uint64_t drawn_ms = BACKOFF_MIN_MS + random_below(bound_ms - BACKOFF_MIN_MS + 1);
    return asked_ms > drawn_ms ? asked_ms + random_below(BACKOFF_MIN_MS) : drawn_ms;
}

static int run(struct listen *listen)
{
    struct cli_subscriber *subscriber = &listen->subscriber;
    struct error error = {0};
    for (unsigned attempt = 0;; attempt++) {
        uint64_t began_us = clock_now_us();
        subscriber->wait_ms = 0;
        switch (subscriber_run(subscriber, &error)) {
        case SUBSCRIBER_DONE: return CLI_OK;
        case SUBSCRIBER_REFUSED: return cli_fail(subscriber->command, CLI_FAILED, "%s", error.text);
        case SUBSCRIBER_RETRY: break;
        }
        if (listen->no_reconnect)
            return cli_fail(subscriber->command, CLI_FAILED, "%s", error.text);
        if (clock_now_us() - began_us > STABLE_US)
            attempt = 0;
        uint64_t wait_ms = backoff_ms(attempt, subscriber->wait_ms);
        cli_say(subscriber->command, "%s; trying again in %llu.%llu s", error.text, (unsigned long long)wait_ms / 1000,
                (unsigned long long)wait_ms % 1000 / 100);
        sleep_ms(wait_ms);
    }
}

int cli_listen(int argc, char **argv)
{
    struct listen listen = {
        .url_text = "ws://127.0.0.1:8080/ws",
        .secret = {.name = "token", .env = "CARILLON_TOKEN"},
        .subscriber = {.command = argv[0]},
    };
    struct buf token = {0};
    struct error error;
    int code = parse_options(&listen, argc, argv);
    if (code >= 0)
        return code;
    listen.subscriber.places = xcalloc(listen.subscriber.channel_count, sizeof *listen.subscriber.places);
    if (prepare(&listen, &token, &error) != ERR_NONE)
        code = cli_usage(argv[0], "%s", error.text);
    else
        code = run(&listen);
    for (size_t i = 0; i < listen.subscriber.channel_count; i++)
        place_fini(&listen.subscriber.places[i]);
    free(listen.subscriber.places);
    buf_fini(&token);
    return code;
}
