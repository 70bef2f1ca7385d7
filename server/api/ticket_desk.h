/* ticket_desk.h - the route of the public listener where a client with a token gets a ticket (docs/protocol.md,
 * "Tickets"), with CORS for browsers. Request struct in, response struct out; knows no sockets. Each worker has one
 * desk, and everything here happens in its thread. */
#ifndef CARILLON_API_TICKET_DESK_H
#define CARILLON_API_TICKET_DESK_H

#include "common/base/mailbox.h"
#include "common/protocol/http_message.h"
#include "server/api/ticket_rates.h"
#include "server/core/request.h"
#include "server/net/admission/admission.h"

struct ticket_desk;

/* All pointers are borrowed for the desk's life. The settings are those of the admitter, so a reload counts from the
 * next request on. */
struct ticket_desk_options {
    struct admitter *admitter; /* of the worker */
    struct ticket_rates *rates;
    struct metrics *metrics; /* of the worker */
    struct mailbox *replies; /* of the worker */
    /* Takes the request. Its answer comes by request->done, not from within the call. */
    void (*ask)(void *owner, struct request *request);
    void *owner;
};

struct ticket_desk *ticket_desk_create(const struct ticket_desk_options *options);
/* Every call has been answered. */
void ticket_desk_destroy(struct ticket_desk *desk);

/* The functions of a struct http_handler; owner is the desk. */
bool ticket_desk_has(void *owner, struct str path);
bool ticket_desk_admit(void *owner, struct http_call *call);
void ticket_desk_serve(void *owner, struct http_call *call);
void ticket_desk_refuse(void *owner, struct http_call *call, int status, enum err code, struct str text);

/* The most bytes of a request's body. */
enum { TICKET_BODY_MAX = 4096 };

#endif
