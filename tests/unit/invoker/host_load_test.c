/* What runs here takes, and how long it takes. */
#include "invoker/host_load.h"

#include "common/model/action_doc.h"
#include "invoker/job.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/jobs.h"

static int setup(void **state)
{
    *state = inv_load_new();
    return 0;
}

static int teardown(void **state)
{
    inv_load_free(*state);
    return 0;
}

static struct inv_job *job_of(char id)
{
    return test_job(&(struct test_message){.id = id}, NULL);
}

static void what_was_placed_counts_until_it_has_left(void **state)
{
    struct inv_load *l = *state;
    struct inv_job *a = job_of('a'), *b = job_of('b');

    inv_load_placed(l, a, 300);
    inv_load_placed(l, b, 50);
    assert_int_equal(inv_load_cpu_millis(l), 350);
    inv_load_placed(l, a, 100); /* in another container */
    assert_int_equal(inv_load_cpu_millis(l), 150);
    inv_load_left(l, a);
    inv_load_left(l, a);
    assert_int_equal(inv_load_cpu_millis(l), 50);
    inv_load_left(l, b);
    assert_int_equal(inv_load_cpu_millis(l), 0);
    inv_job_free(a);
    inv_job_free(b);
}

static void run(struct inv_load *l, uint64_t pair, int64_t run_us, int64_t cold_us)
{
    struct inv_job *job = job_of('a');

    job->at[INV_AT_PLACED] = 1000;
    job->at[INV_AT_CREATED] = cold_us ? 1001 : 0;
    job->at[INV_AT_INITED] = cold_us ? 1000 + cold_us : 0;
    job->at[INV_AT_RUN_SENT] = 1000 + cold_us;
    inv_load_learn(l, pair, job, 1000 + cold_us + run_us);
    inv_job_free(job);
}

static void an_actions_pace_is_the_mean_of_its_last_runs(void **state)
{
    struct inv_load *l = *state;
    struct inv_pace pace;

    inv_load_pace(l, 7, 0, &pace);
    assert_int_equal(pace.run_us, 0);
    run(l, 7, 20000, 400000);
    run(l, 8, 1000000, 0);
    inv_load_pace(l, 7, 0, &pace);
    assert_int_equal(pace.run_us, 20000);
    assert_int_equal(pace.cold_us, 400000);
    for (int i = 0; i < 100; i++)
        run(l, 7, 60000, 0);
    inv_load_pace(l, 7, 0, &pace);
    assert_in_range(pace.run_us, 59000, 60000);
    assert_int_equal(pace.cold_us, 400000); /* warm runs say nothing of it */
    inv_load_pace(l, 8, 0, &pace);
    assert_int_equal(pace.run_us, 1000000);
    assert_int_equal(pace.cold_us, 0);
    assert_in_range(inv_load_mean_run_us(l), 60000, 90000);
}

static void what_did_not_run_teaches_nothing(void **state)
{
    struct inv_load *l = *state;
    struct inv_job *job = job_of('a');

    inv_load_learn(l, 7, job, 5000);
    job->at[INV_AT_RUN_SENT] = 9000; /* later than it ended */
    inv_load_learn(l, 7, job, 5000);
    assert_int_equal(inv_load_mean_run_us(l), 0);
    inv_job_free(job);
}

static void needs_are_kept_for_a_while(void **state)
{
    struct inv_load *l = *state;

    assert_int_equal(inv_load_need(l, 7, 0, 100), 0);
    inv_load_set_need(l, 7, 1000, 250);
    assert_int_equal(inv_load_need(l, 7, 1099, 100), 250);
    assert_int_equal(inv_load_need(l, 7, 1100, 100), 0);
}

static void what_was_waited_fades_until_a_container_is_bought(void **state)
{
    struct inv_load *l = *state;
    const int64_t minute_us = 60 * 1000000;
    struct inv_pace pace;

    inv_load_waits(l, 7, 0, 40000);
    inv_load_waits(l, 7, 0, 60000);
    inv_load_pace(l, 7, 0, &pace);
    assert_int_equal(pace.waited_us, 100000);
    inv_load_pace(l, 7, minute_us, &pace);
    assert_int_equal(pace.waited_us, 50000);
    inv_load_waits(l, 7, 2 * minute_us, 1000);
    inv_load_pace(l, 7, 3 * minute_us, &pace);
    assert_int_equal(pace.waited_us, 13000);
    inv_load_bought(l, 7);
    inv_load_bought(l, 8);
    inv_load_pace(l, 7, 3 * minute_us, &pace);
    assert_int_equal(pace.waited_us, 0);
}

static void the_actions_used_last_are_remembered(void **state)
{
    struct inv_load *l = *state;
    struct inv_pace pace;

    for (uint64_t i = 0; i < (uint64_t)10 * INV_LOAD_ACTIONS; i++) {
        run(l, i, 30000, 0);
        inv_load_pace(l, 0, 0, &pace); /* this one is asked for all the time */
    }
    inv_load_pace(l, 0, 0, &pace);
    assert_int_equal(pace.run_us, 30000);
    inv_load_pace(l, 1, 0, &pace);
    assert_int_equal(pace.run_us, 0);
    for (uint64_t i = 9 * INV_LOAD_ACTIONS + INV_LOAD_ACTIONS / 4; i < 10 * INV_LOAD_ACTIONS; i++) {
        inv_load_pace(l, i, 0, &pace);
        assert_int_equal(pace.run_us, 30000);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_was_placed_counts_until_it_has_left),
        T(an_actions_pace_is_the_mean_of_its_last_runs),
        T(what_did_not_run_teaches_nothing),
        T(needs_are_kept_for_a_while),
        T(what_was_waited_fades_until_a_container_is_bought),
        T(the_actions_used_last_are_remembered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
