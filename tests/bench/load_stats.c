#include "tests/bench/load_stats.h"

#include <stdio.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/json/writer.h"

static int compare(const void *a, const void *b)
{
    int64_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

int64_t load_percentile(const int64_t *sorted, size_t count, unsigned percent)
{
    size_t rank = (count * percent + 99) / 100;

    return sorted[rank ? rank - 1 : 0];
}

void load_write_durations(struct cw_json_writer *w, const char *key, int64_t *values, size_t count)
{
    int64_t sum = 0;

    qsort(values, count, sizeof(*values), compare);
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    cw_json_key(w, key);
    cw_json_object(w);
    cw_json_kv_int(w, "p50", load_percentile(values, count, 50));
    cw_json_kv_int(w, "p90", load_percentile(values, count, 90));
    cw_json_kv_int(w, "p99", load_percentile(values, count, 99));
    cw_json_kv_int(w, "max", values[count - 1]);
    cw_json_kv_int(w, "mean", sum / (int64_t)count);
    cw_json_object_end(w);
}

static int64_t of_ticks(unsigned long long ticks)
{
    return (int64_t)(ticks * 1000000 / (unsigned long long)sysconf(_SC_CLK_TCK));
}

/* Guests' time is part of "user"; waiting and stolen time are nobody's work. */
int64_t load_machine_cpu_us(struct cw_err *err)
{
    unsigned long long user, nice, system, irq, softirq;
    FILE *file = fopen("/proc/stat", "re");
    int n = 0;

    if (file) {
        n = fscanf(file, "cpu %llu %llu %llu %*u %*u %llu %llu", &user, &nice, &system, &irq,
                   &softirq);
        (void)fclose(file);
    }
    if (n != 5)
        return cw_fail(err, CW_NOT_FOUND, "/proc/stat: no line of all processors");
    return of_ticks(user + nice + system + irq + softirq);
}

int64_t load_cpu_us(int pid, struct cw_err *err)
{
    char path[64], text[1024];
    unsigned long long user, system;
    const char *after_name = NULL;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    file = fopen(path, "re");
    if (file) {
        if (fgets(text, sizeof(text), file))
            after_name = strrchr(text, ')'); /* the name may hold anything */
        (void)fclose(file);
    }
    if (!after_name ||
        sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
               &system) != 2)
        return cw_fail(err, CW_NOT_FOUND, "%s: no such process", path);
    return of_ticks(user + system);
}
