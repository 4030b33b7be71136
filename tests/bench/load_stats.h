/* tests/bench/load_stats.h -- durations as percentiles, and processor time of other processes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"

struct cw_err;
struct cw_json_writer;

/* Writes "key":{"p50":…,"p90":…,"p99":…,"max":…,"mean":…}; sorts values; count > 0. */
void load_write_durations(struct cw_json_writer *w, const char *key, int64_t *values, size_t count);
/* The value that `percent` of the sorted values do not exceed (nearest rank). */
int64_t load_percentile(const int64_t *sorted, size_t count, unsigned percent);

/* Time that all processors of the machine were busy since boot, microseconds; -1 with *err. */
int64_t load_machine_cpu_us(struct cw_err *err) CW_MUST_CHECK;
/* User plus system time of all threads of a process, microseconds; -1 with *err when it is gone. */
int64_t load_cpu_us(int pid, struct cw_err *err) CW_MUST_CHECK;
