/* no_vhost.c - preloaded: the second vhost of each context of libwebsockets cannot be made. */
#define _GNU_SOURCE
#include <dlfcn.h>

void *lws_create_vhost(void *context, const void *info)
{
    static int calls;
    void *(*real)(void *, const void *);
    *(void **)&real = dlsym(RTLD_NEXT, "lws_create_vhost");
    return calls++ % 2 ? (void *)0 : real(context, info);
}
