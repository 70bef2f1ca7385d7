/* name_lookup.c - see name_lookup.h. A look-up belongs to its loop and to the thread that resolves it. The last of the
 * two frees it. */
#include "common/base/name_lookup.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/str.h"
#include "common/base/uv_handle.h"

enum { RUNNING_MAX = 16, RUNNING_MAX_OF_NAME = 4 };

struct name_lookup {
    struct list_link link; /* in `waiting` or `running` */
    struct turn *turn;
    uv_async_t answered;
    name_found *found;
    void *owner;
    char *host;
    char *port;
    bool in_loop, in_thread; /* whose it is; under the lock */
    int status;              /* of getaddrinfo */
    int system_error;        /* of EAI_SYSTEM */
    struct addrinfo *addresses;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list_link waiting = {&waiting, &waiting}, running = {&running, &running};
static unsigned threads;

/* Under the lock. */
static void release(struct name_lookup *lookup)
{
    if (lookup->in_loop || lookup->in_thread)
        return;
    if (lookup->addresses)
        freeaddrinfo(lookup->addresses);
    free(lookup->host);
    free(lookup->port);
    free(lookup);
}

/* --- the threads -------------------------------------------------------------------------------------------------- */

static bool may_run(const struct name_lookup *lookup)
{
    unsigned of_name = 0;
    LIST_EACH(link, &running)
    of_name += strcmp(CONTAINER_OF(link, struct name_lookup, link)->host, lookup->host) == 0;
    return of_name < RUNNING_MAX_OF_NAME;
}

static struct name_lookup *next_to_run(void)
{
    LIST_EACH(link, &waiting)
    {
        struct name_lookup *lookup = CONTAINER_OF(link, struct name_lookup, link);
        if (may_run(lookup))
            return lookup;
    }
    return NULL;
}

static void resolve(struct name_lookup *lookup)
{
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    list_remove(&lookup->link);
    list_append(&running, &lookup->link);
    lookup->in_thread = true;
    pthread_mutex_unlock(&lock);
    struct addrinfo *addresses = NULL;
    int status = getaddrinfo(lookup->host, lookup->port, &hints, &addresses);
    int system_error = errno;
    pthread_mutex_lock(&lock);
    list_remove(&lookup->link);
    lookup->in_thread = false;
    lookup->status = status;
    lookup->system_error = system_error;
    lookup->addresses = status == 0 ? addresses : NULL;
    if (lookup->in_loop)
        uv_async_send(&lookup->answered); /* under the lock, so the handle is open */
    release(lookup);
}

static void *run(void *argument)
{
    (void)argument;
    pthread_mutex_lock(&lock);
    for (struct name_lookup *lookup; (lookup = next_to_run());)
        resolve(lookup);
    threads--;
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* Signals are for the main thread. */
static bool start_thread(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool good = pthread_create(&thread, &attributes, run, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return good;
}

/* --- the loop ----------------------------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct name_lookup *lookup = handle->data;
    pthread_mutex_lock(&lock);
    lookup->in_loop = false;
    release(lookup);
    pthread_mutex_unlock(&lock);
}

static void leave_loop(struct name_lookup *lookup)
{
    uv_close(UV_HANDLE(&lookup->answered), on_closed);
}

static void on_answered(uv_async_t *handle)
{
    struct name_lookup *lookup = handle->data;
    pthread_mutex_lock(&lock);
    struct addrinfo *addresses = lookup->addresses;
    const char *why = lookup->status == EAI_SYSTEM ? strerror(lookup->system_error) : gai_strerror(lookup->status);
    lookup->addresses = NULL;
    pthread_mutex_unlock(&lock);
    leave_loop(lookup);
    turn_begin(lookup->turn);
    lookup->found(lookup->owner, addresses, addresses ? "" : why);
}

struct name_lookup *name_lookup_start(struct turn *turn, const char *host, const char *port, name_found *found,
                                      void *owner)
{
    struct name_lookup *lookup = xcalloc(1, sizeof *lookup);
    lookup->turn = turn;
    lookup->found = found;
    lookup->owner = owner;
    lookup->host = str_dup(str_from_cstr(host));
    lookup->port = str_dup(str_from_cstr(port));
    lookup->in_loop = true;
    lookup->answered.data = lookup;
    if (uv_async_init(turn->loop, &lookup->answered, on_answered) != 0)
        abort(); /* no descriptor is left; the turn has those of its loop already */
    pthread_mutex_lock(&lock);
    list_append(&waiting, &lookup->link);
    if (threads < RUNNING_MAX && may_run(lookup) && start_thread())
        threads++;
    if (threads == 0) {
        list_remove(&lookup->link);
        lookup->status = EAI_AGAIN;
        uv_async_send(&lookup->answered);
    }
    pthread_mutex_unlock(&lock);
    return lookup;
}

void name_lookup_cancel(struct name_lookup *lookup)
{
    pthread_mutex_lock(&lock);
    if (!lookup->in_thread)
        list_remove(&lookup->link);
    pthread_mutex_unlock(&lock);
    leave_loop(lookup);
}
