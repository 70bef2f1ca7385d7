/* short_send.c - laid before the C library (LD_PRELOAD), makes the kernel look full at random: a send() takes nothing,
 * or only a part, though there is room. So every place where a write can be cut is met in seconds, which real sockets
 * hardly ever do for something as short as a pong. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned seed = 1;

static unsigned draw(void)
{
    pthread_mutex_lock(&lock);
    unsigned drawn = (unsigned)rand_r(&seed);
    pthread_mutex_unlock(&lock);
    return drawn;
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
    ssize_t (*real)(int, const void *, size_t, int);
    *(void **)&real = dlsym(RTLD_NEXT, "send");
    unsigned chance = draw() % 4;
    if (chance == 0) {
        errno = EAGAIN;
        return -1;
    }
    if (chance < 3 && len > 1)
        len = 1 + draw() % (len - 1);
    return real(fd, bytes, len, flags);
}
