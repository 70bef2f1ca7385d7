/* setup.h - from the options to the settings of a run: what fits together and what does not, names of channels,
 * keys. */
#ifndef CARILLON_BENCH_LOAD_SETUP_H
#define CARILLON_BENCH_LOAD_SETUP_H

#include "bench/load/flags.h"

/* Owns what the settings and the run borrow. */
struct setup {
    struct run_settings settings;
    struct loop_target clients, api, redis;
    struct loop_addresses addresses;
    struct str *channels;
    struct buf names;
    struct buf api_key;
    struct token_keys *keys;
    struct buf ticket_file;
    struct str *tickets; /* in it */
};

/* ERR_INVALID_REQUEST, or what a file or name gives. setup_fini in any case. */
enum err setup_make(struct setup *setup, const struct flags *flags, struct error *error);
void setup_fini(struct setup *setup);

#endif
