/* http_field.h - the common part of HTTP/1.1 requests and responses: the end of a head, and its field lines (RFC 9112,
 * 2.2 and 5). All results borrow from the bytes that were parsed. Pure, for any thread. */
#ifndef CARILLON_PROTOCOL_HTTP_FIELD_H
#define CARILLON_PROTOCOL_HTTP_FIELD_H

#include "common/base/error.h"
#include "common/base/str.h"

enum { HTTP_FIELDS_MAX = 128 }; /* lines of one head; docs/operations/limits.md names it */

/* The state of a head after the bytes so far. */
enum http_head_result { HTTP_HEAD_NEED_MORE, HTTP_HEAD_DONE, HTTP_HEAD_BAD };

struct http_field {
    struct str name;
    struct str value; /* without the white space around it */
};

struct http_fields {
    size_t count;
    struct http_field items[HTTP_FIELDS_MAX];
};

/* Looks for the empty line that ends a head. *scanned is 0 for a new head. The caller keeps it between calls with more
 * bytes of the same head, so that no byte is scanned twice.
 * DONE: *out_length is the length with the final CRLF CRLF. Bytes after the head are not scanned.
 * BAD, at once: a control character, or a CR or LF that is not part of a CRLF. */
enum http_head_result http_head_end(struct str bytes, size_t *scanned, size_t *out_length, struct error *error);

enum http_fields_result { HTTP_FIELDS_OK, HTTP_FIELDS_BAD, HTTP_FIELDS_TOO_MANY };

/* Parses field lines, each ending in CRLF, without the empty line after them. Names have token characters. White space
 * before the colon and continued lines are refused. The bytes must have passed http_head_end. *out is written in any
 * case. */
enum http_fields_result http_fields_parse(struct str lines, struct http_fields *out, struct error *error);

/* The value of the first field of that name (case does not matter). False, and *out untouched, if there is none. */
bool http_fields_find(const struct http_fields *fields, struct str name, struct str *out_value);

/* Walks the elements of a comma-separated list, over all fields of that name, skipping empty elements:
 * struct http_list at = {0}; while (http_fields_next(fields, name, &at, &item)) ... */
struct http_list {
    size_t field;
    struct str rest;
};
bool http_fields_next(const struct http_fields *fields, struct str name, struct http_list *at, struct str *out_item);

/* True if one of those elements is the token (case does not matter), as in Connection: keep-alive, Upgrade. */
bool http_fields_have_token(const struct http_fields *fields, struct str name, struct str token);

/* A character of RFC 9110's token. */
bool http_is_token_char(char c);

#endif
