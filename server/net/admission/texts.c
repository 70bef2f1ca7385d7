/* texts.c - see texts.h. */
#include "server/net/admission/texts.h"

#include <stdlib.h>

#include "common/base/alloc.h"

bool texts_has(const struct texts *texts, struct str text)
{
    for (size_t i = 0; i < texts->count; i++)
        if (str_eq(texts->items[i], text))
            return true;
    return false;
}

void texts_add(struct texts *texts, struct str text)
{
    texts->items = xrealloc(texts->items, (texts->count + 1) * sizeof *texts->items);
    texts->items[texts->count++] = str_from(str_dup(text), text.len);
}

void texts_clear(struct texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        free((void *)(uintptr_t)texts->items[i].ptr); /* ours, although a str never owns */
    free(texts->items);
    *texts = (struct texts){0};
}
