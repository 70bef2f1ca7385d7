/* carillon.h - the dialect of docs/protocol.md: one JSON object a message. Pure functions, for any thread. */
#ifndef CARILLON_DIALECT_CARILLON_H
#define CARILLON_DIALECT_CARILLON_H

#include "server/core/dialect.h"

extern const struct dialect carillon_dialect;

/* Its parse: docs/protocol.md, "Commands from the client". An id is a string of up to COMMAND_ID_MAX bytes or a whole
 * number. An optional member that is null counts as absent. */
enum err carillon_parse(struct str message, struct command *out, struct buf *scratch, struct error *error);

#endif
