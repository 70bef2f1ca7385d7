/* members.h - unique members in the JSON of tokens. No member of an object may come twice, also not with escapes.
 * Otherwise two readers could see two different tokens (RFC 7519 section 4). Pure. */
#ifndef CARILLON_TOKEN_MEMBERS_H
#define CARILLON_TOKEN_MEMBERS_H

#include "common/base/error.h"
#include "common/json/json.h"

/* object has passed json_check. ERR_INVALID_REQUEST names the member. */
enum err members_are_unique(struct json_value object, struct error *error);

#endif
