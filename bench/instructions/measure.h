/* measure.h - marks the stretches of a program whose instructions are counted, under valgrind --tool=callgrind
 * --instr-atstart=no (count.py). Without callgrind the programs run and count nothing.
 *
 * The random bytes of these programs are the same in every run: linking measure.c replaces the kernel's. */
#ifndef CARILLON_BENCH_MEASURE_H
#define CARILLON_BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>

/* The simulation of the processor begins, with cold caches, and ends. Outside of the two everything is faster. */
void measure_on(void);
void measure_off(void);

/* Begins to count ... */
void measure_from(void);
/* ... and ends: the work was `operations` operations of path, with this value of the variable. When a label comes
 * again, the last count is kept. So do the work twice: the first time warms the caches. */
void measure_to(const char *path, const char *variable, const char *value, size_t operations);
void measure_to_number(const char *path, const char *variable, size_t value, size_t operations);

/* A number below limit, the same ones in every run. */
size_t measure_random(size_t limit);
/* The numbers below count in a random order. The caller frees it. */
size_t *measure_shuffled(size_t count);

#endif
