/* alloc.c - see alloc.h. */
#include "common/base/alloc.h"

#include <stdio.h>
#include <string.h>

static void *present(void *ptr, size_t len)
{
    if (ptr)
        return ptr;
    fprintf(stderr, "carillon: out of memory (%zu bytes asked)\n", len);
    abort();
}

void *xmalloc(size_t len)
{
    return present(malloc(len ? len : 1), len);
}

void *xcalloc(size_t count, size_t size)
{
    return present(calloc(count ? count : 1, size ? size : 1), count * size);
}

void *xrealloc(void *ptr, size_t len)
{
    return present(realloc(ptr, len ? len : 1), len);
}

char *xstrdup(const char *text)
{
    size_t len = strlen(text) + 1;
    return memcpy(xmalloc(len), text, len);
}
