#include "tests/support/cmocka_all.h"

#include <stdio.h>

#include "common/model/action_doc.h"
#include "common/model/manifest.h"
#include "common/obs/metrics.h"
#include "invoker/job.h"
#include "invoker/pool/pool.h"
#include "invoker/telemetry.h"
#include "tests/support/jobs.h"

struct world {
    struct cw_metrics *metrics;
    struct cw_manifest *manifest;
    struct inv_telemetry *telemetry;
    struct inv_job *job; /* a cold one, each step as many seconds long as its number from 1 */
};

static void begin(struct world *w)
{
    int64_t at = 1000000;

    w->metrics = cw_metrics_new();
    w->manifest = test_manifest();
    w->telemetry = inv_telemetry_new(w->metrics);
    w->job = test_job(&(struct test_message){.id = 'a'},
                      test_action(w->manifest, "hello", 1000, 256, 10, 1));
    for (int i = 0; i < INV_MOMENTS; i++)
        w->job->at[i] = at += (i + 1) * INT64_C(1000000);
}

static void end(struct world *w)
{
    inv_job_free(w->job);
    inv_telemetry_free(w->telemetry);
    cw_manifest_free(w->manifest);
    cw_metrics_free(w->metrics);
}

/* How many observations; of something that was never made: 0. */
static uint64_t seen(struct world *w, const char *histogram)
{
    return cw_histogram_count(cw_metrics_histogram(w->metrics, histogram, NULL, NULL, NULL, 0));
}

static uint64_t counted(struct world *w, const char *counter)
{
    return cw_counter_value(cw_metrics_counter(w->metrics, counter, NULL, NULL));
}

static void every_step_that_a_job_took_is_seen(void **state)
{
    static const char *const STEPS[] = {"fetch", "placement", "create", "init",
                                        "run",   "logs",      "ack"};
    struct world w;

    (void)state;
    begin(&w);
    inv_telemetry_ended(w.telemetry, w.job);
    for (size_t i = 0; i < CW_ARRAY_LEN(STEPS); i++)
        assert_int_equal(cw_histogram_count(inv_step_histogram(w.metrics, STEPS[i])), 1);
    assert_int_equal(seen(&w, "cwhisk_activation_overhead_seconds"), 0);
    w.job->at[INV_AT_CREATED] = w.job->at[INV_AT_INIT_SENT] = w.job->at[INV_AT_INITED] = 0;
    inv_telemetry_ended(w.telemetry, w.job); /* a warm one */
    assert_int_equal(seen(&w, "cwhisk_activation_overhead_seconds"), 1);
    assert_int_equal(cw_histogram_count(inv_step_histogram(w.metrics, "create")), 1);
    assert_int_equal(cw_histogram_count(inv_step_histogram(w.metrics, "init")), 1);
    assert_int_equal(cw_histogram_count(inv_step_histogram(w.metrics, "run")), 2);
    end(&w);
}

static void an_answer_is_a_finish_whatever_it_says(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    w.job->outcome.status = CW_STATUS_DEVELOPER_ERROR;
    inv_telemetry_ended(w.telemetry, w.job);
    assert_int_equal(seen(&w, "histogram_invoker_activationInit_finish_seconds"), 1);
    assert_int_equal(seen(&w, "histogram_invoker_activationRun_finish_seconds"), 1);
    assert_int_equal(counted(&w, "counter_invoker_activationRun_start_total"), 1);
    assert_int_equal(counted(&w, "counter_invoker_activationRun_error_total"), 0);
    end(&w);
}

static void incomplete_logs_are_an_error(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    inv_telemetry_ended(w.telemetry, w.job);
    w.job->logs_incomplete = true;
    inv_telemetry_ended(w.telemetry, w.job);
    assert_int_equal(seen(&w, "histogram_invoker_collectLogs_finish_seconds"), 1);
    assert_int_equal(seen(&w, "histogram_invoker_collectLogs_error_seconds"), 1);
    assert_int_equal(counted(&w, "counter_invoker_collectLogs_error_total"), 1);
    end(&w);
}

static void a_job_given_back_is_an_error_of_what_was_sent(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    inv_telemetry_returned(w.telemetry, w.job, w.job->at[INV_AT_RUN_SENT] + 5);
    assert_int_equal(counted(&w, "counter_invoker_activationRun_error_total"), 1);
    w.job->at[INV_AT_RUN_SENT] = 0;
    inv_telemetry_returned(w.telemetry, w.job, w.job->at[INV_AT_INIT_SENT] + 5);
    assert_int_equal(counted(&w, "counter_invoker_activationInit_error_total"), 1);
    w.job->at[INV_AT_INIT_SENT] = 0; /* it only waited there */
    inv_telemetry_returned(w.telemetry, w.job, 5);
    assert_int_equal(counted(&w, "counter_invoker_activationInit_error_total"), 1);
    assert_int_equal(counted(&w, "counter_invoker_activationRun_error_total"), 1);
    end(&w);
}

static void gauge_is(struct world *w, const char *name, uint64_t value)
{
    struct cw_str text;
    char line[128];

    (void)snprintf(line, sizeof(line), "\n%s %llu\n", name, (unsigned long long)value);
    cw_str_init(&text, 1 << 20);
    cw_metrics_render(w->metrics, &text);
    if (!strstr(text.p, line))
        fail_msg("expected%sin:\n%s", line, text.p);
    cw_str_done(&text);
}

static void pool_is_shown_in_counts_and_bytes(void **state)
{
    const struct inv_pool_stats stats = {.memory_mb = 4096,
                                         .used_mb = 1024,
                                         .idle_mb = 128,
                                         .prewarmed_mb = 512,
                                         .active = 3,
                                         .idle = 1,
                                         .prewarmed = 2};
    struct world w;

    (void)state;
    begin(&w);
    inv_telemetry_pool(w.telemetry, &stats, 7, 1792);
    gauge_is(&w, "gauge_containerPool_activeCount_counter", 3);
    gauge_is(&w, "gauge_containerPool_activeSize_counter_bytes", 384 << 20);
    gauge_is(&w, "gauge_containerPool_idlesCount_counter", 1);
    gauge_is(&w, "gauge_containerPool_idlesSize_counter_bytes", 128 << 20);
    gauge_is(&w, "gauge_containerPool_prewarmCount_counter", 2);
    gauge_is(&w, "gauge_containerPool_prewarmSize_counter_bytes", 512 << 20);
    gauge_is(&w, "gauge_containerPool_runBufferCount_counter", 7);
    gauge_is(&w, "gauge_containerPool_runBufferSize_counter_bytes", UINT64_C(1792) << 20);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step_that_a_job_took_is_seen),
        cmocka_unit_test(an_answer_is_a_finish_whatever_it_says),
        cmocka_unit_test(incomplete_logs_are_an_error),
        cmocka_unit_test(a_job_given_back_is_an_error_of_what_was_sent),
        cmocka_unit_test(pool_is_shown_in_counts_and_bytes),
    };

    return cmocka_run_group_tests_name("telemetry", tests, NULL, NULL);
}
