/* publish.c - carillon publish: one event through a server's HTTP API. */
#include <getopt.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/json/json.h"
#include "server/cli/cli.h"
#include "server/cli/http_client.h"

enum { DATA_MAX = 16 * 1024 * 1024, TIMEOUT_US = 10 * 1000 * 1000 };

static const char usage[] =
    "usage: carillon publish [OPTION]... CHANNEL TYPE JSON\n"
    "\n"
    "Publishes one event and prints the server's answer: the event's id, and its place on channels with history.\n"
    "JSON is the event's data, or - to read it from standard input.\n"
    "\n"
    "  --url URL            the server's internal listener (default http://127.0.0.1:8081)\n"
    "  --api-key KEY        the key of the HTTP API; visible to others on this machine, so better one of:\n"
    "  --api-key-file FILE  the file that holds it\n"
    "  CARILLON_API_KEY     in the environment\n"
    "  --event-id ID        publishing again with the same id changes nothing\n"
    "  --help\n"
    "\n"
    "examples:\n"
    "  carillon publish --api-key-file api-key public:news notification '{\"message\":\"Hello\"}'\n"
    "  date +%s | carillon publish --api-key-file api-key --event-id tick-1 public:clock tick -\n"
    "\n"
    "exit code: 0 published, 1 not published, 2 wrong call\n";

struct publish_command {
    const char *command;
    const char *url_text;
    struct cli_secret secret;
    const char *event_id;
    struct url url;
    struct buf api_key;
    struct buf data;
};

/* Returns -1 to go on, else the exit code. */
static int parse_options(struct publish_command *publish, int argc, char **argv)
{
    static const struct option options[] = {
        {"url", required_argument, NULL, 'u'},
        {"api-key", required_argument, NULL, 'k'},
        {"api-key-file", required_argument, NULL, 'f'},
        {"event-id", required_argument, NULL, 'e'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (c) {
        case 'u': publish->url_text = optarg; break;
        case 'k': publish->secret.value = optarg; break;
        case 'f': publish->secret.path = optarg; break;
        case 'e': publish->event_id = optarg; break;
        case 'h': fputs(usage, stdout); return CLI_OK;
        default: return cli_help_hint(argv[0]);
        }
    }
    if (argc - optind != 3)
        return cli_usage(argv[0], "a channel, a type and a JSON value are needed; %d arguments were given",
                         argc - optind);
    return -1;
}

static enum err read_inputs(struct publish_command *publish, const char *data_text, struct error *error)
{
    struct json_value value;
    struct error cause;
    enum err err = url_parse(str_from_cstr(publish->url_text), "http", &publish->url, error);
    if (!err && publish->url.query.len > 0)
        err = error_set(error, ERR_INVALID_REQUEST, "the URL %.*s must not have a query", STR_ARG(publish->url.shown));
    if (!err)
        err = cli_read_secret(&publish->secret, &publish->api_key, error);
    if (err)
        return err;
    if (strcmp(data_text, "-") == 0)
        err = cli_read_file("-", DATA_MAX, &publish->data, error);
    else
        buf_append(&publish->data, str_from_cstr(data_text));
    const struct json_limits limits = {.depth = JSON_DEPTH_MAX,
                                       .values = publish->data.len + 1}; /* the server checks it */
    if (!err && json_check(buf_str(&publish->data), &limits, &value, &cause) != ERR_NONE)
        err = error_set(error, ERR_INVALID_REQUEST, "the data is not JSON: %s (text needs quotes: '\"text\"')",
                        cause.text);
    return err;
}

static void encode(struct buf *out, const struct publish_command *publish, const char *channel, const char *type)
{
    buf_append_lit(out, "{\"channel\":");
    json_append_string(out, str_from_cstr(channel));
    buf_append_lit(out, ",\"type\":");
    json_append_string(out, str_from_cstr(type));
    if (publish->event_id) {
        buf_append_lit(out, ",\"event_id\":");
        json_append_string(out, str_from_cstr(publish->event_id));
    }
    buf_append_lit(out, ",\"data\":");
    buf_append(out, buf_str(&publish->data));
    buf_append_char(out, '}');
}

/* Without the newline that the server ends its answers with. */
static struct str line_of(struct str text)
{
    return text.len && text.ptr[text.len - 1] == '\n' ? str_from(text.ptr, text.len - 1) : text;
}

static int send_event(const struct publish_command *publish, const char *channel, const char *type)
{
    struct buf body = {0}, authorization = {0};
    struct http_reply reply = {0};
    struct error error = {0};
    encode(&body, publish, channel, type);
    buf_append_lit(&authorization, "Bearer ");
    buf_append(&authorization, buf_str(&publish->api_key));
    struct str text = buf_str(&body);
    int code = CLI_OK;
    if (http_client_call(&publish->url, "/api/v1/publish", publish->api_key.len ? buf_cstr(&authorization) : NULL,
                         &text, clock_now_us() + TIMEOUT_US, &reply, &error) != ERR_NONE) {
        code = cli_fail(publish->command, CLI_FAILED, "%s", error.text);
    } else if (reply.status < 200 || reply.status > 299) {
        http_reply_error(&reply, &error);
        code = cli_fail(publish->command, CLI_FAILED, "not published: %s", error.text);
    } else {
        printf("%.*s\n", STR_ARG(line_of(buf_str(&reply.body))));
        if (fflush(stdout) != 0)
            code = cli_fail(publish->command, CLI_FAILED, "published, but the answer could not be printed");
    }
    http_reply_fini(&reply);
    buf_fini(&authorization);
    buf_fini(&body);
    return code;
}

int cli_publish(int argc, char **argv)
{
    struct publish_command publish = {
        .command = argv[0],
        .url_text = "http://127.0.0.1:8081",
        .secret = {.name = "API key", .env = "CARILLON_API_KEY"},
    };
    struct error error;
    int code = parse_options(&publish, argc, argv);
    if (code >= 0)
        return code;
    if (read_inputs(&publish, argv[optind + 2], &error) != ERR_NONE)
        code = cli_usage(argv[0], "%s", error.text);
    else
        code = send_event(&publish, argv[optind], argv[optind + 1]);
    buf_fini(&publish.api_key);
    buf_fini(&publish.data);
    return code;
}
