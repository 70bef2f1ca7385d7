/* seeded.h - bytes that look random and repeat: the same seed gives the same bytes. For `carillon dev` and for tests;
 * no key may be made of them. Any thread, but what several threads draw depends on which of them comes first. */
#ifndef CARILLON_BASE_SEEDED_H
#define CARILLON_BASE_SEEDED_H

#include <stdint.h>

/* Becomes the source of random.h. Call while there is only one thread. */
void seeded_use(uint64_t seed);
/* Begins all sequences anew, with the seed of seeded_use or another one. */
void seeded_rewind(uint64_t seed);

#endif
