/* count_revocations.c - revoked tokens: a verification that looks for them, one more, and a part of the round that
 * forgets those that are over. */
#include <stdio.h>

#include "bench/instructions/measure.h"
#include "common/base/alloc.h"
#include "server/core/revocations.h"

enum { TIMES = 2000, LOOK = 500 };

static void add(struct revocations *revocations, size_t number, uint64_t until_ms)
{
    char value[24];
    int len = snprintf(value, sizeof value, "token-%010zu", number);
    const struct revocation revocation = {
        .kind = REVOCATION_JTI, .value = str_from(value, (size_t)len), .until_ms = until_ms};
    revocations_add(revocations, &revocation, 1);
}

static void on_doubted(void *owner, const struct revocation *revocation)
{
    (void)owner;
    (void)revocation;
}

static void count(size_t entries)
{
    struct revocations *revocations = revocations_create();
    struct claims *claims;
    struct error error;
    if (claims_parse(STR("{\"sub\":\"user-1\",\"jti\":\"mine\"}"), &claims, &error))
        abort();
    for (size_t i = 0; i < entries; i++)
        add(revocations, i, 1000);
    revocations_begin_round(revocations);
    measure_on();
    for (size_t round = 0; round < 2; round++) {
        measure_from();
        for (size_t i = 0; i < TIMES; i++)
            revocations_cover(revocations, claims, 1);
        measure_to_number("revocations_cover", "revoked", entries, TIMES);
        measure_from();
        for (size_t i = 0; i < TIMES / LOOK; i++)
            revocations_look(revocations, LOOK, 1, on_doubted, NULL);
        measure_to_number("revocations_look_each", "revoked", entries, TIMES);
        measure_from();
        for (size_t i = 0; i < TIMES / LOOK; i++)
            revocations_look(revocations, LOOK, 1000, on_doubted, NULL);
        measure_to_number("revocations_forget_each", "revoked", entries, TIMES);
        measure_from();
        for (size_t i = 0; i < TIMES; i++)
            add(revocations, entries + round * TIMES + i, 1000);
        measure_to_number("revocations_add", "revoked", entries, TIMES);
    }
    measure_off();
    claims_unref(claims);
    revocations_destroy(revocations);
}

int main(void)
{
    static const size_t entries[] = {10000, 100000, 600000};
    for (size_t i = 0; i < 3; i++)
        count(entries[i]);
    return 0;
}
