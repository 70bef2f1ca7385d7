/* main.c - the program: finds the subcommand and hands over. */
#include <stdio.h>
#include <stdlib.h>

#include "server/cli/cli.h"

struct subcommand {
    const char *name;
    const char *summary;
    const char *called; /* what the subcommand sees as argv[0] */
    int (*run)(int argc, char **argv);
};

static const struct subcommand commands[] = {
#define COMMAND(name, summary) {#name, summary, "carillon " #name, cli_##name},
#include "server/cli/commands.def"
#undef COMMAND
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0], NAME_MAX_LEN = 32 };

static void print_help(FILE *out)
{
    fputs("carillon - realtime events from backends to browsers and devices, over WebSocket\n\n"
          "usage: carillon COMMAND [OPTION]...\n\ncommands:\n",
          out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].summary);
    fputs("\n\"carillon help COMMAND\" shows a command's options and examples.\n", out);
}

static const struct subcommand *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* How many letters to insert, remove or replace to make b of a (Levenshtein). */
static size_t edit_distance(struct str a, struct str b)
{
    size_t row[NAME_MAX_LEN + 1];
    for (size_t k = 0; k <= b.len; k++)
        row[k] = k;
    for (size_t i = 0; i < a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t k = 0; k < b.len; k++) {
            size_t replace = diagonal + (a.ptr[i] != b.ptr[k]);
            size_t shorter = row[k] < row[k + 1] ? row[k] + 1 : row[k + 1] + 1;
            diagonal = row[k + 1];
            row[k + 1] = replace < shorter ? replace : shorter;
        }
    }
    return row[b.len];
}

static bool is_near(struct str typed, struct str name)
{
    if (typed.len == 0 || typed.len > NAME_MAX_LEN || name.len > NAME_MAX_LEN)
        return false;
    return str_starts_with(name, typed) || str_starts_with(typed, name) ||
           edit_distance(typed, name) <= (name.len > 5 ? 3u : 2u);
}

static int unknown_command(const char *name)
{
    char quoted[ERROR_QUOTE_LEN];
    const char *before = "; did you mean ";
    fprintf(stderr, "carillon: there is no command %s", error_quote(str_from_cstr(name), quoted));
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (is_near(str_from_cstr(name), str_from_cstr(commands[i].name))) {
            fprintf(stderr, "%s%s", before, commands[i].name);
            before = " or ";
        }
    }
    fputs(before[0] == ';' ? "\n" : "?\n", stderr);
    fputs("\"carillon --help\" lists the commands\n", stderr);
    return CLI_USAGE;
}

static int run(const struct subcommand *command, int argc, char **argv)
{
    char called[sizeof "carillon " + NAME_MAX_LEN];
    snprintf(called, sizeof called, "%s", command->called);
    argv[0] = called;
    return command->run(argc, argv);
}

int main(int argc, char **argv)
{
    cli_prepare();
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        name = "version";
    bool help = strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0;
    if (help && argc < 3) {
        print_help(stdout);
        return CLI_OK;
    }
    const struct subcommand *command = find_command(help ? argv[2] : name);
    if (!command)
        return unknown_command(help ? argv[2] : name);
    if (help) {
        char option[] = "--help", *args[] = {NULL, option, NULL};
        return run(command, 2, args);
    }
    return run(command, argc - 1, argv + 1);
}
