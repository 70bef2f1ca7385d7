/* short_send.c - laid before the C library (LD_PRELOAD), makes the kernel look full at random. A send() or write()
 * takes nothing, or only a part, though there is room. So every place where a write can be cut is met within seconds.
 * Real sockets hardly ever cut a message as short as a pong. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned seed = 1;

static unsigned draw(void)
{
    pthread_mutex_lock(&lock);
    unsigned drawn = (unsigned)rand_r(&seed);
    pthread_mutex_unlock(&lock);
    return drawn;
}

/* How many of so many bytes are taken; -1: none. */
static ssize_t cut(size_t len)
{
    unsigned chance = draw() % 4;
    if (chance == 0) {
        errno = EAGAIN;
        return -1;
    }
    return (ssize_t)(chance < 3 && len > 1 ? 1 + draw() % (len - 1) : len);
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
    ssize_t (*real)(int, const void *, size_t, int);
    *(void **)&real = dlsym(RTLD_NEXT, "send");
    ssize_t taken = cut(len);
    return taken < 0 ? taken : real(fd, bytes, (size_t)taken, flags);
}

/* OpenSSL's way to a socket. */
ssize_t write(int fd, const void *bytes, size_t len)
{
    struct stat file;
    ssize_t (*real)(int, const void *, size_t);
    *(void **)&real = dlsym(RTLD_NEXT, "write");
    ssize_t taken = fstat(fd, &file) == 0 && S_ISSOCK(file.st_mode) ? cut(len) : (ssize_t)len;
    return taken < 0 ? taken : real(fd, bytes, (size_t)taken);
}
