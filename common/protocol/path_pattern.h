/* path_pattern.h - the path of an endpoint. A pattern is literal text, or it has {names}: "/chat/{id}/transcript".
 * A name stands for one whole segment of a path. Pure, for any thread.
 *
 * Literal text is compared byte for byte, as the path came. The segment of a name is percent-decoded. The value is fit
 * for a part of a channel name (channel_name_check): at most 255 bytes of UTF-8 without spaces and control characters,
 * never empty. It has no '/', and it is not "." or "..". A path with another value does not fit the pattern. */
#ifndef CARILLON_PROTOCOL_PATH_PATTERN_H
#define CARILLON_PROTOCOL_PATH_PATTERN_H

#include "common/base/buf.h"
#include "common/base/error.h"

enum { PATH_NAMES_MAX = 8 };

/* Is it a good pattern? It begins with '/', and is visible ASCII without ? # % " and \. Braces are around whole
 * segments. A name is letters, digits, '_' and '-', comes once, and is none of "sub" and "session_id", which templates
 * take from the token and the session. At most PATH_NAMES_MAX names. ERR_INVALID_REQUEST says what is wrong. */
enum err path_pattern_check(struct str pattern, struct error *error);

/* The functions below take patterns that path_pattern_check has passed. */

/* False: the pattern is one literal path. */
bool path_pattern_has_names(struct str pattern);

/* Does the path of a request (http_head.path) fit? */
bool path_pattern_fits(struct str pattern, struct str path);

struct path_value {
    struct str name;  /* borrowed from the pattern */
    struct str value; /* decoded */
};

/* The values of the names, in their order, of a path that fits. They lie in scratch, which is cleared first. Returns
 * how many there are. */
size_t path_pattern_values(struct str pattern, struct str path, struct buf *scratch,
                           struct path_value out[PATH_NAMES_MAX]);

/* Is there a path that fits both patterns? */
bool path_patterns_overlap(struct str a, struct str b);

#endif
