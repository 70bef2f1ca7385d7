/* ingest.h - backends that write to the ingest stream: good entries, the same event once more, and entries that cannot
 * be published; and the judge of what becomes of them. */
#ifndef CARILLON_TESTS_SIM_INGEST_H
#define CARILLON_TESTS_SIM_INGEST_H

#include <stdbool.h>

void ingest_begin(void);
void ingest_end(void);

/* One entry; Redis may refuse it, and then it is none. */
void ingest_write(void);
/* Redis has lost data (the truth knows): what it still has of the stream goes on from there. */
void ingest_note_loss(void);
/* The stream is empty. */
bool ingest_is_quiet(void);

/* At the end: every good entry has been published, once and in the order of the stream a channel; every bad one lies in
 * the dead stream, with a reason; nothing is left pending. */
void ingest_check(void);

#endif
