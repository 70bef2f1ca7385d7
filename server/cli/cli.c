/* cli.c - see cli.h. */
#include "server/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/cli/authorities.h"

enum { SECRET_MAX = 64 * 1024 };

/* Opens /dev/null for each standard descriptor that is missing. Otherwise the next file or socket would get its number,
 * and output would go there. For stdout it is opened for reading only, so that printing fails and the command notices.
 */
static void fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        if (open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR) != fd) /* the lowest one that is free */
            abort();
    }
}

void cli_prepare(void)
{
    fill_standard_descriptors();
    signal(SIGPIPE, SIG_IGN);
#ifdef CARILLON_STATIC
    authorities_find();
#endif
}

/* A server's words may be in the text: its control characters must not reach the terminal. */
static void __attribute__((format(printf, 2, 0))) vsay(const char *command, const char *format, va_list args)
{
    char text[1024];
    vsnprintf(text, sizeof text, format, args);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            *p = '?';
    fprintf(stderr, "%s: %s\n", command, text);
}

void cli_say(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsay(command, format, args);
    va_end(args);
}

int cli_fail(const char *command, enum cli_exit code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsay(command, format, args);
    va_end(args);
    return (int)code;
}

int cli_usage(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsay(command, format, args);
    va_end(args);
    return cli_help_hint(command);
}

int cli_help_hint(const char *command)
{
    fprintf(stderr, "\"%s --help\" shows how it is used\n", command);
    return CLI_USAGE;
}

enum err cli_read_file(const char *path, size_t max, struct buf *out, struct error *error)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "rb");
    if (!file)
        return error_set(error, ERR_NOT_FOUND, "cannot open %s: %s", path, strerror(errno));
    size_t start = out->len, got;
    do {
        buf_reserve(out, 4096);
        got = fread(out->ptr + out->len, 1, 4096, file);
        out->len += got;
    } while (got > 0 && out->len - start <= max);
    int failed = ferror(file) ? errno : 0;
    if (!is_stdin)
        fclose(file);
    if (failed)
        return error_set(error, ERR_NOT_FOUND, "cannot read %s: %s", path, strerror(failed));
    if (out->len - start > max)
        return error_set(error, ERR_TOO_LARGE, "%s holds over %zu bytes", path, max);
    return ERR_NONE;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

enum err cli_read_secret(const struct cli_secret *secret, struct buf *out, struct error *error)
{
    const char *env = getenv(secret->env);
    struct buf raw = {0};
    enum err err = ERR_NONE;
    if (secret->value)
        buf_append(&raw, str_from_cstr(secret->value));
    else if (secret->path)
        err = cli_read_file(secret->path, SECRET_MAX, &raw, error);
    else if (env)
        buf_append(&raw, str_from_cstr(env));
    struct str text = buf_str(&raw);
    while (text.len > 0 && is_space(text.ptr[text.len - 1]))
        text.len--;
    while (text.len > 0 && is_space(text.ptr[0]))
        text = str_skip(text, 1);
    for (size_t i = 0; i < text.len && !err; i++)
        if (text.ptr[i] <= 0x20 || text.ptr[i] >= 0x7F)
            err = error_set(error, ERR_INVALID_REQUEST, "the %s has a character at byte %zu that is not visible ASCII",
                            secret->name, i);
    if (!err && secret->path && !secret->value && text.len == 0)
        err = error_set(error, ERR_INVALID_REQUEST, "%s is empty: it should hold the %s", secret->path, secret->name);
    if (!err)
        buf_append(out, text);
    buf_fini(&raw);
    return err;
}
