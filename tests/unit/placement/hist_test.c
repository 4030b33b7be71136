/* Buckets, and how far what they say may be from the truth. */
#include "tests/support/cmocka_all.h"

#include <math.h>

#include "common/base/mem.h"
#include "invoker/placement/hist.h"

static void buckets_rise_with_the_value_and_hold_it(void **state)
{
    size_t last = 0;

    (void)state;
    for (uint64_t value = 1; value <= INV_HIST_MAX; value++) {
        size_t bucket = inv_hist_bucket(value);

        assert_in_range(bucket, last, INV_HIST_BUCKETS - 1);
        assert_true(value <= inv_hist_bucket_max(bucket));
        assert_true(bucket == 0 || value > inv_hist_bucket_max(bucket - 1));
        assert_true((double)inv_hist_bucket_max(bucket) <
                    (double)value * (1 + INV_HIST_PERCENTILE_ERROR));
        last = bucket;
    }
    assert_int_equal(last, INV_HIST_BUCKETS - 1);
}

/* They are keys in a store: they must be the same for all versions. */
static void bucket_numbers_stay_what_they_are(void **state)
{
    static const struct {
        uint64_t value;
        size_t bucket;
    } KNOWN[] = {{0, 0},       {1, 0},       {2, 8},         {3, 12},          {100, 53},
                 {128, 56},    {139, 56},    {140, 57},      {256, 64},        {1000, 79},
                 {65535, 127}, {65536, 127}, {1 << 30, 127}, {UINT64_MAX, 127}};

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(KNOWN); i++)
        assert_int_equal(inv_hist_bucket(KNOWN[i].value), KNOWN[i].bucket);
}

static void mean_is_within_its_error(void **state)
{
    struct inv_hist h = {0};
    double sum = 0;
    uint64_t value = 1, n = 0;

    (void)state;
    for (; value < 60000; value += 1 + value / 7, n++) {
        inv_hist_add(&h, value);
        sum += (double)value;
        assert_true(fabs(inv_hist_mean(&h) / (sum / (double)(n + 1)) - 1) <= INV_HIST_MEAN_ERROR);
    }
    assert_true(fabs(inv_hist_total(&h) - (double)n) < 1e-6);
}

static void percentile_is_never_below_the_true_one(void **state)
{
    struct inv_hist h = {0};

    (void)state;
    for (uint64_t value = 1; value <= 1000; value++)
        inv_hist_add(&h, value);
    for (int percent = 1; percent <= 100; percent++) {
        double truth = percent * 10, said = (double)inv_hist_percentile(&h, percent);

        assert_true(said >= truth && said < truth * (1 + INV_HIST_PERCENTILE_ERROR));
    }
}

static void nothing_seen_is_nought(void **state)
{
    struct inv_hist h = {0};

    (void)state;
    assert_int_equal(inv_hist_percentile(&h, 95), 0);
    assert_true(inv_hist_mean(&h) == 0 && inv_hist_total(&h) == 0);
}

static void garbage_changes_nothing(void **state)
{
    static const double NO_WEIGHTS[] = {-1, 0, NAN, INFINITY, -INFINITY};
    struct inv_hist h = {0};

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(NO_WEIGHTS); i++)
        inv_hist_add_bucket(&h, 3, NO_WEIGHTS[i]);
    inv_hist_add_bucket(&h, INV_HIST_BUCKETS, 1);
    inv_hist_add_bucket(&h, SIZE_MAX, 1);
    assert_true(inv_hist_total(&h) == 0);
    inv_hist_add_bucket(&h, 3, 1e300);
    assert_true(inv_hist_total(&h) == 16777216);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_rise_with_the_value_and_hold_it),
        cmocka_unit_test(bucket_numbers_stay_what_they_are),
        cmocka_unit_test(mean_is_within_its_error),
        cmocka_unit_test(percentile_is_never_below_the_true_one),
        cmocka_unit_test(nothing_seen_is_nought),
        cmocka_unit_test(garbage_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
