/* bench.c - `carillon bench`: the load generator. Here are the options; the scenarios are in server/cli/bench/. */
#include <assert.h>
#include <getopt.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "server/cli/bench/report.h"
#include "server/cli/cli.h"

#define SECRET_ENV "CARILLON_TOKEN_SECRET"

enum {
    SECRET_MAX = 64 * 1024,
    PID_LIMIT = 4194304, /* of Linux; a clock id made of a larger one can be another process's */
};

static const char usage[] =
    "usage: carillon bench SCENARIO [OPTION]...\n"
    "\n"
    "Puts load on a server over real sockets and says what it cost. Every event is checked: a loss, a duplicate or an\n"
    "event out of order makes the run fail. One thread; it takes CPU time from a server on the same machine.\n"
    "\n"
    "scenarios:\n";

static const char usage_options[] =
    "\n"
    "  --connections N       subscribers, clients, or connections that publish\n"
    "  --window N            fanout: events in flight (default 1)\n"
    "  --publishers N        fanout: connections they are published over, pipelined (default 1)\n"
    "  --batch N             publish: events in one request (default 1)\n"
    "  --size BYTES          of an event's data (default 128)\n"
    "  --at-once N           connections being made at a time (default 64)\n"
    "  --duration SECONDS    how long is measured (default 5)\n"
    "  --count N             measure so many events, round trips or requests instead\n"
    "  --warmup SECONDS      load before that (default 1)\n"
    "  --channel NAME        (default bench:load)\n"
    "  --json                one JSON object instead of the table\n"
    "  --no-header           the table's row alone\n"
    "\n"
    "  --url URL             WebSocket endpoint (default ws://127.0.0.1:8080/ws)\n"
    "  --api URL             internal listener (default http://127.0.0.1:8081)\n"
    "  --server-pid PID      the server's process, to measure its CPU time and memory\n"
    "  --secret-file FILE    HMAC secret that the server verifies tokens with, or in the environment as\n"
    "  " SECRET_ENV "\n"
    "  --api-key-file FILE   key of the HTTP API, or in the environment as\n"
    "  CARILLON_API_KEY\n"
    "  --help\n"
    "\n"
    "The server needs a rule that lets tokens subscribe to the channel, limits.connections above --connections, and "
    "for\n"
    "echo limits.message_rate 0. Memory a connection is right on a server that has just started.\n"
    "\n"
    "examples:\n"
    "  carillon bench fanout --connections 1000 --window 16 --server-pid \"$(pidof carillon)\"\n"
    "  carillon bench publish --connections 50 --batch 100 --duration 10 --json\n"
    "\n"
    "exit code: 0 measured, and every event was right; 1 not; 2 wrong call\n";

struct bench {
    const char *command;
    const struct scenario *scenario;
    const char *url;
    const char *api_url;
    const char *secret_path;
    struct cli_secret api_key;
    bool json;
    bool no_header;
    struct run_settings settings;
};

static void print_help(void)
{
    fputs(usage, stdout);
    for (const struct scenario *scenario = scenarios; scenario->name; scenario++)
        printf("  %-10s %s (default %zu connections)\n", scenario->name, scenario->summary, scenario->connections);
    fputs(usage_options, stdout);
}

/* Options with a number: where it goes, and what it may be. */
struct number {
    const char *name;
    uint64_t min;
    uint64_t max;
    uint64_t value;
    bool given;
};

enum {
    CONNECTIONS,
    WINDOW,
    PUBLISHERS,
    BATCH,
    SIZE,
    AT_ONCE,
    DURATION,
    COUNT,
    WARMUP,
    SERVER_PID,
    NUMBER_COUNT,
    URL,
    API,
    CHANNEL,
    SECRET_FILE,
    API_KEY_FILE,
    JSON,
    NO_HEADER,
};

static const struct option options[] = {
    {"connections", required_argument, NULL, CONNECTIONS},
    {"window", required_argument, NULL, WINDOW},
    {"publishers", required_argument, NULL, PUBLISHERS},
    {"batch", required_argument, NULL, BATCH},
    {"size", required_argument, NULL, SIZE},
    {"at-once", required_argument, NULL, AT_ONCE},
    {"duration", required_argument, NULL, DURATION},
    {"count", required_argument, NULL, COUNT},
    {"warmup", required_argument, NULL, WARMUP},
    {"server-pid", required_argument, NULL, SERVER_PID},
    {"url", required_argument, NULL, URL},
    {"api", required_argument, NULL, API},
    {"channel", required_argument, NULL, CHANNEL},
    {"secret-file", required_argument, NULL, SECRET_FILE},
    {"api-key-file", required_argument, NULL, API_KEY_FILE},
    {"json", no_argument, NULL, JSON},
    {"no-header", no_argument, NULL, NO_HEADER},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static const struct scenario *find_scenario(const char *name)
{
    for (const struct scenario *scenario = scenarios; scenario->name; scenario++)
        if (strcmp(scenario->name, name) == 0)
            return scenario;
    return NULL;
}

/* Returns -1 to go on, else the exit code. */
static int take_option(struct bench *bench, struct number numbers[NUMBER_COUNT], int c)
{
    if (c >= 0 && c < NUMBER_COUNT) {
        struct number *number = &numbers[c];
        number->given = true;
        if (!str_to_u64(str_from_cstr(optarg), &number->value) || number->value < number->min ||
            number->value > number->max)
            return cli_usage(bench->command, "--%s should be a number from %llu to %llu, not \"%s\"", number->name,
                             (unsigned long long)number->min, (unsigned long long)number->max, optarg);
        return -1;
    }
    switch (c) {
    case URL: bench->url = optarg; break;
    case API: bench->api_url = optarg; break;
    case CHANNEL: bench->settings.channel = str_from_cstr(optarg); break;
    case SECRET_FILE: bench->secret_path = optarg; break;
    case API_KEY_FILE: bench->api_key.path = optarg; break;
    case JSON: bench->json = true; break;
    case NO_HEADER: bench->no_header = true; break;
    case 'h': print_help(); return CLI_OK;
    default: return cli_help_hint(bench->command);
    }
    return -1;
}

static int parse_options(struct bench *bench, int argc, char **argv)
{
    struct number numbers[NUMBER_COUNT] = {
        [CONNECTIONS] = {"connections", 1, 1000000, 0, false},
        [WINDOW] = {"window", 1, 10000, 1, false},
        [PUBLISHERS] = {"publishers", 1, 1000, 1, false},
        [BATCH] = {"batch", 1, 10000, 1, false},
        [SIZE] = {"size", RUN_DATA_MIN, 1 << 20, 128, false},
        [AT_ONCE] = {"at-once", 1, 10000, 64, false},
        [DURATION] = {"duration", 1, 86400, 5, false},
        [COUNT] = {"count", 1, 1000000000, 0, false},
        [WARMUP] = {"warmup", 0, 3600, 1, false},
        [SERVER_PID] = {"server-pid", 1, PID_LIMIT, 0, false},
    };
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        int code = take_option(bench, numbers, c);
        if (code >= 0)
            return code;
    }
    if (optind + 1 != argc)
        return cli_usage(bench->command, "name one scenario");
    bench->scenario = find_scenario(argv[optind]);
    if (!bench->scenario)
        return cli_usage(bench->command, "there is no scenario \"%s\"", argv[optind]);
    if (numbers[COUNT].given && numbers[DURATION].given)
        return cli_usage(bench->command, "give --duration or --count, not both");
    struct run_settings *settings = &bench->settings;
    settings->connections =
        numbers[CONNECTIONS].given ? (size_t)numbers[CONNECTIONS].value : bench->scenario->connections;
    settings->window = (size_t)numbers[WINDOW].value;
    settings->publishers = (size_t)numbers[PUBLISHERS].value;
    settings->batch = (size_t)numbers[BATCH].value;
    settings->data_bytes = (size_t)numbers[SIZE].value;
    settings->at_once = (size_t)numbers[AT_ONCE].value;
    settings->measure_us = numbers[DURATION].value * 1000000;
    settings->count = numbers[COUNT].value;
    settings->warmup_us = numbers[WARMUP].value * 1000000;
    settings->server_pid = (pid_t)numbers[SERVER_PID].value;
    return -1;
}

/* As `carillon token` reads it: any bytes, a newline at the end of a file does not count. */
static enum err read_keys(struct bench *bench, struct token_keys *keys, struct error *error)
{
    struct buf file = {0};
    struct str secret = str_from_cstr(getenv(SECRET_ENV));
    const char *source = bench->secret_path ? bench->secret_path : SECRET_ENV;
    enum err err = ERR_NONE;
    if (bench->secret_path) {
        err = cli_read_file(bench->secret_path, SECRET_MAX, &file, error);
        secret = buf_str(&file);
        while (secret.len > 0 && (secret.ptr[secret.len - 1] == '\n' || secret.ptr[secret.len - 1] == '\r'))
            secret.len--;
    }
    if (!err && secret.len == 0)
        err = error_set(error, ERR_INVALID_REQUEST,
                        "the clients need tokens: give --secret-file, or " SECRET_ENV " in the environment");
    if (!err)
        err = token_keys_add_secret(keys, source, STR(""), 0, secret, error);
    if (file.ptr)
        explicit_bzero(file.ptr, file.len);
    buf_fini(&file);
    bench->settings.keys = keys;
    return err;
}

static void print_report(const struct bench *bench, const struct run *run)
{
    struct buf out = {0};
    if (bench->json) {
        report_json(&out, bench->scenario, run);
    } else {
        if (!bench->no_header)
            report_header(&out);
        report_row(&out, bench->scenario, run);
    }
    fputs(buf_cstr(&out), stdout);
    fflush(stdout);
    buf_fini(&out);
}

static int measure(const struct bench *bench, const struct loop_target *clients, const struct loop_target *api)
{
    struct run *run = xcalloc(1, sizeof *run);
    struct error error;
    int code = CLI_OK;
    run->settings = &bench->settings;
    run->clients = clients;
    run->api = api;
    loop_init(&run->loop);
    if (bench->scenario->run(run, &error) != ERR_NONE) {
        code = cli_fail(bench->command, CLI_FAILED, "%s: %s", bench->scenario->name, error.text);
    } else {
        print_report(bench, run);
        if (!report_is_clean(run))
            code = cli_fail(bench->command, CLI_FAILED,
                            "%s: not every event was right: %llu lost, %llu doubled, %llu out of order",
                            bench->scenario->name, (unsigned long long)run->result.lost,
                            (unsigned long long)run->result.duplicated, (unsigned long long)run->result.misordered);
    }
    loop_fini(&run->loop);
    free(run);
    return code;
}

int cli_bench(int argc, char **argv)
{
    struct bench bench = {
        .command = argv[0],
        .url = "ws://127.0.0.1:8080/ws",
        .api_url = "http://127.0.0.1:8081",
        .api_key = {.name = "API key", .env = "CARILLON_API_KEY"},
        .settings = {.channel = STR("bench:load")},
    };
    struct loop_target clients, api;
    struct error error;
    struct buf api_key = {0};
    int code = parse_options(&bench, argc, argv);
    if (code >= 0)
        return code;
    assert(bench.scenario);
    struct token_keys *keys = token_keys_create();
    enum err err = loop_resolve(bench.url, "ws", &clients, &error);
    if (!err)
        err = loop_resolve(bench.api_url, "http", &api, &error);
    if (!err)
        err = cli_read_secret(&bench.api_key, &api_key, &error);
    if (!err && bench.scenario->run != scenario_publish)
        err = read_keys(&bench, keys, &error);
    bench.settings.api_key = buf_str(&api_key);
    code = err ? cli_usage(argv[0], "%s", error.text) : measure(&bench, &clients, &api);
    token_keys_unref(keys);
    buf_fini(&api_key);
    return code;
}
