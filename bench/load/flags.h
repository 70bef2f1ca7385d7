/* flags.h - the options of `carillon bench`, from one table (flags.def): read, checked by their ranges and by what the
 * scenario takes, and listed. */
#ifndef CARILLON_BENCH_LOAD_FLAGS_H
#define CARILLON_BENCH_LOAD_FLAGS_H

#include "bench/load/scenarios/scenarios.h"

enum flag {
#define NUMBER(symbol, name, what, min, max, preset, traits, text) FLAG_##symbol,
#define TEXT(symbol, name, what, traits, text)                     FLAG_##symbol,
#define SWITCH(symbol, name, text)                                 FLAG_##symbol,
#include "bench/load/flags.def"
#undef NUMBER
#undef TEXT
#undef SWITCH
    FLAG_COUNT
};

/* Borrowed from argv. */
struct flags {
    const struct scenario *scenario;
    bool given[FLAG_COUNT];
    uint64_t number[FLAG_COUNT];
    const char *text[FLAG_COUNT];
    size_t server_count; /* --server-pid may be given several times */
    pid_t servers[RUN_SERVERS_MAX];
};

/* -1 to go on, else the exit code: help has been printed, or what is wrong said. */
int flags_read(struct flags *flags, int argc, char **argv);

#endif
