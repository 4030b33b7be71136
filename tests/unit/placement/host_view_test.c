/* Which hosts take which actions. */
#include "tests/support/cmocka_all.h"

#include <math.h>

#include "common/base/mem.h"
#include "invoker/placement/host_view.h"

static char letter_of(enum inv_host_set set)
{
    return set == INV_SET_ANY ? 'a' : set == INV_SET_MANAGED ? 'm' : 'b';
}

static void expect_sets(double managed, double blackbox, const char *wanted)
{
    size_t count = strlen(wanted);
    char seen[64] = "";

    for (size_t i = 0; i < count; i++)
        seen[i] = letter_of(inv_host_set_of(i, count, managed, blackbox));
    assert_string_equal(seen, wanted);
}

static void sets_are_divided_as_controllers_do(void **state)
{
    (void)state;
    expect_sets(0.9, 0.1, "a");
    expect_sets(0.9, 0.1, "ma");
    expect_sets(0.9, 0.1, "mma");
    expect_sets(0.9, 0.1, "mmmmmmmma");
    expect_sets(0.9, 0.1, "mmmmmmmmmb");
    expect_sets(0.9, 0.1, "mmmmmmmmmmb");
    expect_sets(0.9, 0.1, "mmmmmmmmmmmmmmmmmmbb");
    expect_sets(0.5, 0.25, "mmbb"); /* at least 1 - managed */
    expect_sets(0.5, 0.75, "mabb"); /* overlapping on purpose */
    expect_sets(1, 1, "aaaa");
    expect_sets(0, 0.1, "abbb"); /* one at least */
}

static void fractions_that_are_none_are_brought_into_range(void **state)
{
    (void)state;
    expect_sets(-3, 7, "abbb");
    expect_sets((double)NAN, (double)NAN, "abbb");
    expect_sets(17, -1, "mmma");
    assert_int_equal(inv_host_set_of(0, 0, 0.9, 0.1), INV_SET_ANY);
}

static const int64_t GIB = 1024 * 1024 * 1024;

static struct inv_host_view sane(void)
{
    return (struct inv_host_view){.cpu_total_millis = 4000, .memory_total_bytes = 8 * GIB};
}

static void figures_that_make_no_sense_are_named(void **state)
{
    static const struct {
        size_t field;
        int64_t value;
        enum inv_unusable why;
    } CASES[] = {
        {offsetof(struct inv_host_view, cpu_total_millis), 0, INV_UNUSABLE_CAPACITY},
        {offsetof(struct inv_host_view, cpu_total_millis), -1, INV_UNUSABLE_CAPACITY},
        {offsetof(struct inv_host_view, cpu_total_millis), INT64_MAX, INV_UNUSABLE_CAPACITY},
        {offsetof(struct inv_host_view, memory_total_bytes), 0, INV_UNUSABLE_CAPACITY},
        {offsetof(struct inv_host_view, memory_total_bytes), -8, INV_UNUSABLE_CAPACITY},
        {offsetof(struct inv_host_view, cpu_used_millis), -1, INV_UNUSABLE_FIGURES},
        {offsetof(struct inv_host_view, cpu_reserved_millis), INT64_MIN, INV_UNUSABLE_FIGURES},
        {offsetof(struct inv_host_view, memory_used_bytes), INT64_MAX, INV_UNUSABLE_FIGURES},
        {offsetof(struct inv_host_view, memory_reserved_bytes), -1, INV_UNUSABLE_FIGURES},
        {offsetof(struct inv_host_view, memory_idle_bytes), 1, INV_UNUSABLE_FIGURES},
        {offsetof(struct inv_host_view, mean_run_us), -1, INV_UNUSABLE_FIGURES},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct inv_host_view v = sane();

        assert_int_equal(inv_host_usable(&v, false), INV_USABLE);
        memcpy((char *)&v + CASES[i].field, &CASES[i].value, sizeof(CASES[i].value));
        assert_int_equal(inv_host_usable(&v, false), CASES[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_are_divided_as_controllers_do),
        cmocka_unit_test(fractions_that_are_none_are_brought_into_range),
        cmocka_unit_test(figures_that_make_no_sense_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
