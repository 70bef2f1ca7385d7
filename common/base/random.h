/* random.h - random bytes from the kernel, and ids made of them. Any thread. */
#ifndef CARILLON_BASE_RANDOM_H
#define CARILLON_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills out with bytes fit for keys. Ends the process when the kernel gives none. */
void random_bytes(void *out, size_t len);

/* 0 <= result < limit; limit > 0. For jitter. */
uint64_t random_below(uint64_t limit);

enum { UUID_LEN = 36 };

/* A version 7 UUID (RFC 9562) and a NUL: sorts by wall_ms, then at random. */
void uuid_v7(uint64_t wall_ms, char out[UUID_LEN + 1]);

enum { EPOCH_NEW_LEN = 8 };

/* The name of a new epoch (a channel's offsets count from 1 in each): a random name of 40 bits, NUL-terminated. Two
 * epochs of one channel do not share it by accident. */
void epoch_new(char out[EPOCH_NEW_LEN + 1]);

#endif
