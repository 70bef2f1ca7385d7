/* random.h - random bytes from the kernel, and ids made of them. Any thread. */
#ifndef CARILLON_BASE_RANDOM_H
#define CARILLON_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* What is drawn. A source that repeats has a sequence for each, so that one does not change another. */
enum random_kind { RANDOM_BYTES, RANDOM_JITTER, RANDOM_ID, RANDOM_EPOCH, RANDOM_KINDS };

/* Another source in place of the kernel, for the whole process; NULL: the kernel again. Call while there is only one
 * thread. The source may be called in any thread. */
void random_use(void (*draw)(enum random_kind kind, void *out, size_t len));

/* Fills out with bytes that are good enough for keys. If the kernel gives none, the process ends. */
void random_bytes(void *out, size_t len);

/* 0 <= result < limit; limit > 0. For jitter. */
uint64_t random_below(uint64_t limit);

enum { UUID_LEN = 36 };

/* A version 7 UUID (RFC 9562) and a NUL: sorts by wall_ms, then at random. */
void uuid_v7(uint64_t wall_ms, char out[UUID_LEN + 1]);

enum { EPOCH_NEW_LEN = 8 };

/* The name of a new epoch: 40 random bits, NUL-terminated. In each epoch a channel's offsets count from 1. Two epochs
 * of one channel do not get the same name by accident. */
void epoch_new(char out[EPOCH_NEW_LEN + 1]);

#endif
