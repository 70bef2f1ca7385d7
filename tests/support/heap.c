/* heap.c - loaded into a server by LD_PRELOAD. Twice a second it writes two numbers to the file that HEAP_FILE names.
 * They are the count of its writes, and the bytes of the heap in use. Freed memory that malloc keeps does not count.
 * So the numbers tell a leak from fragmentation. */
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void *write_often(void *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (uint64_t told[2] = {0}; fd >= 0;) {
        struct mallinfo2 info = mallinfo2();
        told[0]++;
        told[1] = info.uordblks + info.hblkhd;
        if (pwrite(fd, told, sizeof told, 0) != sizeof told)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
    }
    return NULL;
}

__attribute__((constructor)) static void start(void)
{
    pthread_t thread;
    sigset_t all, before;
    char *path = getenv("HEAP_FILE");
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the server's own threads */
    if (!path || pthread_create(&thread, NULL, write_often, path))
        abort();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
