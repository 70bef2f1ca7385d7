/* cli.h - what the subcommands share. Each is a function int cli_<name>(int argc, char **argv) that gets argv[0] as
 * "carillon <name>", parses its own options with getopt_long, and returns the exit code. Results go to stdout,
 * everything said about them to stderr. */
#ifndef CARILLON_CLI_CLI_H
#define CARILLON_CLI_CLI_H

#include "common/base/buf.h"
#include "common/base/error.h"

enum cli_exit { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

#define COMMAND(name, summary) int cli_##name(int argc, char **argv);
#include "server/cli/commands.def"
#undef COMMAND

/* First of all in each program: missing standard descriptors become /dev/null, and SIGPIPE is ignored, so that a reader
 * that went away is an error of the write that found out. */
void cli_prepare(void);

/* Writes "<command>: <text>" to stderr, control characters as '?'. */
void cli_say(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same as the last word: returns code. */
int cli_fail(const char *command, enum cli_exit code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same for a wrong call: says where the help is. Returns CLI_USAGE. */
int cli_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Only that, when getopt has already said what is wrong. Returns CLI_USAGE. */
int cli_help_hint(const char *command);

/* Where a secret may come from; the first that is there wins. */
struct cli_secret {
    const char *name;  /* for errors: "token" */
    const char *value; /* of the option; NULL if not given */
    const char *path;  /* of the file that holds it; NULL if not given */
    const char *env;   /* name of the environment variable */
};

/* Appends the secret to *out, nothing if it is nowhere. White space at the ends does not count; inside, and anything
 * but visible ASCII, is ERR_INVALID_REQUEST, because it becomes part of a header. */
enum err cli_read_secret(const struct cli_secret *secret, struct buf *out, struct error *error);

/* Appends the whole of a file, at most max bytes; "-" is stdin. */
enum err cli_read_file(const char *path, size_t max, struct buf *out, struct error *error);

#endif
