/* How old work is, when clocks are set. */
#include "tests/support/cmocka_all.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/loop/loop.h"
#include "common/model/action_doc.h"
#include "common/model/manifest.h"
#include "common/obs/metrics.h"
#include "invoker/job.h"
#include "invoker/settings.h"
#include "invoker/stale.h"
#include "tests/support/jobs.h"

enum { HOUR_MS = 3600 * 1000, GIVEN_UP_MS = 60000 * 2 + 60000 };

static const int64_t START_MS = INT64_C(1790000000000);

struct fixture {
    struct cw_clock clock;
    int64_t passed_ms; /* since the start */
    int64_t set_ms;    /* the wall clock was set ahead by so much; below 0: back */
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    struct cw_manifest *manifest;
    struct cw_action *action;
    struct inv_settings settings;
    struct inv_stale *stale;
};

static int64_t wall_us(const struct cw_clock *c)
{
    const struct fixture *f = CW_CONTAINER_OF(c, const struct fixture, clock);

    return (START_MS + f->passed_ms + f->set_ms) * 1000;
}

static int64_t mono_us(const struct cw_clock *c)
{
    const struct fixture *f = CW_CONTAINER_OF(c, const struct fixture, clock);

    return (77000 + f->passed_ms) * 1000;
}

static int set_up(void **state)
{
    struct fixture *f = cw_alloc(sizeof(*f));

    f->clock = (struct cw_clock){wall_us, mono_us};
    f->loop = cw_loop_new(&f->clock, NULL);
    f->metrics = cw_metrics_new();
    f->manifest = test_manifest();
    f->action = test_action(f->manifest, "hello", 60000, 256, 0, 1);
    test_settings(NULL, &f->settings);
    f->settings.stale_work = INV_STALE_ANSWER;
    f->stale = inv_stale_new(f->loop, &f->settings, f->metrics);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    inv_stale_free(f->stale);
    cw_conf_free(inv_settings_table(), &f->settings);
    cw_action_unref(f->action);
    cw_manifest_free(f->manifest);
    cw_metrics_free(f->metrics);
    cw_loop_free(f->loop);
    free(f);
    return 0;
}

/* Taken by its controller, whose clock nobody sets, so long ago. */
static bool ends(struct fixture *f, int64_t age_ms)
{
    char transid[64];
    struct inv_job *job;
    bool stale;

    (void)snprintf(transid, sizeof(transid), "[\"t\",%lld]",
                   (long long)(START_MS + f->passed_ms - age_ms));
    job = test_job(&(struct test_message){.id = 'a', .transid = transid}, NULL);
    stale = inv_stale_ends(f->stale, job, f->action);
    inv_job_free(job);
    return stale;
}

static void work_ages_with_time(void **state)
{
    struct fixture *f = *state;

    assert_false(ends(f, GIVEN_UP_MS));
    assert_true(ends(f, GIVEN_UP_MS + 1));
    f->passed_ms = 10 * HOUR_MS;
    assert_false(ends(f, GIVEN_UP_MS));
    assert_true(ends(f, GIVEN_UP_MS + 1));
}

static void clock_that_is_set_ahead_makes_no_work_old(void **state)
{
    struct fixture *f = *state;

    f->passed_ms = 5000;
    f->set_ms = HOUR_MS;
    assert_false(ends(f, 0));
    assert_false(ends(f, GIVEN_UP_MS));
    assert_true(ends(f, GIVEN_UP_MS + 1));
}

static void clock_that_is_set_back_lets_old_work_run(void **state)
{
    struct fixture *f = *state;

    f->set_ms = -HOUR_MS;
    assert_false(ends(f, HOUR_MS));
    assert_true(ends(f, HOUR_MS + GIVEN_UP_MS + 1));
}

/* It was an hour behind when we began, and has been corrected. */
static void clock_that_was_wrong_at_our_start_throws_no_work_away(void **state)
{
    struct fixture *f = *state;

    inv_stale_free(f->stale);
    f->set_ms = -HOUR_MS;
    f->stale = inv_stale_new(f->loop, &f->settings, f->metrics);
    f->set_ms = 0;
    assert_false(ends(f, 0));
    assert_false(ends(f, GIVEN_UP_MS));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(work_ages_with_time),
        CASE(clock_that_is_set_ahead_makes_no_work_old),
        CASE(clock_that_is_set_back_lets_old_work_run),
        CASE(clock_that_was_wrong_at_our_start_throws_no_work_away),
    };

    return cmocka_run_group_tests_name("stale", tests, NULL, NULL);
}
