/* clock.c - see clock.h. */
#include "common/base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t read_us(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static const struct clock *used; /* NULL: the real ones */

void clock_use(const struct clock *clock)
{
    used = clock;
}

uint64_t clock_now_us(void)
{
    return used ? used->now_us() : read_us(CLOCK_MONOTONIC);
}

uint64_t clock_wall_ms(void)
{
    return used ? used->wall_ms() : read_us(CLOCK_REALTIME) / 1000;
}

void clock_format(uint64_t wall_ms, char out[CLOCK_RFC3339_LEN + 1])
{
    /* The largest year of four digits, so that the length never changes. */
    const uint64_t last_ms = 253402300799999;
    if (wall_ms > last_ms)
        wall_ms = last_ms;
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(out, CLOCK_RFC3339_LEN + 1, "%Y-%m-%dT%H:%M:%S", &parts);
    unsigned ms = (unsigned)(wall_ms % 1000);
    char *end = out + 19;
    end[0] = '.';
    end[1] = (char)('0' + ms / 100);
    end[2] = (char)('0' + ms / 10 % 10);
    end[3] = (char)('0' + ms % 10);
    end[4] = 'Z';
    end[5] = '\0';
}
