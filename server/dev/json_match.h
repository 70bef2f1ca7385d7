/* json_match.h - does a JSON value have what a pattern asks for? Rules and waits use it for frames and their data. */
#ifndef CARILLON_DEV_JSON_MATCH_H
#define CARILLON_DEV_JSON_MATCH_H

#include "common/json/json.h"

/* Both have passed json_check. An object matches when it has every member of the pattern, and their values match.
 * Arrays match element by element, and are equally long. Numbers match by value, all else by its text without escapes.
 */
bool json_matches(struct json_value pattern, struct json_value value);

#endif
