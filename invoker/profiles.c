/* Entries are a map with a list by use. Counts that kv was not told are pending; while they are on
 * their way they are flying. One connection answers in order, so when an entry has been read, what
 * is still flying was sent after that, and is not in what was read: shared, flying and pending
 * always add up. An increment whose answer is lost counts as done: evidence must not grow by
 * itself. */
#include "invoker/profiles.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/model/action_doc.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/monitor/monitor.h"
#include "invoker/profiles_priv.h"

#define COMPONENT "Profiles"

enum {
    TICK_MS = 1000,
    FRESH_US = 15 * 1000 * 1000, /* what others counted is read again after that */
    SAVE_US = 60 * 1000 * 1000,
    AT_ONCE = 256,    /* hashes written, and read, in one tick */
    IMAGE_BYTES = 16, /* of the content hash */
};
#define MIB 1048576

/* A call to kv and the entries it is about. */
struct profile_call {
    struct cw_link link;
    struct inv_profiles *p;
    struct cw_kv_call *call;
    size_t count;
    struct profile_entry *entries[];
};

uint32_t profiles_epoch(const struct inv_profiles *p)
{
    return (uint32_t)(cw_loop_wall_ms(p->conf.loop) / p->conf.epoch_ms);
}

/* ---- entries ---- */

static void free_action(struct profile_action *a)
{
    if (!a)
        return;
    free(a->kind);
    free(a->image);
    free(a);
}

static void take_off(struct cw_list *list, struct cw_link *link)
{
    if (cw_link_on_list(link))
        cw_list_remove(list, link);
}

static void drop(struct inv_profiles *p, struct profile_entry *e)
{
    cw_map_remove(&p->entries, &e->node);
    cw_list_remove(&p->lru, &e->lru);
    take_off(&p->dirty, &e->dirty);
    take_off(&p->stale, &e->stale);
    inv_profile_done(&e->profile);
    free_action(e->action);
    free(e);
}

/* Those on their way to kv stay. */
static void make_room(struct inv_profiles *p)
{
    if (p->entries.count < INV_PROFILES_MAX)
        return;
    CW_LIST_EACH (&p->lru, n) {
        struct profile_entry *e = CW_LIST_ENTRY(n, struct profile_entry, lru);

        if (e->under_way)
            continue;
        drop(p, e);
        return;
    }
}

/* What is too long for kv is cut. */
static struct cw_slice key_of(const char *key)
{
    return cw_slice(key, strnlen(key, PROFILE_KEY_MAX));
}

struct profile_entry *profiles_find(const struct inv_profiles *p, const char *key)
{
    struct cw_map_node *node = cw_map_get(&p->entries, key_of(key));

    return node ? CW_CONTAINER_OF(node, struct profile_entry, node) : NULL;
}

struct profile_entry *profiles_entry(struct inv_profiles *p, const char *key)
{
    struct profile_entry *e = profiles_find(p, key);
    size_t n = key_of(key).n;

    if (e) {
        cw_list_remove(&p->lru, &e->lru);
    } else {
        make_room(p);
        e = cw_alloc(sizeof(*e) + n + 1);
        memcpy(e->key, key, n);
        cw_map_put(&p->entries, &e->node, cw_slice(e->key, n));
    }
    cw_list_push_back(&p->lru, &e->lru);
    return e;
}

static void want_fresh(struct inv_profiles *p, struct profile_entry *e)
{
    int64_t now = cw_loop_mono_us(p->conf.loop);

    if (!p->conf.kv || cw_link_on_list(&e->stale) || (e->read_us && now - e->read_us < FRESH_US))
        return;
    if (cw_list_empty(&p->stale) && !e->read_us)
        cw_timer_set_ms(&p->tick, 0); /* of this one nothing is known */
    cw_list_push_back(&p->stale, &e->stale);
}

static struct profile_entry *of_kind(struct inv_profiles *p, const struct cw_action *a)
{
    char key[PROFILE_KEY_MAX + 1];

    (void)snprintf(key, sizeof(key), "profile:kind:%s", a->kind);
    return profiles_entry(p, key);
}

static struct profile_entry *of_image(struct inv_profiles *p, const struct cw_action *a)
{
    char key[64] = "profile:image:";
    size_t at = strlen(key);

    for (size_t i = 0; i < IMAGE_BYTES; i++)
        at += (size_t)snprintf(key + at, sizeof(key) - at, "%02x", a->hash[i]);
    return profiles_entry(p, key);
}

static void note_action(struct profile_entry *e, const struct profile_entry *kind,
                        const struct profile_entry *image, uint64_t memory_mb)
{
    if (e->action && strcmp(e->action->image, image->key) == 0 && e->action->memory_mb == memory_mb)
        return;
    free_action(e->action);
    e->action = cw_alloc(sizeof(*e->action));
    e->action->kind = cw_strdup(kind->key);
    e->action->image = cw_strdup(image->key);
    e->action->memory_mb = memory_mb;
}

struct three {
    struct profile_entry *kind, *image, *action;
};

static struct three entries_of(struct inv_profiles *p, const struct cw_action *a)
{
    char key[PROFILE_KEY_MAX + 1];
    struct three t;

    (void)snprintf(key, sizeof(key), "profile:action:%s", a->path);
    t.kind = of_kind(p, a);
    t.image = of_image(p, a);
    t.action = profiles_entry(p, key);
    note_action(t.action, t.kind, t.image, (uint64_t)a->limits.memory_mb);
    return t;
}

/* ---- runs ---- */

static void count_run(struct inv_profiles *p, struct profile_entry *e, bool told, uint64_t millis,
                      uint64_t mib)
{
    uint32_t epoch = profiles_epoch(p);

    inv_profile_age(&e->profile, epoch);
    inv_profile_add(&e->profile, epoch, told ? INV_PROFILE_CPU_TOLD : INV_PROFILE_CPU, millis);
    inv_profile_add(&e->profile, epoch, told ? INV_PROFILE_MEMORY_TOLD : INV_PROFILE_MEMORY, mib);
    if (!cw_link_on_list(&e->dirty))
        cw_list_push_back(&p->dirty, &e->dirty);
}

/* Rounded up: a run that used anything used something. */
static uint64_t millis_of(const struct inv_run_usage *u)
{
    double part = u->wall_ns ? (double)u->cpu_ns / (double)u->wall_ns : 0;

    return part * 1000 >= INV_HIST_MAX ? INV_HIST_MAX : (uint64_t)(part * 1000 + 0.999);
}

static uint64_t mib_of(const struct inv_run_usage *u, uint64_t limit_mb)
{
    uint64_t bytes = u->ws_sampled_bytes ? u->ws_sampled_bytes : u->peak_bytes;
    uint64_t mib = bytes / MIB + (bytes % MIB != 0);

    return u->oom_kills && mib < limit_mb ? limit_mb : mib;
}

void inv_profiles_add(struct inv_profiles *p, const struct inv_run_report *run)
{
    const struct inv_run_usage *u = &run->usage;
    uint64_t millis = millis_of(u), mib = mib_of(u, (uint64_t)run->action->limits.memory_mb);
    struct three t;

    if ((u->partial && !u->oom_kills) || u->wall_ns == 0 || mib == 0)
        return;
    t = entries_of(p, run->action);
    count_run(p, t.kind, u->untrusted, millis, mib);
    count_run(p, t.image, u->untrusted, millis, mib);
    count_run(p, t.action, u->untrusted, millis, mib);
    p->changed = true;
    cw_counter_add(p->runs, 1);
}

/* ---- needs ---- */

struct seen {
    struct inv_hist cpu, memory;
};

uint32_t profiles_observe(const struct inv_profiles *p, const struct profile_entry *e,
                          enum inv_trust trust, struct inv_hist *cpu, struct inv_hist *memory)
{
    const uint32_t epoch = profiles_epoch(p);
    uint32_t epochs = 0, told = 0;

    memset(cpu, 0, sizeof(*cpu));
    memset(memory, 0, sizeof(*memory));
    if (trust != INV_TRUST_TOLD) {
        epochs = inv_profile_hist(&e->profile, epoch, INV_PROFILE_MEMORY, memory);
        (void)inv_profile_hist(&e->profile, epoch, INV_PROFILE_CPU, cpu);
    }
    if (trust != INV_TRUST_KERNEL) {
        told = inv_profile_hist(&e->profile, epoch, INV_PROFILE_MEMORY_TOLD, memory);
        (void)inv_profile_hist(&e->profile, epoch, INV_PROFILE_CPU_TOLD, cpu);
    }
    return epochs > told ? epochs : told;
}

static void observe(const struct inv_profiles *p, const struct profile_entry *e,
                    enum inv_trust trust, struct seen *s, struct inv_observed *ret)
{
    if (!e)
        return;
    ret->epochs = profiles_observe(p, e, trust, &s->cpu, &s->memory);
    ret->cpu = &s->cpu;
    ret->memory = &s->memory;
}

static uint32_t part_of(uint32_t millis, uint64_t mb, uint32_t total_mb)
{
    uint64_t part = total_mb ? millis * mb / total_mb : 0;

    return part > UINT32_MAX ? UINT32_MAX : (uint32_t)part;
}

void inv_profiles_set_share(struct inv_profiles *p, uint32_t share_millis)
{
    p->conf.share_millis = share_millis;
}

void profiles_declared(const struct inv_profiles *p, uint64_t memory_mb, struct inv_need_input *ret)
{
    *ret = (struct inv_need_input){
        .declared_bytes = memory_mb * MIB,
        .share_millis = part_of(p->conf.share_millis, memory_mb, p->conf.total_mb),
        .limit_millis = part_of(p->conf.limit_millis, memory_mb, p->conf.total_mb),
    };
}

void profiles_infer(const struct inv_profiles *p, const struct profile_entry *action,
                    const struct profile_entry *image, const struct profile_entry *kind,
                    uint64_t memory_mb, enum inv_trust trust, struct inv_need *ret)
{
    struct inv_need_input in;
    struct seen seen[3];

    profiles_declared(p, memory_mb, &in);
    observe(p, action, trust, &seen[0], &in.action);
    observe(p, image, trust, &seen[1], &in.image);
    observe(p, kind, trust, &seen[2], &in.kind);
    inv_need_infer(&p->conf.model, &in, ret);
}

void inv_profiles_need(struct inv_profiles *p, const struct cw_action *action, enum inv_trust trust,
                       struct inv_need *ret)
{
    struct three t = entries_of(p, action);

    want_fresh(p, t.kind);
    want_fresh(p, t.image);
    want_fresh(p, t.action);
    profiles_infer(p, t.action, t.image, t.kind, (uint64_t)action->limits.memory_mb, trust, ret);
}

void inv_profiles_remember(struct inv_profiles *p, const struct cw_action *action)
{
    (void)entries_of(p, action);
}

bool inv_profiles_knows(const struct inv_profiles *p, const char *name)
{
    char key[PROFILE_KEY_MAX + 1];
    const struct profile_entry *e;

    (void)snprintf(key, sizeof(key), "profile:action:%s", name);
    e = profiles_find(p, key);
    return e && e->action;
}

bool inv_profiles_look(const struct inv_profiles *p, const struct cw_action *action,
                       struct inv_need *ret)
{
    char key[PROFILE_KEY_MAX + 1];
    const struct profile_entry *e;

    (void)snprintf(key, sizeof(key), "profile:action:%s", action->path);
    e = profiles_find(p, key);
    if (!e || !e->action)
        return false;
    profiles_infer(p, e, profiles_find(p, e->action->image), profiles_find(p, e->action->kind),
                   (uint64_t)action->limits.memory_mb, INV_TRUST_ALL, ret);
    return true;
}

/* ---- calls to kv ---- */

static struct profile_call *begin_call(struct inv_profiles *p, size_t count)
{
    struct profile_call *c = cw_alloc(sizeof(*c) + count * sizeof(c->entries[0]));

    c->p = p;
    cw_list_push_back(&p->calls, &c->link);
    return c;
}

static void mention(struct profile_call *c, struct profile_entry *e)
{
    e->under_way++;
    c->entries[c->count++] = e;
}

static void end_call(struct profile_call *c)
{
    for (size_t i = 0; i < c->count; i++)
        c->entries[i]->under_way--;
    cw_list_remove(&c->p->calls, &c->link);
    free(c);
}

static void on_added(void *arg, const struct cw_err *err)
{
    struct profile_call *c = arg;
    struct profile_entry *e = c->entries[0];
    bool undone = err && err->code == CW_UNAVAILABLE;

    for (size_t i = 0; i < e->profile.count; i++) {
        struct inv_profile_cell *cell = &e->profile.cells[i];

        *(undone ? &cell->pending : &cell->shared) += cell->flying;
        cell->flying = 0;
    }
    if (undone && !cw_link_on_list(&e->dirty))
        cw_list_push_back(&c->p->dirty, &e->dirty);
    if (err && !err->retriable && !e->complained) {
        e->complained = true;
        cw_log(CW_LOG_WARN, NULL, COMPONENT, "%s: runs are not counted: %s", e->key, err->msg);
    }
    end_call(c);
}

/* Everything pending of one hash; only one such call at a time. */
static void send_pending(struct inv_profiles *p, struct profile_entry *e)
{
    size_t n = e->profile.count, count = 0;
    struct cw_kv_more *more = cw_calloc(n, sizeof(*more));
    char(*names)[INV_PROFILE_FIELD_MAX] = cw_calloc(n, sizeof(*names));
    struct profile_call *c;

    for (size_t i = 0; i < n && count < CW_KV_FIELDS_MAX; i++) {
        struct inv_profile_cell *cell = &e->profile.cells[i];

        if (!cell->pending)
            continue;
        inv_profile_field(cell, names[count]);
        more[count] = (struct cw_kv_more){cw_slice_of(names[count]), cell->pending};
        cell->flying = cell->pending;
        cell->pending = 0;
        count++;
    }
    if (count) {
        c = begin_call(p, 1);
        mention(c, e);
        cw_kv_add(p->conf.kv,
                  &(struct cw_kv_add){.key = e->key,
                                      .fields = more,
                                      .count = count,
                                      .expire_ms = p->conf.epoch_ms * (INV_PROFILE_EPOCHS + 1)},
                  on_added, c, &c->call);
    }
    free(names);
    free(more);
}

static bool is_flying(const struct profile_entry *e)
{
    for (size_t i = 0; i < e->profile.count; i++)
        if (e->profile.cells[i].flying)
            return true;
    return false;
}

void inv_profiles_flush(struct inv_profiles *p)
{
    size_t budget = p->dirty.count < AT_ONCE ? p->dirty.count : AT_ONCE;

    if (!p->conf.kv || !cw_kv_up(p->conf.kv))
        return;
    for (; budget; budget--) {
        struct profile_entry *e =
            CW_LIST_ENTRY(cw_list_pop_front(&p->dirty), struct profile_entry, dirty);

        if (is_flying(e))
            cw_list_push_back(&p->dirty, &e->dirty); /* the next time */
        else
            send_pending(p, e);
    }
}

/* ---- reading ---- */

/* Fields of epochs that no longer count, out of kv: whoever reads them takes them away. */
static void trim(struct inv_profiles *p, const struct profile_entry *e, const struct cw_kv_hash *h)
{
    struct cw_slice *names = cw_calloc(h->count, sizeof(*names));
    uint32_t epoch = profiles_epoch(p);
    struct inv_profile_cell cell;
    size_t n = 0;

    for (size_t i = 0; i < h->count; i++)
        if (inv_profile_parse(h->fields[i].name, h->fields[i].value, &cell) && cell.epoch < epoch &&
            !inv_profile_current(cell.epoch, epoch))
            names[n++] = h->fields[i].name;
    if (n)
        cw_kv_trim(p->conf.kv, e->key, names, n, NULL, NULL, NULL);
    free(names);
}

static void complain(struct profile_entry *e, const char *why)
{
    if (e->complained)
        return;
    e->complained = true;
    cw_log(CW_LOG_WARN, NULL, COMPONENT, "%s: %s; it is ignored", e->key, why);
}

void profiles_take(struct inv_profiles *p, struct profile_entry *e, const struct cw_kv_hash *h)
{
    uint32_t epoch = profiles_epoch(p);

    e->read_us = cw_loop_mono_us(p->conf.loop);
    if (h->problem) {
        complain(e, h->problem);
        return;
    }
    for (size_t i = 0; i < e->profile.count; i++)
        e->profile.cells[i].shared = 0;
    inv_profile_age(&e->profile, epoch);
    for (size_t i = 0; i < h->count; i++) {
        struct inv_profile_cell read, *cell;

        if (!inv_profile_parse(h->fields[i].name, h->fields[i].value, &read)) {
            complain(e, "a field in it is no count");
            continue;
        }
        cell = inv_profile_current(read.epoch, epoch)
                   ? inv_profile_cell(&e->profile, read.epoch, (enum inv_profile_of)read.of,
                                      read.bucket)
                   : NULL;
        if (cell)
            cell->shared = read.shared;
    }
    trim(p, e, h);
}

static void on_read(void *arg, const struct cw_kv_hash *hashes, size_t count,
                    const struct cw_err *err)
{
    struct profile_call *c = arg;

    for (size_t i = 0; !err && i < count; i++)
        profiles_take(c->p, c->entries[i], &hashes[i]);
    end_call(c);
}

static void read_stale(struct inv_profiles *p)
{
    size_t n = p->stale.count < AT_ONCE ? p->stale.count : AT_ONCE;
    const char *keys[AT_ONCE];
    struct profile_call *c;

    if (n == 0 || !p->conf.kv || !cw_kv_up(p->conf.kv))
        return;
    c = begin_call(p, n);
    for (size_t i = 0; i < n; i++) {
        struct profile_entry *e =
            CW_LIST_ENTRY(cw_list_pop_front(&p->stale), struct profile_entry, stale);

        keys[i] = e->key;
        mention(c, e);
    }
    cw_kv_get(p->conf.kv, keys, n, on_read, c, &c->call);
}

/* ---- without kv ---- */

static void settle(struct inv_profiles *p)
{
    struct cw_link *n;

    while ((n = cw_list_pop_front(&p->dirty))) {
        struct inv_profile *profile = &CW_LIST_ENTRY(n, struct profile_entry, dirty)->profile;

        for (size_t i = 0; i < profile->count; i++) {
            struct inv_profile_cell *cell = &profile->cells[i];

            cell->shared = cell->shared < INV_PROFILE_COUNT_MAX ? cell->shared + cell->pending
                                                                : INV_PROFILE_COUNT_MAX;
            cell->pending = 0;
        }
    }
}

static void save_now_and_then(struct inv_profiles *p)
{
    int64_t now = cw_loop_mono_us(p->conf.loop);

    if (!p->path || !p->changed || now - p->saved_us < SAVE_US)
        return;
    p->saved_us = now;
    profiles_save(p);
}

static void on_tick(void *arg)
{
    struct inv_profiles *p = arg;

    if (p->conf.kv) {
        inv_profiles_flush(p);
        read_stale(p);
    } else {
        settle(p);
        save_now_and_then(p);
    }
    cw_timer_set_ms(&p->tick, TICK_MS);
}

/* ---- public ---- */

struct inv_profiles *inv_profiles_new(const struct inv_profiles_conf *conf)
{
    struct inv_profiles *p = cw_alloc(sizeof(*p));

    p->conf = *conf;
    p->path = conf->kv ? NULL : cw_strdup(conf->path);
    cw_map_init(&p->entries);
    cw_list_init(&p->lru);
    cw_list_init(&p->dirty);
    cw_list_init(&p->stale);
    cw_list_init(&p->calls);
    cw_list_init(&p->asks);
    cw_timer_init(&p->tick, conf->loop, on_tick, p);
    p->runs = cw_metrics_counter(conf->metrics, "cwhisk_profile_runs_total", NULL,
                                 "Runs whose use was counted in profiles.");
    p->saved_us = cw_loop_mono_us(conf->loop);
    if (p->path)
        profiles_load(p);
    cw_timer_set_ms(&p->tick, TICK_MS);
    return p;
}

static void free_entry(void *arg, struct cw_map_node *node)
{
    drop(arg, CW_CONTAINER_OF(node, struct profile_entry, node));
}

void inv_profiles_free(struct inv_profiles *p)
{
    struct cw_link *n;

    if (!p)
        return;
    if (p->path) {
        settle(p);
        if (p->changed)
            profiles_save(p);
    }
    profiles_forget_asks(p);
    while ((n = cw_list_first(&p->calls))) {
        struct profile_call *c = CW_LIST_ENTRY(n, struct profile_call, link);

        cw_kv_cancel(c->call);
        end_call(c);
    }
    cw_timer_done(&p->tick);
    cw_map_each(&p->entries, free_entry, p);
    cw_map_done(&p->entries);
    free(p->path);
    free(p);
}
