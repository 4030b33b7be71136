/* Removal of what an earlier process left, on an engine that the test plays. */
#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "common/loop/loop.h"
#include "invoker/janitor/cleanup.h"
#include "invoker/janitor/rules.h"
#include "tests/support/fake_driver.h"
#include "tests/support/turns.h"

enum { WAIT_MS = 20000, LIMIT_MS = 600000, SHORT_LIMIT_MS = 50 };

struct world {
    struct cw_loop *loop;
    struct fake_driver driver;
    struct inv_cleanup *cleanup;
    unsigned calls;
    size_t removed, failed;
    struct cw_err err;
};

static void on_done(void *arg, size_t removed, const struct cw_err *err)
{
    struct world *w = arg;

    w->calls++;
    w->removed = removed;
    if (err)
        w->err = *err;
}

static void begin(struct world *w, const struct cw_owned_container *owned, size_t count)
{
    *w = (struct world){.loop = cw_loop_new(NULL, NULL)};
    fake_driver_init(&w->driver, w->loop);
    w->driver.owned = owned;
    w->driver.owned_count = count;
}

/* By the rules, with nothing held. */
static size_t pick(void *arg, const struct cw_owned_container *list, size_t count, size_t *rows)
{
    const struct inv_janitor_policy policy = {
        .prefix = "wsk00_", .cluster = "blue", .memory_part = 1};
    const struct inv_janitor_host host = {0};
    cw_auto_free struct inv_owned *table = cw_calloc(count, sizeof(*table));
    cw_auto_free struct inv_removal *removals = cw_calloc(count, sizeof(*removals));
    size_t n;

    (void)arg;
    for (size_t i = 0; i < count; i++)
        table[i] =
            (struct inv_owned){.name = list[i].name, .cluster = list[i].cluster, .idle_ms = -1};
    n = inv_janitor_judge(&policy, &host, table, count, removals);
    for (size_t i = 0; i < n; i++)
        rows[i] = removals[i].row;
    return n;
}

static void on_removed(void *arg, size_t n, const struct cw_err *err)
{
    struct world *w = arg;

    if (err)
        w->failed = n;
}

static void start(struct world *w, int64_t limit_ms)
{
    w->cleanup = inv_cleanup_start(&(struct inv_cleanup_conf){.loop = w->loop,
                                                              .driver = &w->driver.base,
                                                              .prefix = "wsk00_",
                                                              .limit_ms = limit_ms,
                                                              .pick = pick,
                                                              .on_removed = on_removed,
                                                              .fn = on_done,
                                                              .arg = w});
    assert_int_equal(w->calls, 0); /* never inside the call */
}

static bool is_done(void *arg)
{
    return ((struct world *)arg)->calls > 0;
}

static void wait_done(struct world *w)
{
    assert_true(cw_loop_run_until(w->loop, is_done, w, WAIT_MS));
    run_turns(w->loop);
    assert_int_equal(w->calls, 1);
}

static void end(struct world *w)
{
    cw_driver_free(&w->driver.base);
    cw_loop_free(w->loop);
}

static void only_names_of_ours_are_touched(void **state)
{
    static const struct cw_owned_container OWNED[] = {
        {.id = "a", .name = "wsk00_1_guest_hello", .running = true},
        {.id = "b", .name = "wsk00_12_prewarm_nodejs20"},
        {.id = "c", .name = "wsk00_1", .running = true}, /* no name behind the number */
        {.id = "d",
         .name = "wsk00_x_guest_hello"}, /* somebody's container that happens to begin so */
        {.id = "e", .name = "wsk00_1x_guest"},
        {.id = "f", .name = "wsk00__guest_hello"},
        {.id = "g",
         .name = "wsk001_1_guest_hello"}, /* invoker 1 with the unique name 00, or 01 with 0 */
        {.id = "h", .name = "/wsk00_1_guest_hello"},
        {.id = "i", .name = "Wsk00_1_guest_hello"},
        {.id = "j", .name = "my-wsk00_1_guest_hello"}, /* engines match anywhere in the name */
        {.id = "k", .name = "wsk00_"},
        {.id = "l", .name = "wsk0"},
        {.id = "m", .name = ""},
        {.id = "n", .name = "wsk00_3_"},
    };
    struct world w;

    (void)state;
    begin(&w, OWNED, CW_ARRAY_LEN(OWNED));
    start(&w, LIMIT_MS);
    wait_done(&w);
    assert_string_equal(w.driver.last_prefix, "wsk00_");
    assert_string_equal(w.driver.journal, "remove a, remove b, remove n, ");
    assert_int_equal(w.removed, 3);
    assert_int_equal(w.err.code, CW_OK);
    end(&w);
}

static void containers_of_another_cluster_are_left_alone(void **state)
{
    static const struct cw_owned_container OWNED[] = {
        {.id = "a", .name = "wsk00_1_guest_hello", .cluster = "blue"},
        {.id = "b", .name = "wsk00_2_guest_hello", .cluster = "green"},
        {.id = "c", .name = "wsk00_3_guest_hello", .cluster = ""},
        {.id = "d", .name = "wsk00_4_guest_hello"}, /* stock's, or of before there were labels */
    };
    struct world w;

    (void)state;
    begin(&w, OWNED, CW_ARRAY_LEN(OWNED));
    start(&w, LIMIT_MS);
    wait_done(&w);
    assert_string_equal(w.driver.journal, "remove a, remove d, ");
    end(&w);
}

static void nothing_left_over_is_done_at_once(void **state)
{
    struct world w;

    (void)state;
    begin(&w, NULL, 0);
    start(&w, LIMIT_MS);
    wait_done(&w);
    assert_int_equal(w.removed, 0);
    assert_int_equal(w.err.code, CW_OK);
    assert_string_equal(w.driver.journal, "");
    end(&w);
}

static void frozen_ones_are_thawed_first(void **state)
{
    static const struct cw_owned_container OWNED[] = {
        {.id = "a", .name = "wsk00_1_guest_hello", .paused = true, .running = true},
        {.id = "b", .name = "wsk00_2_guest_hello", .running = true},
    };
    struct world w;

    (void)state;
    begin(&w, OWNED, CW_ARRAY_LEN(OWNED));
    start(&w, LIMIT_MS);
    wait_done(&w);
    assert_string_equal(w.driver.journal, "resume a, remove b, remove a, ");
    assert_int_equal(w.removed, 2);
    end(&w);
}

static void one_that_does_not_thaw_is_removed_all_the_same(void **state)
{
    static const struct cw_owned_container OWNED[] = {
        {.id = "a", .name = "wsk00_1_guest_hello", .paused = true}};
    struct world w;

    (void)state;
    begin(&w, OWNED, 1);
    w.driver.fail_resume = true;
    start(&w, LIMIT_MS);
    wait_done(&w);
    assert_string_equal(w.driver.journal, "resume a, remove a, ");
    assert_int_equal(w.removed, 1);
    end(&w);
}

static void platform_that_cannot_freeze_is_asked_to_remove_only(void **state)
{
    static const struct cw_owned_container OWNED[] = {
        {.id = "a", .name = "wsk00_1_guest_hello", .paused = true}};
    struct cw_driver_ops ops;
    struct world w;

    (void)state;
    begin(&w, OWNED, 1);
    ops = *w.driver.base.ops;
    ops.pause = NULL;
    ops.resume = NULL;
    w.driver.base.ops = &ops;
    start(&w, LIMIT_MS);
    wait_done(&w);
    assert_string_equal(w.driver.journal, "remove a, ");
    end(&w);
}

static void one_that_resists_does_not_keep_the_others(void **state)
{
    static const struct cw_owned_container OWNED[] = {
        {.id = "a", .name = "wsk00_1_guest_hello", .paused = true},
        {.id = "b", .name = "wsk00_2_guest_hello"},
        {.id = "c", .name = "wsk00_3_guest_hello"},
    };
    struct world w;

    (void)state;
    begin(&w, OWNED, CW_ARRAY_LEN(OWNED));
    w.driver.resists = "b";
    start(&w, LIMIT_MS);
    wait_done(&w);
    assert_int_equal(w.failed, 1);
    assert_int_equal(w.removed, 2);
    assert_int_equal(w.err.code, CW_OK); /* what is left is no reason not to start */
    end(&w);
}

static void list_that_fails_is_told(void **state)
{
    struct world w;

    (void)state;
    begin(&w, NULL, 0);
    w.driver.fail_list = true;
    start(&w, LIMIT_MS);
    wait_done(&w);
    assert_int_equal(w.err.code, CW_UNAVAILABLE);
    assert_int_equal(w.removed, 0);
    end(&w);
}

static void list_that_does_not_come_is_a_time_out(void **state)
{
    struct world w;

    (void)state;
    begin(&w, NULL, 0);
    w.driver.hold_lists = true;
    start(&w, SHORT_LIMIT_MS);
    wait_done(&w);
    assert_int_equal(w.err.code, CW_TIMEOUT);
    assert_true(w.err.retriable);
    assert_int_equal(w.driver.cancelled, 1);
    end(&w);
}

static void limit_ends_the_waiting_for_removals(void **state)
{
    static const struct cw_owned_container OWNED[] = {
        {.id = "a", .name = "wsk00_1_guest_hello"},
        {.id = "b", .name = "wsk00_2_guest_hello"},
    };
    struct world w;

    (void)state;
    begin(&w, OWNED, CW_ARRAY_LEN(OWNED));
    w.driver.hold_removes = true;
    start(&w, SHORT_LIMIT_MS);
    wait_done(&w);
    assert_int_equal(w.removed, 0);
    assert_int_equal(w.err.code, CW_OK);
    assert_int_equal(w.driver.cancelled, 2);
    end(&w);
}

static void a_few_are_removed_at_a_time_and_all_in_the_end(void **state)
{
    static const struct cw_owned_container OWNED[] = {
        {.id = "a", .name = "wsk00_1_guest_hello"}, {.id = "b", .name = "wsk00_2_guest_hello"},
        {.id = "c", .name = "wsk00_3_guest_hello"}, {.id = "d", .name = "wsk00_4_guest_hello"},
        {.id = "e", .name = "wsk00_5_guest_hello"},
    };
    struct world w;

    (void)state;
    begin(&w, OWNED, CW_ARRAY_LEN(OWNED));
    w.driver.hold_removes = true;
    start(&w, LIMIT_MS);
    run_turns(w.loop);
    assert_in_range(w.driver.removed, 1, 4);
    w.driver.hold_removes = false;
    fake_driver_release(&w.driver);
    wait_done(&w);
    assert_int_equal(w.removed, 5);
    end(&w);
}

static void cancelled_clean_up_says_nothing_more(void **state)
{
    static const struct cw_owned_container OWNED[] = {
        {.id = "a", .name = "wsk00_1_guest_hello", .paused = true},
        {.id = "b", .name = "wsk00_2_guest_hello"},
    };
    struct world w;

    (void)state;
    begin(&w, OWNED, CW_ARRAY_LEN(OWNED));
    start(&w, LIMIT_MS);
    inv_cleanup_cancel(w.cleanup); /* while listing */
    assert_int_equal(w.driver.cancelled, 1);
    w.driver.hold_removes = true;
    start(&w, LIMIT_MS);
    run_turns(w.loop);
    inv_cleanup_cancel(w.cleanup); /* while removing */
    assert_int_equal(w.driver.cancelled, 3);
    fake_driver_release(&w.driver);
    run_turns(w.loop);
    assert_int_equal(w.calls, 0);
    inv_cleanup_cancel(NULL);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_names_of_ours_are_touched),
        cmocka_unit_test(containers_of_another_cluster_are_left_alone),
        cmocka_unit_test(nothing_left_over_is_done_at_once),
        cmocka_unit_test(frozen_ones_are_thawed_first),
        cmocka_unit_test(one_that_does_not_thaw_is_removed_all_the_same),
        cmocka_unit_test(platform_that_cannot_freeze_is_asked_to_remove_only),
        cmocka_unit_test(one_that_resists_does_not_keep_the_others),
        cmocka_unit_test(list_that_fails_is_told),
        cmocka_unit_test(list_that_does_not_come_is_a_time_out),
        cmocka_unit_test(limit_ends_the_waiting_for_removals),
        cmocka_unit_test(a_few_are_removed_at_a_time_and_all_in_the_end),
        cmocka_unit_test(cancelled_clean_up_says_nothing_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
