#include "tests/support/cmocka_all.h"

#include <math.h>

#include "common/obs/metrics.h"

static int new_metrics(void **state)
{
    *state = cw_metrics_new();
    return 0;
}

static int free_metrics(void **state)
{
    cw_metrics_free(*state);
    return 0;
}

static void assert_page(const struct cw_metrics *m, const char *expected)
{
    cw_auto_str struct cw_str out;

    cw_str_init(&out, 1 << 20);
    cw_metrics_render(m, &out);
    assert_false(out.failed);
    assert_string_equal(out.p, expected);
}

static void families_come_in_order_with_help_and_type_once(void **state)
{
    struct cw_metrics *m = *state;
    struct cw_counter *cold;

    cold = cw_metrics_counter(m, "starts_total", "state=\"cold\"", "Containers started.");
    cw_gauge_set(cw_metrics_gauge(m, "idle", NULL, NULL), 2.5);
    cw_counter_add(cw_metrics_counter(m, "starts_total", "state=\"warm\"", NULL), 2);
    cw_counter_add(cold, 40);
    cw_counter_add(cold, 1);
    assert_int_equal(cw_counter_value(cold), 41);
    assert_page(m, "# HELP starts_total Containers started.\n"
                   "# TYPE starts_total counter\n"
                   "starts_total{state=\"cold\"} 41\n"
                   "starts_total{state=\"warm\"} 2\n"
                   "# TYPE idle gauge\n"
                   "idle 2.5\n");
}

static void same_name_and_labels_give_the_same_handle(void **state)
{
    struct cw_metrics *m = *state;
    struct cw_counter *a = cw_metrics_counter(m, "a_total", "x=\"1\"", "A.");

    assert_ptr_equal(cw_metrics_counter(m, "a_total", "x=\"1\"", NULL), a);
    assert_ptr_not_equal(cw_metrics_counter(m, "a_total", "x=\"2\"", NULL), a);
    assert_ptr_not_equal(cw_metrics_counter(m, "a_total", NULL, NULL), a);
    assert_ptr_equal(cw_metrics_counter(m, "a_total", "", NULL),
                     cw_metrics_counter(m, "a_total", NULL, NULL));
}

static void histogram_buckets_are_cumulative_and_end_in_inf(void **state)
{
    static const double bounds[] = {0.1, 1, 10};
    struct cw_metrics *m = *state;
    struct cw_histogram *h = cw_metrics_histogram(m, "wait", "cmd=\"run\"", "Wait.", bounds, 3);

    cw_histogram_observe(h, 0.1); /* bounds belong to their bucket */
    cw_histogram_observe(h, 0.5);
    cw_histogram_observe(h, 10.25);
    cw_histogram_observe(h, NAN);
    assert_int_equal(cw_histogram_count(h), 3);
    assert_page(m, "# HELP wait Wait.\n"
                   "# TYPE wait histogram\n"
                   "wait_bucket{cmd=\"run\",le=\"0.1\"} 1\n"
                   "wait_bucket{cmd=\"run\",le=\"1\"} 2\n"
                   "wait_bucket{cmd=\"run\",le=\"10\"} 2\n"
                   "wait_bucket{cmd=\"run\",le=\"+Inf\"} 3\n"
                   "wait_sum{cmd=\"run\"} 10.85\n"
                   "wait_count{cmd=\"run\"} 3\n");
}

static void histogram_series_share_the_bounds_of_their_family(void **state)
{
    static const double bounds[] = {5};
    struct cw_metrics *m = *state;

    (void)cw_metrics_histogram(m, "w", NULL, NULL, bounds, 1);
    cw_histogram_observe(cw_metrics_histogram(m, "w", "a=\"b\"", NULL, NULL, 0), 7);
    assert_page(m, "# TYPE w histogram\n"
                   "w_bucket{le=\"5\"} 0\n"
                   "w_bucket{le=\"+Inf\"} 0\n"
                   "w_sum 0\n"
                   "w_count 0\n"
                   "w_bucket{a=\"b\",le=\"5\"} 0\n"
                   "w_bucket{a=\"b\",le=\"+Inf\"} 1\n"
                   "w_sum{a=\"b\"} 7\n"
                   "w_count{a=\"b\"} 1\n");
}

static void default_bounds_span_100_us_to_60_s(void **state)
{
    struct cw_metrics *m = *state;
    cw_auto_str struct cw_str out;
    size_t buckets = 0;

    cw_str_init(&out, 1 << 20);
    (void)cw_metrics_histogram(m, "latency_seconds", NULL, NULL, NULL, 0);
    cw_metrics_render(m, &out);
    for (const char *p = out.p; (p = strstr(p, "_bucket")); p++)
        buckets++;
    assert_int_equal(buckets, 19);
    assert_non_null(strstr(out.p, "latency_seconds_bucket{le=\"0.0001\"} 0\n"));
    assert_non_null(strstr(out.p, "latency_seconds_bucket{le=\"60\"} 0\n"));
}

static void label_values_and_help_are_escaped(void **state)
{
    struct cw_metrics *m = *state;
    cw_auto_str struct cw_str labels;

    cw_str_init(&labels, 1000);
    cw_metrics_label(&labels, "a", "say \"hi\"\\\n");
    cw_metrics_label(&labels, "b", "\xc3\xa4\xff");
    (void)cw_metrics_counter(m, "c", labels.p, "One \"line\"\\\ntwo.");
    assert_page(m, "# HELP c One \"line\"\\\\\\ntwo.\n"
                   "# TYPE c counter\n"
                   "c{a=\"say \\\"hi\\\"\\\\\\n\",b=\"\xc3\xa4?\"} 0\n");
}

static void gauges_keep_every_double(void **state)
{
    static const struct {
        double v;
        const char *text;
    } cases[] = {{0.1, "0.1"},
                 {1.0 / 3, "0.3333333333333333"},
                 {268435456, "268435456"},
                 {-0.5, "-0.5"},
                 {5e-324, "4.94066e-324"},
                 {INFINITY, "+Inf"},
                 {-INFINITY, "-Inf"},
                 {NAN, "NaN"}};
    struct cw_metrics *m = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char page[100];

        cw_gauge_set(cw_metrics_gauge(m, "g", NULL, NULL), cases[i].v);
        (void)snprintf(page, sizeof(page), "# TYPE g gauge\ng %s\n", cases[i].text);
        assert_page(m, page);
    }
}

static void a_counter_of_parts_is_shown_in_the_metrics_unit(void **state)
{
    struct cw_metrics *m = cw_metrics_new();
    struct cw_counter *c = cw_metrics_counter(m, "held_seconds_total", NULL, "Held.");

    (void)state;
    cw_counter_shown_per(c, 1000000);
    cw_counter_add(c, 1250000);
    cw_counter_add(c, 1);
    assert_int_equal(cw_counter_value(c), 1250001);
    assert_page(m, "# HELP held_seconds_total Held.\n"
                   "# TYPE held_seconds_total counter\n"
                   "held_seconds_total 1.250001\n");
    cw_metrics_free(m);
}

static void names_get_underscores_for_what_is_not_allowed(void **state)
{
    struct cw_metrics *m = *state;
    cw_auto_str struct cw_str labels;

    cw_str_init(&labels, 1000);
    cw_metrics_label(&labels, "status-code", "1");
    cw_counter_add(cw_metrics_counter(m, "4kafka_my-topic.delay", labels.p, NULL), 3);
    assert_int_equal(
        cw_counter_value(cw_metrics_counter(m, "_kafka_my_topic_delay", "status_code=\"1\"", NULL)),
        3);
    assert_page(m, "# TYPE _kafka_my_topic_delay counter\n"
                   "_kafka_my_topic_delay{status_code=\"1\"} 3\n");
}

static void add_passing(void *arg, struct cw_str *out)
{
    cw_str_addf(out, "passing{of=\"%s\"} 1\n", (const char *)arg);
}

static void what_comes_and_goes_stands_after_the_families(void **state)
{
    struct cw_metrics *m = cw_metrics_new();
    char day[] = "today";

    (void)state;
    cw_gauge_set(cw_metrics_gauge(m, "lasting", NULL, NULL), 2);
    cw_metrics_extend(m, add_passing, day);
    assert_page(m, "# TYPE lasting gauge\nlasting 2\npassing{of=\"today\"} 1\n");
    cw_metrics_extend(m, NULL, NULL);
    assert_page(m, "# TYPE lasting gauge\nlasting 2\n");
    cw_metrics_free(m);
}

static void page_over_its_maximum_is_marked(void **state)
{
    struct cw_metrics *m = *state;
    cw_auto_str struct cw_str out;

    cw_str_init(&out, 10);
    (void)cw_metrics_counter(m, "a_total", NULL, NULL);
    cw_metrics_render(m, &out);
    assert_true(out.failed);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, new_metrics, free_metrics)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(families_come_in_order_with_help_and_type_once),
        T(same_name_and_labels_give_the_same_handle),
        T(histogram_buckets_are_cumulative_and_end_in_inf),
        T(histogram_series_share_the_bounds_of_their_family),
        T(default_bounds_span_100_us_to_60_s),
        T(label_values_and_help_are_escaped),
        T(gauges_keep_every_double),
        T(a_counter_of_parts_is_shown_in_the_metrics_unit),
        T(names_get_underscores_for_what_is_not_allowed),
        T(what_comes_and_goes_stands_after_the_families),
        T(page_over_its_maximum_is_marked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
