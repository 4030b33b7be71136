/* Memory of containers at work is what the kernel takes last (memory.low of version 2): as much as
 * the action was seen to need, which is more than it uses at the moment and less than its limit. An
 * idle container has nothing of the kind; it is the first that shall give.
 *
 * A group is protected only as far as those above it are, so these get the sum, unless somebody has
 * given them more. Done each second, not with each run: no activation waits for it, one that comes
 * again and again is written once, and one that is over within a second needs no protection. */
#include "common/base/err.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/resize/resize_priv.h"
#include "invoker/settings.h"

enum { EACH_MS = 1000, MIB = 1 << 20 };

/* ---- the groups above ---- */

static void open_above(struct inv_resize *r, const struct cw_control *of)
{
    if (r->above_count)
        return;
    while (r->above_count < CW_ARRAY_LEN(r->above)) {
        struct cw_control *c = cw_control_above(of);

        if (!c)
            return;
        r->above[r->above_count++] =
            (struct resize_above){.control = c, .ours = CW_CONTROL_NONE, .before = 0};
        of = c;
    }
}

/* What it had before is what it keeps at least; who gave it more than we want knows why. */
static void set_above(struct resize_above *a, int64_t sum)
{
    int64_t now = cw_control_protected(a->control), target = sum;
    struct cw_control_change change;

    if (now == CW_CONTROL_NONE) /* "max", or it cannot be read */
        return;
    if (now != a->ours) {
        a->before = now;
        a->ours = CW_CONTROL_NONE;
        if (now >= sum)
            return;
    } else if (a->before > sum) {
        target = a->before;
    }
    if (target == now)
        return;
    if (cw_control_is_set(cw_control_set_protected(a->control, target, &change, NULL)))
        a->ours = target == a->before ? CW_CONTROL_NONE : change.after;
}

static void set_all_above(struct inv_resize *r, int64_t sum)
{
    for (size_t i = 0; i < r->above_count; i++)
        set_above(&r->above[i], sum);
}

/* ---- containers ---- */

static int64_t wanted_for(struct inv_member *m)
{
    const struct inv_resize_conf *conf = &m->r->conf;
    int64_t limit = (int64_t)m->memory_mb * MIB;
    uint64_t need;

    if (!m->busy && !m->ran)
        return 0;
    need = conf->memory_need ? conf->memory_need(conf->arg, m->owner) : 0;
    if (need == 0 || need >= (uint64_t)limit)
        return limit;
    return (int64_t)((need + MIB - 1) / MIB * MIB);
}

/* Somebody else's value is replaced only while there is something to protect. */
static void check(struct inv_member *m)
{
    int64_t found =
        m->low ? inv_writer_read(m->r->writer, m->control, INV_LIMIT_PROTECTED) : CW_CONTROL_NONE;

    if (found == CW_CONTROL_NONE || found == m->low)
        return;
    resize_tell_changed(m, INV_LIMIT_PROTECTED, found, m->low);
    m->low = found;
}

/* false: it never will be. */
static bool protect(struct inv_member *m)
{
    int64_t wanted = wanted_for(m), now;
    enum cw_control_answer answer;

    m->ran = false;
    check(m);
    if (wanted == m->low)
        return true;
    answer = inv_writer_write(m->r->writer, m->control, m->name, INV_LIMIT_PROTECTED, wanted, &now);
    if (cw_control_is_set(answer))
        m->low = now;
    return cw_control_is_set(answer) || answer == CW_CONTROL_GONE;
}

static void on_timer(void *arg)
{
    struct inv_resize *r = arg;
    int64_t sum = 0;
    bool any = false;

    CW_LIST_EACH (&r->members, link) {
        struct inv_member *m = CW_LIST_ENTRY(link, struct inv_member, link);

        if (!m->control)
            continue;
        if (!protect(m)) {
            cw_log(CW_LOG_WARN, NULL, COMPONENT,
                   "memory of containers at work is not protected from now on (memory.low)");
            r->protects = false;
            return;
        }
        open_above(r, m->control);
        sum += m->low;
        any = true;
    }
    set_all_above(r, sum);
    cw_gauge_set(r->protected, (double)sum);
    if (any)
        cw_timer_set_ms(&r->protect, EACH_MS);
}

void resize_protect_begin(struct inv_resize *r)
{
    if (r->protects && !cw_timer_pending(&r->protect))
        cw_timer_set_ms(&r->protect, EACH_MS);
}

void resize_protect_init(struct inv_resize *r)
{
    r->protects =
        r->conf.settings->protect_memory && r->way == BY_FILES && r->version == CW_CGROUP_V2;
    cw_timer_init(&r->protect, r->conf.loop, on_timer, r);
    r->protected = cw_metrics_gauge(r->conf.metrics, "cwhisk_resize_protected_bytes", NULL,
                                    "Memory of containers at work that is taken last.");
}

void resize_protect_done(struct inv_resize *r)
{
    cw_timer_done(&r->protect);
    set_all_above(r, 0);
    for (size_t i = 0; i < r->above_count; i++)
        cw_control_free(r->above[i].control);
}
