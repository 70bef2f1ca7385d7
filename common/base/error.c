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

const char *error_quote(struct str text, char out[ERROR_QUOTE_LEN])
{
    char *to = out;
    *to++ = '"';
    while (text.len > 0 && to - out <= ERROR_QUOTE_MAX) {
        uint32_t code = 0;
        size_t len = str_utf8_next(text, &code);
        if (to - out - 1 + (ptrdiff_t)len > ERROR_QUOTE_MAX)
            break;
        if (len == 0 || code < 0x20 || (code >= 0x7F && code < 0xA0)) {
            *to++ = '?';
            len = len ? len : 1;
        } else {
            memcpy(to, text.ptr, len);
            to += len;
        }
        text = str_skip(text, len);
    }
    memcpy(to, text.len ? "...\"" : "\"", text.len ? 5 : 2);
    return out;
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
