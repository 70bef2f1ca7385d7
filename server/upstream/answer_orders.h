/* answer_orders.h - what the head of a backend's answer asks for, beside its frames: carillon-subscribe,
 * carillon-unsubscribe, carillon-close. Pure, for any thread. */
#ifndef CARILLON_UPSTREAM_ANSWER_ORDERS_H
#define CARILLON_UPSTREAM_ANSWER_ORDERS_H

#include <stdbool.h>

#include "common/base/str.h"

/* Walks names with commas between them, without the white space around them. Empty ones are skipped. *rest is what is
 * left. False: there is none any more. */
bool answer_next_name(struct str *rest, struct str *out_name);

enum { ANSWER_REASON_MAX = 123 }; /* bytes of the reason of a close frame (RFC 6455, 5.5) */

/* "4001" or "4001 a reason": a code that a close frame may carry (1000 to 1003, 1007 to 1014, 3000 to 4999), and UTF-8.
 * A longer reason is cut. False if it is not that; an empty text is not either. The reason borrows from value. */
bool answer_close(struct str value, int *out_code, struct str *out_reason);

#endif
