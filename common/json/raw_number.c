/* Numbers as Java's BigDecimal makes integers of them. */
#include "common/json/raw.h"
#include "common/json/scan_priv.h"

enum { MAX_EXPONENT = 4096 }; /* 2^64 divides 10^64: what is beyond does not count */

/* Digits of the mantissa, how many of them stand in front of the point (negative: zeros behind it),
 * and where the digits end. */
struct decimal {
    const char *digits, *end;
    int whole;
    bool negative;
};

static int read_exponent(const char *p, const char *end)
{
    bool negative = p < end && *p == '-';
    int value = 0;

    for (p += p < end && (*p == '-' || *p == '+'); p < end; p++)
        value = value < MAX_EXPONENT ? value * 10 + (*p - '0') : MAX_EXPONENT;
    return negative ? -value : value;
}

static struct decimal split(struct cw_slice number)
{
    const char *end = number.p + number.n, *p;
    struct decimal d = {.digits = number.p, .whole = -1};
    int count = 0;

    if (d.digits < end && *d.digits == '-') {
        d.negative = true;
        d.digits++;
    }
    for (p = d.digits; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.')
            d.whole = count;
        else
            count += count < 1 << 30;
    }
    d.end = p;
    if (d.whole < 0)
        d.whole = count;
    if (p < end)
        d.whole += read_exponent(p + 1, end);
    return d;
}

/* The next digit of the mantissa, 0 behind the last one. */
static unsigned next_digit(struct decimal *d)
{
    if (d->digits < d->end && *d->digits == '.')
        d->digits++;
    return d->digits < d->end ? (unsigned)(*d->digits++ - '0') : 0;
}

int64_t cw_raw_long(struct cw_slice number)
{
    struct decimal d = split(number);
    uint64_t value = 0;

    for (; d.whole > 0 && (d.digits < d.end || value); d.whole--)
        value = value * 10 + next_digit(&d);
    return (int64_t)(d.negative ? 0 - value : value);
}

bool cw_raw_is_whole(struct cw_slice number)
{
    struct decimal d = split(number);

    for (; d.whole > 0 && d.digits < d.end; d.whole--)
        (void)next_digit(&d);
    while (d.digits < d.end)
        if (next_digit(&d) != 0)
            return false;
    return true;
}
