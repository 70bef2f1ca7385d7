/* alloc.h - memory that is there or the process ends. What a client can make grow is bounded by options;
 * therefore running out of memory is the operator's limit being wrong, and going on would only hide it.
 * Any thread. Free with free(). */
#ifndef CARILLON_BASE_ALLOC_H
#define CARILLON_BASE_ALLOC_H

#include <stddef.h>
#include <stdlib.h>

/* Never NULL; len 0 gives a pointer that may be freed. */
void *xmalloc(size_t len) __attribute__((returns_nonnull));
/* count * size zero bytes, checked for overflow. */
void *xcalloc(size_t count, size_t size) __attribute__((returns_nonnull));
void *xrealloc(void *ptr, size_t len) __attribute__((returns_nonnull));
/* NUL-terminated copy. */
char *xstrdup(const char *text) __attribute__((returns_nonnull));

#endif
