#include "common/base/clock.h"

#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t system_wall_us(const struct cw_clock *c)
{
    (void)c;
    return read_clock(CLOCK_REALTIME);
}

static int64_t system_mono_us(const struct cw_clock *c)
{
    (void)c;
    return read_clock(CLOCK_MONOTONIC);
}

const struct cw_clock *cw_clock_system(void)
{
    static const struct cw_clock SYSTEM = {.wall_us = system_wall_us, .mono_us = system_mono_us};

    return &SYSTEM;
}

static char *put_digits(char *to, int v, int digits)
{
    for (int i = digits - 1; i >= 0; i--, v /= 10)
        to[i] = (char)('0' + v % 10);
    return to + digits;
}

void cw_clock_iso(int64_t wall_ms, char buf[CW_ISO_TIME_LEN + 1])
{
    time_t s = (time_t)(wall_ms / 1000);
    struct tm tm;
    char *p = buf;

    if (wall_ms < 0 || !gmtime_r(&s, &tm) || tm.tm_year > 9999 - 1900)
        tm = (struct tm){.tm_year = 70, .tm_mday = 1};
    p = put_digits(p, tm.tm_year + 1900, 4);
    *p++ = '-';
    p = put_digits(p, tm.tm_mon + 1, 2);
    *p++ = '-';
    p = put_digits(p, tm.tm_mday, 2);
    *p++ = 'T';
    p = put_digits(p, tm.tm_hour, 2);
    *p++ = ':';
    p = put_digits(p, tm.tm_min, 2);
    *p++ = ':';
    p = put_digits(p, tm.tm_sec, 2);
    *p++ = '.';
    p = put_digits(p, wall_ms < 0 ? 0 : (int)(wall_ms % 1000), 3);
    *p++ = 'Z';
    *p = '\0';
}
