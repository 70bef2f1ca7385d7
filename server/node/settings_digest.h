/* settings_digest.h - the settings that all nodes of an installation must have alike, as text: one "name value" a line.
 * No name comes twice. Pure. */
#ifndef CARILLON_NODE_SETTINGS_DIGEST_H
#define CARILLON_NODE_SETTINGS_DIGEST_H

#include "common/base/buf.h"

/* A longer digest is not sent to other nodes. */
enum { SETTINGS_DIGEST_BYTES_MAX = 32 * 1024 };

/* Adds a line. The name has no spaces. Line ends in the value are replaced. */
void settings_digest_add(struct buf *digest, struct str name, struct str value);

/* Returns how many lines differ. Appends the first differences in words: "name is A here and B there; name is A here
 * and not set there". theirs comes from another node and may hold any bytes. */
size_t settings_digest_compare(struct str ours, struct str theirs, struct buf *out);

#endif
