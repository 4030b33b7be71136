/* Several invokers on one kv of this process, with a clock that the test moves. */
#include "invoker/hosts.h"

#include <inttypes.h>

#include "common/base/clock.h"
#include "common/kv/kv_priv.h"
#include "common/kv/local_kv.h"
#include "common/obs/metrics.h"
#include "invoker/hosts_priv.h"
#include "tests/component/kv/kv_suite.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/turns.h"

enum { MEMBERS = 40, FEW = 8 };

struct test_clock {
    struct cw_clock base;
    int64_t ahead_us; /* monotonic */
    int64_t wall_us;
};

struct host {
    struct inv_hosts *hosts;
    struct inv_host_view figures;
    uint64_t pairs[4];
    size_t pair_count;
    int changes;
};

struct world {
    struct test_clock clock;
    struct cw_loop *loop;
    struct cw_kv *kv;
    struct cw_metrics *metrics;
    struct host host[MEMBERS];
};

static int64_t mono_us(const struct cw_clock *c)
{
    return 1000000 + ((const struct test_clock *)c)->ahead_us;
}

static int64_t wall_us(const struct cw_clock *c)
{
    return ((const struct test_clock *)c)->wall_us;
}

static int setup(void **state)
{
    struct world *w = cw_alloc(sizeof(*w));

    w->clock.base = (struct cw_clock){wall_us, mono_us};
    w->loop = cw_loop_new(&w->clock.base, NULL);
    w->kv = cw_local_kv_new(w->loop, 0);
    w->metrics = cw_metrics_new();
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < MEMBERS; i++)
        inv_hosts_free(w->host[i].hosts);
    cw_kv_free(w->kv);
    cw_metrics_free(w->metrics);
    cw_loop_free(w->loop);
    free(w);
    return 0;
}

static void fill(void *arg, struct inv_host_view *ret)
{
    const struct host *h = arg;
    uint64_t id = ret->id;

    *ret = h->figures;
    ret->id = id;
}

static size_t idle_pairs(void *arg, uint64_t *pairs, size_t max)
{
    const struct host *h = arg;

    assert_true(max >= h->pair_count);
    memcpy(pairs, h->pairs, h->pair_count * sizeof(*pairs));
    return h->pair_count;
}

static void on_change(void *arg)
{
    ((struct host *)arg)->changes++;
}

/* Periods are a real 20 ms: timers run by the machine's clock, deaths by the test's. */
static void start_reading(struct world *w, size_t i, size_t peers)
{
    struct host *h = &w->host[i];
    char topic[24], instance[48];

    (void)snprintf(topic, sizeof(topic), "cwhisk%zu", i);
    (void)snprintf(instance, sizeof(instance), "{\"instance\":%zu}", i);
    h->figures.cpu_total_millis = 4000;
    h->figures.memory_total_bytes = (int64_t)(i + 1) << 30;
    h->hosts = inv_hosts_new(&(struct inv_hosts_conf){.loop = w->loop,
                                                      .kv = w->kv,
                                                      .metrics = w->metrics,
                                                      .id = i,
                                                      .topic = topic,
                                                      .instance = instance,
                                                      .peers = peers,
                                                      .publish_ms = 20,
                                                      .dead_ms = 3000,
                                                      .boot = 11 + i,
                                                      .fill = fill,
                                                      .idle_pairs = idle_pairs,
                                                      .on_change = on_change,
                                                      .arg = h});
    inv_hosts_start(h->hosts);
}

static void start(struct world *w, size_t i)
{
    start_reading(w, i, 64);
}

struct wish {
    struct world *w;
    size_t host, alive;
};

static bool sees(void *arg)
{
    const struct wish *wish = arg;

    return inv_hosts_alive(wish->w->host[wish->host].hosts) == wish->alive;
}

static void wait_alive(struct world *w, size_t host, size_t alive)
{
    struct wish wish = {w, host, alive};

    if (!cw_loop_run_until(w->loop, sees, &wish, 10000))
        fail_msg("host %zu sees %zu, not %zu", host, inv_hosts_alive(w->host[host].hosts), alive);
}

/* What host 0 knows of host 1. */
static struct inv_host_view second(struct world *w, uint64_t pair)
{
    struct inv_host_view views[4];

    assert_int_equal(inv_hosts_view(w->host[0].hosts, pair, views, 4), 2);
    assert_true(views[0].self && !views[1].self);
    assert_int_equal(views[1].id, 1);
    return views[1];
}

static bool second_runs(void *arg)
{
    return second(arg, 0).running == 7;
}

static bool second_is_warm(void *arg)
{
    return second(arg, 0xabcdef).warm == 2;
}

static void they_see_each_other_with_their_figures(void **state)
{
    struct world *w = *state;
    struct inv_peer peer;

    start(w, 0);
    start(w, 1);
    wait_alive(w, 0, 1);
    wait_alive(w, 1, 1);
    assert_int_equal(second(w, 0).memory_total_bytes, INT64_C(2) << 30);
    assert_int_equal(second(w, 0).cpu_total_millis, 4000);
    assert_true(inv_hosts_find(w->host[0].hosts, 1, &peer));
    assert_string_equal(peer.topic, "cwhisk1");
    assert_string_equal(peer.instance, "{\"instance\":1}");
    assert_true(peer.alive);
    assert_false(inv_hosts_find(w->host[0].hosts, 0, &peer));
    assert_true(w->host[0].changes > 0);
    w->host[1].figures.running = 7;
    inv_hosts_changed(w->host[1].hosts);
    assert_true(cw_loop_run_until(w->loop, second_runs, w, 10000));
}

static void warm_containers_are_told_by_pair(void **state)
{
    struct world *w = *state;

    w->host[1].pairs[0] = w->host[1].pairs[2] = 0xabcdef;
    w->host[1].pairs[1] = UINT64_MAX;
    w->host[1].pair_count = 3;
    start(w, 0);
    start(w, 1);
    wait_alive(w, 0, 1);
    assert_true(cw_loop_run_until(w->loop, second_is_warm, w, 10000));
    assert_int_equal(second(w, UINT64_MAX).warm, 1);
    assert_int_equal(second(w, 5).warm, 0);
}

static void a_silent_host_is_dead_after_its_time_and_no_clock_on_the_wall_matters(void **state)
{
    struct world *w = *state;

    w->clock.wall_us = INT64_C(1000) * 1000 * 1000 * 1000;
    start(w, 0);
    start(w, 1);
    wait_alive(w, 0, 1);
    inv_hosts_free(w->host[1].hosts); /* as if it was killed */
    w->host[1].hosts = NULL;
    w->clock.wall_us += INT64_C(3600) * 1000 * 1000;
    w->clock.ahead_us += 2900 * 1000;
    run_turns(w->loop);
    assert_int_equal(inv_hosts_alive(w->host[0].hosts), 1);
    w->clock.ahead_us += 110 * 1000;
    w->host[0].changes = 0;
    wait_alive(w, 0, 0);
    assert_true(second(w, 0).dead);
    assert_true(w->host[0].changes > 0);
    start(w, 1);
    wait_alive(w, 0, 1);
    assert_false(second(w, 0).dead);
}

/* What a host that is not there would have written. */
static void put_state_of(struct world *w, uint64_t seq, uint32_t running, const char *topic)
{
    struct inv_host_state s = {.boot = 1, .seq = seq, .topic = topic, .instance = "{}"};
    struct cw_kv_field fields[INV_HOST_FIELDS];
    struct cw_kv_put put = {.key = "host:1", .index = "hosts", .fields = fields};
    struct cw_arena arena;

    s.view = (struct inv_host_view){
        .id = 1, .cpu_total_millis = 1000, .memory_total_bytes = 1 << 30, .running = running};
    cw_arena_init(&arena);
    put.count = inv_host_state_encode(&s, &arena, fields);
    cw_kv_put(w->kv, &put, NULL, NULL, NULL);
    cw_arena_done(&arena);
}

static void put_state(struct world *w, uint64_t seq, uint32_t running)
{
    put_state_of(w, seq, running, "cwhisk1");
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

/* A kv on which the process stands still for some seconds between question and answer, and the
 * peer has said something new by then. */
static struct {
    struct cw_kv_ops ops;
    const struct cw_kv_ops *real;
    struct world *w; /* NULL: not this time */
} still;

static void get_and_stand_still(struct cw_kv *kv, const char *const *keys, size_t count,
                                struct cw_kv_call *call)
{
    still.real->get(kv, keys, count, call);
    if (still.w) {
        still.w->clock.ahead_us += 10 * 1000 * 1000;
        put_state(still.w, 3, 7);
        still.w = NULL;
    }
}

static void some_turns(struct world *w)
{
    for (int turn = 0; turn < 5; turn++)
        (void)cw_loop_run_until(w->loop, never, NULL, 20);
}

static bool second_is_usable(void *arg)
{
    const struct inv_host_view v = second(arg, 0);

    return inv_host_usable(&v, false) == INV_USABLE;
}

/* Its state may lie there since before it was killed, and we, too. */
static void who_is_found_gets_nothing_before_it_has_said_something_new(void **state)
{
    struct world *w = *state;
    struct inv_host_view v;
    int changes;

    put_state(w, 1, 0);
    start(w, 0);
    wait_alive(w, 0, 1); /* who waits for something of it goes on waiting */
    some_turns(w);
    v = second(w, 0);
    assert_int_equal(inv_host_usable(&v, false), INV_UNUSABLE_UNHEARD);
    changes = w->host[0].changes;
    put_state(w, 2, 0);
    assert_true(cw_loop_run_until(w->loop, second_is_usable, w, 10000));
    assert_true(w->host[0].changes > changes); /* what waits for room looks again */
}

static bool second_is_unknown(void *arg)
{
    struct world *w = arg;
    struct inv_peer peer;

    return !inv_hosts_find(w->host[0].hosts, 1, &peer);
}

/* kv is away, and comes back with nothing in it. */
static void empty_kv(struct world *w)
{
    struct kv_answer a = {0};

    cw_kv_remove(w->kv, "host:1", "hosts", kv_answer_done, &a, NULL);
    kv_set_state(w->kv, false, "away");
    kv_wait(w->loop, &a);
    assert_int_equal(a.code, CW_OK);
    kv_set_state(w->kv, true, NULL);
    some_turns(w);
}

/* Not all find at the same time that kv is back: what one has of ours is not lost by that. */
static void who_has_not_found_an_emptied_kv_yet_has_not_left(void **state)
{
    struct world *w = *state;
    struct inv_host_view v;

    put_state(w, 1, 0);
    start(w, 0);
    wait_alive(w, 0, 1);
    put_state(w, 2, 0);
    assert_true(cw_loop_run_until(w->loop, second_is_usable, w, 10000));
    empty_kv(w);
    w->clock.ahead_us += 5500 * 1000;
    some_turns(w);
    assert_int_equal(inv_hosts_alive(w->host[0].hosts), 1);
    v = second(w, 0);
    assert_int_equal(inv_host_usable(&v, false), INV_UNUSABLE_UNHEARD);
    put_state(w, 3, 0);
    assert_true(cw_loop_run_until(w->loop, second_is_usable, w, 10000));

    empty_kv(w);
    w->clock.ahead_us += 9100 * 1000;
    assert_true(cw_loop_run_until(w->loop, second_is_unknown, w, 10000));
    assert_int_equal(inv_hosts_alive(w->host[0].hosts), 0);
}

static void who_stood_still_takes_nobody_for_dead_before_it_has_asked_again(void **state)
{
    struct world *w = *state;

    still.real = w->kv->ops;
    still.ops = *still.real;
    still.ops.get = get_and_stand_still;
    w->kv->ops = &still.ops;
    put_state(w, 1, 0);
    start(w, 0);
    wait_alive(w, 0, 1);
    put_state(w, 2, 0);
    assert_true(cw_loop_run_until(w->loop, second_is_usable, w, 10000));
    w->host[0].changes = 0;
    still.w = w;
    assert_true(cw_loop_run_until(w->loop, second_runs, w, 10000));
    assert_int_equal(w->host[0].changes, 0);
    assert_int_equal(inv_hosts_alive(w->host[0].hosts), 1);
}

static void who_leaves_is_forgotten_at_once(void **state)
{
    struct world *w = *state;
    struct inv_peer peer;

    start(w, 0);
    start(w, 1);
    wait_alive(w, 0, 1);
    inv_hosts_leave(w->host[1].hosts);
    wait_alive(w, 0, 0);
    assert_false(inv_hosts_find(w->host[0].hosts, 1, &peer));
}

static void a_draining_host_says_so(void **state)
{
    struct world *w = *state;

    w->host[1].figures.draining = true;
    start(w, 0);
    start(w, 1);
    wait_alive(w, 0, 1);
    assert_true(second(w, 0).draining);
}

static void a_host_that_takes_no_forwarded_work_is_told_from_a_draining_one(void **state)
{
    struct world *w = *state;
    cw_auto_str struct cw_str page;

    w->host[1].figures.alone = true;
    start(w, 0);
    start(w, 1);
    wait_alive(w, 0, 1);
    assert_true(second(w, 0).alone);
    assert_false(second(w, 0).draining);
    assert_int_equal(inv_host_usable(&(struct inv_host_view){.alone = true}, false),
                     INV_UNUSABLE_ALONE);
    cw_str_init(&page, 1 << 20);
    inv_hosts_render(w->host[0].hosts, &page);
    assert_non_null(strstr(page.p, "\"state\":\"alone\""));
    assert_null(strstr(page.p, "\"state\":\"draining\""));
}

static void what_was_sent_counts_until_the_next_publication(void **state)
{
    struct world *w = *state;

    start(w, 0);
    start(w, 1);
    wait_alive(w, 0, 1);
    inv_hosts_forwarded(w->host[0].hosts, 1, 77, 500, 1 << 20);
    inv_hosts_forwarded(w->host[0].hosts, 1, 78, 250, 1 << 20);
    inv_hosts_forwarded(w->host[0].hosts, 9, 78, 250, 1 << 20); /* nobody */
    assert_int_equal(second(w, 77).forwards.count, 2);
    assert_int_equal(second(w, 77).forwards.same, 1);
    assert_int_equal(second(w, 77).forwards.cpu_millis, 750);
    assert_int_equal(second(w, 77).forwards.memory_bytes, 2 << 20);
    w->host[1].figures.running = 7;
    inv_hosts_changed(w->host[1].hosts);
    assert_true(cw_loop_run_until(w->loop, second_runs, w, 10000));
    assert_int_equal(second(w, 77).forwards.count, 0);
}

static void put_garbage(struct world *w, const char *key, const char *name, const char *value)
{
    const struct cw_kv_field f = {cw_slice_of(name), cw_slice_of(value)};
    const struct cw_kv_put put = {.key = key, .index = "hosts", .fields = &f, .count = 1};
    struct kv_answer a = {0};

    cw_kv_put(w->kv, &put, kv_answer_done, &a, NULL);
    kv_wait(w->loop, &a);
    assert_int_equal(a.code, CW_OK);
}

static void garbage_and_other_versions_are_nobody(void **state)
{
    struct world *w = *state;

    put_garbage(w, "host:5", "v", "2");
    put_garbage(w, "host:6", "\xff", "\r\n");
    put_garbage(w, "host:", "v", "1");
    put_garbage(w, "host:-1", "v", "1");
    put_garbage(w, "host:99999999999999999999", "v", "1");
    put_garbage(w, "else", "v", "1");
    start(w, 0);
    start(w, 1);
    wait_alive(w, 0, 1);
    (void)second(w, 0);
}

/* Work would go where it tells; of another's topic its owner would ack in its own name. */
static void who_claims_a_topic_that_is_not_its_own_is_nobody(void **state)
{
    static const char *const CLAIMED[] = {"invoker1", "cwhisk2",  "completed0", "cwhisk",
                                          "cwhisk11", "cwhisk01", "pre_cwhisk1"};
    struct world *w = *state;
    struct inv_peer peer;

    start(w, 0);
    for (size_t i = 0; i < CW_ARRAY_LEN(CLAIMED); i++) {
        put_state_of(w, i, 0, CLAIMED[i]);
        some_turns(w);
        assert_false(inv_hosts_find(w->host[0].hosts, 1, &peer));
    }
    put_state(w, 99, 0);
    wait_alive(w, 0, 1);
}

/* As many as are to be read, and the neighbours among them. */
static bool sees_neighbours(void *arg)
{
    static const uint64_t NEAR[] = {18, 19, 21, 22};
    const struct world *w = arg;
    struct inv_peer peer;
    size_t near = 0;

    for (size_t i = 0; i < CW_ARRAY_LEN(NEAR); i++)
        near += inv_hosts_find(w->host[20].hosts, NEAR[i], &peer) && peer.alive;
    return near == CW_ARRAY_LEN(NEAR) && inv_hosts_alive(w->host[20].hosts) == FEW;
}

static void of_many_some_are_read_and_neighbours_always(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < MEMBERS; i++)
        start_reading(w, i, FEW);
    assert_true(cw_loop_run_until(w->loop, sees_neighbours, w, 10000));
}

static bool ignore(void *arg, const struct peer *peer)
{
    (void)arg, (void)peer;
    return true;
}

static bool wants(const struct peers *p, uint64_t id)
{
    for (size_t i = 0; i < p->wanted_count; i++)
        if (p->wanted[i] == id)
            return true;
    return false;
}

/* Wanted now and in `before`. */
static size_t kept(const struct peers *p, const uint64_t *before, size_t count)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        n += wants(p, before[i]);
    return n;
}

static void everybody_is_drawn_some_time_and_most_stay_from_one_lot_to_the_next(void **state)
{
    enum { MANY = 200, SOME = 20, LOTS = 400 };
    char texts[MANY][16];
    struct cw_slice keys[MANY];
    bool drawn[MANY] = {false};
    uint64_t before[SOME];
    size_t stayed = 0;
    struct peers p;

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "host:%zu", i);
        keys[i] = cw_slice_of(texts[i]);
    }
    peers_init(&p, 100, 42, SOME);
    peers_set_members(&p, keys, MANY, ignore, NULL);
    assert_int_equal(p.member_count, MANY - 1); /* not ourselves */
    for (size_t lot = 0; lot < LOTS; lot++) {
        assert_true(peers_draw(&p, (int64_t)lot * 5000000));
        assert_int_equal(p.wanted_count, SOME);
        assert_true(wants(&p, 98) && wants(&p, 99) && wants(&p, 101) && wants(&p, 102));
        stayed += lot ? kept(&p, before, SOME) : 0;
        memcpy(before, p.wanted, sizeof(before));
        for (size_t i = 0; i < SOME; i++)
            drawn[p.wanted[i]] = true;
    }
    assert_true(stayed > (size_t)(LOTS - 1) * SOME / 2);
    for (size_t i = 0; i < MANY; i++)
        assert_true(drawn[i] || i == 100);
    peers_done(&p);
}

static void who_is_waited_for_is_read_whatever_the_lot_says(void **state)
{
    enum { MANY = 50, SOME = 6 };
    char texts[MANY][16];
    struct cw_slice keys[MANY];
    struct peers p;

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "host:%zu", i);
        keys[i] = cw_slice_of(texts[i]);
    }
    peers_init(&p, 10, 42, SOME);
    peers_set_members(&p, keys, MANY, ignore, NULL);
    peers_pin(&p, 40);
    peers_pin(&p, 10001);        /* no member: not read */
    (void)peers_take(&p, 10000); /* known, but no member: dropped */
    for (int64_t lot = 0; lot < 100; lot++) {
        assert_true(peers_draw(&p, lot * 5000000));
        assert_true(wants(&p, 40));
        assert_null(peers_find(&p, 10000));
        assert_true(p.wanted_count <= SOME + 1);
    }
    peers_unpin(&p, 40);
    peers_unpin(&p, 40);
    assert_int_equal(p.pinned_count, 1);
    peers_done(&p);
}

static void who_is_not_there_makes_way_for_others(void **state)
{
    enum { MANY = 200, SOME = 10, REAL = 5 };
    char texts[MANY][16];
    struct cw_slice keys[MANY];
    struct peers p;
    size_t found = 0;

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "host:%zu", i);
        keys[i] = cw_slice_of(texts[i]);
    }
    peers_init(&p, 1000, 42, SOME);
    peers_set_members(&p, keys, MANY, ignore, NULL);
    for (int64_t look = 1; look <= MANY; look++) { /* a millisecond each: one lot */
        (void)peers_draw(&p, look * 1000);
        for (size_t i = 0; i < p.wanted_count; i++)
            if (p.wanted[i] % (MANY / REAL) != 7)
                peers_miss(&p, peers_member(&p, p.wanted[i]), look * 1000);
    }
    for (uint64_t i = 0; i < REAL; i++)
        found += wants(&p, i * (MANY / REAL) + 7);
    assert_int_equal(found, REAL);
    assert_int_equal(p.wanted_count, REAL);
    assert_true(peers_draw(&p, PEER_FORGET_US + 100000)); /* they are looked for again */
    assert_int_equal(p.wanted_count, SOME);
    peers_done(&p);
}

enum { DEAD_KEYS = 100 };

/* Of nobody: their states have expired. */
static void put_dead_keys(struct world *w)
{
    const struct cw_kv_field f = {CW_SLICE("v"), CW_SLICE("1")};
    char key[24];
    struct cw_kv_put put = {.key = key, .index = "hosts", .fields = &f, .count = 1, .expire_ms = 1};
    struct kv_answer a = {0};

    for (size_t i = 0; i < DEAD_KEYS; i++) {
        (void)snprintf(key, sizeof(key), "host:%zu", 1000 + i);
        a = (struct kv_answer){0};
        cw_kv_put(w->kv, &put, kv_answer_done, &a, NULL);
        kv_wait(w->loop, &a);
        assert_int_equal(a.code, CW_OK);
    }
    w->clock.ahead_us += 1000000;
}

static bool all_were_looked_for(void *arg)
{
    const struct world *w = arg;
    const struct peers *p = hosts_peers(w->host[0].hosts);
    size_t missing = 0;

    for (size_t i = 0; i < p->member_count; i++)
        missing += p->members[i].missing_us != 0;
    return missing == DEAD_KEYS;
}

static bool index_is_clean(struct world *w)
{
    struct kv_answer a = {0};

    cw_kv_list(w->kv, "hosts", 65536, kv_answer_keys, &a, NULL);
    kv_wait(w->loop, &a);
    return a.code == CW_OK && a.count == 2;
}

static void keys_of_nobody_neither_hide_a_host_nor_stay(void **state)
{
    struct world *w = *state;

    put_dead_keys(w);
    start_reading(w, 0, FEW);
    start_reading(w, 1, FEW);
    wait_alive(w, 0, 1);
    wait_alive(w, 1, 1);
    assert_true(cw_loop_run_until(w->loop, all_were_looked_for, w, 60000));
    w->clock.ahead_us += PEER_FORGET_US;
    for (int turn = 0; turn < 1000 && !index_is_clean(w); turn++)
        (void)cw_loop_run_until(w->loop, never, NULL, 20);
    assert_true(index_is_clean(w));
    wait_alive(w, 0, 1);
}

static void without_kv_there_is_only_this_host(void **state)
{
    struct world *w = *state;
    struct inv_host_view views[2];
    struct cw_kv *kv = w->kv;
    cw_auto_str struct cw_str page;

    cw_str_init(&page, 1 << 16);
    w->kv = NULL;
    start(w, 0);
    w->kv = kv;
    inv_hosts_changed(w->host[0].hosts);
    run_turns(w->loop);
    assert_int_equal(inv_hosts_view(w->host[0].hosts, 0, views, 2), 1);
    assert_true(views[0].self);
    inv_hosts_render(w->host[0].hosts, &page);
    assert_non_null(strstr(page.p, "\"members\":1,\"kv\":\"none\",\"up\":false}"));
}

static void the_page_shows_all(void **state)
{
    struct world *w = *state;
    cw_auto_str struct cw_str page;

    cw_str_init(&page, 1 << 16);
    start(w, 0);
    start(w, 1);
    wait_alive(w, 0, 1);
    assert_true(cw_loop_run_until(w->loop, second_is_usable, w, 10000));
    inv_hosts_render(w->host[0].hosts, &page);
    assert_non_null(strstr(page.p, "{\"invoker\":0,\"state\":\"up\",\"self\":true"));
    assert_non_null(strstr(page.p, "{\"invoker\":1,\"state\":\"up\",\"self\":false"));
    assert_non_null(strstr(page.p, "\"topic\":\"cwhisk1\""));
}

/* ---- the codec ---- */

static void a_state_survives_its_fields(void **state)
{
    const struct inv_host_state s = {
        .boot = 5,
        .seq = 9,
        .topic = "p_cwhisk3",
        .instance = "{\"instance\":3}",
        .view = {.cpu_total_millis = 1,
                 .cpu_used_millis = 2,
                 .cpu_reserved_millis = 3,
                 .memory_total_bytes = INT64_C(1) << 50,
                 .memory_used_bytes = 5,
                 .memory_reserved_bytes = 16,
                 .memory_idle_bytes = 7,
                 .mean_run_us = 8,
                 .cpu_guaranteed = 0.25,
                 .running = UINT32_MAX,
                 .starting = 10,
                 .idle = 11,
                 .queued = 12,
                 .lag = 13,
                 .set = INV_SET_BLACKBOX,
                 .draining = true},
    };
    struct cw_kv_field fields[INV_HOST_FIELDS];
    struct cw_kv_hash hash = {.found = true, .fields = fields};
    struct inv_host_state back;
    struct cw_arena arena;
    struct cw_err err = {0};

    (void)state;
    cw_arena_init(&arena);
    hash.count = inv_host_state_encode(&s, &arena, fields);
    assert_int_equal(inv_host_state_decode(3, &hash, &arena, &back, &err), 0);
    assert_string_equal(back.topic, s.topic);
    assert_string_equal(back.instance, s.instance);
    assert_true(back.boot == 5 && back.seq == 9 && back.view.id == 3);
    back.view.id = 0;
    assert_memory_equal(&back.view, &s.view, sizeof(s.view));
    for (size_t i = 0; i < hash.count; i++) {
        struct cw_slice kept = fields[i].value;

        fields[i].value = CW_SLICE("\n");
        assert_int_equal(inv_host_state_decode(3, &hash, &arena, &back, &err), -1);
        assert_int_equal(err.code, CW_INVALID);
        fields[i].value = kept;
    }
    cw_arena_done(&arena);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(they_see_each_other_with_their_figures),
        CASE(warm_containers_are_told_by_pair),
        CASE(who_stood_still_takes_nobody_for_dead_before_it_has_asked_again),
        CASE(a_silent_host_is_dead_after_its_time_and_no_clock_on_the_wall_matters),
        CASE(who_is_found_gets_nothing_before_it_has_said_something_new),
        CASE(who_has_not_found_an_emptied_kv_yet_has_not_left),
        CASE(who_claims_a_topic_that_is_not_its_own_is_nobody),
        CASE(who_leaves_is_forgotten_at_once),
        CASE(a_draining_host_says_so),
        CASE(a_host_that_takes_no_forwarded_work_is_told_from_a_draining_one),
        CASE(what_was_sent_counts_until_the_next_publication),
        CASE(garbage_and_other_versions_are_nobody),
        CASE(of_many_some_are_read_and_neighbours_always),
        cmocka_unit_test(everybody_is_drawn_some_time_and_most_stay_from_one_lot_to_the_next),
        cmocka_unit_test(who_is_waited_for_is_read_whatever_the_lot_says),
        cmocka_unit_test(who_is_not_there_makes_way_for_others),
        CASE(keys_of_nobody_neither_hide_a_host_nor_stay),
        CASE(without_kv_there_is_only_this_host),
        CASE(the_page_shows_all),
        cmocka_unit_test(a_state_survives_its_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
