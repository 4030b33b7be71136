#include "docker/probe/figures.h"

#include "docker/probe/proc_sum.h"

void pb_figures_init(struct pb_figures *f, const char *proc)
{
    *f = (struct pb_figures){.proc = proc};
    pb_groups_open(&f->groups, proc);
}

void pb_figures_done(struct pb_figures *f)
{
    pb_groups_close(&f->groups);
}

static bool from_processes(const struct pb_figures *f, struct cw_probe_figures *ret)
{
    struct pb_proc_sum sum;

    if (!pb_proc_sum_read(f->proc, pb_cpu_clock, &sum))
        return false;
    *ret = (struct cw_probe_figures){.source = CW_PROBE_PROC,
                                     .cpu_ns = sum.cpu_ns,
                                     .memory_bytes = sum.memory_bytes,
                                     .peak_bytes = sum.peak_bytes,
                                     .pids = sum.threads,
                                     .throttled_ns = -1,
                                     .oom_kills = -1,
                                     .cpu_estimated = true,
                                     .memory_estimated = true,
                                     .peak_estimated = true};
    return true;
}

/* CPU time that processes took with them, unseen, does not come back. */
static void keep_from_falling(struct pb_figures *f, struct cw_probe_figures *now)
{
    if (now->cpu_ns < f->last.cpu_ns)
        now->cpu_ns = f->last.cpu_ns;
    if (now->memory_bytes > f->peak_bytes)
        f->peak_bytes = now->memory_bytes;
    if (now->peak_bytes < f->peak_bytes) {
        now->peak_estimated = now->peak_estimated || now->peak_bytes < 0;
        now->peak_bytes = f->peak_bytes;
    }
    f->peak_bytes = now->peak_bytes;
}

const struct cw_probe_figures *pb_figures_now(struct pb_figures *f, int64_t now_ns)
{
    struct cw_probe_figures now = {0};

    if (f->last.time_ns && now_ns - f->last.time_ns < PB_FRESH_NS)
        return &f->last;
    if (f->groups.found && !pb_groups_read(&f->groups, &now))
        pb_groups_close(&f->groups); /* from now on by processes: cpu_ns does not fall */
    if (!f->groups.found && !from_processes(f, &now))
        return NULL;
    keep_from_falling(f, &now);
    now.time_ns = now_ns;
    f->last = now;
    return &f->last;
}
