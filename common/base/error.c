/* error.c - see error.h. */
#include "common/base/error.h"

#include <stdio.h>

static const struct {
    const char *code;
    int http;
    int close;
    const char *text;
} errors[ERR_COUNT] = {
    [ERR_NONE] = {"none", 200, 1000, "no error"},
#define ERROR(symbol, code, http, close, text) [ERR_##symbol] = {code, http, close, text},
#include "common/base/errors.def"
#undef ERROR
};

enum err error_set(struct error *error, enum err code, const char *format, ...)
{
    if (error) {
        va_list args;
        error->code = code;
        va_start(args, format);
        vsnprintf(error->text, sizeof error->text, format, args);
        va_end(args);
    }
    return code;
}

const char *err_code(enum err err)
{
    return errors[err].code;
}

const char *err_text(enum err err)
{
    return errors[err].text;
}

int err_http_status(enum err err)
{
    return errors[err].http;
}

int err_close_code(enum err err)
{
    return errors[err].close;
}
