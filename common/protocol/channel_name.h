/* channel_name.h - channel names, patterns over them, and the rights on a channel. Pure, for any thread. */
#ifndef CARILLON_PROTOCOL_CHANNEL_NAME_H
#define CARILLON_PROTOCOL_CHANNEL_NAME_H

#include "common/base/error.h"
#include "common/base/str.h"

enum { CHANNEL_NAME_MAX = 255 };

/* The rights that a rule or a grant allows, as a set. */
enum allow {
    ALLOW_SUBSCRIBE = 1,
    ALLOW_PUBLISH = 2,
    ALLOW_PRESENCE = 4,
    ALLOW_HISTORY = 8,
    ALLOW_ALL = 15,
};

/* Checks a name: 1 to 255 bytes of UTF-8 without spaces (any Unicode space), control characters or non-characters.
 * ERR_SUBSCRIPTION_FAILED says what is wrong, and at which byte. */
enum err channel_name_check(struct str name, struct error *error);

/* The same for the member "channel" of other messages than subscribe: ERR_INVALID_REQUEST, and the text begins with
 * "channel". */
enum err channel_check(struct str name, struct error *error);

/* "subscribe" -> ALLOW_SUBSCRIBE; 0 for an unknown word. */
unsigned allow_from_word(struct str word);
/* The word for one of enum allow. */
const char *allow_word(enum allow allow);

/* Gives the value of {name} in a pattern. False: there is no value, and the pattern matches nothing. An empty value
 * counts as none. */
typedef bool pattern_lookup(void *context, struct str name, struct str *out);

/* Does the pattern match the name? A pattern is literal text. '*' stands for any run of bytes, also an empty one, also
 * with ':'. {name} stands for exactly the text that lookup gives. In that text '*' and '{' are ordinary. With lookup
 * NULL, {name} stands for any text that is not empty. So a pattern that matches with some lookup matches without one.
 * The time is linear in the name for one '*', at worst pattern * name. */
bool pattern_matches(struct str pattern, struct str name, pattern_lookup *lookup, void *context);

/* How a pattern fits a name when the values of its {name}s are not known. */
enum pattern_fit {
    PATTERN_APART,           /* it does not fit with any values */
    PATTERN_FITS_WITH_COLON, /* it fits only when a value has a ':' */
    PATTERN_FITS,            /* it has no {name}, or values without ':' are enough */
};
enum pattern_fit pattern_fits(struct str pattern, struct str name);

/* Takes the next {name} of a well-formed pattern, and leaves the text after it in *rest. False when there is none. */
bool pattern_next_claim(struct str *rest, struct str *out_name);

/* The number of literal bytes of a pattern. */
size_t pattern_literals(struct str pattern);

/* Is the pattern well-formed: not empty, at most 255 bytes, braces paired around a claim name ([A-Za-z0-9_.-]+)? */
enum err pattern_check(struct str pattern, struct error *error);

#endif
