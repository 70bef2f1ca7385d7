/* ingest.h - backends that write to the ingest stream: good entries, repeated events, and entries that cannot be
 * published. It also checks the outcome of each entry. */
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

/* At the end: checks that every good entry of a channel has been published once, in the order of the stream. Every bad
 * one must be in the dead-letter stream, with a reason. No entry may be pending. */
void ingest_check(void);

#endif
