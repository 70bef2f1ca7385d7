/* http_message.h - one HTTP exchange between the owner of the socket (server/net) and the handler (server/api): request
 * struct in, response struct out. */
#ifndef CARILLON_PROTOCOL_HTTP_MESSAGE_H
#define CARILLON_PROTOCOL_HTTP_MESSAGE_H

#include "common/base/buf.h"
#include "common/base/error.h"

struct http_fields;

/* All borrowed; valid until the call is answered. */
struct http_request {
    struct str method;                /* "GET" */
    struct str path;                  /* raw, without the query; starts with '/', or is "*" of OPTIONS */
    struct str query;                 /* raw, without '?'; empty if there is none */
    struct str authorization;         /* the header's value; empty if there is none */
    struct str content_type;          /* the header's value; empty if there is none */
    struct str api_key;               /* the X-API-Key header's value; empty if there is none */
    bool has_body;                    /* a body follows, or has come */
    struct str body;                  /* empty until the whole body has come */
    struct str address;               /* the client's address as text */
    struct str address_key;           /* what limits count it by; empty on the internal listener */
    struct str origin;                /* the Origin header's value; empty if there is none */
    const struct http_fields *fields; /* all header lines; only until the handler returns */
    struct str host;                  /* the Host header's value; empty if HTTP/1.0 came without */
    bool admitted;                    /* `admit` has seen this call already */
};

struct http_response {
    int status;               /* 0 until set */
    const char *content_type; /* static; NULL: application/json */
    const char *allow;        /* static; the Allow header of a 405; NULL: none */
    uint64_t retry_after_s;   /* 0: no Retry-After header */
    struct buf headers;       /* more header lines, each with its CRLF */
    struct buf body;
};

struct http_fields;

enum http_push {
    HTTP_PUSHED,
    HTTP_PUSH_LATER, /* the client has yet to take what was sent before: nothing was sent now */
    HTTP_PUSH_GONE,  /* the client has gone: respond */
};

/* Made by the transport. The handler fills response and calls respond exactly once, in the thread that called the
 * handler, at once or later. Until then the call stays valid, also when the connection ends. After that it belongs to
 * the transport. */
struct http_call {
    struct http_request request;
    struct http_response response;
    void (*respond)(struct http_call *call);
    /* Before respond, for an answer that has no length: sends bytes of its body now. The first call sends the head,
     * too; status, content_type and headers are set by then, and response.body is not used. respond then ends the
     * answer, and the connection. */
    enum http_push (*push)(struct http_call *call, struct str bytes);
};

/* Answers the calls of one transport, in its thread. */
struct http_handler {
    /* Of the public listener: is this path one of the handler's? */
    bool (*has)(void *owner, struct str path);
    size_t max_body; /* bytes; 0: as the settings say */
    /* The head has come, and a body follows. True: read the body. False: the call has been answered. */
    bool (*admit)(void *owner, struct http_call *call);
    void (*serve)(void *owner, struct http_call *call);
    /* The body does not come whole, or is not read. Answers the call. NULL: the transport does. */
    void (*refuse)(void *owner, struct http_call *call, int status, enum err code, struct str text);
};

#endif
