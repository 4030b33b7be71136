/* Parents come before their children, mostly, since ids rise: a child that ends in between is then
 * missed, until the next reading, rather than counted twice. */
#include "docker/probe/proc_sum.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/base/str.h"
#include "docker/probe/small_file.h"

enum {
    /* fields of /proc/PID/stat behind the name, the state being number 0 */
    FIELD_UTIME = 11,
    FIELD_STIME = 12,
    FIELD_CUTIME = 13,
    FIELD_CSTIME = 14,
    FIELD_THREADS = 17,
    FIELDS = 18,
};

static const int64_t MAX_KIB = INT64_C(1) << 50;
static const int64_t TICK_NS = 10000000; /* USER_HZ is 100 on every Linux that programs can see */

/* What one process adds. */
struct share {
    int64_t anon, file, shmem, peak;
};

struct walk {
    const char *proc;
    pb_cpu_clock_fn *cpu_clock;
    struct pb_proc_sum sum;
    struct share total; /* anon: sum; the others: the largest */
    int64_t pss;        /* -1: at least one is not to be had */
    unsigned with_memory;
};

int64_t pb_cpu_clock(pid_t pid)
{
    clockid_t clock;
    struct timespec t;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return -1;
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* "pid (name) S 1 2 …": the name may hold anything, blanks and brackets too. */
static bool split_stat(const char *text, int64_t ret[FIELDS])
{
    const char *p = strrchr(text, ')');

    if (!p || p[1] != ' ')
        return false;
    ret[0] = 0; /* a letter */
    p = strchr(p + 2, ' ');
    for (int i = 1; i < FIELDS; i++) {
        char *end;

        if (!p)
            return false;
        ret[i] = strtoll(p, &end, 10);
        if (end == p)
            return false;
        p = end;
    }
    return true;
}

static bool add_times(struct walk *w, pid_t pid, const char *stat)
{
    int64_t field[FIELDS], own;

    if (!split_stat(stat, field))
        return false;
    own = w->cpu_clock(pid);
    if (own < 0)
        own = (field[FIELD_UTIME] + field[FIELD_STIME]) * TICK_NS;
    w->sum.cpu_ns += own + (field[FIELD_CUTIME] + field[FIELD_CSTIME]) * TICK_NS;
    w->sum.threads += larger(field[FIELD_THREADS], 0);
    return true;
}

/* Bytes of a line "Key:   123 kB"; 0 when there is none. */
static int64_t kib_line(struct cw_slice text, const char *key)
{
    int64_t kib = pb_keyed_number(text, key);

    return kib > 0 && kib < MAX_KIB ? kib * 1024 : 0;
}

/* A process without memory of its own (a zombie, or the probe with a few pages) does not make
 * sharing likely. */
enum { SMALL_BYTES = 256 << 10 };

static void add_memory(struct walk *w, struct cw_slice status)
{
    const struct share s = {.anon = kib_line(status, "RssAnon:"),
                            .file = kib_line(status, "RssFile:"),
                            .shmem = kib_line(status, "RssShmem:"),
                            .peak = kib_line(status, "VmHWM:")};

    w->total.anon += s.anon;
    w->total.file = larger(w->total.file, s.file);
    w->total.shmem = larger(w->total.shmem, s.shmem);
    w->total.peak = larger(w->total.peak, s.peak);
    w->with_memory += s.anon > SMALL_BYTES;
}

static void add_pss(struct walk *w, struct cw_slice rollup)
{
    int64_t kib = pb_keyed_number(rollup, "Pss:");

    if (kib < 0 || kib >= MAX_KIB)
        w->pss = -1;
    else if (w->pss >= 0)
        w->pss += kib * 1024;
}

static void visit_first(struct walk *w, pid_t pid, int dir)
{
    char text[PB_SMALL_FILE];

    if (!pb_read_at(dir, "stat", text) || !add_times(w, pid, text))
        return;
    if (pb_read_at(dir, "status", text))
        add_memory(w, cw_slice_of(text));
}

static void visit_for_pss(struct walk *w, pid_t pid, int dir)
{
    char text[PB_SMALL_FILE];

    (void)pid;
    if (pb_read_at(dir, "smaps_rollup", text))
        add_pss(w, cw_slice_of(text));
    else
        w->pss = -1;
}

static pid_t pid_of(const char *name)
{
    int64_t pid;

    return cw_parse_i64(cw_slice_of(name), "", 1, INT32_MAX, &pid, NULL) == 0 ? (pid_t)pid : 0;
}

static bool each_process(struct walk *w, void (*visit)(struct walk *w, pid_t pid, int dir))
{
    DIR *all = opendir(w->proc);
    const struct dirent *entry;
    int left = PB_MAX_PROCESSES;

    if (!all)
        return false;
    while (left > 0 && (entry = readdir(all))) {
        pid_t pid = pid_of(entry->d_name);
        int dir = pid ? openat(dirfd(all), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

        if (dir < 0)
            continue;
        visit(w, pid, dir);
        (void)close(dir);
        left--;
    }
    (void)closedir(all);
    return true;
}

bool pb_proc_sum_read(const char *proc, pb_cpu_clock_fn *cpu_clock, struct pb_proc_sum *ret)
{
    struct walk w = {.proc = proc, .cpu_clock = cpu_clock};
    int64_t simple;

    if (!each_process(&w, visit_first) || w.sum.threads == 0)
        return false;
    simple = w.total.anon + w.total.file + w.total.shmem;
    w.pss = -1;
    if (w.with_memory > 1) { /* it costs a walk over all their pages */
        w.pss = 0;
        (void)each_process(&w, visit_for_pss);
    }
    w.sum.memory_bytes = w.pss > 0 ? w.pss : simple;
    w.sum.peak_bytes = larger(w.sum.memory_bytes, w.total.peak);
    *ret = w.sum;
    return true;
}
