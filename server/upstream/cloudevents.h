/* cloudevents.h - the headers of an HTTP request that carries a CloudEvent in binary mode (CloudEvents 1.0, HTTP
 * protocol binding, 3.1). The body of such a request is the event's data, byte for byte. Headers are lines
 * "name: value" with CR LF. Values that clients choose are encoded so that they cannot end a line. Pure, for any
 * thread. */
#ifndef CARILLON_UPSTREAM_CLOUDEVENTS_H
#define CARILLON_UPSTREAM_CLOUDEVENTS_H

#include "common/base/buf.h"
#include "common/json/json.h"

enum cloudevent_type {
    CLOUDEVENT_CONNECT,      /* may this client open a session? */
    CLOUDEVENT_CONNECTED,    /* a session has begun */
    CLOUDEVENT_MESSAGE,      /* a client's message, or several joined */
    CLOUDEVENT_SUBSCRIBE,    /* may this session have a channel? */
    CLOUDEVENT_DISCONNECTED, /* a session has ended */
    CLOUDEVENT_TYPE_COUNT
};

/* "carillon.message" */
const char *cloudevent_type_text(enum cloudevent_type type);

/* What all events of a session have in common. Texts are borrowed; empty: there is none, and no header tells of it. */
struct cloudevent_session {
    struct str endpoint; /* path or pattern, as it is configured */
    struct str id;       /* the session's uuid */
    struct str user;
    struct str subprotocol;
    struct str claims; /* a JSON object: the claims that the upstream is to get */
    struct str query;  /* a JSON object: the query parameters that the endpoint hands on */
    struct str path;   /* a JSON object: the names in the path, and their values */
};

/* Appends ce-specversion, ce-source, ce-sessionid, ce-partitionkey, ce-userid, ce-endpoint, ce-subprotocol, ce-claims,
 * ce-query and ce-path. The last three are base64url of JSON. */
void cloudevent_write_session(struct buf *out, const struct cloudevent_session *session);

/* One event. */
struct cloudevent {
    enum cloudevent_type type;
    struct str session_id;
    uint64_t sequence; /* of the session's messages, or of its subscribe calls; other types: not used */
    uint64_t wall_ms;  /* when the frame came */
    struct str state;  /* what the backend gave as ce-connectionstate before; empty: nothing */
};

/* Appends the event's id: {session}.{sequence} of a message, {session}.{type} of another one. A second try of the same
 * event has the same id. */
void cloudevent_append_id(struct buf *out, const struct cloudevent *event);

/* Appends ce-type, ce-id, ce-time, ce-sequence (of messages), ce-connectionstate. */
void cloudevent_write(struct buf *out, const struct cloudevent *event);

/* Appends the value as the binding asks for (3.1.3.2): space, '"', '%' and everything outside of printable ASCII is
 * percent-encoded, byte for byte. */
void cloudevent_append_value(struct buf *out, struct str value);

/* Appends the members of the object that are named, as a JSON object. Nothing if there is none of them. */
void cloudevent_pick(struct buf *out, struct json_value object, const struct str *names, size_t count);

/* --- other headers ----------------------------------------------------------------------------------------------- */

/* Appends the value. Its bytes outside of printable ASCII are percent-encoded; a '%' stays. */
void cloudevent_append_printable(struct buf *out, struct str value);
/* Appends one header with such a value. */
void cloudevent_write_passed(struct buf *out, struct str name, struct str value);

/* W3C Trace Context, version 00: is it well-formed? */
bool traceparent_is_valid(struct str text);
/* Appends a new one, with the flag "sampled". */
void traceparent_make(struct buf *out);

/* May the value be sent back as ce-connectionstate? Visible ASCII, at most CONNECTION_STATE_MAX bytes. */
enum { CONNECTION_STATE_MAX = 4096 };
bool connection_state_is_valid(struct str value);

#endif
