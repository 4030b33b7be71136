#include "tests/support/cmocka_all.h"
#include "tests/support/pool_place.h"

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/model/manifest.h"
#include "common/obs/metrics.h"
#include "invoker/pool/pool.h"
#include "invoker/prewarm.h"
#include "invoker/settings.h"
#include "tests/support/jobs.h"

enum { WAIT_MS = 10000, MAX_SLOTS = 64 };

struct world {
    struct cw_clock clock;
    int64_t skipped_us; /* the clock is the machine's and this */
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    struct inv_settings settings;
    struct cw_manifest *manifest;
    struct inv_pool *pool;
    struct inv_prewarm *prewarm;
    struct inv_slot *slots[MAX_SLOTS]; /* alive, in order of creation */
    size_t count;
    unsigned created, removed, wakes, wanted_wakes;
};

static int64_t wall_us(const struct cw_clock *c)
{
    (void)c;
    return cw_clock_system()->wall_us(cw_clock_system());
}

static int64_t mono_us(const struct cw_clock *c)
{
    return cw_clock_system()->mono_us(cw_clock_system()) + ((const struct world *)c)->skipped_us;
}

static void create(void *arg, struct inv_slot *slot, const struct cw_runtime *rt)
{
    struct world *w = arg;

    assert_string_equal(rt->kind, slot->cell->kind);
    assert_true(w->count < MAX_SLOTS);
    w->slots[w->count++] = slot;
    w->created++;
}

static void lose(struct world *w, struct inv_slot *slot)
{
    size_t i = 0;

    while (w->slots[i] != slot)
        i++;
    memmove(&w->slots[i], &w->slots[i + 1], (--w->count - i) * sizeof(slot));
    inv_pool_drop(w->pool, slot);
    inv_pool_forget(w->pool, slot);
}

static void remove_chain(void *arg, struct inv_slot *chain)
{
    struct world *w = arg;
    struct inv_slot *next;

    for (struct inv_slot *slot = chain; slot; slot = next, w->removed++) {
        next = slot->next_evicted;
        lose(w, slot);
    }
}

static void wake(void *arg)
{
    ((struct world *)arg)->wakes++;
}

/* stem_cells: JSON array of nodejs:20. */
static struct world *begin(unsigned memory_mb, const char *stem_cells)
{
    const char *fast[] = {"CONFIG_whisk_containerPool_prewarmExpirationCheckInitDelay=1 ms",
                          "CONFIG_whisk_containerPool_prewarmExpirationCheckInterval=1 ms",
                          "CONFIG_whisk_containerPool_prewarmExpirationCheckIntervalVariance=0 ms",
                          "CONFIG_whisk_containerPool_prewarmExpirationLimit=2", NULL};
    struct world *w = cw_alloc(sizeof(*w));
    struct cw_err err = {0};
    struct cw_str text;

    test_settings(fast, &w->settings);
    cw_str_init(&text, 4096);
    cw_str_addf(&text,
                "{\"runtimes\":{\"nodejs\":[{\"kind\":\"nodejs:20\",\"default\":true,\"image\":{"
                "\"name\":\"node\"},\"stemCells\":%s}]},\"blackboxes\":[]}",
                stem_cells);
    w->manifest = cw_manifest_parse(cw_str_slice(&text), &err);
    assert_string_equal(err.msg, "");
    cw_str_done(&text);
    w->clock = (struct cw_clock){wall_us, mono_us};
    w->loop = cw_loop_new(&w->clock, NULL);
    w->metrics = cw_metrics_new();
    w->pool = inv_pool_new(memory_mb);
    w->prewarm = inv_prewarm_new(&(struct inv_prewarm_conf){
        .loop = w->loop,
        .settings = &w->settings,
        .manifest = w->manifest,
        .pool = w->pool,
        .metrics = w->metrics,
        .create = create,
        .remove = remove_chain,
        .wake = wake,
        .arg = w,
    });
    inv_prewarm_start(w->prewarm);
    inv_prewarm_fill(w->prewarm);
    return w;
}

static void end_world(struct world *w)
{
    inv_prewarm_free(w->prewarm);
    while (w->count)
        lose(w, w->slots[0]);
    inv_pool_free(w->pool);
    cw_manifest_free(w->manifest);
    cw_metrics_free(w->metrics);
    cw_conf_free(inv_settings_table(), &w->settings);
    cw_loop_free(w->loop);
    free(w);
}

static void all_created(struct world *w)
{
    for (size_t i = 0; i < w->count; i++)
        inv_prewarm_created(w->prewarm, w->slots[i]);
}

static bool enough_wakes(void *arg)
{
    struct world *w = arg;

    return w->wakes >= w->wanted_wakes;
}

static void wait_look(struct world *w)
{
    w->wanted_wakes = w->wakes + 1;
    assert_true(cw_loop_run_until(w->loop, enough_wakes, w, WAIT_MS));
}

/* An activation of nodejs:20 with 256 MB. */
static struct inv_decision place(struct world *w, unsigned char action)
{
    unsigned char hash[INV_ACTION_HASH_LEN] = {action};
    struct inv_pool_need need = {.namespace_name = CW_SLICE("guest"),
                                 .action_hash = hash,
                                 .kind = CW_SLICE("nodejs:20"),
                                 .memory_mb = 256,
                                 .concurrency = 1};
    struct inv_decision d;

    d = pool_place(w->pool, &need);
    return d;
}

static struct inv_slot *cold_start(struct world *w, unsigned char action)
{
    struct inv_decision d = place(w, action);

    assert_int_equal(d.choice, INV_CHOICE_CREATE);
    return d.slot;
}

static void end(struct world *w, struct inv_slot *slot)
{
    inv_pool_drop(w->pool, slot);
    inv_pool_forget(w->pool, slot);
}

#define PLAIN "[{\"initialCount\":2,\"memory\":\"256 MB\"}]"
#define REACTIVE(initial, min, max, threshold, increment)                                          \
    "[{\"initialCount\":" #initial ",\"memory\":\"256 MB\",\"reactive\":{\"minCount\":" #min       \
    ",\"maxCount\":" #max ",\"ttl\":\"1 minute\",\"threshold\":" #threshold                        \
    ",\"increment\":" #increment "}}]"

/* ---- tests ---- */

static void wanted_number_follows_the_cold_starts(void **state)
{
    static const struct {
        int64_t min, max, threshold, increment;
        uint64_t cold_starts, wanted;
    } CASES[] = {
        {1, 4, 1, 1, 0, 1}, {1, 4, 1, 1, 1, 1}, {1, 4, 1, 1, 3, 3},  {1, 4, 1, 1, 9, 4},
        {0, 4, 2, 1, 1, 0}, {0, 4, 2, 1, 2, 1}, {0, 4, 2, 1, 5, 2},  {0, 9, 2, 3, 5, 6},
        {0, 9, 2, 3, 7, 9}, {0, 9, 2, 4, 7, 9}, {0, 0, 1, 1, 50, 0}, {2, 8, 1, 8, UINT64_MAX, 8},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        const struct cw_stem_cell cell = {
            .initial_count = 5,
            .reactive = true,
            .min_count = CASES[i].min,
            .max_count = CASES[i].max,
            .threshold = CASES[i].threshold,
            .increment = CASES[i].increment,
        };

        assert_int_equal(inv_prewarm_desired(&cell, INV_REFILL_CHECK, CASES[i].cold_starts),
                         CASES[i].wanted);
        assert_int_equal(inv_prewarm_desired(&cell, INV_REFILL_START, CASES[i].cold_starts), 5);
        assert_int_equal(inv_prewarm_desired(&cell, INV_REFILL_BACKFILL, CASES[i].cold_starts),
                         CASES[i].min);
    }
}

static void wanted_number_without_reactive_part_is_the_initial_one(void **state)
{
    const struct cw_stem_cell cell = {.initial_count = 3};

    (void)state;
    for (int why = INV_REFILL_START; why <= INV_REFILL_CHECK; why++)
        assert_int_equal(inv_prewarm_desired(&cell, (enum inv_refill)why, 100), 3);
}

static void initial_count_is_started_and_filled_up(void **state)
{
    struct world *w = begin(1024, PLAIN);

    (void)state;
    assert_int_equal(w->created, 2);
    inv_prewarm_fill(w->prewarm); /* those that are starting count */
    assert_int_equal(w->created, 2);
    all_created(w);
    lose(w, w->slots[0]);
    inv_prewarm_fill(w->prewarm);
    assert_int_equal(w->created, 3);
    end_world(w);
}

static void initial_count_may_be_below_or_above_the_least_of_reactive(void **state)
{
    struct world *w = begin(2048, REACTIVE(1, 2, 4, 1, 1));

    (void)state;
    assert_int_equal(w->created, 1);
    inv_prewarm_fill(w->prewarm);
    assert_int_equal(w->created, 2);
    end_world(w);
    w = begin(2048, REACTIVE(3, 1, 4, 1, 1));
    assert_int_equal(w->created, 3);
    lose(w, w->slots[0]);
    lose(w, w->slots[0]);
    lose(w, w->slots[0]);
    inv_prewarm_fill(w->prewarm);
    assert_int_equal(w->created, 4);
    end_world(w);
}

static void one_that_was_taken_is_replaced_above_the_least_number(void **state)
{
    struct world *w = begin(2048, REACTIVE(3, 0, 4, 1, 1));
    struct inv_slot *taken;

    (void)state;
    all_created(w);
    taken = place(w, 1).slot;
    assert_int_equal(taken->state, INV_SLOT_WARMING);
    inv_prewarm_fill(w->prewarm);
    assert_int_equal(w->created, 4);
    inv_prewarm_fill(w->prewarm); /* once */
    assert_int_equal(w->created, 4);
    end_world(w);
}

static void nothing_is_created_beyond_the_memory(void **state)
{
    struct world *w = begin(600, "[{\"initialCount\":5,\"memory\":\"256 MB\"}]");

    (void)state;
    assert_int_equal(w->created, 2);
    lose(w, w->slots[0]);
    inv_prewarm_fill(w->prewarm);
    assert_int_equal(w->created, 3);
    end_world(w);
}

static void look_makes_as_many_as_cold_starts_ask_for_and_forgets_them(void **state)
{
    struct world *w = begin(4096, REACTIVE(1, 1, 4, 1, 2));
    struct inv_slot *cold[2];
    struct cw_counter *counter = cw_metrics_counter(
        w->metrics, "counter_containerPool_prewarmColdstart_counter_total", NULL, NULL);

    (void)state;
    cold[0] = cold_start(w, 1);
    cold[1] = cold_start(w, 2);
    wait_look(w);
    inv_prewarm_fill(w->prewarm);
    assert_int_equal(w->created, 4); /* (2 / 1) * 2 */
    assert_int_equal(cw_counter_value(counter), 2);
    while (w->count)
        lose(w, w->slots[0]);
    wait_look(w);
    inv_prewarm_fill(w->prewarm);
    assert_int_equal(w->created, 5);
    end(w, cold[0]);
    end(w, cold[1]);
    end_world(w);
}

static void look_removes_expired_ones_up_to_the_limit(void **state)
{
    struct world *w = begin(4096, REACTIVE(5, 0, 5, 1, 1));
    struct cw_counter *counter = cw_metrics_counter(
        w->metrics, "counter_containerPool_prewarmExpired_counter_total", NULL, NULL);

    (void)state;
    all_created(w);
    wait_look(w);
    assert_int_equal(w->removed, 0);
    w->skipped_us = INT64_C(61) * 1000000; /* its time to live is a minute */
    wait_look(w);
    assert_int_equal(w->removed, 2);
    wait_look(w);
    wait_look(w);
    assert_int_equal(w->removed, 5);
    assert_int_equal(cw_counter_value(counter), 5);
    inv_prewarm_fill(w->prewarm);
    assert_int_equal(w->created, 5);
    end_world(w);
}

static void without_reactive_part_nothing_expires_and_nobody_looks(void **state)
{
    struct world *w = begin(1024, PLAIN);

    (void)state;
    all_created(w);
    w->skipped_us = INT64_C(1000000) * 86400 * 365;
    w->wanted_wakes = 1;
    assert_false(cw_loop_run_until(w->loop, enough_wakes, w, 20));
    assert_null(inv_pool_expire(w->pool, cw_loop_mono_us(w->loop), 10));
    end_world(w);
}

static void failed_creation_is_tried_again_later_and_ever_later(void **state)
{
    struct world *w = begin(1024, PLAIN);

    (void)state;
    for (int64_t wait_ms = 1000, tries = 1; tries <= 8; tries++) {
        inv_prewarm_failed(w->prewarm, w->slots[0]);
        inv_prewarm_failed(w->prewarm, w->slots[1]); /* of the same try: does not count again */
        lose(w, w->slots[0]);
        lose(w, w->slots[0]);
        w->skipped_us += wait_ms * 1000 - 500000;
        inv_prewarm_fill(w->prewarm);
        assert_int_equal(w->created, 2 * tries);
        w->skipped_us += 500000;
        inv_prewarm_fill(w->prewarm);
        assert_int_equal(w->created, 2 * tries + 2);
        wait_ms = wait_ms * 2 > 60000 ? 60000 : wait_ms * 2;
    }
    all_created(w);
    inv_prewarm_failed(w->prewarm, w->slots[0]); /* a success in between: begins at 1 s again */
    lose(w, w->slots[0]);
    w->skipped_us += 1000000;
    inv_prewarm_fill(w->prewarm);
    assert_int_equal(w->created, 19);
    end_world(w);
}

static void same_cell_listed_twice_counts_once(void **state)
{
    struct world *w =
        begin(2048, "[{\"initialCount\":2,\"memory\":\"256 MB\"},{\"initialCount\":3,"
                    "\"memory\":\"256 MB\"},{\"initialCount\":1,\"memory\":\"128 MB\"}]");

    (void)state;
    assert_int_equal(w->created, 3);
    end_world(w);
}

static void after_stop_nothing_is_created(void **state)
{
    struct world *w = begin(1024, PLAIN);

    (void)state;
    inv_prewarm_stop(w->prewarm);
    lose(w, w->slots[0]);
    inv_prewarm_fill(w->prewarm);
    assert_int_equal(w->created, 2);
    end_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wanted_number_follows_the_cold_starts),
        cmocka_unit_test(wanted_number_without_reactive_part_is_the_initial_one),
        cmocka_unit_test(initial_count_is_started_and_filled_up),
        cmocka_unit_test(initial_count_may_be_below_or_above_the_least_of_reactive),
        cmocka_unit_test(one_that_was_taken_is_replaced_above_the_least_number),
        cmocka_unit_test(nothing_is_created_beyond_the_memory),
        cmocka_unit_test(look_makes_as_many_as_cold_starts_ask_for_and_forgets_them),
        cmocka_unit_test(look_removes_expired_ones_up_to_the_limit),
        cmocka_unit_test(without_reactive_part_nothing_expires_and_nobody_looks),
        cmocka_unit_test(failed_creation_is_tried_again_later_and_ever_later),
        cmocka_unit_test(same_cell_listed_twice_counts_once),
        cmocka_unit_test(after_stop_nothing_is_created),
    };

    return cmocka_run_group_tests_name("prewarm", tests, NULL, NULL);
}
