/* The solver says what each container's weight shall be; applying is always the same: as long as
 * what is differs from what shall be, the next change in the solver's order is made. So it does not
 * matter what came in between, nor whether a change is made by a file at once or by the engine
 * later.
 *
 * Scales: an invoker's own weights are cgroup version 1's shares, 1024 for a usual container. With
 * version 2 such a container weighs 100, and that is how shares are converted here (the engines
 * have formulas of their own, which differ between their versions). */
#include "invoker/resize/resize.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/driver/container_driver.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/container/spec.h"
#include "invoker/machine.h"
#include "invoker/resize/resize_priv.h"
#include "invoker/settings.h"

enum { USUAL_SHARES = 1024, USUAL_WEIGHT = 100 };

/* ---- scales ---- */

static int64_t clamp(int64_t v, int64_t min, int64_t max)
{
    return v < min ? min : v > max ? max : v;
}

static int64_t of_shares(const struct inv_resize *r, int64_t shares)
{
    if (r->way != BY_FILES || r->version == CW_CGROUP_V1)
        return shares;
    return clamp(shares * USUAL_WEIGHT / USUAL_SHARES, CW_WEIGHT_MIN, CW_WEIGHT_MAX);
}

static void choose_rule(struct inv_resize *r)
{
    const struct inv_settings *s = r->conf.settings;
    bool v2 = r->way == BY_FILES && r->version == CW_CGROUP_V2;

    r->rule = (struct inv_cpu_rule){
        .min = v2 ? CW_WEIGHT_MIN : CW_SHARES_MIN,
        .max = v2 ? CW_WEIGHT_MAX : CW_SHARES_MAX,
        .budget = of_shares(r, s->cpu_budget),
        .reserved_ppm = (uint32_t)(s->cpu_reserve * INV_CPU_WHOLE_PPM),
    };
}

uint32_t inv_resize_most_ppm(const struct inv_resize *r)
{
    return INV_CPU_WHOLE_PPM - r->rule.reserved_ppm;
}

double inv_resize_guaranteed(const struct inv_resize *r)
{
    return (double)r->guaranteed_ppm / INV_CPU_WHOLE_PPM;
}

/* ---- plans ---- */

static struct inv_cpu_part part_of(const struct inv_member *m)
{
    return (struct inv_cpu_part){.guarantee_ppm = m->wishes.guarantee_ppm, .own = m->own};
}

/* The members' parts in their order, and room for one more; free() it. */
static struct inv_cpu_part *parts_of(const struct inv_resize *r)
{
    struct inv_cpu_part *parts = cw_calloc(r->members.count + 1, sizeof(*parts));
    size_t n = 0;

    CW_LIST_EACH (&r->members, link)
        parts[n++] = part_of(CW_LIST_ENTRY(link, struct inv_member, link));
    return parts;
}

enum inv_cpu_fit inv_resize_fits(struct inv_resize *r, const struct inv_wishes *wishes)
{
    cw_auto_free struct inv_cpu_part *parts = NULL;
    uint32_t ppm = wishes ? wishes->guarantee_ppm : 0;

    if (!ppm && !r->guaranteed_ppm)
        return INV_CPU_FITS;
    parts = parts_of(r);
    parts[r->members.count] = (struct inv_cpu_part){.guarantee_ppm = ppm, .own = r->rule.min};
    return inv_cpu_solve(&r->rule, parts, r->members.count + 1);
}

uint64_t inv_resize_missing_ppm(const struct inv_resize *r, const struct inv_wishes *wishes)
{
    uint64_t wanted = r->guaranteed_ppm + wishes->guarantee_ppm, most = inv_resize_most_ppm(r);

    return wishes->guarantee_ppm && wanted > most ? wanted - most : 0;
}

static void set_guarantee(struct inv_member *m, uint32_t ppm)
{
    m->r->guaranteed_ppm -= m->wishes.guarantee_ppm;
    m->r->guaranteed_ppm += ppm;
    m->wishes.guarantee_ppm = ppm;
    if (m->r->guaranteed_ppm)
        resize_watch_begin(m->r);
}

/* What each shall have. false: they do not fit, and all is as it was. */
static bool plan(struct inv_resize *r)
{
    cw_auto_free struct inv_cpu_part *parts = parts_of(r);
    size_t n = 0;

    if (inv_cpu_solve(&r->rule, parts, r->members.count) != INV_CPU_FITS)
        return false;
    CW_LIST_EACH (&r->members, link)
        CW_LIST_ENTRY(link, struct inv_member, link)->wanted = parts[n++].weight;
    return true;
}

bool resize_member_is_real(const struct inv_member *m)
{
    return m->id[0] != '\0';
}

static void got_stuck(struct inv_member *m, const char *why)
{
    m->stuck = true;
    cw_log(CW_LOG_WARN, NULL, COMPONENT,
           "container %s keeps its CPU weight, so guarantees may be undercut: %s", m->name, why);
}

/* true: written, or never to be; false: the engine is at it. */
static bool change_weight(struct inv_member *m)
{
    struct inv_resize *r = m->r;
    enum cw_control_answer answer;
    int64_t now;

    if (!m->control) {
        if (resize_engine_weight(r, m))
            return false;
        got_stuck(m, "its control group is out of reach, and the engine cannot change limits");
        return true;
    }
    answer =
        inv_writer_write(r->writer, m->control, m->name, INV_LIMIT_CPU_WEIGHT, m->wanted, &now);
    if (cw_control_is_set(answer)) {
        m->weight = m->wanted;
    } else if (answer == CW_CONTROL_DENIED && r->conf.driver->ops->update) {
        cw_control_free(CW_STEAL(m->control)); /* from now on by the engine */
        return change_weight(m);
    } else {
        m->stuck = true; /* told by the writer; mostly it is just gone */
    }
    return true;
}

/* Members that cannot be written now count as done. */
static void list_weights(const struct inv_resize *r, struct inv_member **members, int64_t *now,
                         int64_t *wanted)
{
    size_t n = 0;

    CW_LIST_EACH (&r->members, link) {
        struct inv_member *m = CW_LIST_ENTRY(link, struct inv_member, link);

        members[n] = m;
        wanted[n] = m->wanted;
        now[n++] = m->stuck || !resize_member_is_real(m) ? m->wanted : m->weight;
    }
}

void resize_apply(struct inv_resize *r)
{
    size_t count = r->members.count, i, written = 0;
    cw_auto_free struct inv_member **members = cw_calloc(count + 1, sizeof(struct inv_member *));
    cw_auto_free int64_t *now = cw_calloc(count + 1, sizeof(int64_t));
    cw_auto_free int64_t *wanted = cw_calloc(count + 1, sizeof(int64_t));
    int64_t begun_us = cw_clock_mono_us(cw_loop_clock(r->conf.loop));

    if (r->call)
        return; /* goes on when it has ended */
    list_weights(r, members, now, wanted);
    while ((i = inv_cpu_next(now, wanted, count)) < count && change_weight(members[i])) {
        now[i] = wanted[i];
        written++;
    }
    if (written > 1 || (written && r->guaranteed_ppm))
        cw_log(CW_LOG_INFO, NULL, COMPONENT,
               "CPU weights of %zu of %zu containers written in %lld us; guaranteed: %.4f", written,
               count, (long long)(cw_clock_mono_us(cw_loop_clock(r->conf.loop)) - begun_us),
               (double)r->guaranteed_ppm / INV_CPU_WHOLE_PPM);
}

/* ---- members ---- */

static void plan_newcomer(struct inv_resize *r, struct inv_member *m)
{
    if (plan(r))
        return;
    set_guarantee(m, 0);
    cw_log(CW_LOG_WARN, NULL, COMPONENT,
           "container %s does not fit beside %.4f guaranteed: it gets "
           "the smallest CPU weight",
           m->name, (double)r->guaranteed_ppm / INV_CPU_WHOLE_PPM);
    m->wanted = r->rule.min;
}

/* With files the others have made room already, so it can begin with what it shall have; the engine
 * is slower, and until it is done nothing may be undercut. */
static void choose_first_weight(struct inv_member *m, struct cw_container_spec *spec)
{
    struct inv_resize *r = m->r;
    bool early = r->way == BY_ENGINE && r->guaranteed_ppm;
    int64_t first = early ? r->rule.min : m->wanted;

    if (!r->guaranteed_ppm && r->way != BY_FILES) {
        m->weight = m->wanted; /* the engine's, as ever */
        return;
    }
    if (r->guaranteed_ppm)
        spec->cpu_shares = resize_engine_shares(r, first);
    /* What the engine makes of shares with version 2 is its own affair: 0, so it is written. */
    m->weight = r->way == BY_FILES && r->version == CW_CGROUP_V2 ? 0 : first;
}

struct inv_member *inv_resize_add(struct inv_resize *r, void *owner,
                                  const struct inv_wishes *wishes, struct cw_container_spec *spec)
{
    struct inv_member *m = cw_alloc(sizeof(*m));

    m->r = r;
    m->owner = owner;
    m->name = cw_strdup(spec->name);
    m->memory_mb = spec->memory_mb;
    m->own = of_shares(r, spec->cpu_shares);
    cw_list_push_back(&r->members, &m->link);
    if (wishes) {
        m->busy = true; /* it is made for something to run */
        set_guarantee(m, wishes->guarantee_ppm);
        m->wishes = *wishes;
        if (wishes->cpu_millis)
            spec->cpus = wishes->cpu_millis / 1e3;
    }
    m->quota_us = spec->cpus > 0 ? (int64_t)(spec->cpus * CW_CPU_PERIOD_US) : CW_CONTROL_NONE;
    m->quota_wanted_us = m->quota_us;
    plan_newcomer(r, m);
    choose_first_weight(m, spec);
    resize_apply(r);
    return m;
}

uint32_t resize_io_wanted(const struct inv_member *m)
{
    enum { USUAL = 100 };

    return m->wishes.io_weight ? m->wishes.io_weight : m->io_weight ? USUAL : 0;
}

/* The files are there, but not for us: from now on by the engine, where it has an update call. */
static void give_up_files(struct inv_member *m, enum cw_control_answer answer)
{
    if (answer == CW_CONTROL_DENIED && m->r->conf.driver->ops->update)
        cw_control_free(CW_STEAL(m->control));
}

/* Of block I/O: that a kernel does not weigh it is no reason for another container. */
static void write_io_weight(struct inv_member *m)
{
    uint32_t weight = resize_io_wanted(m);

    if (!m->control || weight == m->io_weight)
        return;
    (void)inv_writer_write(m->r->writer, m->control, m->name, INV_LIMIT_IO_WEIGHT, weight, NULL);
    m->io_weight = weight;
}

static bool write_quota(struct inv_member *m)
{
    enum cw_control_answer answer;

    if (!m->control || m->quota_wanted_us == m->quota_us)
        return true;
    answer = inv_writer_write(m->r->writer, m->control, m->name, INV_LIMIT_CPU_QUOTA,
                              m->quota_wanted_us, NULL);
    if (!cw_control_is_set(answer)) {
        give_up_files(m, answer);
        return !m->control;
    }
    m->quota_us = m->quota_wanted_us;
    m->quota_written = true;
    resize_watch_begin(m->r);
    return true;
}

void inv_resize_created(struct inv_member *m, const char *id)
{
    struct inv_resize *r = m->r;
    struct cw_err err = {0};

    (void)snprintf(m->id, sizeof(m->id), "%s", id);
    if (r->way == BY_FILES) {
        m->control = inv_writer_open(r->writer, id, &err);
        if (!m->control)
            cw_log(CW_LOG_DEBUG, NULL, COMPONENT, "container %s: %s", m->name, err.msg);
        else if (cw_control_version(m->control) != r->version)
            cw_control_free(CW_STEAL(m->control)); /* another scale than the plan's */
    }
    if (!m->control && !r->guaranteed_ppm)
        m->weight = m->wanted; /* whatever the engine made of it */
    else
        resize_apply(r);
    write_io_weight(m);
    if (!m->control && m->wishes.io_weight)
        (void)resize_engine_limits(m, m->memory_mb, false);
    if (m->control)
        resize_protect_begin(r);
    if (m->wishes.guarantee_ppm)
        resize_look_around(r, m);
}

void inv_resize_remove(struct inv_member *m)
{
    struct inv_resize *r;

    if (!m)
        return;
    r = m->r;
    set_guarantee(m, 0);
    inv_squeeze_leave(r->squeeze, &m->squeezed);
    resize_engine_forget(m);
    cw_list_remove(&r->members, &m->link);
    cw_control_free(m->control);
    free(m->name);
    free(m);
    if (plan(r))
        resize_apply(r);
}

/* ---- another revision of its action ---- */

static bool is_same(const struct inv_member *m, const struct inv_wishes *wishes, uint32_t memory_mb)
{
    return m->memory_mb == memory_mb && m->wishes.guarantee_ppm == wishes->guarantee_ppm &&
           m->wishes.cpu_millis == wishes->cpu_millis && m->wishes.io_weight == wishes->io_weight &&
           m->quota_us == m->quota_wanted_us;
}

static int64_t quota_for(const struct inv_resize *r, const struct inv_wishes *wishes,
                         uint32_t memory_mb)
{
    double cpus = wishes->cpu_millis ? wishes->cpu_millis / 1e3
                                     : inv_cpu_quota(r->conf.settings, (int64_t)memory_mb << 20);

    return cpus > 0 ? (int64_t)(cpus * CW_CPU_PERIOD_US) : CW_CONTROL_NONE;
}

/* The guarantee first: it is what may not fit. */
static bool adopt_cpu(struct inv_member *m, const struct inv_wishes *wishes, uint32_t memory_mb)
{
    struct inv_resize *r = m->r;
    uint32_t old_ppm = m->wishes.guarantee_ppm;
    int64_t old_own = m->own;

    m->own = of_shares(
        r, inv_cpu_shares(inv_cpu_memory_bytes(r->conf.settings), (int64_t)memory_mb << 20));
    set_guarantee(m, wishes->guarantee_ppm);
    if (!plan(r)) {
        set_guarantee(m, old_ppm);
        m->own = old_own;
        return false;
    }
    m->wishes = *wishes;
    resize_apply(r);
    m->quota_wanted_us = quota_for(r, wishes, memory_mb);
    return true;
}

/* By file. true: it has so much, or its files were given up. */
static bool adopt_memory(struct inv_member *m, uint32_t memory_mb)
{
    enum cw_control_answer answer;

    if (!m->control || m->memory_mb == memory_mb)
        return true;
    answer = inv_writer_write(m->r->writer, m->control, m->name, INV_LIMIT_MEMORY,
                              (int64_t)memory_mb << 20, NULL);
    if (!cw_control_is_set(answer)) {
        give_up_files(m, answer);
        return !m->control;
    }
    m->memory_written = true;
    m->memory_mb = memory_mb;
    resize_watch_begin(m->r);
    return true;
}

static enum inv_adopt adopt_by_engine(struct inv_member *m, uint32_t memory_mb)
{
    if (m->memory_mb == memory_mb && m->quota_us == m->quota_wanted_us &&
        m->io_weight == resize_io_wanted(m))
        return INV_ADOPT_DONE;
    return resize_engine_limits(m, memory_mb, true) ? INV_ADOPT_PENDING : INV_ADOPT_REFUSED;
}

enum inv_adopt inv_resize_adopt(struct inv_member *m, const struct inv_wishes *wishes,
                                uint32_t memory_mb)
{
    if (is_same(m, wishes, memory_mb))
        return INV_ADOPT_DONE;
    if (!adopt_memory(m, memory_mb) || !adopt_cpu(m, wishes, memory_mb) || !write_quota(m))
        return INV_ADOPT_REFUSED;
    write_io_weight(m);
    return m->control ? INV_ADOPT_DONE : adopt_by_engine(m, memory_mb);
}

void inv_resize_idle(struct inv_member *m)
{
    m->busy = false;
    m->ran = true;
    inv_squeeze_enter(m->r->squeeze, &m->squeezed, m->control, m->name);
}

void inv_resize_busy(struct inv_member *m)
{
    m->busy = true;
    inv_squeeze_leave(m->r->squeeze, &m->squeezed);
}

uint32_t inv_member_guarantee(const struct inv_member *m)
{
    return m->wishes.guarantee_ppm;
}

/* ---- life ---- */

static void choose_way(struct inv_resize *r)
{
    const struct inv_settings *s = r->conf.settings;
    const char *root = s->cgroup_root;

    r->way = r->conf.driver->ops->update ? BY_ENGINE : BY_NOBODY;
    if (s->resize_by != INV_RESIZE_AUTO)
        return;
    if (cw_control_root_version(root, &r->version))
        r->way = BY_FILES;
}

struct inv_resize *inv_resize_new(const struct inv_resize_conf *conf)
{
    const struct inv_settings *s = conf->settings;
    struct inv_resize *r = cw_alloc(sizeof(*r));

    r->conf = *conf;
    cw_list_init(&r->members);
    choose_way(r);
    choose_rule(r);
    r->writer = inv_writer_new(&(struct inv_writer_conf){
        .clock = cw_loop_clock(conf->loop),
        .metrics = conf->metrics,
        .cgroup_root = s->cgroup_root,
        .cgroup_parent = inv_settings_cgroup_parent(s),
        .sysfs = conf->sysfs ? conf->sysfs : "/sys",
        .files = conf->files ? conf->files : &CW_CONTROL_KERNEL,
    });
    r->squeeze = inv_squeeze_new(conf->loop, conf->metrics, s->squeeze_ms);
    resize_protect_init(r);
    cw_timer_init(&r->watch, conf->loop, resize_watch, r);
    r->guaranteed = cw_metrics_gauge(conf->metrics, "cwhisk_resize_guaranteed_ratio", NULL,
                                     "Part of the CPU budget that is guaranteed to containers.");
    r->foreign = cw_metrics_gauge(conf->metrics, "cwhisk_resize_foreign_ratio", NULL,
                                  "Weight of other groups beside action containers, as part of all "
                                  "in their parent.");
    r->parent = cw_metrics_gauge(conf->metrics, "cwhisk_resize_parent_ratio", NULL,
                                 "Weight of the action containers' parent group among its own "
                                 "neighbours.");
    return r;
}

void inv_resize_free(struct inv_resize *r)
{
    if (!r)
        return;
    cw_timer_done(&r->watch);
    resize_protect_done(r);
    inv_squeeze_free(r->squeeze);
    inv_writer_free(r->writer);
    free(r);
}
