/* What the kernel really has: against those who write over it, and for those who ask. */
#include <stdio.h>

#include "common/base/err.h"
#include "common/json/writer.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/resize/resize_priv.h"

enum { EACH_MS = 1000 };

/* ---- written over ---- */

static bool needs_a_look(const struct inv_resize *r, const struct inv_member *m)
{
    return m->control && (r->guaranteed_ppm || m->memory_written || m->quota_written);
}

void resize_tell_changed(struct inv_member *m, enum inv_limit limit, int64_t found, int64_t ours)
{
    inv_writer_tell_reasserted(m->r->writer);
    cw_log(CW_LOG_WARN, NULL, COMPONENT,
           "container %s: %s was changed to %lld by somebody else, it is set to %lld again",
           m->name, inv_limit_name(limit), (long long)found, (long long)ours);
}

/* false: it cannot be written any more, which the writer has told. */
static bool reassert(struct inv_member *m, enum inv_limit limit, int64_t ours)
{
    struct inv_writer *w = m->r->writer;
    int64_t found = inv_writer_read(w, m->control, limit);

    if (found == ours || found == CW_CONTROL_NONE)
        return true;
    resize_tell_changed(m, limit, found, ours);
    return cw_control_is_set(inv_writer_write(w, m->control, m->name, limit, ours, NULL));
}

static void look_at(struct inv_member *m)
{
    int64_t weight = inv_writer_read(m->r->writer, m->control, INV_LIMIT_CPU_WEIGHT);

    if (weight != CW_CONTROL_NONE && weight != m->weight && !m->stuck) {
        resize_tell_changed(m, INV_LIMIT_CPU_WEIGHT, weight, m->wanted);
        m->weight = weight;
    }
    if (m->memory_written)
        m->memory_written = reassert(m, INV_LIMIT_MEMORY, (int64_t)m->memory_mb << 20);
    if (m->quota_written && m->quota_us != CW_CONTROL_NONE)
        m->quota_written = reassert(m, INV_LIMIT_CPU_QUOTA, m->quota_us);
}

void resize_watch(void *arg)
{
    struct inv_resize *r = arg;
    bool looked = false;

    CW_LIST_EACH (&r->members, link) {
        struct inv_member *m = CW_LIST_ENTRY(link, struct inv_member, link);

        if (!needs_a_look(r, m))
            continue;
        look_at(m);
        looked = true;
    }
    if (!looked && !r->guaranteed_ppm)
        return; /* until there is something again */
    resize_apply(r);
    cw_timer_set_ms(&r->watch, EACH_MS);
}

void resize_watch_begin(struct inv_resize *r)
{
    if (!cw_timer_pending(&r->watch))
        cw_timer_set_ms(&r->watch, EACH_MS);
}

/* ---- neighbours ---- */

static int64_t our_weight(const struct inv_resize *r)
{
    int64_t sum = 0;

    CW_LIST_EACH (&r->members, link) {
        const struct inv_member *m = CW_LIST_ENTRY(link, struct inv_member, link);

        sum += resize_member_is_real(m) ? m->weight : 0;
    }
    return sum;
}

static double ratio(int64_t part, int64_t whole)
{
    return whole > 0 && part > 0 ? (double)part / (double)whole : 0;
}

static double foreign_ratio(const struct inv_resize *r)
{
    return ratio(r->around.siblings_weight - our_weight(r), r->around.siblings_weight);
}

/* 1: the parent is the root, or alone. */
static double parent_ratio(const struct inv_resize *r)
{
    return r->around.parent_weight > 0 && r->around.parents_weight > 0
               ? ratio(r->around.parent_weight, r->around.parents_weight)
               : 1;
}

void resize_look_around(struct inv_resize *r, struct inv_member *m)
{
    struct cw_err err = {0};

    r->around_known = m->control && cw_control_look_around(m->control, &r->around, &err) == 0;
    if (!r->around_known)
        return;
    cw_gauge_set(r->foreign, foreign_ratio(r));
    cw_gauge_set(r->parent, parent_ratio(r));
    if (r->foreign_told || (foreign_ratio(r) < 0.01 && parent_ratio(r) > 0.99))
        return;
    r->foreign_told = true;
    cw_log(CW_LOG_WARN, NULL, COMPONENT,
           "guarantees are parts of what action containers get together: of their parent group's "
           "weight %.1f%% is other groups', and the parent has %.1f%% of its own parent's. A group "
           "of their own (--cgroup-parent) keeps others out",
           foreign_ratio(r) * 100, parent_ratio(r) * 100);
}

void inv_resize_refresh(struct inv_resize *r)
{
    cw_gauge_set(r->guaranteed, (double)r->guaranteed_ppm / INV_CPU_WHOLE_PPM);
    CW_LIST_EACH (&r->members, link) {
        struct inv_member *m = CW_LIST_ENTRY(link, struct inv_member, link);

        if (m->wishes.guarantee_ppm && m->control) {
            resize_look_around(r, m);
            return;
        }
    }
}

/* ---- what is, as JSON ---- */

static void put_ratio(struct cw_json_writer *w, const char *key, double v)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%.6f", v);
    cw_json_kv_raw(w, key, cw_slice_of(text));
}

static void put_if_known(struct cw_json_writer *w, const char *key, int64_t v)
{
    if (v != CW_CONTROL_NONE)
        cw_json_kv_int(w, key, v);
}

static void put_member(struct inv_member *m, struct cw_json_writer *w)
{
    cw_json_object(w);
    cw_json_kv_string(w, "name", m->name);
    cw_json_kv_string(w, "id", m->id);
    put_ratio(w, "guarantee", (double)m->wishes.guarantee_ppm / INV_CPU_WHOLE_PPM);
    cw_json_kv_int(w, "weight", m->wanted);
    cw_json_kv_int(w, "memoryMB", m->memory_mb);
    put_if_known(w, "cpuQuotaUs", m->quota_wanted_us);
    if (m->wishes.io_weight)
        cw_json_kv_int(w, "ioWeight", m->wishes.io_weight);
    if (m->control) {
        cw_json_key(w, "kernel");
        cw_json_object(w);
        cw_json_kv_string(w, "group", cw_control_place(m->control));
        put_if_known(w, "weight", cw_control_weight(m->control));
        put_if_known(w, "cpuQuotaUs", cw_control_quota(m->control));
        put_if_known(w, "ioWeight", inv_writer_read(m->r->writer, m->control, INV_LIMIT_IO_WEIGHT));
        put_if_known(w, "memoryLimit", cw_control_memory_limit(m->control));
        put_if_known(w, "memoryUsed", cw_control_memory_used(m->control));
        if (m->low)
            put_if_known(w, "memoryLow", cw_control_protected(m->control));
        cw_json_object_end(w);
    }
    cw_json_kv_int(w, "squeezes", (int64_t)m->squeezed.times);
    cw_json_kv_int(w, "squeezedBytes", m->squeezed.total_bytes);
    cw_json_object_end(w);
}

static void put_totals(const struct inv_resize *r, struct cw_json_writer *w)
{
    struct inv_writer_totals t;

    inv_writer_totals(r->writer, &t);
    cw_json_kv_int(w, "writes", (int64_t)t.writes);
    cw_json_kv_int(w, "failures", (int64_t)t.failures);
    cw_json_kv_int(w, "reasserted", (int64_t)t.reasserted);
    cw_json_kv_int(w, "lastWriteUs", t.last_us);
    cw_json_kv_int(w, "worstWriteUs", t.worst_us);
    cw_json_kv_int(w, "squeezedBytes", (int64_t)inv_squeeze_won(r->squeeze));
}

void inv_resize_render(struct inv_resize *r, struct cw_str *out)
{
    static const char *const WAYS[] = {
        [BY_FILES] = "files", [BY_ENGINE] = "engine", [BY_NOBODY] = "none"};
    struct cw_json_writer w;

    inv_resize_refresh(r);
    cw_json_begin(&w, out);
    cw_json_object(&w);
    cw_json_kv_string(&w, "by", WAYS[r->way]);
    if (r->way == BY_FILES)
        cw_json_kv_int(&w, "cgroupVersion", r->version == CW_CGROUP_V1 ? 1 : 2);
    cw_json_kv_int(&w, "budget", r->rule.budget);
    put_ratio(&w, "reserved", (double)r->rule.reserved_ppm / INV_CPU_WHOLE_PPM);
    put_ratio(&w, "guaranteed", (double)r->guaranteed_ppm / INV_CPU_WHOLE_PPM);
    if (r->around_known) {
        put_ratio(&w, "foreign", foreign_ratio(r));
        put_ratio(&w, "parent", parent_ratio(r));
    }
    put_totals(r, &w);
    cw_json_key(&w, "containers");
    cw_json_array(&w);
    CW_LIST_EACH (&r->members, link)
        put_member(CW_LIST_ENTRY(link, struct inv_member, link), &w);
    cw_json_array_end(&w);
    cw_json_object_end(&w);
}
