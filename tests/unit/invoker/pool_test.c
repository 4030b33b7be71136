#include "tests/support/cmocka_all.h"
#include "tests/support/pool_place.h"

#include "invoker/pool/pool.h"

static const unsigned char HELLO[INV_ACTION_HASH_LEN] = {1};
static const unsigned char OTHER[INV_ACTION_HASH_LEN] = {2};

static struct inv_pool_need need(const char *ns, const unsigned char *hash, uint32_t memory_mb,
                                 uint32_t concurrency)
{
    return (struct inv_pool_need){.namespace_name = cw_slice_of(ns),
                                  .action_hash = hash,
                                  .kind = CW_SLICE("nodejs:20"),
                                  .memory_mb = memory_mb,
                                  .concurrency = concurrency};
}

static struct inv_decision place(struct inv_pool *p, const char *ns, const unsigned char *hash,
                                 uint32_t memory_mb, uint32_t concurrency)
{
    struct inv_pool_need n = need(ns, hash, memory_mb, concurrency);
    struct inv_decision d;

    d = pool_place(p, &n);
    return d;
}

static struct inv_slot *warm_idle(struct inv_pool *p, const char *ns, const unsigned char *hash,
                                  uint32_t mb)
{
    struct inv_decision d = place(p, ns, hash, mb, 1);

    assert_non_null(d.slot);
    inv_pool_warmed(p, d.slot);
    inv_pool_done(p, d.slot);
    assert_int_equal(d.slot->state, INV_SLOT_IDLE);
    return d.slot;
}

static size_t forget_evicted(struct inv_pool *p, const struct inv_decision *d)
{
    struct inv_slot *next;
    size_t n = 0;

    for (struct inv_slot *slot = d->evicted; slot; slot = next, n++) {
        next = slot->next_evicted;
        inv_pool_forget(p, slot);
    }
    return n;
}

static void end(struct inv_pool *p, struct inv_slot *slot)
{
    inv_pool_drop(p, slot);
    inv_pool_forget(p, slot);
}

static void first_activation_creates(void **state)
{
    struct inv_pool *p = inv_pool_new(1024);
    struct inv_decision d = place(p, "guest", HELLO, 256, 1);
    struct inv_pool_stats stats;

    (void)state;
    assert_int_equal(d.choice, INV_CHOICE_CREATE);
    inv_pool_stats(p, &stats);
    assert_int_equal(stats.used_mb, 256);
    assert_int_equal(stats.active, 1);
    end(p, d.slot);
    inv_pool_stats(p, &stats);
    assert_int_equal(stats.used_mb, 0);
    inv_pool_free(p);
}

static void nothing_is_created_where_only_what_exists_is_asked_for(void **state)
{
    struct inv_pool *p = inv_pool_new(1024);
    struct inv_slot *slot = warm_idle(p, "guest", HELLO, 256);
    struct inv_pool_need hello = need("guest", HELLO, 256, 1), other = need("guest", OTHER, 256, 1),
                         huge = need("guest", OTHER, 2048, 1);
    struct inv_pool_stats stats;
    struct inv_decision d;

    (void)state;
    inv_pool_place_existing(p, &hello, &d);
    assert_int_equal(d.choice, INV_CHOICE_WARM);
    assert_ptr_equal(d.slot, slot);
    inv_pool_place_existing(p, &hello, &d);
    assert_int_equal(d.choice, INV_CHOICE_WAIT); /* it has one already */
    inv_pool_place_existing(p, &other, &d);
    assert_int_equal(d.choice, INV_CHOICE_WAIT);
    assert_null(d.slot);
    inv_pool_place_existing(p, &huge, &d);
    assert_int_equal(d.choice, INV_CHOICE_NEVER);
    inv_pool_stats(p, &stats);
    assert_int_equal(stats.used_mb, 256);
    end(p, slot);
    inv_pool_free(p);
}

static void warm_container_of_same_namespace_and_action_is_reused(void **state)
{
    struct inv_pool *p = inv_pool_new(1024);
    struct inv_slot *slot = warm_idle(p, "guest", HELLO, 256);
    struct inv_decision d = place(p, "guest", HELLO, 256, 1);

    (void)state;
    assert_int_equal(d.choice, INV_CHOICE_WARM);
    assert_ptr_equal(d.slot, slot);
    assert_int_equal(slot->state, INV_SLOT_BUSY);
    end(p, slot);
    inv_pool_free(p);
}

static void other_namespace_or_action_does_not_share(void **state)
{
    struct inv_pool *p = inv_pool_new(1024);
    struct inv_slot *slot = warm_idle(p, "guest", HELLO, 256);
    struct inv_decision a = place(p, "alice", HELLO, 256, 1);
    struct inv_decision b = place(p, "guest", OTHER, 256, 1);

    (void)state;
    assert_int_equal(a.choice, INV_CHOICE_CREATE);
    assert_int_equal(b.choice, INV_CHOICE_CREATE);
    end(p, slot);
    end(p, a.slot);
    end(p, b.slot);
    inv_pool_free(p);
}

static void busy_container_is_not_given_a_second_job(void **state)
{
    struct inv_pool *p = inv_pool_new(1024);
    struct inv_decision a = place(p, "guest", HELLO, 256, 1);
    struct inv_decision b;

    (void)state;
    inv_pool_warmed(p, a.slot);
    b = place(p, "guest", HELLO, 256, 1);
    assert_int_equal(b.choice, INV_CHOICE_CREATE);
    assert_ptr_not_equal(a.slot, b.slot);
    end(p, a.slot);
    end(p, b.slot);
    inv_pool_free(p);
}

static void concurrent_action_fills_its_container_before_a_new_one(void **state)
{
    struct inv_pool *p = inv_pool_new(1024);
    struct inv_decision a = place(p, "guest", HELLO, 256, 3);
    struct inv_decision b = place(p, "guest", HELLO, 256, 3);
    struct inv_decision c, d;

    (void)state;
    assert_int_equal(b.choice, INV_CHOICE_STARTING);
    assert_ptr_equal(b.slot, a.slot);
    inv_pool_warmed(p, a.slot);
    c = place(p, "guest", HELLO, 256, 3);
    assert_int_equal(c.choice, INV_CHOICE_WARM);
    d = place(p, "guest", HELLO, 256, 3);
    assert_int_equal(d.choice, INV_CHOICE_CREATE);
    inv_pool_done(p, a.slot);
    inv_pool_done(p, a.slot);
    assert_int_equal(a.slot->state, INV_SLOT_BUSY);
    inv_pool_done(p, a.slot);
    assert_int_equal(a.slot->state, INV_SLOT_IDLE);
    end(p, a.slot);
    end(p, d.slot);
    inv_pool_free(p);
}

static void full_pool_waits_while_all_are_busy(void **state)
{
    struct inv_pool *p = inv_pool_new(512);
    struct inv_decision a = place(p, "guest", HELLO, 256, 1);
    struct inv_decision b = place(p, "guest", HELLO, 256, 1);
    struct inv_decision c = place(p, "guest", HELLO, 256, 1);

    (void)state;
    assert_int_equal(c.choice, INV_CHOICE_WAIT);
    assert_null(c.slot);
    end(p, a.slot);
    c = place(p, "guest", HELLO, 256, 1);
    assert_int_equal(c.choice, INV_CHOICE_CREATE);
    end(p, b.slot);
    end(p, c.slot);
    inv_pool_free(p);
}

static void least_recently_used_idle_ones_are_evicted_just_enough(void **state)
{
    struct inv_pool *p = inv_pool_new(768);
    struct inv_slot *oldest = warm_idle(p, "a", HELLO, 256);
    struct inv_slot *middle = warm_idle(p, "b", HELLO, 256);
    struct inv_slot *newest = warm_idle(p, "c", HELLO, 256);
    struct inv_decision d;

    (void)state;
    d = place(p, "a", HELLO, 256, 1); /* using it makes it the newest */
    assert_ptr_equal(d.slot, oldest);
    inv_pool_done(p, oldest);
    d = place(p, "guest", OTHER, 300, 1);
    assert_int_equal(d.choice, INV_CHOICE_RECREATE);
    assert_int_equal(middle->state, INV_SLOT_GONE);
    assert_int_equal(newest->state, INV_SLOT_GONE);
    assert_int_equal(oldest->state, INV_SLOT_IDLE);
    assert_int_equal(forget_evicted(p, &d), 2);
    end(p, d.slot);
    end(p, oldest);
    inv_pool_free(p);
}

static struct inv_decision place_charged(struct inv_pool *p, const unsigned char *hash,
                                         uint32_t memory_mb, uint32_t charge_mb)
{
    struct inv_pool_need n = need("guest", hash, memory_mb, 1);
    struct inv_decision d;

    n.charge_mb = charge_mb;
    d = pool_place(p, &n);
    return d;
}

static void books_hold_charges_not_limits(void **state)
{
    struct inv_pool *p = inv_pool_new(256);
    struct inv_decision a = place_charged(p, HELLO, 512, 100);
    struct inv_decision b = place_charged(p, HELLO, 512, 150);
    struct inv_decision c = place_charged(p, HELLO, 512, 10);
    struct inv_pool_stats stats;

    (void)state;
    assert_int_equal(a.choice, INV_CHOICE_CREATE);
    assert_int_equal(b.choice, INV_CHOICE_CREATE);
    assert_int_equal(a.slot->memory_mb, 512);
    assert_int_equal(c.choice, INV_CHOICE_WAIT);
    assert_int_equal(place_charged(p, HELLO, 128, 257).choice, INV_CHOICE_NEVER);
    inv_pool_stats(p, &stats);
    assert_int_equal(stats.used_mb, 250);
    assert_int_equal(stats.starting, 2);
    end(p, a.slot);
    end(p, b.slot);
    inv_pool_free(p);
}

static void trimming_takes_idle_ones_by_their_charge(void **state)
{
    struct inv_pool *p = inv_pool_new(1024);
    struct inv_slot *old = warm_idle(p, "a", HELLO, 256), *young = warm_idle(p, "b", HELLO, 256);
    struct inv_slot *gone = inv_pool_trim(p, 1);

    (void)state;
    assert_ptr_equal(gone, old);
    assert_null(gone->next_evicted);
    assert_int_equal(young->state, INV_SLOT_IDLE);
    assert_ptr_equal(inv_pool_trim(p, 1000), young); /* all there is */
    assert_null(inv_pool_trim(p, 1));
    inv_pool_forget(p, old);
    inv_pool_forget(p, young);
    inv_pool_free(p);
}

static void memory_that_shrinks_is_kept_as_containers_go(void **state)
{
    struct inv_pool *p = inv_pool_new(1024);
    struct inv_slot *busy, *last;
    struct inv_pool_stats stats;
    struct inv_decision d;

    (void)state;
    (void)warm_idle(p, "guest", HELLO, 256);
    busy = place(p, "guest", HELLO, 512, 1).slot;
    inv_pool_warmed(p, busy);
    inv_pool_set_memory(p, 512);
    assert_int_equal(place(p, "guest", OTHER, 256, 1).choice, INV_CHOICE_WAIT);
    assert_int_equal(place(p, "guest", OTHER, 1024, 1).choice, INV_CHOICE_NEVER);
    inv_pool_done(p, busy);
    d = place(p, "guest", OTHER, 256, 1);
    assert_int_equal(d.choice, INV_CHOICE_RECREATE);
    assert_int_equal(forget_evicted(p, &d), 2);
    inv_pool_stats(p, &stats);
    assert_int_equal(stats.memory_mb, 512);
    assert_int_equal(stats.used_mb, 256);
    inv_pool_set_memory(p, 2048);
    last = place(p, "guest", HELLO, 1024, 1).slot;
    assert_non_null(last);
    end(p, last);
    end(p, d.slot);
    inv_pool_free(p);
}

static void nothing_is_evicted_when_idle_ones_cannot_cover_the_need(void **state)
{
    struct inv_pool *p = inv_pool_new(512);
    struct inv_slot *idle = warm_idle(p, "a", HELLO, 128);
    struct inv_decision busy = place(p, "b", HELLO, 256, 1);
    struct inv_decision d = place(p, "guest", OTHER, 512, 1);

    (void)state;
    assert_int_equal(d.choice, INV_CHOICE_WAIT);
    assert_null(d.evicted);
    assert_int_equal(idle->state, INV_SLOT_IDLE);
    end(p, idle);
    end(p, busy.slot);
    inv_pool_free(p);
}

static void what_never_fits_is_told_and_evicts_nothing(void **state)
{
    struct inv_pool *p = inv_pool_new(512);
    struct inv_slot *idle = warm_idle(p, "a", HELLO, 512);
    struct inv_decision d = place(p, "guest", OTHER, 513, 1);

    (void)state;
    assert_int_equal(d.choice, INV_CHOICE_NEVER);
    assert_int_equal(idle->state, INV_SLOT_IDLE);
    end(p, idle);
    inv_pool_free(p);
}

static void dropped_slot_takes_no_more_and_frees_its_memory_once(void **state)
{
    struct inv_pool *p = inv_pool_new(256);
    struct inv_slot *slot = warm_idle(p, "guest", HELLO, 256);
    struct inv_pool_stats stats;
    struct inv_decision d;

    (void)state;
    inv_pool_drop(p, slot);
    inv_pool_drop(p, slot);
    inv_pool_stats(p, &stats);
    assert_int_equal(stats.used_mb, 0);
    d = place(p, "guest", HELLO, 256, 1);
    assert_int_equal(d.choice, INV_CHOICE_CREATE);
    assert_ptr_not_equal(d.slot, slot);
    inv_pool_forget(p, slot);
    end(p, d.slot);
    inv_pool_free(p);
}

/* ---- prewarmed containers ---- */

static struct inv_slot *prewarmed(struct inv_pool *p, const char *kind, uint32_t mb,
                                  int64_t expires_us)
{
    struct inv_slot *slot = inv_pool_prepare(p, inv_pool_cell(p, cw_slice_of(kind), mb));

    assert_non_null(slot);
    inv_pool_prepared(p, slot, expires_us);
    assert_int_equal(slot->state, INV_SLOT_PREWARMED);
    return slot;
}

static void prewarmed_container_of_kind_and_size_is_taken(void **state)
{
    struct inv_pool *p = inv_pool_new(1024);
    struct inv_slot *other_kind = prewarmed(p, "python:3", 256, INT64_MAX);
    struct inv_slot *other_size = prewarmed(p, "nodejs:20", 128, INT64_MAX);
    struct inv_slot *fits = prewarmed(p, "nodejs:20", 256, INT64_MAX);
    struct inv_decision d = place(p, "guest", HELLO, 256, 1);

    (void)state;
    assert_int_equal(d.choice, INV_CHOICE_PREWARMED);
    assert_ptr_equal(d.slot, fits);
    assert_int_equal(d.slot->state, INV_SLOT_WARMING);
    assert_int_equal(inv_pool_cell(p, CW_SLICE("nodejs:20"), 256)->taken, 1);
    inv_pool_warmed(p, d.slot);
    inv_pool_done(p, d.slot);
    assert_int_equal(place(p, "guest", HELLO, 256, 1).choice, INV_CHOICE_WARM);
    end(p, fits);
    end(p, other_kind);
    end(p, other_size);
    inv_pool_free(p);
}

static void warm_container_is_preferred_to_a_prewarmed_one(void **state)
{
    struct inv_pool *p = inv_pool_new(1024);
    struct inv_slot *warm = warm_idle(p, "guest", HELLO, 256);
    struct inv_slot *pre = prewarmed(p, "nodejs:20", 256, INT64_MAX);
    struct inv_decision d = place(p, "guest", HELLO, 256, 1);

    (void)state;
    assert_int_equal(d.choice, INV_CHOICE_WARM);
    assert_ptr_equal(d.slot, warm);
    assert_int_equal(pre->state, INV_SLOT_PREWARMED);
    end(p, warm);
    end(p, pre);
    inv_pool_free(p);
}

static void prewarmed_container_that_expires_first_is_taken_first(void **state)
{
    struct inv_pool *p = inv_pool_new(1024);
    struct inv_slot *late = prewarmed(p, "nodejs:20", 256, 30);
    struct inv_slot *soon = prewarmed(p, "nodejs:20", 256, 10);
    struct inv_slot *middle = prewarmed(p, "nodejs:20", 256, 20);

    (void)state;
    assert_ptr_equal(place(p, "a", HELLO, 256, 1).slot, soon);
    assert_ptr_equal(place(p, "b", HELLO, 256, 1).slot, middle);
    assert_ptr_equal(place(p, "c", HELLO, 256, 1).slot, late);
    end(p, soon);
    end(p, middle);
    end(p, late);
    inv_pool_free(p);
}

static void prewarmed_container_is_taken_although_memory_is_full(void **state)
{
    struct inv_pool *p = inv_pool_new(512);
    struct inv_decision busy = place(p, "guest", OTHER, 256, 1);
    struct inv_slot *pre = prewarmed(p, "nodejs:20", 256, INT64_MAX);
    struct inv_pool_stats stats;

    (void)state;
    assert_ptr_equal(place(p, "guest", HELLO, 256, 1).slot, pre);
    inv_pool_stats(p, &stats);
    assert_int_equal(stats.used_mb, 512);
    assert_int_equal(stats.prewarmed, 0);
    assert_int_equal(stats.active, 2);
    end(p, pre);
    end(p, busy.slot);
    inv_pool_free(p);
}

static void container_being_prepared_is_not_taken(void **state)
{
    struct inv_pool *p = inv_pool_new(512);
    struct inv_cell *cell = inv_pool_cell(p, CW_SLICE("nodejs:20"), 256);
    struct inv_slot *preparing = inv_pool_prepare(p, cell);
    struct inv_decision d = place(p, "guest", HELLO, 256, 1);

    (void)state;
    assert_int_equal(d.choice, INV_CHOICE_CREATE);
    assert_int_equal(cell->cold_starts, 1);
    assert_int_equal(inv_cell_count(cell), 1);
    end(p, preparing);
    assert_int_equal(inv_cell_count(cell), 0);
    end(p, d.slot);
    inv_pool_free(p);
}

static void only_cold_starts_that_a_cell_could_have_served_are_counted(void **state)
{
    struct inv_pool *p = inv_pool_new(256);
    struct inv_cell *cell = inv_pool_cell(p, CW_SLICE("nodejs:20"), 256);
    struct inv_decision small = place(p, "guest", OTHER, 128, 1), recreated;

    (void)state;
    assert_int_equal(cell->cold_starts, 0);
    inv_pool_warmed(p, small.slot);
    inv_pool_done(p, small.slot);
    recreated = place(p, "guest", HELLO, 256, 1);
    assert_int_equal(recreated.choice, INV_CHOICE_RECREATE);
    assert_int_equal(cell->cold_starts, 1);
    inv_pool_forget(p, small.slot);
    end(p, recreated.slot);
    inv_pool_free(p);
}

static void prewarmed_containers_count_against_memory(void **state)
{
    struct inv_pool *p = inv_pool_new(640);
    struct inv_cell *cell = inv_pool_cell(p, CW_SLICE("nodejs:20"), 256);
    struct inv_slot *preparing = inv_pool_prepare(p, cell);
    struct inv_slot *ready = prewarmed(p, "nodejs:20", 256, INT64_MAX);
    struct inv_pool_stats stats;

    (void)state;
    assert_null(inv_pool_prepare(p, cell)); /* 768 of 640 MB */
    inv_pool_stats(p, &stats);
    assert_int_equal(stats.used_mb, 512);
    assert_int_equal(stats.prewarmed_mb, 512);
    assert_int_equal(stats.prewarmed, 2);
    assert_int_equal(place(p, "guest", HELLO, 512, 1).choice, INV_CHOICE_WAIT);
    end(p, preparing);
    end(p, ready);
    inv_pool_free(p);
}

static void prewarmed_containers_are_not_evicted_for_space(void **state)
{
    struct inv_pool *p = inv_pool_new(768);
    struct inv_decision busy = place(p, "guest", HELLO, 512, 1);
    struct inv_slot *pre = prewarmed(p, "nodejs:20", 256, INT64_MAX);
    struct inv_decision d = place(p, "guest", OTHER, 128, 1);

    (void)state;
    assert_int_equal(d.choice, INV_CHOICE_WAIT);
    assert_int_equal(pre->state, INV_SLOT_PREWARMED);
    end(p, busy.slot);
    end(p, pre);
    inv_pool_free(p);
}

/* Stock would let the activation wait for ever. */
static void prewarmed_containers_give_way_when_nothing_else_ever_would(void **state)
{
    struct inv_pool *p = inv_pool_new(768);
    struct inv_slot *idle = warm_idle(p, "guest", HELLO, 256);
    struct inv_slot *one = prewarmed(p, "nodejs:20", 256, INT64_MAX);
    struct inv_slot *two = prewarmed(p, "nodejs:20", 256, INT64_MAX);
    struct inv_decision d = place(p, "guest", OTHER, 512, 1);

    (void)state;
    assert_int_equal(d.choice, INV_CHOICE_RECREATE);
    assert_int_equal(idle->state, INV_SLOT_GONE);
    assert_int_equal(one->state, INV_SLOT_GONE);
    assert_int_equal(two->state, INV_SLOT_PREWARMED);
    assert_int_equal(forget_evicted(p, &d), 2);
    end(p, two);
    end(p, d.slot);
    inv_pool_free(p);
}

static void warming_one_is_preferred_to_one_that_starts_cold(void **state)
{
    struct inv_pool *p = inv_pool_new(1024);
    struct inv_slot *pre = prewarmed(p, "nodejs:20", 256, INT64_MAX);
    struct inv_decision a = place(p, "guest", HELLO, 256, 2), b, c;

    (void)state;
    assert_int_equal(a.choice, INV_CHOICE_PREWARMED);
    b = place(p, "guest", HELLO, 256, 2);
    assert_int_equal(b.choice, INV_CHOICE_WARMING);
    assert_ptr_equal(b.slot, pre);
    c = place(p, "guest", HELLO, 256, 2); /* the other is full */
    assert_int_equal(c.choice, INV_CHOICE_CREATE);
    inv_pool_done(p, pre);
    b = place(p, "guest", HELLO, 256, 2); /* both have room now */
    assert_ptr_equal(b.slot, pre);
    b = place(p, "guest", HELLO, 256, 2);
    assert_int_equal(b.choice, INV_CHOICE_STARTING);
    assert_ptr_equal(b.slot, c.slot);
    end(p, pre);
    end(p, c.slot);
    inv_pool_free(p);
}

static void expired_ones_leave_oldest_first_up_to_the_limit(void **state)
{
    struct inv_pool *p = inv_pool_new(2048);
    struct inv_slot *b = prewarmed(p, "nodejs:20", 256, 20);
    struct inv_slot *a = prewarmed(p, "python:3", 256, 10);
    struct inv_slot *c = prewarmed(p, "nodejs:20", 256, 30);
    struct inv_slot *never = prewarmed(p, "nodejs:20", 128, INT64_MAX);
    struct inv_slot *gone;

    (void)state;
    assert_null(inv_pool_expire(p, 9, 10));
    gone = inv_pool_expire(p, 100, 2);
    assert_ptr_equal(gone, a);
    assert_ptr_equal(gone->next_evicted, b);
    assert_null(b->next_evicted);
    assert_int_equal(c->state, INV_SLOT_PREWARMED);
    assert_ptr_equal(inv_pool_expire(p, 100, 2), c);
    assert_int_equal(never->state, INV_SLOT_PREWARMED);
    inv_pool_forget(p, a);
    inv_pool_forget(p, b);
    inv_pool_forget(p, c);
    end(p, never);
    inv_pool_free(p);
}

/* Many random steps: the books never exceed the limit and always equal the sum of what is alive. */
static void books_hold_under_random_use(void **state)
{
    enum { LIVE = 64, STEPS = 20000 };
    struct inv_pool *p = inv_pool_new(2048);
    struct inv_slot *live[LIVE] = {0};
    uint64_t rng = 42;

    (void)state;
    for (int step = 0; step < STEPS; step++) {
        uint32_t sum = 0, r;
        struct inv_pool_stats stats;
        struct inv_slot **at;

        rng = rng * 6364136223846793005u + 1442695040888963407u;
        r = (uint32_t)(rng >> 33);
        at = &live[r % LIVE];
        if (*at && ((*at)->state == INV_SLOT_STARTING || (*at)->state == INV_SLOT_WARMING)) {
            inv_pool_warmed(p, *at);
        } else if (*at && (*at)->state == INV_SLOT_PREPARING) {
            inv_pool_prepared(p, *at, r);
        } else if (!*at && r & 256) {
            *at = inv_pool_prepare(p, inv_pool_cell(p, CW_SLICE("nodejs:20"), 128 + (r & 128)));
        } else if (*at && (*at)->state == INV_SLOT_BUSY && r & 64) {
            inv_pool_done(p, *at);
        } else if (*at && r & 128) {
            end(p, *at);
            *at = NULL;
        } else if (!*at) {
            unsigned char hash[INV_ACTION_HASH_LEN] = {(unsigned char)(r >> 8) & 3};
            struct inv_decision d =
                place(p, r & 4096 ? "a" : "b", hash, 128 + (r >> 12) % 4 * 128, 1 + (r >> 20) % 3);

            for (struct inv_slot *gone = d.evicted, *next; gone; gone = next) {
                next = gone->next_evicted;
                for (int i = 0; i < LIVE; i++)
                    if (live[i] == gone)
                        live[i] = NULL;
                inv_pool_forget(p, gone);
            }
            if (d.choice == INV_CHOICE_CREATE || d.choice == INV_CHOICE_RECREATE)
                *at = d.slot;
        }
        for (int i = 0; i < LIVE; i++)
            sum += live[i] ? live[i]->memory_mb : 0;
        inv_pool_stats(p, &stats);
        assert_int_equal(stats.used_mb, sum);
        assert_true(stats.idle_mb + stats.prewarmed_mb <= sum);
        assert_true(stats.used_mb <= 2048);
    }
    for (int i = 0; i < LIVE; i++)
        if (live[i])
            end(p, live[i]);
    inv_pool_free(p);
}

/* ---- containers that are resized ---- */

static struct inv_decision place_resizing(struct inv_pool *p, uint32_t memory_mb)
{
    struct inv_pool_need n = need("guest", HELLO, memory_mb, 1);
    struct inv_decision d;

    n.resizes = true;
    d = pool_place(p, &n);
    return d;
}

static void container_of_another_size_is_not_reused_unless_it_may_be_resized(void **state)
{
    struct inv_pool *p = inv_pool_new(1024);
    struct inv_slot *slot = warm_idle(p, "guest", HELLO, 256);
    struct inv_decision d = place(p, "guest", HELLO, 128, 1);
    struct inv_pool_stats s;

    (void)state;
    assert_int_equal(d.choice, INV_CHOICE_CREATE);
    inv_pool_drop(p, d.slot);
    inv_pool_forget(p, d.slot);
    d = place_resizing(p, 128);
    assert_int_equal(d.choice, INV_CHOICE_WARM);
    assert_ptr_equal(d.slot, slot);
    assert_int_equal(d.was_mb, 256);
    assert_int_equal(slot->memory_mb, 128);
    inv_pool_stats(p, &s);
    assert_int_equal(s.used_mb, 128);
    inv_pool_done(p, slot);
    inv_pool_stats(p, &s);
    assert_int_equal(s.idle_mb, 128);
    inv_pool_drop(p, slot);
    inv_pool_forget(p, slot);
    inv_pool_free(p);
}

static void container_of_the_right_size_comes_before_one_to_be_resized(void **state)
{
    struct inv_pool *p = inv_pool_new(1024);
    struct inv_slot *small = warm_idle(p, "guest", HELLO, 128);
    struct inv_slot *large = warm_idle(p, "guest", HELLO, 256);
    struct inv_decision d = place_resizing(p, 128);

    (void)state;
    assert_ptr_equal(d.slot, small);
    d = place_resizing(p, 128);
    assert_ptr_equal(d.slot, large);
    inv_pool_drop(p, small);
    inv_pool_forget(p, small);
    inv_pool_drop(p, large);
    inv_pool_forget(p, large);
    inv_pool_free(p);
}

static void busy_container_is_not_resized(void **state)
{
    struct inv_pool *p = inv_pool_new(1024);
    struct inv_decision busy = place(p, "guest", HELLO, 256, 2), d;

    (void)state;
    inv_pool_warmed(p, busy.slot);
    d = place_resizing(p, 128);
    assert_int_equal(d.choice, INV_CHOICE_CREATE);
    inv_pool_drop(p, d.slot);
    inv_pool_forget(p, d.slot);
    inv_pool_drop(p, busy.slot);
    inv_pool_forget(p, busy.slot);
    inv_pool_free(p);
}

static void container_grows_only_within_the_memory_that_there_is(void **state)
{
    struct inv_pool *p = inv_pool_new(512);
    struct inv_slot *slot = warm_idle(p, "guest", HELLO, 256);
    struct inv_decision other = place(p, "guest", OTHER, 128, 1), d;

    (void)state;
    d = place_resizing(p, 512);
    assert_int_equal(d.choice, INV_CHOICE_WAIT);
    d = place_resizing(p, 384);
    assert_ptr_equal(d.slot, slot);
    inv_pool_drop(p, slot);
    inv_pool_forget(p, slot);
    inv_pool_drop(p, other.slot);
    inv_pool_forget(p, other.slot);
    inv_pool_free(p);
}

static void warm_only_takes_no_new_container_and_evicts_none(void **state)
{
    struct inv_pool *p = inv_pool_new(256);
    struct inv_slot *idle = warm_idle(p, "guest", OTHER, 256);
    struct inv_pool_need n = need("guest", HELLO, 256, 1);
    struct inv_decision d;

    (void)state;
    n.warm_only = true;
    d = pool_place(p, &n);
    assert_int_equal(d.choice, INV_CHOICE_WAIT);
    assert_null(d.evicted);
    n.action_hash = OTHER;
    d = pool_place(p, &n);
    assert_ptr_equal(d.slot, idle);
    inv_pool_drop(p, idle);
    inv_pool_forget(p, idle);
    inv_pool_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_activation_creates),
        cmocka_unit_test(nothing_is_created_where_only_what_exists_is_asked_for),
        cmocka_unit_test(warm_container_of_same_namespace_and_action_is_reused),
        cmocka_unit_test(other_namespace_or_action_does_not_share),
        cmocka_unit_test(busy_container_is_not_given_a_second_job),
        cmocka_unit_test(concurrent_action_fills_its_container_before_a_new_one),
        cmocka_unit_test(full_pool_waits_while_all_are_busy),
        cmocka_unit_test(least_recently_used_idle_ones_are_evicted_just_enough),
        cmocka_unit_test(books_hold_charges_not_limits),
        cmocka_unit_test(trimming_takes_idle_ones_by_their_charge),
        cmocka_unit_test(memory_that_shrinks_is_kept_as_containers_go),
        cmocka_unit_test(nothing_is_evicted_when_idle_ones_cannot_cover_the_need),
        cmocka_unit_test(what_never_fits_is_told_and_evicts_nothing),
        cmocka_unit_test(dropped_slot_takes_no_more_and_frees_its_memory_once),
        cmocka_unit_test(prewarmed_container_of_kind_and_size_is_taken),
        cmocka_unit_test(warm_container_is_preferred_to_a_prewarmed_one),
        cmocka_unit_test(prewarmed_container_that_expires_first_is_taken_first),
        cmocka_unit_test(prewarmed_container_is_taken_although_memory_is_full),
        cmocka_unit_test(container_being_prepared_is_not_taken),
        cmocka_unit_test(only_cold_starts_that_a_cell_could_have_served_are_counted),
        cmocka_unit_test(prewarmed_containers_count_against_memory),
        cmocka_unit_test(prewarmed_containers_are_not_evicted_for_space),
        cmocka_unit_test(prewarmed_containers_give_way_when_nothing_else_ever_would),
        cmocka_unit_test(warming_one_is_preferred_to_one_that_starts_cold),
        cmocka_unit_test(expired_ones_leave_oldest_first_up_to_the_limit),
        cmocka_unit_test(books_hold_under_random_use),
        cmocka_unit_test(container_of_another_size_is_not_reused_unless_it_may_be_resized),
        cmocka_unit_test(container_of_the_right_size_comes_before_one_to_be_resized),
        cmocka_unit_test(busy_container_is_not_resized),
        cmocka_unit_test(container_grows_only_within_the_memory_that_there_is),
        cmocka_unit_test(warm_only_takes_no_new_container_and_evicts_none),
    };

    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
