#include "invoker/lifecycle_times.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/obs/metrics.h"
#include "invoker/event_log.h"

enum {
    TRACKED_MAX = 4096, /* the oldest is forgotten: its end was missed, perhaps */
    ID_LEN = 64,
    LABEL_MAX_BYTES = 64,
};

#define AFTER(moment) (1u << CW_MOMENT_##moment)

/* clang-format off */
static const struct operation {
    const char *name; /* NULL: not timed */
    unsigned after;   /* it lasts from the newest moment, if that is one of these */
} OPERATIONS[CW_MOMENT_COUNT] = {
    [CW_MOMENT_CREATE]     = {"create",     0}, /* note_create */
    [CW_MOMENT_ATTACH]     = {"attach",     AFTER(CREATE)},
    [CW_MOMENT_CONNECT]    = {"connect",    AFTER(ASK_START)},
    [CW_MOMENT_START]      = {"start",      AFTER(ASK_START) | AFTER(CONNECT)},
    [CW_MOMENT_DIE]        = {"die",        AFTER(ASK_DESTROY) | AFTER(KILL)},
    [CW_MOMENT_DISCONNECT] = {"disconnect", AFTER(DIE)},
    [CW_MOMENT_DESTROY]    = {"destroy",    AFTER(ASK_DESTROY) | AFTER(DISCONNECT) | AFTER(DIE)},
};
/* clang-format on */

struct tracked {
    struct cw_map_node node;
    struct cw_link link;
    enum cw_moment newest;
    int64_t newest_us;
    int64_t asked_us, created_us; /* until both are told; 0: not (any more) */
    char id[ID_LEN + 1];
    char name[];
};

struct inv_lifecycle {
    struct inv_event_log *log;
    inv_operation_fn *fn; /* or NULL */
    void *arg;
    struct cw_histogram *seconds[CW_MOMENT_COUNT];
    struct cw_map by_id;
    struct cw_list all; /* struct tracked, oldest first */
};

static void forget(struct inv_lifecycle *lc, struct tracked *t)
{
    cw_map_remove(&lc->by_id, &t->node);
    cw_list_remove(&lc->all, &t->link);
    free(t);
}

static struct tracked *find(const struct inv_lifecycle *lc, const char *id)
{
    struct cw_map_node *node = cw_map_get(&lc->by_id, cw_slice_of(id));

    return node ? CW_CONTAINER_OF(node, struct tracked, node) : NULL;
}

/* NULL: not one of ours, as far as is known. */
static struct tracked *find_or_track(struct inv_lifecycle *lc, const struct cw_driver_moment *m)
{
    struct tracked *t = find(lc, m->id);
    size_t n;

    if (t || !m->name || strlen(m->id) > ID_LEN)
        return t;
    if (lc->all.count == TRACKED_MAX)
        forget(lc, CW_LIST_ENTRY(cw_list_first(&lc->all), struct tracked, link));
    n = strlen(m->name);
    t = cw_alloc(sizeof(*t) + n + 1);
    t->newest = CW_MOMENT_COUNT;
    memcpy(t->id, m->id, strlen(m->id) + 1);
    memcpy(t->name, m->name, n + 1);
    cw_map_put(&lc->by_id, &t->node, cw_slice_of(t->id));
    cw_list_push_back(&lc->all, &t->link);
    return t;
}

static void tell(struct inv_lifecycle *lc, const struct tracked *t,
                 const struct cw_driver_moment *m, enum cw_moment what, int64_t took_us)
{
    char detail[40] = "";

    if (took_us >= 0)
        cw_histogram_observe(lc->seconds[what], (double)took_us / 1e6);
    if (lc->fn)
        lc->fn(lc->arg, t->name, OPERATIONS[what].name, took_us);
    if (m->exit_code >= 0)
        (void)snprintf(detail, sizeof(detail), "exit code %" PRId64, m->exit_code);
    inv_event_log_add(lc->log, &(struct inv_event){.what = OPERATIONS[what].name,
                                                   .container = t->name,
                                                   .id = t->id,
                                                   .took_us = took_us < 0 ? -1 : took_us,
                                                   .detail = detail[0] ? detail : NULL});
}

static int64_t duration(const struct tracked *t, const struct cw_driver_moment *m)
{
    bool follows =
        t->newest != CW_MOMENT_COUNT && (OPERATIONS[m->what].after & (1u << t->newest)) != 0;

    return follows && m->at_us > 0 ? m->at_us - t->newest_us : -1;
}

static void tell_create(struct inv_lifecycle *lc, struct tracked *t, int64_t took_us)
{
    tell(lc, t, &(struct cw_driver_moment){.id = t->id, .exit_code = -1}, CW_MOMENT_CREATE,
         took_us);
    t->asked_us = t->created_us = 0;
}

/* Whichever of the two is told first: the stream of events may be ahead of the answer, or behind
 * it, even behind what was asked next. */
static void note_create(struct inv_lifecycle *lc, struct tracked *t,
                        const struct cw_driver_moment *m)
{
    if (m->what == CW_MOMENT_ASK_CREATE)
        t->asked_us = m->at_us;
    else
        t->created_us = m->at_us > 0 ? m->at_us : 1;
    if (t->asked_us && t->created_us)
        tell_create(lc, t, t->created_us - t->asked_us);
    if (t->newest == CW_MOMENT_COUNT) {
        t->newest = CW_MOMENT_CREATE;
        t->newest_us = m->at_us;
    }
}

static void note(struct inv_lifecycle *lc, struct tracked *t, const struct cw_driver_moment *m)
{
    if (t->created_us) /* by somebody else: nobody will say when he asked */
        tell_create(lc, t, -1);
    if (OPERATIONS[m->what].name)
        tell(lc, t, m, m->what, duration(t, m));
    t->newest = m->what;
    t->newest_us = m->at_us;
}

void inv_lifecycle_moment(void *lifecycle, const struct cw_driver_moment *m)
{
    struct inv_lifecycle *lc = lifecycle;
    struct tracked *t = find_or_track(lc, m);

    if (!t)
        return;
    if (m->what == CW_MOMENT_CREATE || m->what == CW_MOMENT_ASK_CREATE)
        note_create(lc, t, m);
    else
        note(lc, t, m);
    if (m->what == CW_MOMENT_DESTROY)
        forget(lc, t);
}

struct inv_lifecycle *inv_lifecycle_new(struct cw_metrics *metrics, struct inv_event_log *log)
{
    struct inv_lifecycle *lc = cw_alloc(sizeof(*lc));

    lc->log = log;
    cw_map_init(&lc->by_id);
    cw_list_init(&lc->all);
    for (size_t i = 0; i < CW_MOMENT_COUNT; i++) {
        cw_auto_str struct cw_str label;

        cw_str_init(&label, LABEL_MAX_BYTES);
        if (!OPERATIONS[i].name)
            continue;
        cw_metrics_label(&label, "operation", OPERATIONS[i].name);
        lc->seconds[i] = cw_metrics_histogram(
            metrics, "cwhisk_container_operation_seconds", label.p,
            "Operations on containers, from the moment before to the engine's word.", NULL, 0);
    }
    return lc;
}

void inv_lifecycle_listen(struct inv_lifecycle *lc, inv_operation_fn *fn, void *arg)
{
    lc->fn = fn;
    lc->arg = arg;
}

void inv_lifecycle_free(struct inv_lifecycle *lc)
{
    struct cw_link *n;

    if (!lc)
        return;
    while ((n = cw_list_first(&lc->all)))
        forget(lc, CW_LIST_ENTRY(n, struct tracked, link));
    cw_map_done(&lc->by_id);
    free(lc);
}
