/* cli.h - what the subcommands share. Each subcommand is a function int cli_<name>(int argc, char **argv). Its argv[0]
 * is "carillon <name>". It parses its own options with getopt_long and returns the exit code. Results go to stdout, all
 * messages to stderr. */
#ifndef CARILLON_CLI_CLI_H
#define CARILLON_CLI_CLI_H

#include "common/base/buf.h"
#include "common/base/error.h"

enum cli_exit { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

#define COMMAND(name, summary) int cli_##name(int argc, char **argv);
#include "server/cli/commands.def"
#undef COMMAND

/* Each program calls this first. Missing standard descriptors become /dev/null. SIGPIPE is ignored, so that a write to
 * a reader that has gone returns an error. A program with OpenSSL inside finds the machine's authorities. */
void cli_prepare(void);

/* Writes "<command>: <text>" to stderr, control characters as '?'. */
void cli_say(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, and returns code, for the last line of a command. */
int cli_fail(const char *command, enum cli_exit code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same for a wrong call: says where the help is. Returns CLI_USAGE. */
int cli_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Says only where the help is, for mistakes that getopt has reported. Returns CLI_USAGE. */
int cli_help_hint(const char *command);

/* The places a secret may come from. The first one that is given counts. */
struct cli_secret {
    const char *name;  /* for errors: "token" */
    const char *value; /* of the option, or NULL */
    const char *path;  /* of the file that holds it, or NULL */
    const char *env;   /* name of the environment variable */
};

/* Appends the secret to *out, or nothing if no place has one. White space at the ends is cut off. The rest becomes part
 * of a header: anything in it but visible ASCII is ERR_INVALID_REQUEST. */
enum err cli_read_secret(const struct cli_secret *secret, struct buf *out, struct error *error);

/* Appends the whole of a file, at most max bytes. The path "-" is stdin. */
enum err cli_read_file(const char *path, size_t max, struct buf *out, struct error *error);

#endif
