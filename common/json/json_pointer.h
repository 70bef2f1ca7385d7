/* json_pointer.h - JSON pointers (RFC 6901): where in a document a value is. To follow one builds no tree. Pure, for
 * any thread. */
#ifndef CARILLON_JSON_JSON_POINTER_H
#define CARILLON_JSON_JSON_POINTER_H

#include "common/json/json.h"

/* Immutable. One allocation, freed by free. */
struct json_pointer;

/* text: "" for the whole document, or "/headers/id", with ~0 for '~' and ~1 for '/' in a name. On failure *out is NULL,
 * and the error says what is wrong with the text. */
enum err json_pointer_create(struct str text, struct json_pointer **out, struct error *error);

/* The value in a document that json_check has passed. Absent (type 0) if the document has none there. A name that an
 * object has twice means the first one, and "-" (after the last element of an array) is never there. */
struct json_value json_pointer_find(const struct json_pointer *pointer, struct json_value document);

#endif
