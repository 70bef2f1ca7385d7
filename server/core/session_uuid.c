/* session_uuid.c - see session_uuid.h. */
#include "server/core/session_uuid.h"

enum { NODE_DIGITS = 6 };

/* Empty if the text is no UUID, by its length. */
static struct str node_digits(struct str uuid)
{
    return uuid.len == UUID_LEN ? str_from(uuid.ptr + UUID_LEN - NODE_DIGITS, NODE_DIGITS) : STR("");
}

void session_uuid_make(uint64_t wall_ms, struct str node_id, char out[UUID_LEN + 1])
{
    struct str digits = node_digits(node_id);
    uuid_v7(wall_ms, out);
    if (digits.len)
        memcpy(out + UUID_LEN - NODE_DIGITS, digits.ptr, NODE_DIGITS);
}

bool session_uuid_names(struct str uuid, struct str node_id)
{
    struct str digits = node_digits(node_id);
    return digits.len && str_eq(node_digits(uuid), digits);
}
