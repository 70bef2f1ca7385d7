/* session_uuid.h - the ids of sessions that clients and backends see. An id is a UUID of version 7 (RFC 9562). Its last
 * six digits are those of the id of its node, which is a UUID too. So a question about one session goes to one node.
 * Two nodes may share the six digits: then both are asked. Pure. */
#ifndef CARILLON_CORE_SESSION_UUID_H
#define CARILLON_CORE_SESSION_UUID_H

#include "common/base/random.h"
#include "common/base/str.h"

/* A new one, NUL-terminated. It names no node if node_id is no UUID. */
void session_uuid_make(uint64_t wall_ms, struct str node_id, char out[UUID_LEN + 1]);

/* True for each session of that node. */
bool session_uuid_names(struct str uuid, struct str node_id);

#endif
