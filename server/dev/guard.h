/* guard.h - who may ask the internal listener of `carillon dev`: programs, and pages that it has served itself. The
 * routes there need no key, and a browser lets any page send requests to this machine. So a page of another origin is
 * refused, whatever it sends: fetch, forms, EventSource, images, scripts, frames. Pure.
 *
 * - A request from another machine is refused, without --allow-remote.
 * - Host must name this machine. A name whose DNS server belongs to an attacker may lead here. Then the browser takes
 *   the attacker's page and this listener for one origin.
 * - Origin must be that of the listener, where there is one.
 * - Sec-Fetch-Site must be same-origin or none. A link or a typed address may open a document by GET.
 *
 * A program sends neither Origin nor Sec-Fetch-Site, and passes. */
#ifndef CARILLON_DEV_GUARD_H
#define CARILLON_DEV_GUARD_H

#include "common/protocol/http_message.h"

struct guard {
    uint16_t port;     /* of the listener */
    bool allow_remote; /* other machines may ask, by any address or local name, and through a mapped port */
};

/* ERR_FORBIDDEN: the text says what is wrong, and what to do. */
enum err guard_check(const struct guard *guard, const struct http_request *request, struct error *error);

/* Is the host of a listener one of this machine alone? A name or an address, maybe in brackets. */
bool guard_is_loopback(struct str host);

#endif
