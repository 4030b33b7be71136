/* One timer publishes and reads. Reading is two steps: now and then the index, then the states of
 * those that are to be read, in one round trip. A second timer is the death of the peer that is the
 * next to die if it stays silent. */
#include "invoker/hosts.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/hosts_priv.h"

#define COMPONENT "Hosts"
#define INDEX "hosts"

enum {
    PUBLISH_MS = 1000,
    DEAD_MS = 3000,
    EXPIRE_FACTOR = 5, /* publications */
    SOON_FACTOR = 4,   /* publications per period, at most */
    LIST_FEW = 32,     /* members: the index is read each time */
    LIST_EACH = 5,     /* periods, otherwise */
    INDEX_MAX = 65536, /* keys in the index, of which PEER_MEMBERS_MAX are followed */
    MINUTE_US = 60 * 1000 * 1000,
    AGAIN_MS = 6000, /* until all have found a kv that is back: they try by lot, see redis_kv.h */
    COMPLAINTS = 10, /* lines a minute */
    KEY_BYTES = 32,
    PAIRS_MAX = 8192, /* idle containers */
};

struct inv_hosts {
    struct inv_hosts_conf conf;
    char *topic, *instance;
    uint64_t seq;
    struct peers peers;
    struct cw_kv_watch watch;
    struct cw_timer tick, early, death;
    struct cw_kv_call *reading; /* the index, or states; NULL: nothing is read */
    struct cw_kv_call *writing; /* the state; NULL: none */
    uint64_t *read_ids;         /* of the states that are being read */
    unsigned list_in;           /* periods until the index is read again */
    int64_t published_us;
    int64_t asked_us; /* when the states were asked for that are being read */
    int64_t heard_us; /* of those that came last */
    bool soon;        /* the early timer runs */
    bool started, warm_told, left, failed_told, index_told;
    unsigned complaints;
    int64_t complaints_us;
    struct cw_gauge *alive_gauge;
};

static int64_t now_us(const struct inv_hosts *h)
{
    return cw_loop_mono_us(h->conf.loop);
}

static bool kv_up(const struct inv_hosts *h)
{
    return h->conf.kv && cw_kv_up(h->conf.kv);
}

static void tell_change(struct inv_hosts *h)
{
    cw_gauge_set(h->alive_gauge, (double)inv_hosts_alive(h));
    if (h->conf.on_change)
        h->conf.on_change(h->conf.arg);
}

/* A line about what others wrote: not more of them than somebody could read. */
static bool may_complain(struct inv_hosts *h)
{
    if (now_us(h) - h->complaints_us >= MINUTE_US) {
        h->complaints_us = now_us(h);
        h->complaints = 0;
    }
    return h->complaints++ < COMPLAINTS;
}

static void key_of(char key[KEY_BYTES], const char *what, uint64_t id)
{
    (void)snprintf(key, KEY_BYTES, "%s:%" PRIu64, what, id);
}

/* ---- publishing ---- */

static void on_written(void *arg, const struct cw_err *err)
{
    struct inv_hosts *h = arg;

    h->writing = NULL;
    if (err && !h->failed_told && cw_kv_up(h->conf.kv))
        cw_log(CW_LOG_WARN, NULL, COMPONENT, "our state cannot be published: %s", err->msg);
    h->failed_told = err != NULL;
}

static void fill_self(const struct inv_hosts *h, struct inv_host_view *v)
{
    *v = (struct inv_host_view){.id = h->conf.id};
    h->conf.fill(h->conf.arg, v);
    v->self = true;
}

static void publish_state(struct inv_hosts *h)
{
    struct inv_host_state state = {
        .boot = h->conf.boot, .seq = ++h->seq, .topic = h->topic, .instance = h->instance};
    struct cw_kv_field fields[INV_HOST_FIELDS];
    struct cw_arena arena;
    char key[KEY_BYTES];
    struct cw_kv_put put = {.key = key,
                            .index = INDEX,
                            .fields = fields,
                            .expire_ms = h->conf.publish_ms * EXPIRE_FACTOR};

    cw_arena_init(&arena);
    fill_self(h, &state.view);
    key_of(key, "host", h->conf.id);
    put.count = inv_host_state_encode(&state, &arena, fields);
    cw_kv_put(h->conf.kv, &put, on_written, h, &h->writing);
    cw_arena_done(&arena);
}

static void publish_warm(struct inv_hosts *h)
{
    struct cw_kv_field *fields = cw_calloc(INV_WARM_PAIRS, sizeof(*fields));
    uint64_t *pairs = cw_calloc(PAIRS_MAX, sizeof(*pairs));
    struct cw_arena arena;
    char key[KEY_BYTES];
    struct cw_kv_put put = {
        .key = key, .fields = fields, .expire_ms = h->conf.publish_ms * EXPIRE_FACTOR};

    cw_arena_init(&arena);
    key_of(key, "warm", h->conf.id);
    put.count =
        inv_warm_encode(pairs, h->conf.idle_pairs(h->conf.arg, pairs, PAIRS_MAX), &arena, fields);
    if (put.count)
        cw_kv_put(h->conf.kv, &put, NULL, NULL, NULL);
    else if (h->warm_told)
        cw_kv_remove(h->conf.kv, key, NULL, NULL, NULL, NULL);
    h->warm_told = put.count > 0;
    cw_arena_done(&arena);
    free(pairs);
    free(fields);
}

static void publish(struct inv_hosts *h)
{
    if (!kv_up(h) || h->left || h->writing)
        return;
    h->published_us = now_us(h);
    if (h->conf.idle_pairs)
        publish_warm(h);
    publish_state(h);
}

/* ---- peers ---- */

/* Until the next of those who live dies. */
static void arm_death(struct inv_hosts *h)
{
    int64_t first = INT64_MAX;

    CW_LIST_EACH (&h->peers.known, n) {
        const struct peer *p = CW_LIST_ENTRY(n, struct peer, link);

        if (p->alive && p->changed_us < first)
            first = p->changed_us;
    }
    if (first == INT64_MAX)
        cw_timer_stop(&h->death);
    else
        cw_timer_set_us(&h->death, first + h->conf.dead_ms * 1000 - now_us(h));
}

/* Only by what was asked for when their time was over: that nothing was heard meanwhile may be our
 * own fault, of a process that stood still. */
static bool judge(struct inv_hosts *h)
{
    bool changed = false;

    CW_LIST_EACH (&h->peers.known, n) {
        struct peer *p = CW_LIST_ENTRY(n, struct peer, link);

        if (!p->alive || h->heard_us - p->changed_us < h->conf.dead_ms * 1000)
            continue;
        p->alive = false;
        changed = true;
        cw_log(CW_LOG_WARN, NULL, COMPONENT,
               "host %" PRIu64 " is gone: nothing new from it for %" PRId64 " ms", p->state.view.id,
               h->conf.dead_ms);
    }
    return changed;
}

/* Who was there before kv went away has not left: the index may have been emptied, and not all have
 * found it yet. */
static bool on_left(void *arg, const struct peer *p)
{
    const struct inv_hosts *h = arg;

    if (p->alive && p->awaited && now_us(h) - p->changed_us < h->conf.dead_ms * 1000)
        return false;
    cw_log(CW_LOG_INFO, NULL, COMPONENT, "host %" PRIu64 " has left", p->state.view.id);
    return true;
}

/* A key in the index behind which there has been nothing for long: of an invoker that was killed.
 * Everybody who sees it takes it out. */
static void note_missing(struct inv_hosts *h, uint64_t id)
{
    struct peer_member *m = peers_member(&h->peers, id);
    char key[KEY_BYTES];

    if (!m)
        return;
    if (m->missing_us && now_us(h) - m->missing_us < PEER_FORGET_US)
        return;
    if (m->missing_us) {
        key_of(key, "host", id);
        cw_kv_remove(h->conf.kv, key, INDEX, NULL, NULL, NULL);
    }
    peers_miss(&h->peers, m, now_us(h));
}

static void complain(struct inv_hosts *h, uint64_t id, const char *why)
{
    struct peer_member *m = peers_member(&h->peers, id);

    if (!m || m->complained || !may_complain(h))
        return;
    m->complained = true;
    cw_log(CW_LOG_WARN, NULL, COMPONENT, "host %" PRIu64 " is ignored: what it says of itself: %s",
           id, why);
}

static void take_state(struct inv_hosts *h, struct inv_host_state *state, struct cw_arena *arena,
                       bool *changed)
{
    struct peer *p = peers_take(&h->peers, state->view.id);

    if (p->changed_us && p->state.boot == state->boot && p->state.seq == state->seq) {
        cw_arena_done(arena);
        return;
    }
    cw_arena_done(&p->arena);
    p->arena = *arena;
    p->state = *state;
    *changed |= !p->heard && p->changed_us;
    p->heard = p->changed_us != 0;
    p->changed_us = now_us(h);
    p->awaited = false;
    if (p->alive)
        return;
    p->alive = true;
    *changed = true;
    cw_log(CW_LOG_INFO, NULL, COMPONENT, "host %" PRIu64 " is there", state->view.id);
}

static void take_warm(struct inv_hosts *h, uint64_t id, const struct cw_kv_hash *hash)
{
    struct peer *p = peers_find(&h->peers, id);
    size_t room = hash->count < INV_WARM_PAIRS ? hash->count : INV_WARM_PAIRS;

    if (!p)
        return;
    free(p->warm);
    p->warm = room ? cw_calloc(room, sizeof(*p->warm)) : NULL;
    p->warm_count = room ? inv_warm_decode(hash, p->warm) : 0;
}

/* Its state makes sense. */
static void take_member(struct inv_hosts *h, uint64_t id, const char *warm_problem)
{
    struct peer_member *m = peers_member(&h->peers, id);
    bool told;

    if (!m)
        return;
    told = m->warm_told && warm_problem;
    if (warm_problem && !told && may_complain(h)) {
        told = true;
        cw_log(CW_LOG_WARN, NULL, COMPONENT,
               "warm containers of host %" PRIu64 " are not known: %s", id, warm_problem);
    }
    *m = (struct peer_member){.id = id, .warm_told = told};
}

static void take(struct inv_hosts *h, uint64_t id, const struct cw_kv_hash *state,
                 const struct cw_kv_hash *warm, bool *changed)
{
    struct inv_host_state decoded;
    struct cw_arena arena;
    struct cw_err err;

    if (!state->found && !state->problem) {
        note_missing(h, id);
        return;
    }
    cw_arena_init(&arena);
    if (state->problem)
        complain(h, id, state->problem);
    else if (inv_host_state_decode(id, state, &arena, &decoded, &err) != 0 ||
             inv_host_state_check_topic(&decoded, h->topic, &err) != 0)
        complain(h, id, err.msg);
    else {
        take_member(h, id, warm->problem);
        take_state(h, &decoded, &arena, changed);
        take_warm(h, id, warm);
        return;
    }
    cw_arena_done(&arena);
}

/* ---- reading ---- */

static void on_states(void *arg, const struct cw_kv_hash *hashes, size_t count,
                      const struct cw_err *err)
{
    struct inv_hosts *h = arg;
    bool changed = false;

    h->reading = NULL;
    if (err)
        return; /* a peer that is not read for long dies */
    h->heard_us = h->asked_us;
    for (size_t i = 0; 2 * i + 1 < count; i++)
        take(h, h->read_ids[i], &hashes[2 * i], &hashes[2 * i + 1], &changed);
    changed = judge(h) || changed;
    arm_death(h);
    if (changed)
        tell_change(h);
}

static void read_states(struct inv_hosts *h)
{
    size_t n =
        h->peers.wanted_count < CW_KV_KEYS_MAX / 2 ? h->peers.wanted_count : CW_KV_KEYS_MAX / 2;
    char(*texts)[KEY_BYTES];
    const char **keys;

    if (n == 0)
        return;
    texts = cw_calloc(2 * n, sizeof(*texts));
    keys = cw_calloc(2 * n, sizeof(*keys));
    free(h->read_ids);
    h->read_ids = cw_calloc(n, sizeof(*h->read_ids));
    memcpy(h->read_ids, h->peers.wanted, n * sizeof(*h->read_ids));
    for (size_t i = 0; i < n; i++) {
        key_of(texts[2 * i], "host", h->read_ids[i]);
        key_of(texts[2 * i + 1], "warm", h->read_ids[i]);
    }
    for (size_t i = 0; i < 2 * n; i++)
        keys[i] = texts[i];
    h->asked_us = now_us(h);
    cw_kv_get(h->conf.kv, keys, 2 * n, on_states, h, &h->reading);
    free(keys);
    free(texts);
}

/* What is wrong with it, once until it is well again. */
static void tell_index(struct inv_hosts *h, size_t count, const struct cw_err *err)
{
    bool bad =
        err ? err->code != CW_UNAVAILABLE && err->code != CW_TIMEOUT : count > PEER_MEMBERS_MAX + 1;

    if (bad && !h->index_told && err)
        cw_log(CW_LOG_WARN, NULL, COMPONENT, "the list of hosts cannot be read: %s", err->msg);
    else if (bad && !h->index_told)
        cw_log(CW_LOG_WARN, NULL, COMPONENT,
               "the list of hosts has %zu entries, of which %d at most are followed", count,
               PEER_MEMBERS_MAX);
    h->index_told = bad || (err && h->index_told);
}

static void on_members(void *arg, const struct cw_slice *keys, size_t count,
                       const struct cw_err *err)
{
    struct inv_hosts *h = arg;
    size_t before = inv_hosts_alive(h);

    h->reading = NULL;
    tell_index(h, count, err);
    if (err)
        return;
    peers_set_members(&h->peers, keys, count, on_left, h);
    (void)peers_draw(&h->peers, now_us(h));
    if (inv_hosts_alive(h) != before)
        tell_change(h);
    read_states(h);
}

static void read_peers(struct inv_hosts *h)
{
    if (!kv_up(h) || h->reading)
        return;
    if (h->list_in == 0) {
        h->list_in = h->peers.member_count > LIST_FEW ? LIST_EACH : 1;
        cw_kv_list(h->conf.kv, INDEX, INDEX_MAX, on_members, h, &h->reading);
    } else {
        (void)peers_draw(&h->peers, now_us(h));
        read_states(h);
    }
    h->list_in--;
}

/* Somebody is dead unless it has something new to say now; on_states judges. */
static void on_death(void *arg)
{
    struct inv_hosts *h = arg;

    if (kv_up(h) && !h->reading)
        read_states(h);
}

static void on_tick(void *arg)
{
    struct inv_hosts *h = arg;

    if (h->left)
        return;
    publish(h);
    read_peers(h);
    cw_timer_set_ms(&h->tick, h->conf.publish_ms);
}

static void on_early(void *arg)
{
    struct inv_hosts *h = arg;

    h->soon = false;
    publish(h);
}

/* Whoever lived before kv went away has its time to find it, and to say something again. */
static void hear_again(struct inv_hosts *h)
{
    CW_LIST_EACH (&h->peers.known, n) {
        struct peer *p = CW_LIST_ENTRY(n, struct peer, link);

        p->heard = false;
        p->awaited = p->alive;
        if (p->alive)
            p->changed_us = now_us(h) + AGAIN_MS * 1000;
    }
    arm_death(h);
    cw_timer_set_ms(&h->tick, 0);
}

static void on_kv(void *arg, bool up, const char *why)
{
    struct inv_hosts *h = arg;

    if (up)
        cw_log(CW_LOG_INFO, NULL, COMPONENT, "%s is there", cw_kv_name(h->conf.kv));
    else
        cw_log(CW_LOG_WARN, NULL, COMPONENT, "no other hosts are seen until %s is there: %s",
               cw_kv_name(h->conf.kv), why);
    h->list_in = 0;
    if (up)
        hear_again(h);
    tell_change(h);
}

/* ---- public ---- */

struct inv_hosts *inv_hosts_new(const struct inv_hosts_conf *conf)
{
    struct inv_hosts *h = cw_alloc(sizeof(*h));

    h->conf = *conf;
    h->conf.publish_ms = conf->publish_ms ? conf->publish_ms : PUBLISH_MS;
    h->conf.dead_ms = conf->dead_ms ? conf->dead_ms : DEAD_MS;
    h->topic = cw_strdup(conf->topic);
    h->instance = cw_strdup(conf->instance);
    h->alive_gauge = cw_metrics_gauge(conf->metrics, "cwhisk_hosts_alive", NULL,
                                      "Other invokers of the cluster that are seen to live.");
    peers_init(&h->peers, conf->id, conf->boot, conf->peers);
    cw_timer_init(&h->tick, conf->loop, on_tick, h);
    cw_timer_init(&h->early, conf->loop, on_early, h);
    cw_timer_init(&h->death, conf->loop, on_death, h);
    return h;
}

void inv_hosts_start(struct inv_hosts *h)
{
    if (!h->conf.kv || h->started)
        return;
    h->started = true;
    cw_kv_watch(h->conf.kv, &h->watch, on_kv, h);
    cw_timer_set_ms(&h->tick, h->conf.publish_ms);
}

void inv_hosts_free(struct inv_hosts *h)
{
    if (!h)
        return;
    cw_kv_unwatch(&h->watch);
    if (h->reading)
        cw_kv_cancel(h->reading);
    if (h->writing)
        cw_kv_cancel(h->writing);
    cw_timer_done(&h->tick);
    cw_timer_done(&h->early);
    cw_timer_done(&h->death);
    peers_done(&h->peers);
    free(h->read_ids);
    free(h->topic);
    free(h->instance);
    free(h);
}

void inv_hosts_changed(struct inv_hosts *h)
{
    int64_t at_us = h->published_us + h->conf.publish_ms * 1000 / SOON_FACTOR;

    if (!h->started || h->left || h->soon)
        return; /* most often: this is called twice for each activation */
    h->soon = true;
    cw_timer_set_us(&h->early, at_us - now_us(h));
}

void inv_hosts_leave(struct inv_hosts *h)
{
    char key[KEY_BYTES];

    if (!h || h->left)
        return;
    h->left = true;
    cw_timer_stop(&h->tick);
    cw_timer_stop(&h->early);
    if (!h->started || !kv_up(h))
        return;
    key_of(key, "warm", h->conf.id);
    cw_kv_remove(h->conf.kv, key, NULL, NULL, NULL, NULL);
    key_of(key, "host", h->conf.id);
    cw_kv_remove(h->conf.kv, key, INDEX, NULL, NULL, NULL);
}

static uint32_t forwarded_same(const struct peer *p, uint64_t pair)
{
    uint32_t n = p->state.view.forwards.count, same = 0;

    for (uint32_t i = 0; i < n && i < PEER_FORWARDS; i++)
        same += p->forwarded[i] == pair;
    return same;
}

size_t inv_hosts_view(struct inv_hosts *h, uint64_t pair, struct inv_host_view *ret, size_t max)
{
    bool up = kv_up(h);
    size_t n = 0;

    if (max == 0)
        return 0;
    fill_self(h, &ret[n]);
    ret[n++].set = INV_SET_ANY;
    CW_LIST_EACH (&h->peers.known, l) {
        const struct peer *p = CW_LIST_ENTRY(l, struct peer, link);

        if (n == max)
            break;
        if ((!p->alive || !up) && h->peers.known.count >= max)
            continue; /* those that live come first where there is not room for all */
        ret[n] = p->state.view;
        ret[n].dead = !p->alive || !up;
        ret[n].unheard = !p->heard;
        ret[n].warm = inv_warm_find(p->warm, p->warm_count, pair);
        ret[n].forwards.same = forwarded_same(p, pair);
        n++;
    }
    return n;
}

bool inv_hosts_find(const struct inv_hosts *h, uint64_t id, struct inv_peer *ret)
{
    const struct peer *p = peers_find(&h->peers, id);

    if (!p)
        return false;
    *ret = (struct inv_peer){.topic = p->state.topic,
                             .instance = p->state.instance,
                             .boot = p->state.boot,
                             .alive = p->alive && kv_up(h)};
    return true;
}

void inv_hosts_forwarded(struct inv_hosts *h, uint64_t id, uint64_t pair, uint32_t cpu_millis,
                         uint64_t memory_bytes)
{
    struct peer *p = peers_find(&h->peers, id);
    struct inv_forwards *f = p ? &p->state.view.forwards : NULL;

    if (!f)
        return;
    if (f->count < PEER_FORWARDS)
        p->forwarded[f->count] = pair;
    f->count++;
    f->cpu_millis += cpu_millis;
    f->memory_bytes += (int64_t)memory_bytes;
}

void inv_hosts_pin(struct inv_hosts *h, uint64_t id)
{
    peers_pin(&h->peers, id);
}

void inv_hosts_unpin(struct inv_hosts *h, uint64_t id)
{
    peers_unpin(&h->peers, id);
}

size_t inv_hosts_rank(const struct inv_hosts *h, size_t *ret_count)
{
    const struct peers *p = &h->peers;
    size_t rank = 0;

    while (rank < p->member_count && p->members[rank].id < p->self)
        rank++;
    *ret_count = p->member_count + 1;
    return rank;
}

size_t inv_hosts_alive(const struct inv_hosts *h)
{
    size_t n = 0;

    if (!kv_up(h))
        return 0;
    CW_LIST_EACH (&h->peers.known, l)
        n += CW_LIST_ENTRY(l, const struct peer, link)->alive;
    return n;
}

struct peers *hosts_peers(struct inv_hosts *h)
{
    return &h->peers;
}

const struct cw_kv *hosts_kv(const struct inv_hosts *h)
{
    return h->conf.kv;
}

int64_t hosts_age_us(const struct inv_hosts *h, const struct peer *p)
{
    int64_t age_us = now_us(h) - p->changed_us;

    return age_us > 0 ? age_us : 0; /* see hear_again */
}
