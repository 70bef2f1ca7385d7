/* shared_texts.h - texts that many owners share. Each text is kept once, with a count of its references. Pure; one
 * thread. */
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
    struct map map; /* text -> struct shared_text. Short texts are not in it: a copy costs less than a slot. */
};

/* Returns one more reference to the text. */
struct shared_text *shared_text_take(struct shared_texts *texts, struct str text);
/* Gives a reference back. The last one frees the text. */
void shared_text_drop(struct shared_texts *texts, struct shared_text *shared);
/* All references must have been given back. */
void shared_texts_fini(struct shared_texts *texts);

#endif
