/* json.h - strict JSON (RFC 8259). One pass validates the text, without building a tree. A value is a slice of its
 * text. After json_check a slice can be copied byte for byte into another document. cJSON is used only where a tree is
 * handy (small documents of our own making). Pure, for any thread.
 *
 * Accepted: exactly one value with optional white space around it, in well-formed UTF-8, nested at most `depth` deep,
 * and of at most `values` values. Refused are duplicate members that a field table names, lone surrogates in \u escapes
 * and numbers outside the grammar. Control characters in strings, bytes after the value and NUL bytes are refused, too.
 */
#ifndef CARILLON_JSON_JSON_H
#define CARILLON_JSON_JSON_H

#include "common/base/buf.h"
#include "common/base/error.h"

enum json_type {
    JSON_NULL = 1,
    JSON_BOOL = 2,
    JSON_NUMBER = 4,
    JSON_STRING = 8,
    JSON_ARRAY = 16,
    JSON_OBJECT = 32,
    JSON_ANY = 63,
};

/* A validated value: its kind and its bytes (strings with their quotes and escapes). A zeroed value is "absent". */
struct json_value {
    enum json_type type;
    unsigned depth; /* containers in one another: 0 for a string, 1 for [] or {}, 2 for [[]] */
    struct str raw;
};

enum { JSON_DEPTH_MAX = 1024 };

struct json_limits {
    unsigned depth; /* containers in one another, at most JSON_DEPTH_MAX; 0 = the default, 32 */
    size_t values;  /* values in all; 0 = the default, 100,000 */
};

/* Validates text as one JSON value. limits may be NULL. The error names the byte (from 0) and what was found. */
enum err json_check(struct str text, const struct json_limits *limits, struct json_value *out, struct error *error);

/* Makes a value of a slice that was the raw text of one value (json_check has passed it). The first byte shows its
 * type. Its depth is not known (0). Empty text gives "absent". */
struct json_value json_value_of(struct str raw);

/* Walks the members of an object or the elements of an array that has passed json_check.
 * struct json_cursor at = json_walk(value); while (json_next(&at, &key, &item)) ...
 * key is the raw name without quotes, escapes intact (compare with json_key_is); empty in arrays. */
struct json_cursor {
    const char *at;
    const char *end;
    bool object;
};
struct json_cursor json_walk(struct json_value container);
bool json_next(struct json_cursor *cursor, struct str *out_key, struct json_value *out_value);
bool json_key_is(struct str raw_key, struct str name);

/* "a string", for errors; types is one enum json_type or a set of them ("a string or a number"). "nothing" for 0.
 * Returns out. */
enum { JSON_TYPES_LEN = 80 };
const char *json_types_text(unsigned types, char out[JSON_TYPES_LEN]);

/* The first member of that name, of an object that has passed json_check; absent (type 0) if there is none. */
struct json_value json_member(struct json_value object, struct str name);

/* One row of a table of an object's members. types is a set of enum json_type. */
struct json_field {
    const char *name;
    unsigned types;
    bool required;
    struct json_value *out; /* left alone when the member is absent */
};

/* Fills the fields from an object that has passed json_check. Members without a field are ignored. Wrong type, a
 * missing required member, or a named member given twice: ERR_INVALID_REQUEST, and the error names the member after
 * `where`
 * ("data", "" for the top). `value` not an object is an error too. At most 64 fields; after a failure some may be
 * filled. */
enum err json_bind(struct json_value value, const char *where, const struct json_field *fields, size_t count,
                   struct error *error);

/* The same for objects that people and programs send. An optional member that is null counts as absent, because many
 * encoders write null for a value that is not set. */
enum err json_bind_given(struct json_value value, const char *where, const struct json_field *fields, size_t count,
                         struct error *error);

/* The text of a string value. Without escapes it points into raw. With escapes it is appended to scratch, and points
 * there. Earlier results in the same scratch move when scratch grows: reserve raw.len first, or use one scratch for
 * each value. False for a string with \u0000: no identifier may hold a NUL. */
bool json_text(struct json_value string, struct buf *scratch, struct str *out);

/* A whole number in the range of the type, without fraction or exponent; false otherwise. */
bool json_u64(struct json_value number, uint64_t *out);
bool json_i64(struct json_value number, int64_t *out);

/* A number in any form of JSON (1.7e9, 17E8, 1700000000.0) times ten to the power of places, computed exactly on its
 * digits. Digits behind the decimal point are cut off. */
enum json_scaled {
    JSON_SCALED_EXACT,
    JSON_SCALED_CUT,       /* *out is set, and something was cut off */
    JSON_SCALED_NEGATIVE,  /* below zero; *out is untouched */
    JSON_SCALED_TOO_LARGE, /* over UINT64_MAX; *out is untouched */
};
enum json_scaled json_scale(struct json_value number, unsigned places, uint64_t *out);

/* Appends text (UTF-8; ill-formed bytes become U+FFFD) as a JSON string with its quotes. */
void json_append_string(struct buf *out, struct str text);
/* The same without quotes, for a part of a string. */
void json_append_escaped(struct buf *out, struct str text);

#endif
