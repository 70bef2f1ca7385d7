/* flags.c - see flags.h. */
#include "bench/load/flags.h"

#include <getopt.h>
#include <stdio.h>

#include "bench/load/payload.h"
#include "server/cli/cli.h"

enum {
    PID_LIMIT = 4194304, /* of Linux; a clock id made of a larger one can be another process's */
    NAME_COLUMN = 30,
};

static const char usage[] =
    "usage: carillon bench SCENARIO [OPTION]...\n"
    "\n"
    "Puts load on a server over real sockets and says what it cost. Every event is checked: a loss, a duplicate or an\n"
    "event out of order makes the run fail. It takes CPU time from a server on the same machine.\n"
    "\n"
    "scenarios:\n";

static const char usage_end[] =
    "\n"
    "protocols: carillon; plain (events are text messages, the channel is in the URL); nchan; socketio; mqtt; nats;\n"
    "tickets (publish: POST /api/v1/tickets).\n"
    "Without --rate the loop is closed: an event is published when one before it has reached all its subscribers.\n"
    "\n"
    "The server needs a rule that lets tokens subscribe to the channel, limits.connections above --connections, and "
    "for\n"
    "echo limits.message_rate 0. Memory a connection is right on a server that has just started.\n"
    "\n"
    "examples:\n"
    "  carillon bench fanout --secret-file secret --api-key-file api-key --server-pid \"$(pidof -s carillon)\"\n"
    "  carillon bench rooms --secret-file secret --api-key-file api-key --members 10 --rate 20000 --threads 2\n"
    "  carillon bench publish --api-key-file api-key --connections 50 --batch 100 --duration 10 --json\n"
    "\n"
    "exit code: 0 measured, and every event was right; 1 not; 2 wrong call\n";

/* A row of flags.def. */
struct flag_row {
    const char *name;
    const char *what; /* NULL: a switch */
    bool is_number;
    uint64_t min, max, preset;
    unsigned traits;
    const char *text;
};

static const struct flag_row rows[FLAG_COUNT] = {
#define NUMBER(symbol, name, what, min, max, preset, traits, text)                                                     \
    [FLAG_##symbol] = {name, what, true, min, max, preset, traits, text},
#define TEXT(symbol, name, what, traits, text) [FLAG_##symbol] = {name, what, false, 0, 0, 0, traits, text},
#define SWITCH(symbol, name, text)             [FLAG_##symbol] = {name, NULL, false, 0, 0, 0, 0, text},
#include "bench/load/flags.def"
#undef NUMBER
#undef TEXT
#undef SWITCH
};

static void print_help(void)
{
    fputs(usage, stdout);
    for (const struct scenario *scenario = scenarios; scenario->name; scenario++) {
        printf("  %-10s %s", scenario->name, scenario->summary);
        if (scenario->connections)
            printf(" (default %zu connections)", scenario->connections);
        putchar('\n');
    }
    puts("\noptions, with the scenarios that have them where not all do:");
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        int used = printf("  --%s %s", rows[i].name, rows[i].what ? rows[i].what : "");
        printf(used < NAME_COLUMN ? "%*s" : "\n%*s", used < NAME_COLUMN ? NAME_COLUMN - used : NAME_COLUMN, "");
        const char *comma = "";
        for (const struct scenario *scenario = scenarios; rows[i].traits && scenario->name; scenario++) {
            if (scenario->takes & rows[i].traits) {
                printf("%s%s", comma, scenario->name);
                comma = ", ";
            }
        }
        printf("%s%s\n", *comma ? ": " : "", rows[i].text);
    }
    printf("  %-*s\n", NAME_COLUMN - 2, "--help");
    fputs(usage_end, stdout);
}

static int take_pid(struct flags *flags, const char *command)
{
    uint64_t pid;
    if (!str_to_u64(str_from_cstr(optarg), &pid) || pid < 1 || pid > PID_LIMIT)
        return cli_usage(command, "--server-pid should be a number from 1 to %d, not \"%s\"", PID_LIMIT, optarg);
    if (flags->server_count == RUN_SERVERS_MAX)
        return cli_usage(command, "--server-pid is given more than %d times", RUN_SERVERS_MAX);
    flags->servers[flags->server_count++] = (pid_t)pid;
    return -1;
}

static int take_flag(struct flags *flags, const char *command, enum flag flag)
{
    const struct flag_row *row = &rows[flag];
    flags->given[flag] = true;
    flags->text[flag] = optarg;
    if (flag == FLAG_SERVER_PID)
        return take_pid(flags, command);
    if (row->is_number && (!str_to_u64(str_from_cstr(optarg), &flags->number[flag]) || flags->number[flag] < row->min ||
                           flags->number[flag] > row->max))
        return cli_usage(command, "--%s should be a number from %llu to %llu, not \"%s\"", row->name,
                         (unsigned long long)row->min, (unsigned long long)row->max, optarg);
    return -1;
}

static int take_scenario(struct flags *flags, const char *command, const char *name)
{
    for (flags->scenario = scenarios; flags->scenario->name; flags->scenario++)
        if (strcmp(flags->scenario->name, name) == 0)
            break;
    if (!flags->scenario->name)
        return cli_usage(command, "there is no scenario \"%s\"", name);
    for (size_t i = 0; i < FLAG_COUNT; i++)
        if (flags->given[i] && rows[i].traits && !(rows[i].traits & flags->scenario->takes))
            return cli_usage(command, "%s has no option --%s", name, rows[i].name);
    return -1;
}

int flags_read(struct flags *flags, int argc, char **argv)
{
    struct option options[FLAG_COUNT + 2] = {{"help", no_argument, NULL, 'h'}};
    *flags = (struct flags){0};
    for (int i = 0; i < FLAG_COUNT; i++) {
        flags->number[i] = rows[i].preset;
        options[i + 1] =
            (struct option){rows[i].name, rows[i].what ? required_argument : no_argument, NULL, UINT8_MAX + 1 + i};
    }
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (c == 'h') {
            print_help();
            return CLI_OK;
        }
        if (c <= UINT8_MAX)
            return cli_help_hint(argv[0]);
        int code = take_flag(flags, argv[0], (enum flag)(c - UINT8_MAX - 1));
        if (code >= 0)
            return code;
    }
    if (optind + 1 != argc)
        return cli_usage(argv[0], "name one scenario");
    return take_scenario(flags, argv[0], argv[optind]);
}
