/* healthcheck.c - carillon healthcheck: for containers and supervisors that look at an exit code. */
#include <getopt.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "server/cli/cli.h"
#include "server/cli/http_client.h"
#include "server/cli/running.h"

static const char usage[] =
    "usage: carillon healthcheck [--url URL | --pid PID] [--timeout SECONDS]\n"
    "\n"
    "Asks a server's /readyz, prints its answer, and exits with 0 only if the server is ready.\n"
    "\n"
    "  --url URL          the server's internal listener (default http://127.0.0.1:8081)\n"
    "  --pid PID          the server is this process: its flags, environment and configuration file say where it\n"
    "                     listens. In a container it is 1\n"
    "  --timeout SECONDS  1 to 3600 (default 5)\n"
    "  --help\n"
    "\n"
    "examples:\n"
    "  carillon healthcheck && echo ready\n"
    "  HEALTHCHECK CMD [\"carillon\", \"healthcheck\", \"--pid\", \"1\"]    (in a Dockerfile)\n"
    "\n"
    "exit code: 0 ready, 1 not ready or no answer, 2 wrong call\n";

static int check(const char *command, const struct url *url, uint64_t timeout_s)
{
    struct http_reply reply = {0};
    struct error error = {0};
    if (http_client_call(url, "/readyz", NULL, NULL, clock_now_us() + timeout_s * 1000000, &reply, &error) != ERR_NONE)
        return cli_fail(command, CLI_FAILED, "%s", error.text);
    int code = CLI_OK;
    puts(buf_cstr(&reply.body));
    if (reply.status != 200)
        code = cli_fail(command, CLI_FAILED, "not ready (HTTP status %d)", reply.status);
    http_reply_fini(&reply);
    return code;
}

/* A process that cannot be asked is a failure, and no wrong call. */
static int check_process(const char *command, uint64_t pid, uint64_t timeout_s)
{
    struct buf text = {0};
    struct url url;
    struct error error;
    enum err err = running_url((unsigned)pid, &text, &error);
    if (err == ERR_NONE)
        err = url_parse(buf_str(&text), "http", &url, &error);
    int code = err ? cli_fail(command, CLI_FAILED, "%s", error.text) : check(command, &url, timeout_s);
    buf_fini(&text);
    return code;
}

int cli_healthcheck(int argc, char **argv)
{
    static const struct option options[] = {
        {"url", required_argument, NULL, 'u'},
        {"pid", required_argument, NULL, 'p'},
        {"timeout", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    const char *url_text = NULL;
    uint64_t timeout_s = 5, pid = 0;
    struct url url;
    struct error error;
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (c) {
        case 'u': url_text = optarg; break;
        case 'p':
            if (!str_to_u64(str_from_cstr(optarg), &pid) || pid == 0 || pid > INT32_MAX)
                return cli_usage(argv[0], "--pid should be the id of a process, not \"%s\"", optarg);
            break;
        case 't':
            if (!str_to_u64(str_from_cstr(optarg), &timeout_s) || timeout_s == 0 || timeout_s > 3600)
                return cli_usage(argv[0], "--timeout should be a number of seconds from 1 to 3600, not \"%s\"", optarg);
            break;
        case 'h': fputs(usage, stdout); return CLI_OK;
        default: return cli_help_hint(argv[0]);
        }
    }
    if (optind < argc)
        return cli_usage(argv[0], "no arguments are expected; found \"%s\"", argv[optind]);
    if (url_text && pid)
        return cli_usage(argv[0], "--url and --pid exclude each other");
    if (pid)
        return check_process(argv[0], pid, timeout_s);
    if (url_parse(str_from_cstr(url_text ? url_text : "http://127.0.0.1:8081"), "http", &url, &error) != ERR_NONE)
        return cli_usage(argv[0], "%s", error.text);
    return check(argv[0], &url, timeout_s);
}
