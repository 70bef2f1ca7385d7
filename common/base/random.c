/* random.c - see random.h. Each thread has a pool of random bytes, so one system call serves many small requests. */
#include "common/base/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static _Thread_local unsigned char pool[512];
static _Thread_local size_t pool_left;

static void (*used)(enum random_kind kind, void *out, size_t len); /* NULL: the kernel */

void random_use(void (*draw)(enum random_kind kind, void *out, size_t len))
{
    used = draw;
}

static void fill(unsigned char *out, size_t len)
{
    while (len > 0) {
        ssize_t got = getrandom(out, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            perror("carillon: getrandom");
            abort();
        }
        out += got;
        len -= (size_t)got;
    }
}

static void draw(enum random_kind kind, void *out, size_t len)
{
    if (used) {
        used(kind, out, len);
        return;
    }
    if (len > sizeof pool / 4) {
        fill(out, len);
        return;
    }
    if (pool_left < len) {
        fill(pool, sizeof pool);
        pool_left = sizeof pool;
    }
    pool_left -= len;
    memcpy(out, pool + pool_left, len);
    memset(pool + pool_left, 0, len); /* what was given out is not kept */
}

void random_bytes(void *out, size_t len)
{
    draw(RANDOM_BYTES, out, len);
}

uint64_t random_below(uint64_t limit)
{
    uint64_t value;
    draw(RANDOM_JITTER, &value, sizeof value);
    return value % limit;
}

void uuid_v7(uint64_t wall_ms, char out[UUID_LEN + 1])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char id[16];
    draw(RANDOM_ID, id + 6, 10);
    for (int i = 0; i < 6; i++)
        id[i] = (unsigned char)(wall_ms >> (8 * (5 - i)));
    id[6] = (unsigned char)(0x70 | (id[6] & 0x0F));
    id[8] = (unsigned char)(0x80 | (id[8] & 0x3F));
    char *p = out;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = hex[id[i] >> 4];
        *p++ = hex[id[i] & 15];
    }
    *p = '\0';
}

void epoch_new(char out[EPOCH_NEW_LEN + 1])
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    unsigned char bytes[EPOCH_NEW_LEN];
    draw(RANDOM_EPOCH, bytes, sizeof bytes);
    for (int i = 0; i < EPOCH_NEW_LEN; i++)
        out[i] = alphabet[bytes[i] & 31];
    out[EPOCH_NEW_LEN] = '\0';
}
