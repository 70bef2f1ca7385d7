/* error.h - the list of errors, and the detail of one error. Pure, for any thread. */
#ifndef CARILLON_BASE_ERROR_H
#define CARILLON_BASE_ERROR_H

#include <stdarg.h>

#include "common/base/str.h"

enum err {
    ERR_NONE = 0,
#define ERROR(symbol, code, http, close, text) ERR_##symbol,
#include "common/base/errors.def"
#undef ERROR
    ERR_COUNT
};

/* One error for a human: what was wrong, where, what to do. text is one line of NUL-terminated UTF-8. */
struct error {
    enum err code;
    char text[480];
};

/* Fills *error (may be NULL) and returns code. So a function can end with `return error_set(...)`. */
enum err error_set(struct error *error, enum err code, const char *format, ...) __attribute__((format(printf, 3, 4)));

enum { ERROR_QUOTE_MAX = 40, ERROR_QUOTE_LEN = ERROR_QUOTE_MAX + 6 };

/* Makes a stranger's text fit for an error: in quotes, cut to about ERROR_QUOTE_MAX bytes, with '?' for control
 * characters and ill-formed bytes. Returns out. */
const char *error_quote(struct str text, char out[ERROR_QUOTE_LEN]);

/* The code as protocol and API show it, such as "invalid_request"; "none" for ERR_NONE. */
const char *err_code(enum err err);
/* One general sentence for the code. */
const char *err_text(enum err err);
/* The HTTP status that the API answers; 200 for ERR_NONE. */
int err_http_status(enum err err);
/* The default WebSocket close code (RFC 6455, 7.4) of a connection that ends with this error; 1000 for ERR_NONE. */
int err_close_code(enum err err);

#endif
