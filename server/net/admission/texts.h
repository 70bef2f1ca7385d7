/* texts.h - a list of texts that owns them. */
#ifndef CARILLON_NET_ADMISSION_TEXTS_H
#define CARILLON_NET_ADMISSION_TEXTS_H

#include "common/base/str.h"

/* A zeroed one is empty. */
struct texts {
    struct str *items;
    size_t count;
};

bool texts_has(const struct texts *texts, struct str text);
/* Adds a copy to a list being built. */
void texts_add(struct texts *texts, struct str text);
void texts_clear(struct texts *texts);

#endif
