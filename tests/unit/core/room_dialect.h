/* room_dialect.h - a second dialect for tests, which shares no member name with Carillon's own.
 *
 * - A client says {"do":"enter","room":"public:a","ref":"7"}, also with "last", or "since" (an epoch). The other words
 *   of "do" are leave, say (with "body") and are_you_there.
 * - It gets {"ok":"entered","room":"public:a","ref":"7"}, {"oops":"...","ref":"7"} and {"room":"public:a","body":...}.
 *
 * It has no words for warnings, for what a session begins with, and for events of type "unspeakable". */
#ifndef CARILLON_TESTS_ROOM_DIALECT_H
#define CARILLON_TESTS_ROOM_DIALECT_H

#include "server/core/dialect.h"

extern const struct dialect room_dialect;

/* How often an event has been written. */
extern unsigned room_events_written;

#endif
