/* payload.h - the data of the events under load: {"n":<number>,"pad":"xx..."}, and finding the number again in whatever
 * a server has put around it. Pure; any thread. */
#ifndef CARILLON_BENCH_LOAD_PAYLOAD_H
#define CARILLON_BENCH_LOAD_PAYLOAD_H

#include "common/base/buf.h"

enum { PAYLOAD_MIN = 32 };

/* Appends data of exactly data_bytes, at least PAYLOAD_MIN. */
void payload_append(struct buf *out, uint32_t number, size_t data_bytes);

/* False: there is no such data in text, or not all of it. Nothing before the data may look like its beginning. *hint is
 * where it was in the text before, and is kept by the caller from call to call: texts that are alike are not
 * searched. */
bool payload_number(struct str text, size_t data_bytes, size_t *hint, uint64_t *out);

#endif
