#include "common/base/clock.h"

#include <stdio.h>
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

void cw_clock_iso(int64_t wall_ms, char buf[CW_ISO_TIME_LEN + 1])
{
    time_t s = (time_t)(wall_ms / 1000);
    struct tm tm;
    char text[64];

    if (!gmtime_r(&s, &tm))
        tm = (struct tm){.tm_year = 70, .tm_mday = 1};
    (void)snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
                   tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                   (int)(wall_ms % 1000));
    (void)snprintf(buf, CW_ISO_TIME_LEN + 1, "%.24s", text);
}
