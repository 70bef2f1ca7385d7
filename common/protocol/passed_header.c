/* passed_header.c - see passed_header.h. */
#include "common/protocol/passed_header.h"

#include "common/protocol/http_field.h"

static const char *const families[] = {"ce-", "webhook-", "content-", "carillon-", "sec-", "proxy-"};

static const char *const others[] = {
    "accept-encoding",
    "authorization",
    "connection",
    "cookie",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "traceparent",
    "upgrade",
};

bool passed_header_is_good(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!http_is_token_char(name.ptr[i]))
            return false;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        struct str family = str_from_cstr(families[i]);
        if (name.len >= family.len && str_eq_nocase(str_from(name.ptr, family.len), family))
            return false;
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (str_eq_nocase(name, str_from_cstr(others[i])))
            return false;
    return name.len > 0;
}
