/* name_lookup.h - finds the addresses of a host's name without blocking the loop. getaddrinfo cannot be interrupted,
 * and waits for half a minute where no name server answers. So look-ups run in threads of their own, and not in libuv's
 * pool:
 *
 * - A cancelled look-up is over at once. Its thread is left to itself, also when the process ends.
 * - At most 16 look-ups run at once, and at most 4 of one name. The others wait. So a name that hangs does not keep
 *   other names waiting. */
#ifndef CARILLON_BASE_NAME_LOOKUP_H
#define CARILLON_BASE_NAME_LOOKUP_H

#include <netdb.h>

#include "common/base/mailbox.h"

struct name_lookup;

/* In the turn's thread, as an entry from the loop. addresses: of TCP, the receiver's, for freeaddrinfo; NULL: none was
 * found, and why says why. The look-up is over. */
typedef void name_found(void *owner, struct addrinfo *addresses, const char *why);

/* In the turn's thread. host and port (digits) are copied. The turn's loop must run once more after the end of a
 * look-up. */
struct name_lookup *name_lookup_start(struct turn *turn, const char *host, const char *port, name_found *found,
                                      void *owner);
/* In the turn's thread, and before `found` has been called. It will not be called. */
void name_lookup_cancel(struct name_lookup *lookup);

#endif
