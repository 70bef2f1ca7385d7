/* passed_header.h - which headers of a client's upgrade a backend may get. Pure, for any thread. */
#ifndef CARILLON_PROTOCOL_PASSED_HEADER_H
#define CARILLON_PROTOCOL_PASSED_HEADER_H

#include "common/base/str.h"

/* May a header with this name be passed on? Never these:
 * - those that a request to a backend has of its own: ce-, webhook-, content-, carillon-, sec-, traceparent, and those
 *   of HTTP and of the connection (RFC 9110, 7.6.1)
 * - those with secrets: authorization, cookie, proxy-
 * - accept-encoding: an answer that is compressed makes no frames */
bool passed_header_is_good(struct str name);

#endif
