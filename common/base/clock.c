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

uint64_t clock_timer_us(uint64_t now_us)
{
    return used && used->timer_us ? used->timer_us() : now_us;
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

/* The other way: see date_of. */
static unsigned days_of(const struct date *date)
{
    unsigned month = date->month < 3 ? date->month + 9 : date->month - 3;
    unsigned year = date->month < 3 ? date->year - 1 : date->year;
    return year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + date->day - 1 - 719468;
}

/* Takes so many digits and the character after them from the front of *text. */
static bool take(struct str *text, unsigned digits, char after, unsigned *out)
{
    uint64_t value;
    if (text->len <= digits || text->ptr[digits] != after || !str_to_u64(str_from(text->ptr, digits), &value))
        return false;
    *out = (unsigned)value;
    *text = str_skip(*text, digits + 1);
    return true;
}

/* The part of a second, as "Z" or ".5Z". */
static bool take_fraction(struct str text, unsigned *out_ms)
{
    unsigned scale = 100;
    *out_ms = 0;
    if (str_eq(text, STR("Z")))
        return true;
    if (text.len < 3 || text.ptr[0] != '.' || text.ptr[text.len - 1] != 'Z')
        return false;
    for (size_t i = 1; i + 1 < text.len; i++, scale /= 10) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        *out_ms += (unsigned)(text.ptr[i] - '0') * scale;
    }
    return true;
}

bool clock_parse(struct str text, uint64_t *out_wall_ms)
{
    struct date date;
    unsigned hour, minute, second, ms;
    if (!take(&text, 4, '-', &date.year) || !take(&text, 2, '-', &date.month) || !take(&text, 2, 'T', &date.day) ||
        !take(&text, 2, ':', &hour) || !take(&text, 2, ':', &minute) || text.len < 3 ||
        !take(&text, 2, text.ptr[2], &second))
        return false;
    /* The character after the seconds is a part of the rest. */
    if (!take_fraction(str_from(text.ptr - 1, text.len + 1), &ms))
        return false;
    if (date.year < 1970 || date.month < 1 || date.month > 12 || date.day < 1 || hour > 23 || minute > 59 ||
        second > 59)
        return false;
    unsigned days = days_of(&date);
    const struct date same = date_of(days);
    if (same.month != date.month || same.day != date.day) /* there is no such day */
        return false;
    *out_wall_ms = (uint64_t)days * 86400000 + hour * 3600000 + minute * 60000 + second * 1000 + ms;
    return true;
}

/* Digits and the character after them. */
static char *put(char *to, unsigned number, unsigned digits, char after)
{
    for (unsigned i = digits; i-- > 0; number /= 10)
        to[i] = (char)('0' + number % 10);
    to[digits] = after;
    return to + digits + 1;
}

enum { MINUTE_LEN = sizeof "2026-11-29T12:52:" - 1 };

static void format_minute(uint64_t minutes_since_1970, char *to)
{
    const struct date date = date_of((unsigned)(minutes_since_1970 / 1440));
    to = put(to, date.year, 4, '-');
    to = put(to, date.month, 2, '-');
    to = put(to, date.day, 2, 'T');
    to = put(to, (unsigned)(minutes_since_1970 / 60 % 24), 2, ':');
    put(to, (unsigned)(minutes_since_1970 % 60), 2, ':');
}

/* Not by strftime, which takes longer than all else that a frame with a time in it needs. Nearly all times of a thread
 * are in the same minute as the one before, so its text is kept. */
void clock_format(uint64_t wall_ms, char out[CLOCK_RFC3339_LEN + 1])
{
    static _Thread_local uint64_t minute;
    static _Thread_local char text[MINUTE_LEN] = "1970-01-01T00:00:";
    /* The largest year of four digits, so that the length never changes. */
    const uint64_t last_ms = 253402300799999;
    if (wall_ms > last_ms)
        wall_ms = last_ms;
    if (wall_ms / 60000 != minute) {
        minute = wall_ms / 60000;
        format_minute(minute, text);
    }
    memcpy(out, text, MINUTE_LEN);
    unsigned ms = (unsigned)(wall_ms % 60000);
    char *to = put(out + MINUTE_LEN, ms / 1000, 2, '.');
    to = put(to, ms % 1000, 3, 'Z');
    *to = '\0';
}
