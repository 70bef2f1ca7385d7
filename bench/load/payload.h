/* payload.h - the data of the events under load: {"n":<number>,"pad":"xx..."}, and finding the number again in whatever
 * a server has put around it. Pure, for any thread. */
#ifndef CARILLON_BENCH_LOAD_PAYLOAD_H
#define CARILLON_BENCH_LOAD_PAYLOAD_H

#include "common/base/buf.h"

enum { PAYLOAD_MIN = 32 };

/* Appends data of exactly data_bytes, at least PAYLOAD_MIN. */
void payload_append(struct buf *out, uint32_t number, size_t data_bytes);

/* False: there is no such data in text, or not all of it. Nothing before the data may look like its beginning. *hint is
 * the place of the data in the text before. The caller keeps it from call to call, so that similar texts need no
 * search. */
bool payload_number(struct str text, size_t data_bytes, size_t *hint, uint64_t *out);

#endif
