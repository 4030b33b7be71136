/* invoker/placement/hist.h -- how often values of which size were seen: buckets of equal ratio.
 *
 * Eight buckets to an octave over 1..65535 in a unit of the caller's (busy millicores, MiB); 0 is
 * counted as 1, what is larger in the last bucket. Bucket i holds 2^(i/8) <= value < 2^((i+1)/8):
 * the values in it differ by less than 9.1%. Counts are weights, so that the past can fade; 512
 * bytes, no pointers: copy, compare and embed at will (zeroed is empty). Percentiles cannot be
 * merged, these can. Pure. Thread: any. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { INV_HIST_BUCKETS = 128, INV_HIST_MAX = 65535 };

/* A mean is off by at most this part of itself, for values within the range. */
#define INV_HIST_MEAN_ERROR 0.0434
/* A percentile is never below the true one, and above it by less than this part of it. */
#define INV_HIST_PERCENTILE_ERROR 0.0906

struct inv_hist {
    float counts[INV_HIST_BUCKETS]; /* finite, 0.. */
};

/* 0..INV_HIST_BUCKETS - 1. Rising in value, on every machine the same: it is stored. */
size_t inv_hist_bucket(uint64_t value);
/* The largest value that the bucket holds; INV_HIST_MAX for those beyond the last. */
uint64_t inv_hist_bucket_max(size_t bucket);

/* One value, once. */
void inv_hist_add(struct inv_hist *h, uint64_t value);
/* What was read from elsewhere. A bucket that does not exist and a weight that is negative or not
 * finite are ignored; a count stays below 2^24, where adding 1 to it would no longer be felt. */
void inv_hist_add_bucket(struct inv_hist *h, size_t bucket, double weight);
/* The number of values, faded ones in part. */
double inv_hist_total(const struct inv_hist *h);
/* The value that percent (0..100, brought there) of the values do not exceed; 0 when empty. */
uint64_t inv_hist_percentile(const struct inv_hist *h, double percent);
/* 0 when empty. */
double inv_hist_mean(const struct inv_hist *h);
