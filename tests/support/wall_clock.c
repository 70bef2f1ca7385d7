/* wall_clock.c - loaded into a server by LD_PRELOAD, shifts its wall clock or holds it. The file that WALL_CLOCK_FILE
 * names has the seconds of the shift, and the second at which the clock stands, or 0 if it runs. Both can change at any
 * time. Monotonic clocks are left alone, as by an operator or NTP. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile struct {
    int64_t offset_s, stands_at_s;
} * wall;

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("WALL_CLOCK_FILE");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = fd >= 0 ? mmap(NULL, sizeof *wall, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (mapped == MAP_FAILED)
        abort();
    close(fd);
    wall = mapped;
}

int clock_gettime(clockid_t id, struct timespec *out)
{
    int failed = (int)syscall(SYS_clock_gettime, id, out);
    if (!failed && wall && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        int64_t stands_at_s = wall->stands_at_s;
        if (stands_at_s)
            *out = (struct timespec){(time_t)stands_at_s, 0};
        else
            out->tv_sec += wall->offset_s;
    }
    return failed;
}

time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *out = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}
