/* The bucket is found in integers: a libm that rounds otherwise must not move a stored value. */
#include "invoker/placement/hist.h"

#include <math.h>

#define MOST 16777216.0 /* 2^24 */

enum { PER_OCTAVE = 8, OCTAVES = INV_HIST_BUCKETS / PER_OCTAVE };

/* 2^(k/8) in units of 2^-31, rounded up: a value below it is in a lower bucket. */
static const uint32_t EDGES[PER_OCTAVE] = {
    0x80000000, 0x8b95c1e4, 0x9837f052, 0xa5fed6aa, 0xb504f334, 0xc5672a12, 0xd744fccb, 0xeac0c6e8,
};

size_t inv_hist_bucket(uint64_t value)
{
    uint32_t octave, scaled;
    size_t k = PER_OCTAVE - 1;

    if (value == 0)
        return 0;
    if (value > INV_HIST_MAX)
        return INV_HIST_BUCKETS - 1;
    octave = 31 - (uint32_t)__builtin_clz((uint32_t)value);
    scaled = (uint32_t)value << (31 - octave);
    while (scaled < EDGES[k])
        k--;
    return octave * PER_OCTAVE + k;
}

static uint64_t lower_edge(size_t bucket)
{
    uint64_t edge = EDGES[bucket % PER_OCTAVE], unit = 1ULL << (31 - bucket / PER_OCTAVE);

    return (edge + unit - 1) / unit;
}

uint64_t inv_hist_bucket_max(size_t bucket)
{
    uint64_t below_next;

    if (bucket >= INV_HIST_BUCKETS - 1)
        return INV_HIST_MAX;
    below_next = lower_edge(bucket + 1) - 1;
    /* the first octaves have buckets that hold no whole number */
    return below_next > 0 ? below_next : 1;
}

/* The value from which both edges are equally far, as a part of themselves. */
static double middle(size_t bucket)
{
    double low = (double)lower_edge(bucket), high = (double)inv_hist_bucket_max(bucket);

    return high > low ? 2 * low * high / (low + high) : high;
}

void inv_hist_add(struct inv_hist *h, uint64_t value)
{
    inv_hist_add_bucket(h, inv_hist_bucket(value), 1);
}

void inv_hist_add_bucket(struct inv_hist *h, size_t bucket, double weight)
{
    double count;

    if (bucket >= INV_HIST_BUCKETS || !isfinite(weight) || weight <= 0)
        return;
    count = (double)h->counts[bucket] + weight;
    h->counts[bucket] = (float)(count < MOST ? count : MOST);
}

double inv_hist_total(const struct inv_hist *h)
{
    double total = 0;

    for (size_t i = 0; i < INV_HIST_BUCKETS; i++)
        total += (double)h->counts[i];
    return total;
}

uint64_t inv_hist_percentile(const struct inv_hist *h, double percent)
{
    double wanted = inv_hist_total(h) * (fmin(fmax(percent, 0), 100) / 100), seen = 0;
    uint64_t value = 0;

    for (size_t i = 0; i < INV_HIST_BUCKETS; i++) {
        if (h->counts[i] <= 0)
            continue;
        seen += (double)h->counts[i];
        value = inv_hist_bucket_max(i);
        if (seen >= wanted)
            break;
    }
    return value;
}

double inv_hist_mean(const struct inv_hist *h)
{
    double total = 0, sum = 0;

    for (size_t i = 0; i < INV_HIST_BUCKETS; i++) {
        if (h->counts[i] <= 0)
            continue;
        total += (double)h->counts[i];
        sum += (double)h->counts[i] * middle(i);
    }
    return total > 0 ? sum / total : 0;
}
