/* limits.h - the first entry step: the limits of this node. They bound the connections of all clients, of an address,
 * of an endpoint and of a user. */
#ifndef CARILLON_NET_ADMISSION_LIMITS_H
#define CARILLON_NET_ADMISSION_LIMITS_H

#include "server/net/admission/entry.h"

/* Takes the connection's places into the entry's lease, all or none. Refuses when a limit is reached. Has no owner. */
extern const struct entry_step limits_step;

#endif
