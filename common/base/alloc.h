/* alloc.h - allocation that never fails: without memory the process ends. Options bound everything that a client can
 * make grow. So when memory runs out, a limit does not fit the machine, and going on would hide that. Any thread. Free
 * with free(). */
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
