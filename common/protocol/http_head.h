/* http_head.h - the head of an HTTP/1.1 or 1.0 request, parsed strictly (RFC 9112). The gate parses the head of every
 * connection with it. All results borrow from the bytes. Pure, for any thread.
 *
 * Refused, although some servers accept them:
 * - bare LF, continued lines, white space before a colon
 * - empty lines before the request (gate.c takes them away first)
 * - the target of CONNECT
 * - a second Host, Content-Length, Authorization, Origin, X-API-Key, Upgrade, Sec-WebSocket-Key or
 *   Sec-WebSocket-Version
 * - Transfer-Encoding beside Content-Length, in HTTP/1.0, or without chunked as its last coding
 *
 * In the target any visible ASCII character but '#' passes, more than RFC 3986 has, because browsers send some of them
 * unescaped. */
#ifndef CARILLON_PROTOCOL_HTTP_HEAD_H
#define CARILLON_PROTOCOL_HTTP_HEAD_H

#include "common/base/buf.h"
#include "common/protocol/http_field.h"

/* How the body comes, beside Content-Length. */
enum http_transfer {
    HTTP_TRANSFER_PLAIN,
    HTTP_TRANSFER_CHUNKED, /* see http_chunked.h */
    HTTP_TRANSFER_UNKNOWN, /* chunked at the end, but other codings inside: answer 501 and close */
};

struct http_head {
    int status;    /* after BAD: the HTTP status to answer with: 400, 414, 431 or 505 */
    size_t length; /* bytes of the head with its final CRLF CRLF */
    struct str method;
    struct str target; /* path and query as they came */
    struct str path;   /* not decoded; its percent-escapes are well-formed, and none is %00. "*" of OPTIONS */
    struct str query;  /* what follows the first '?'; empty if there is none */
    unsigned minor;    /* 0 or 1 of HTTP/1.x */
    struct str host;   /* of an absolute target, else of the Host header; empty if HTTP/1.0 came without */
    enum http_transfer transfer;
    bool has_content_length;
    uint64_t content_length;
    struct http_fields fields; /* last: what is behind its count stays unwritten */
};

/* Parses the head that bytes begin with. At most max_len bytes may belong to it. *scanned is 0 for a new request. The
 * caller keeps it while more bytes arrive (the bytes may move in memory). So each byte is scanned once, and the fields
 * are parsed once, when the head is whole. DONE: *out is filled. BAD: out->status and *error say why, and the
 * connection cannot be read further. NEED_MORE: *out must not be used. */
enum http_head_result http_head_parse(struct str bytes, size_t max_len, size_t *scanned, struct http_head *out,
                                      struct error *error);

/* http_fields_find and http_fields_have_token on the request's fields. */
static inline bool http_head_find(const struct http_head *head, struct str name, struct str *out_value)
{
    return http_fields_find(&head->fields, name, out_value);
}

static inline bool http_head_has_token(const struct http_head *head, struct str name, struct str token)
{
    return http_fields_have_token(&head->fields, name, token);
}

/* May another request follow on this connection? (RFC 9112, 9.3) */
bool http_head_keep_alive(const struct http_head *head);

/* The decoded value of one parameter of a query string, as HTML forms and URLSearchParams write it. (The form is
 * application/x-www-form-urlencoded.) %XX is decoded, in names too, and '+' is a space. *out lies in scratch, which is
 * cleared first; out->ptr is NULL when the parameter is absent. ERR_INVALID_REQUEST when it is given twice, has a
 * malformed escape or holds a NUL; the error never shows the value. */
enum err http_query_get(struct str query, struct str name, struct buf *scratch, struct str *out, struct error *error);

/* ERR_INVALID_REQUEST when the query string has a parameter that is none of names, which ends with NULL. A parameter
 * with a slip in its name would otherwise be one that is not there. */
enum err http_query_check(struct str query, const char *const *names, struct error *error);

#endif
