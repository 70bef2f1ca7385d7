/* dev_json.h - the bodies of orders: JSON objects that people write by hand, so a mistake is told with what is
 * possible. Pure. */
#ifndef CARILLON_DEV_DEV_JSON_H
#define CARILLON_DEV_DEV_JSON_H

#include "common/json/json.h"

/* Checks the body and fills the fields, as json_bind_given does. A member that is in no field is an error, too: it may
 * be a misspelt one. An empty body counts as {}. */
enum err dev_json_bind(struct str body, const struct json_field *fields, size_t count, struct error *error);
/* The same for an object within a body; `where` names it. */
enum err dev_json_bind_object(struct json_value object, const char *where, const struct json_field *fields,
                              size_t count, struct error *error);

/* The value of a member that is there, in milliseconds: "250ms", "5s", "2m", "1h", "1d", or 0. */
enum err dev_json_duration(struct json_value value, const char *name, uint64_t *out_ms, struct error *error);
/* A time as RFC 3339, such as "2026-01-15T10:30:00Z", in milliseconds since 1970. */
enum err dev_json_time(struct json_value value, const char *name, uint64_t *out_ms, struct error *error);

#endif
