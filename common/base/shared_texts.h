/* shared_texts.h - texts of which many have the same: kept once, and counted. Pure; one thread. */
#ifndef CARILLON_BASE_SHARED_TEXTS_H
#define CARILLON_BASE_SHARED_TEXTS_H

#include "common/base/map.h"

struct shared_text {
    uint32_t refs;
    struct str text;
    char bytes[];
};

/* Zeroed: none. */
struct shared_texts {
    struct map map; /* text -> struct shared_text; not the short ones, which cost less than a place here */
};

/* One more reference to that text. */
struct shared_text *shared_text_take(struct shared_texts *texts, struct str text);
/* The last one frees it. */
void shared_text_drop(struct shared_texts *texts, struct shared_text *shared);
/* All must have been dropped. */
void shared_texts_fini(struct shared_texts *texts);

#endif
