/* settings_digest.h - what all nodes of an installation must have in common to keep their promises together, as text:
 * one "name value" a line, no name twice. Pure. */
#ifndef CARILLON_NODE_SETTINGS_DIGEST_H
#define CARILLON_NODE_SETTINGS_DIGEST_H

#include "common/base/buf.h"

/* The most that is sent to other nodes. */
enum { SETTINGS_DIGEST_BYTES_MAX = 32 * 1024 };

/* A line. The name has no spaces; what would end the line in value is replaced. */
void settings_digest_add(struct buf *digest, struct str name, struct str value);

/* Appends in words what is different, the first few, as "name is A here and B there; name is A here and not set there",
 * and returns how many lines are. theirs comes from outside. */
size_t settings_digest_compare(struct str ours, struct str theirs, struct buf *out);

#endif
