/* upstream_log.h - warnings about the messages and sessions of an upstream. Private to this folder. */
#ifndef CARILLON_UPSTREAM_UPSTREAM_LOG_H
#define CARILLON_UPSTREAM_UPSTREAM_LOG_H

#include "server/core/upstream.h"

/* Logs "name of the upstream: text". An upstream that fails may fail for each message: of ten seconds the first 20
 * warnings are logged as such, and the others with level debug. The next warning says how many those were. Any
 * thread. */
void upstream_warn(struct upstream *upstream, uint64_t now_us, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
