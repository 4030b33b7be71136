#include "common/http/server.h"
#include "common/json/writer.h"
#include "common/model/action_doc.h"
#include "invoker/monitor/monitor.h"
#include "invoker/monitor/monitor_priv.h"

enum { PAGE_MAX_BYTES = 16 << 20 };

struct page {
    const struct inv_monitor *m;
    struct cw_json_writer w;
    int64_t now_us;
};

static void put(struct cw_json_writer *w, const char *key, uint64_t v)
{
    cw_json_kv_int(w, key, v > INT64_MAX ? INT64_MAX : (int64_t)v);
}

/* Of what is known only: what cannot be had is left out. */
static void put_usage(struct cw_json_writer *w, const struct cw_usage *u)
{
    cw_json_key(w, "usage");
    cw_json_object(w);
    if (u->have & CW_USAGE_CPU)
        put(w, "cpuNs", u->cpu_ns);
    if (u->have & CW_USAGE_CPU_SPLIT) {
        put(w, "userNs", u->user_ns);
        put(w, "systemNs", u->system_ns);
    }
    if (u->have & CW_USAGE_MEMORY) {
        put(w, "memoryBytes", u->memory_bytes);
        put(w, "workingSetBytes", u->working_set_bytes);
    }
    if (u->have & CW_USAGE_MEMORY_STAT) {
        put(w, "anonBytes", u->anon_bytes);
        put(w, "fileBytes", u->file_bytes);
        put(w, "shmemBytes", u->shmem_bytes);
        put(w, "inactiveFileBytes", u->inactive_file_bytes);
    }
    if (u->have & CW_USAGE_PEAK)
        put(w, "peakBytes", u->peak_bytes);
    if (u->have & CW_USAGE_THROTTLE) {
        put(w, "throttledNs", u->throttled_ns);
        put(w, "periods", u->periods);
        put(w, "throttledPeriods", u->throttled_periods);
    }
    if (u->have & CW_USAGE_OOM) {
        put(w, "oomEvents", u->oom_events);
        put(w, "oomKills", u->oom_kills);
    }
    if (u->have & CW_USAGE_IO) {
        put(w, "ioReadBytes", u->io_read_bytes);
        put(w, "ioWrittenBytes", u->io_written_bytes);
        put(w, "ioReads", u->io_reads);
        put(w, "ioWrites", u->io_writes);
    }
    if (u->have & CW_USAGE_PIDS)
        put(w, "pids", u->pids);
    if (u->untrusted)
        cw_json_kv_bool(w, "untrusted", true);
    cw_json_object_end(w);
}

static void put_run(struct cw_json_writer *w, const struct inv_run_usage *u)
{
    cw_json_key(w, "lastRun");
    cw_json_object(w);
    put(w, "wallNs", u->wall_ns);
    put(w, "cpuNs", u->cpu_ns);
    put(w, "workingSetBytes", u->ws_sampled_bytes);
    put(w, "peakBytes", u->peak_bytes);
    put(w, "throttledNs", u->throttled_ns);
    put(w, "oomKills", u->oom_kills);
    put(w, "samples", u->samples);
    cw_json_kv_bool(w, "overlapped", u->overlapped);
    cw_json_kv_bool(w, "partial", u->partial);
    cw_json_kv_bool(w, "peakOfRun", u->peak_of_run);
    if (u->untrusted)
        cw_json_kv_bool(w, "untrusted", true);
    cw_json_object_end(w);
}

static void put_action(struct cw_json_writer *w, const struct inv_container_usage *c)
{
    if (!c->action)
        return;
    cw_json_kv_string(w, "namespace", c->namespace_name);
    cw_json_kv_string(w, "action", c->action->path);
    cw_json_kv_string(w, "version", c->action->version);
    cw_json_kv_string(w, "kind", c->action->kind);
    cw_json_kv_string(w, "image", c->action->image);
}

static void put_container(void *arg, const struct inv_container_usage *c)
{
    struct page *page = arg;
    struct cw_json_writer *w = &page->w;
    struct inv_need need;

    cw_json_object(w);
    cw_json_kv_string(w, "id", c->id);
    cw_json_kv_string(w, "name", c->name);
    cw_json_kv_string(w, "state", c->state);
    put_action(w, c);
    put(w, "jobs", c->jobs);
    put(w, "runs", c->runs);
    if (c->idle_us >= 0)
        cw_json_kv_int(w, "idleMs", c->idle_us / 1000);
    put(w, "memoryLimit", c->memory_limit_bytes);
    if (inv_monitor_need(page->m, c, &need)) {
        put(w, "memoryNeed", need.memory_bytes);
        put(w, "cpuNeed", need.cpu_millis);
    }
    if (c->usage.have) {
        put(w, "memoryUsed", c->usage.working_set_bytes);
        put(w, "cpuMillis", c->cpu_millis);
        cw_json_kv_int(w, "sampledMsAgo", (page->now_us - c->sampled_us) / 1000);
        put_usage(w, &c->usage);
    }
    if (c->measured)
        put_run(w, &c->last_run);
    cw_json_object_end(w);
}

/* Shares in hundredths of a percent, as in usage.h; without PSI there are none. */
static void put_pressure(struct cw_json_writer *w, const struct cw_usage_host *h, uint32_t part,
                         const char *key, const struct cw_pressure *p)
{
    if (!(h->have & part))
        return;
    cw_json_key(w, key);
    cw_json_object(w);
    put(w, "someAvg10", p->some_avg10);
    put(w, "fullAvg10", p->full_avg10);
    put(w, "someUs", p->some_us);
    put(w, "fullUs", p->full_us);
    cw_json_object_end(w);
}

static void put_host(struct cw_json_writer *w, const struct inv_host_usage *host)
{
    const struct cw_usage_host *h = &host->now;

    cw_json_key(w, "host");
    cw_json_object(w);
    put(w, "cores", h->cores);
    if (h->have & CW_HOST_CPU) {
        put(w, "cpuNs", h->cpu_ns);
        put(w, "cpuMillis", host->cpu_millis);
    }
    if (h->have & CW_HOST_MEMORY) {
        put(w, "memoryTotal", h->memory_total_bytes);
        put(w, "memoryAvailable", h->memory_available_bytes);
    }
    put_pressure(w, h, CW_HOST_PRESSURE_CPU, "pressureCpu", &h->cpu);
    put_pressure(w, h, CW_HOST_PRESSURE_MEMORY, "pressureMemory", &h->memory);
    put_pressure(w, h, CW_HOST_PRESSURE_IO, "pressureIo", &h->io);
    cw_json_object_end(w);
}

void inv_monitor_render(struct inv_monitor *m, struct cw_str *out)
{
    struct page page = {.m = m, .now_us = inv_monitor_now_us(m)};

    cw_json_begin(&page.w, out);
    cw_json_object(&page.w);
    cw_json_key(&page.w, "containers");
    cw_json_array(&page.w);
    inv_monitor_each(m, put_container, &page);
    cw_json_array_end(&page.w);
    put_host(&page.w, &m->host);
    cw_json_object_end(&page.w);
}

void inv_monitor_answer(void *monitor, struct cw_http_exchange *ex)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, PAGE_MAX_BYTES);
    inv_monitor_render(monitor, &text);
    cw_http_answer(ex, text.failed ? 500 : 200, "application/json", cw_str_slice(&text));
}
