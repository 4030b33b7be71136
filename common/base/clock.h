/* common/base/clock.h -- time as a parameter.
 *
 * Wall time is for what others read (records, deadlines in messages); monotonic time is for
 * intervals and deadlines of our own, and is immune to clock jumps. Thread: any. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct cw_clock {
    int64_t (*wall_us)(const struct cw_clock *c); /* microseconds since the epoch */
    int64_t (*mono_us)(const struct cw_clock *c); /* microseconds since an arbitrary point */
};

/* The machine's clocks. */
const struct cw_clock *cw_clock_system(void);

static inline int64_t cw_clock_wall_ms(const struct cw_clock *c)
{
    return c->wall_us(c) / 1000;
}
static inline int64_t cw_clock_mono_us(const struct cw_clock *c)
{
    return c->mono_us(c);
}

enum { CW_ISO_TIME_LEN = 24 };
/* "2026-01-02T03:04:05.123Z" and a NUL; buf holds CW_ISO_TIME_LEN + 1 bytes. */
void cw_clock_iso(int64_t wall_ms, char buf[CW_ISO_TIME_LEN + 1]);
