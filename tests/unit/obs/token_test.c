#include "tests/support/cmocka_all.h"

#include "common/base/str.h"
#include "common/obs/token.h"

static void expect_shown(const struct cw_metrics *m, const char *line, bool shown)
{
    struct cw_str text;

    cw_str_init(&text, 1 << 20);
    cw_metrics_render(m, &text);
    if ((strstr(text.p, line) != NULL) != shown)
        fail_msg("%s: %s\n%s", shown ? "not shown" : "shown", line, text.p);
    cw_str_done(&text);
}

static const struct cw_token COLD = {.component = "invoker",
                                     .action = "containerStart",
                                     .sub = "cold",
                                     .state = "counter",
                                     .labels = "containerState=\"cold\",action=\"a\""};
static const struct cw_token SIZE = {
    .component = "containerPool", .action = "activeSize", .state = "counter"};

static void names_without_tags_hold_the_sub_action(void **state)
{
    struct cw_metrics *m = cw_metrics_new();

    (void)state;
    cw_counter_add(cw_token_counter(m, &COLD, "x"), 2);
    cw_gauge_set(cw_token_gauge(m, &SIZE, "x"), 3);
    cw_gauge_set(cw_token_gauge_bytes(m, &SIZE, "x"), 4);
    expect_shown(m, "\ncounter_invoker_containerStart_cold_counter_total 2\n", true);
    expect_shown(m, "\ngauge_containerPool_activeSize_counter 3\n", true);
    expect_shown(m, "\ngauge_containerPool_activeSize_counter_bytes 4\n", true);
    cw_metrics_free(m);
}

static void with_tags_the_sub_action_becomes_labels(void **state)
{
    struct cw_metrics *m = cw_metrics_new();

    (void)state;
    cw_metrics_use_tags(m, true);
    cw_counter_add(cw_token_counter(m, &COLD, "x"), 2);
    cw_gauge_set(cw_token_gauge(m, &SIZE, "x"), 3);
    expect_shown(m,
                 "\ncounter_invoker_containerStart_counter_total{containerState=\"cold\","
                 "action=\"a\"} 2\n",
                 true);
    expect_shown(m, "\ngauge_containerPool_activeSize_counter 3\n", true);
    cw_metrics_free(m);
}

static void histograms_are_in_seconds_or_plain_numbers(void **state)
{
    const struct cw_token delay = {
        .component = "kafka", .action = "invoker0", .sub = "delay", .state = "start"};
    const struct cw_token batch = {
        .component = "database", .action = "batchSize", .state = "counter"};
    struct cw_metrics *m = cw_metrics_new();

    (void)state;
    cw_histogram_observe(cw_token_histogram(m, &delay, "x"), 0.3);
    cw_histogram_observe(cw_token_histogram_number(m, &batch, "x"), 7);
    expect_shown(m, "\nhistogram_kafka_invoker0_delay_start_seconds_bucket{le=\"0.5\"} 1\n", true);
    expect_shown(m, "\nhistogram_database_batchSize_counter_bucket{le=\"5\"} 0\n", true);
    expect_shown(m, "\nhistogram_database_batchSize_counter_bucket{le=\"10\"} 1\n", true);
    expect_shown(m, "\nhistogram_database_batchSize_counter_sum 7\n", true);
    cw_metrics_free(m);
}

static void timed_operation_counts_its_beginning_and_how_it_ended(void **state)
{
    const struct cw_token rm = {
        .component = "invoker", .action = "docker", .sub = "rm", .labels = "cmd=\"rm\""};

    (void)state;
    for (int tags = 0; tags <= 1; tags++) {
        struct cw_metrics *m = cw_metrics_new();
        struct cw_timed t;

        cw_metrics_use_tags(m, tags);
        cw_timed_init(&t, m, &rm, "Engine commands");
        for (int i = 0; i < 3; i++)
            cw_timed_begun(&t);
        cw_timed_ended(&t, true, 0.25);
        cw_timed_ended(&t, false, 2);
        expect_shown(m, "\ncounter_invoker_docker_rm_start_total 3\n", !tags);
        expect_shown(m, "\ncounter_invoker_docker_rm_error_total 1\n", !tags);
        expect_shown(m, "\nhistogram_invoker_docker_rm_finish_seconds_sum 0.25\n", !tags);
        expect_shown(m, "\nhistogram_invoker_docker_rm_error_seconds_count 1\n", !tags);
        expect_shown(m, "\ncounter_invoker_docker_start_total{cmd=\"rm\"} 3\n", tags);
        expect_shown(m, "\nhistogram_invoker_docker_error_seconds_count{cmd=\"rm\"} 1\n", tags);
        cw_metrics_free(m);
    }
}

static void timed_operation_without_metrics_counts_nothing(void **state)
{
    struct cw_timed t;

    (void)state;
    cw_timed_init(&t, NULL, &COLD, "x");
    cw_timed_begun(&t);
    cw_timed_ended(&t, false, 1);
    assert_null(t.started);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_without_tags_hold_the_sub_action),
        cmocka_unit_test(with_tags_the_sub_action_becomes_labels),
        cmocka_unit_test(histograms_are_in_seconds_or_plain_numbers),
        cmocka_unit_test(timed_operation_counts_its_beginning_and_how_it_ended),
        cmocka_unit_test(timed_operation_without_metrics_counts_nothing),
    };

    return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
