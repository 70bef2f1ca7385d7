/* dev_parent.c - see dev_parent.h. PR_SET_PDEATHSIG is not used: it tells of the end of the thread that started this
 * process, and of none that came before the call. A process whose parent ends gets another parent, so getppid tells
 * everything; a descriptor of the parent only makes the wait for it short. */
#include "server/cli/dev_parent.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LOOK_MS = 100 };

static pid_t parent;

static void *watch(void *none)
{
    (void)none;
#ifdef SYS_pidfd_open
    struct pollfd ended = {.fd = (int)syscall(SYS_pidfd_open, parent, 0), .events = POLLIN};
#else
    struct pollfd ended = {.fd = -1};
#endif
    while (getppid() == parent) {
        poll(&ended, 1, ended.fd < 0 ? LOOK_MS : -1);
        ended.fd = -1; /* which poll ignores: after the parent's end only short pauses follow */
    }
    kill(getpid(), SIGTERM);
    return NULL;
}

/* A process has the session of its parent, or leads one of its own. A foster parent, such as init, has another. */
static bool is_orphan(void)
{
    pid_t own = getsid(0);
    return own != getpid() && own != getsid(parent);
}

enum err dev_parent_watch(struct error *error)
{
    sigset_t all, before;
    pthread_t thread;
    parent = getppid();
    if (is_orphan())
        return error_set(error, ERR_UNAVAILABLE, "--exit-with-parent: the process that started this one has ended");
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before); /* the thread takes no signals */
    int failed = pthread_create(&thread, NULL, watch, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return error_set(error, ERR_UNAVAILABLE, "--exit-with-parent: %s", strerror(failed));
    pthread_detach(thread);
    return ERR_NONE;
}
