#include "invoker/prewarm.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/str.h"
#include "common/loop/loop.h"
#include "common/model/manifest.h"
#include "common/obs/log.h"
#include "common/obs/token.h"
#include "invoker/pool/pool.h"
#include "invoker/settings.h"

#define COMPONENT "ContainerPool"

enum {
    FIRST_RETRY_MS = 1000,
    LAST_RETRY_MS = 60000,
};

struct stem {
    const struct cw_runtime *rt;
    const struct cw_stem_cell *conf;
    struct inv_cell *cell;
    uint64_t replaced;  /* of cell->taken */
    uint64_t cold_seen; /* of cell->cold_starts, at the last look */
    int64_t wanted;     /* for the next filling only; -1: what backfilling asks for */
    int64_t retry_ms;   /* 0: the last creation succeeded */
    int64_t not_before_us;
    bool told_full;
    struct cw_counter *cold_starts, *expired;
};

struct inv_prewarm {
    struct inv_prewarm_conf conf;
    struct stem *stems;
    size_t count;
    bool running;
    struct cw_timer look, again;
};

uint64_t inv_prewarm_desired(const struct cw_stem_cell *cell, enum inv_refill why,
                             uint64_t cold_starts)
{
    uint64_t least = (uint64_t)cell->min_count, most = (uint64_t)cell->max_count, wanted;

    if (!cell->reactive || why == INV_REFILL_START)
        return (uint64_t)cell->initial_count;
    if (why == INV_REFILL_BACKFILL)
        return least;
    wanted = cold_starts / (uint64_t)cell->threshold;
    wanted = wanted > most ? most : wanted * (uint64_t)cell->increment; /* both at most maxCount */
    if (wanted < least)
        wanted = least;
    return wanted > most ? most : wanted;
}

/* ---- filling ---- */

/* Once until there is room again: with a busy pool this is the usual state. */
static void tell_full(struct inv_prewarm *p, struct stem *s)
{
    if (s->told_full)
        return;
    s->told_full = true;
    cw_log(CW_LOG_WARN, NULL, COMPONENT,
           "no prewarmed container of kind %s with %u MB is created: the memory limit of %" PRId64
           " MB would be exceeded",
           s->cell->kind, s->cell->memory_mb, p->conf.settings->user_memory_bytes >> 20);
}

static void grow(struct inv_prewarm *p, struct stem *s, uint64_t wanted)
{
    uint64_t have = inv_cell_count(s->cell), started;
    int64_t left_us = s->not_before_us - cw_loop_mono_us(p->conf.loop);

    if (have >= wanted)
        return;
    if (s->retry_ms && left_us > 0) {
        if (!cw_timer_pending(&p->again))
            cw_timer_set_us(&p->again, left_us);
        return;
    }
    for (started = 0; have + started < wanted; started++) {
        struct inv_slot *slot = inv_pool_prepare(p->conf.pool, s->cell);

        if (!slot) {
            tell_full(p, s);
            break;
        }
        s->told_full = false;
        p->conf.create(p->conf.arg, slot, s->rt);
    }
    if (started)
        cw_log(CW_LOG_INFO, NULL, COMPONENT,
               "found %" PRIu64 " prewarmed containers, wanted %" PRIu64 ", starting %" PRIu64
               " for kind:%s mem:%u MB",
               have, wanted, started, s->cell->kind, s->cell->memory_mb);
}

void inv_prewarm_fill(struct inv_prewarm *p)
{
    if (!p->running)
        return;
    for (struct stem *s = p->stems; s < p->stems + p->count; s++) {
        uint64_t have = inv_cell_count(s->cell);
        uint64_t with_replacements = have + (s->cell->taken - s->replaced);
        uint64_t wanted = s->wanted >= 0 ? (uint64_t)s->wanted
                                         : inv_prewarm_desired(s->conf, INV_REFILL_BACKFILL, 0);

        s->replaced = s->cell->taken;
        s->wanted = -1;
        grow(p, s, wanted > with_replacements ? wanted : with_replacements);
    }
}

static struct stem *stem_of(struct inv_prewarm *p, const struct inv_slot *slot)
{
    for (struct stem *s = p->stems; s < p->stems + p->count; s++)
        if (s->cell == slot->cell)
            return s;
    return NULL;
}

void inv_prewarm_created(struct inv_prewarm *p, struct inv_slot *slot)
{
    struct stem *s = stem_of(p, slot);
    int64_t expires_us = INT64_MAX;

    if (s && s->conf->reactive)
        expires_us = cw_loop_mono_us(p->conf.loop) + s->conf->ttl_ms * 1000;
    if (s)
        s->retry_ms = 0;
    inv_pool_prepared(p->conf.pool, slot, expires_us);
}

void inv_prewarm_failed(struct inv_prewarm *p, const struct inv_slot *slot)
{
    struct stem *s = stem_of(p, slot);
    int64_t now = cw_loop_mono_us(p->conf.loop);

    if (!s || (s->retry_ms && now < s->not_before_us)) /* several that began together fail */
        return;
    s->retry_ms = s->retry_ms ? s->retry_ms * 2 : FIRST_RETRY_MS;
    if (s->retry_ms > LAST_RETRY_MS)
        s->retry_ms = LAST_RETRY_MS;
    s->not_before_us = now + s->retry_ms * 1000;
    cw_log(CW_LOG_WARN, NULL, COMPONENT,
           "prewarmed containers of kind %s with %u MB cannot be created; next try in %" PRId64
           " ms",
           s->cell->kind, s->cell->memory_mb, s->retry_ms);
}

static void on_again(void *arg)
{
    struct inv_prewarm *p = arg;

    p->conf.wake(p->conf.arg);
}

/* ---- the regular look ---- */

static void count_expired(struct inv_prewarm *p, struct inv_slot *chain)
{
    for (struct inv_slot *slot = chain; slot; slot = slot->next_evicted) {
        struct stem *s = stem_of(p, slot);

        if (s)
            cw_counter_add(s->expired, 1);
    }
}

static void on_look(void *arg)
{
    struct inv_prewarm *p = arg;
    const struct inv_settings *set = p->conf.settings;
    struct inv_slot *expired = inv_pool_expire(p->conf.pool, cw_loop_mono_us(p->conf.loop),
                                               (size_t)set->prewarm_expiration_limit);

    count_expired(p, expired);
    for (struct stem *s = p->stems; s < p->stems + p->count; s++) {
        uint64_t cold = s->cell->cold_starts - s->cold_seen;

        s->cold_seen = s->cell->cold_starts;
        s->wanted = (int64_t)inv_prewarm_desired(s->conf, INV_REFILL_CHECK, cold);
        cw_counter_add(s->cold_starts, cold);
    }
    if (expired)
        p->conf.remove(p->conf.arg, expired);
    p->conf.wake(p->conf.arg);
    cw_timer_set_ms(&p->look,
                    set->prewarm_check_ms +
                        (int64_t)(p->conf.spread * (double)set->prewarm_check_variance_ms));
}

/* ---- life ---- */

static struct cw_counter *counter(struct inv_prewarm *p, const struct stem *s, const char *action,
                                  const char *help)
{
    cw_auto_str struct cw_str labels;
    char memory[24];

    cw_str_init(&labels, 1024);
    (void)snprintf(memory, sizeof(memory), "%u MB", s->cell->memory_mb);
    cw_metrics_label(&labels, "memory", memory);
    cw_metrics_label(&labels, "kind", s->cell->kind);
    return cw_token_counter(
        p->conf.metrics,
        &(struct cw_token){
            .component = "containerPool", .action = action, .state = "counter", .labels = labels.p},
        help);
}

static void add_stem(struct inv_prewarm *p, const struct cw_runtime *rt,
                     const struct cw_stem_cell *conf)
{
    struct stem *s = &p->stems[p->count];

    *s = (struct stem){
        .rt = rt,
        .conf = conf,
        .cell = inv_pool_cell(p->conf.pool, cw_slice_of(rt->kind), (uint32_t)conf->memory_mb),
        .wanted = -1,
    };
    for (struct stem *other = p->stems; other < s; other++) {
        if (other->cell == s->cell) {
            cw_log(
                CW_LOG_WARN, NULL, COMPONENT,
                "RUNTIMES_MANIFEST: kind %s lists stem cells of %u MB twice; the first ones count",
                rt->kind, s->cell->memory_mb);
            return;
        }
    }
    s->cold_starts =
        counter(p, s, "prewarmColdstart",
                "Cold starts of kinds and sizes that have stem cells, told at each look.");
    s->expired =
        counter(p, s, "prewarmExpired", "Prewarmed containers removed because they had expired.");
    p->count++;
}

struct inv_prewarm *inv_prewarm_new(const struct inv_prewarm_conf *conf)
{
    struct inv_prewarm *p = cw_alloc(sizeof(*p));
    size_t total = 0, kinds = cw_manifest_count(conf->manifest);

    p->conf = *conf;
    cw_timer_init(&p->look, conf->loop, on_look, p);
    cw_timer_init(&p->again, conf->loop, on_again, p);
    for (size_t i = 0; i < kinds; i++)
        total += cw_manifest_at(conf->manifest, i)->stem_cell_count;
    p->stems = cw_calloc(total + 1, sizeof(*p->stems)); /* never of nothing */
    for (size_t i = 0; i < kinds; i++) {
        const struct cw_runtime *rt = cw_manifest_at(conf->manifest, i);

        for (size_t k = 0; k < rt->stem_cell_count; k++)
            add_stem(p, rt, &rt->stem_cells[k]);
    }
    return p;
}

void inv_prewarm_free(struct inv_prewarm *p)
{
    if (!p)
        return;
    cw_timer_done(&p->look);
    cw_timer_done(&p->again);
    free(p->stems);
    free(p);
}

void inv_prewarm_start(struct inv_prewarm *p)
{
    bool reactive = false;

    p->running = true;
    for (struct stem *s = p->stems; s < p->stems + p->count; s++) {
        s->wanted = (int64_t)inv_prewarm_desired(s->conf, INV_REFILL_START, 0);
        reactive |= s->conf->reactive;
    }
    if (reactive)
        cw_timer_set_ms(&p->look, p->conf.settings->prewarm_check_delay_ms);
}

void inv_prewarm_stop(struct inv_prewarm *p)
{
    p->running = false;
    cw_timer_stop(&p->look);
    cw_timer_stop(&p->again);
}
