/* The list of blocked namespaces, read again and again. */
#include "tests/support/cmocka_all.h"

#include "common/loop/loop.h"
#include "common/obs/metrics.h"
#include "invoker/blacklist.h"
#include "tests/support/fake_store.h"

enum { WAIT_MS = 20000 };

struct world {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    struct fake_store store;
    struct inv_blacklist *list;
    unsigned firsts, wanted_views;
    size_t wanted_count;
};

static void on_first(void *arg)
{
    ((struct world *)arg)->firsts++;
}

static void begin(struct world *w, const char *db, int64_t poll_ms, int64_t retry_ms)
{
    *w = (struct world){.loop = cw_loop_new(NULL, NULL), .metrics = cw_metrics_new()};
    fake_store_init(&w->store, w->loop);
    w->store.rows = "{\"total_rows\":3,\"offset\":0,\"rows\":["
                    "{\"id\":\"guest/limits\",\"key\":\"guest\",\"value\":1},"
                    "{\"id\":\"guest-subject\",\"key\":\"guest\",\"value\":1},"
                    "{\"id\":\"a\",\"key\":\"a b\\u00e9\",\"value\":1}]}";
    w->list = inv_blacklist_new(&(struct inv_blacklist_conf){.loop = w->loop,
                                                             .store = &w->store.base,
                                                             .metrics = w->metrics,
                                                             .db = db,
                                                             .poll_ms = poll_ms,
                                                             .retry_ms = retry_ms,
                                                             .on_first = on_first,
                                                             .arg = w});
}

static void end(struct world *w)
{
    inv_blacklist_free(w->list);
    fake_store_done(&w->store);
    cw_metrics_free(w->metrics);
    cw_loop_free(w->loop);
}

static bool first_is_over(void *arg)
{
    return ((struct world *)arg)->firsts > 0;
}

static bool asked_often(void *arg)
{
    return ((struct world *)arg)->store.views >= ((struct world *)arg)->wanted_views;
}

static bool has_count(void *arg)
{
    return inv_blacklist_count(((struct world *)arg)->list) == ((struct world *)arg)->wanted_count;
}

static void wait_first(struct world *w)
{
    assert_int_equal(w->firsts, 0); /* never inside inv_blacklist_new */
    assert_true(cw_loop_run_until(w->loop, first_is_over, w, WAIT_MS));
}

static void view_is_asked_as_stock_does_and_its_keys_are_blocked(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "test_subjects", INT64_MAX, 0);
    wait_first(&w);
    assert_string_equal(w.store.last_view,
                        "test_subjects namespaceThrottlings/blockedNamespaces descending stale");
    assert_int_equal(inv_blacklist_count(w.list), 2);
    assert_true(inv_blacklist_has(w.list, "guest"));
    assert_true(inv_blacklist_has(w.list, "a b\xc3\xa9"));
    assert_false(inv_blacklist_has(w.list, "gues"));
    assert_false(inv_blacklist_has(w.list, "other"));
    end(&w);
}

static void list_is_read_again_each_interval(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "s", 1, 0);
    wait_first(&w);
    w.store.rows = "{\"rows\":[]}";
    assert_true(cw_loop_run_until(w.loop, has_count, &w, WAIT_MS));
    assert_false(inv_blacklist_has(w.list, "guest"));
    assert_int_equal(w.firsts, 1);
    end(&w);
}

static void failed_poll_keeps_the_list_and_is_repeated_soon(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "s", 1, 1);
    wait_first(&w);
    (void)cw_fail(&w.store.view_err, CW_UNAVAILABLE, "fake");
    w.wanted_views = w.store.views + 3;
    assert_true(cw_loop_run_until(w.loop, asked_often, &w, WAIT_MS));
    assert_true(inv_blacklist_has(w.list, "guest"));
    end(&w);
    begin(&w, "s", INT64_MAX, 1); /* sooner than the interval */
    (void)cw_fail(&w.store.view_err, CW_UNAVAILABLE, "fake");
    wait_first(&w);
    assert_int_equal(inv_blacklist_count(w.list), 0);
    w.store.view_err = (struct cw_err){0};
    w.wanted_count = 2;
    assert_true(cw_loop_run_until(w.loop, has_count, &w, WAIT_MS));
    end(&w);
}

static void answer_that_is_not_understood_as_a_whole_changes_nothing(void **state)
{
    static const char *const ANSWERS[] = {"",
                                          "[]",
                                          "{}",
                                          "{\"rows\":{}}",
                                          "{\"rows\":[{\"key\":\"x\"},{\"key\":7}]}",
                                          "{\"rows\":[{\"key\":\"x\"},7]}",
                                          "{\"rows\":[{\"key\":\"x\"}"};
    struct world w;

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(ANSWERS); i++) {
        begin(&w, "s", 1, 1);
        wait_first(&w);
        w.store.rows = ANSWERS[i];
        w.wanted_views = w.store.views + 3;
        assert_true(cw_loop_run_until(w.loop, asked_often, &w, WAIT_MS));
        assert_int_equal(inv_blacklist_count(w.list), 2);
        assert_false(inv_blacklist_has(w.list, "x"));
        end(&w);
    }
}

static void without_a_database_nobody_is_blocked(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "", 1, 0);
    wait_first(&w);
    assert_int_equal(w.store.views, 0);
    assert_false(inv_blacklist_has(w.list, "guest"));
    end(&w);
}

static void store_that_does_not_answer_holds_nobody_up(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "s", INT64_MAX, 1);
    inv_blacklist_free(w.list);
    w.store.hold = true;
    w.list = inv_blacklist_new(&(struct inv_blacklist_conf){.loop = w.loop,
                                                            .store = &w.store.base,
                                                            .metrics = w.metrics,
                                                            .db = "s",
                                                            .poll_ms = INT64_MAX,
                                                            .first_ms = 1,
                                                            .on_first = on_first,
                                                            .arg = &w});
    wait_first(&w);
    assert_int_equal(inv_blacklist_count(w.list), 0);
    fake_store_release(&w.store); /* late is better than never */
    w.wanted_count = 2;
    assert_true(cw_loop_run_until(w.loop, has_count, &w, WAIT_MS));
    assert_int_equal(w.firsts, 1);
    end(&w);
}

static void freeing_while_asking_leaks_nothing(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "s", 1, 0);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(view_is_asked_as_stock_does_and_its_keys_are_blocked),
        cmocka_unit_test(list_is_read_again_each_interval),
        cmocka_unit_test(failed_poll_keeps_the_list_and_is_repeated_soon),
        cmocka_unit_test(answer_that_is_not_understood_as_a_whole_changes_nothing),
        cmocka_unit_test(without_a_database_nobody_is_blocked),
        cmocka_unit_test(store_that_does_not_answer_holds_nobody_up),
        cmocka_unit_test(freeing_while_asking_leaks_nothing),
    };

    return cmocka_run_group_tests_name("blacklist", tests, NULL, NULL);
}
