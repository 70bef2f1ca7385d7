/* clock.c - see clock.h. */
#include "common/base/clock.h"

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

struct date {
    unsigned year, month, day;
};

/* In a calendar whose years begin in March the leap day is the last of its year, and the months before it have 30.6
 * days on average. 400 years have 146097 days. */
static struct date date_of(unsigned days_since_1970)
{
    unsigned days = days_since_1970 + 719468; /* since the first of March of the year 0 */
    unsigned ages = days / 146097, day_of_age = days % 146097;
    unsigned year = (day_of_age - day_of_age / 1460 + day_of_age / 36524 - day_of_age / 146096) / 365;
    unsigned day_of_year = day_of_age - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * day_of_year + 2) / 153; /* from 0: March */
    return (struct date){.year = ages * 400 + year + (month >= 10),
                         .month = month < 10 ? month + 3 : month - 9,
                         .day = day_of_year - (153 * month + 2) / 5 + 1};
}

/* Digits and the character after them. */
static char *put(char *to, unsigned number, unsigned digits, char after)
{
    for (unsigned i = digits; i-- > 0; number /= 10)
        to[i] = (char)('0' + number % 10);
    to[digits] = after;
    return to + digits + 1;
}

/* Not by strftime, which takes longer than all else that a frame with a time in it needs. */
void clock_format(uint64_t wall_ms, char out[CLOCK_RFC3339_LEN + 1])
{
    /* The largest year of four digits, so that the length never changes. */
    const uint64_t last_ms = 253402300799999;
    if (wall_ms > last_ms)
        wall_ms = last_ms;
    unsigned ms_of_day = (unsigned)(wall_ms % 86400000);
    const struct date date = date_of((unsigned)(wall_ms / 86400000));
    char *to = put(out, date.year, 4, '-');
    to = put(to, date.month, 2, '-');
    to = put(to, date.day, 2, 'T');
    to = put(to, ms_of_day / 3600000, 2, ':');
    to = put(to, ms_of_day / 60000 % 60, 2, ':');
    to = put(to, ms_of_day / 1000 % 60, 2, '.');
    to = put(to, ms_of_day % 1000, 3, 'Z');
    *to = '\0';
}
