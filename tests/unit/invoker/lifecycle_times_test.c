#include "tests/support/cmocka_all.h"

#include <stdio.h>

#include "common/base/str.h"
#include "common/obs/metrics.h"
#include "invoker/lifecycle_times.h"

#define HEX16 "0123456789abcdef"
#define ID HEX16 HEX16 HEX16 HEX16
#define T0 INT64_C(1795276765000000)

struct world {
    struct cw_metrics *metrics;
    struct inv_lifecycle *lc;
    struct cw_str text;
};

static int begin(void **state)
{
    struct world *w = cw_alloc(sizeof(*w));

    w->metrics = cw_metrics_new();
    w->lc = inv_lifecycle_new(w->metrics, NULL);
    cw_str_init(&w->text, 1 << 20);
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;

    inv_lifecycle_free(w->lc);
    cw_metrics_free(w->metrics);
    cw_str_done(&w->text);
    free(w);
    return 0;
}

static void tell(struct world *w, enum cw_moment what, const char *name, int64_t at_ms)
{
    inv_lifecycle_moment(
        w->lc,
        &(struct cw_driver_moment){
            .what = what, .id = ID, .name = name, .at_us = T0 + at_ms * 1000, .exit_code = -1});
}

static void expect_line(struct world *w, const char *operation, const char *what, const char *value)
{
    char line[160];

    (void)snprintf(line, sizeof(line),
                   "\ncwhisk_container_operation_seconds_%s{operation=\"%s\"} %s\n", what,
                   operation, value);
    cw_str_reset(&w->text);
    cw_metrics_render(w->metrics, &w->text);
    if (!strstr(w->text.p, line))
        fail_msg("not there: %s\nin:\n%s", line, w->text.p);
}

/* seconds: as it is printed. */
static void expect_once(struct world *w, const char *operation, const char *seconds)
{
    expect_line(w, operation, "count", "1");
    expect_line(w, operation, "sum", seconds);
}

static void create_and_start(struct world *w)
{
    tell(w, CW_MOMENT_ASK_CREATE, "wsk0_1_a", 0);
    tell(w, CW_MOMENT_CREATE, "wsk0_1_a", 100);
    tell(w, CW_MOMENT_ASK_START, "wsk0_1_a", 110);
    tell(w, CW_MOMENT_CONNECT, NULL, 140);
    tell(w, CW_MOMENT_START, "wsk0_1_a", 440);
}

static void each_operation_lasts_from_the_moment_before_it(void **state)
{
    struct world *w = *state;

    create_and_start(w);
    tell(w, CW_MOMENT_ASK_DESTROY, NULL, 60000);
    tell(w, CW_MOMENT_KILL, "wsk0_1_a", 60001);
    tell(w, CW_MOMENT_DIE, "wsk0_1_a", 60050);
    tell(w, CW_MOMENT_DISCONNECT, NULL, 60150);
    tell(w, CW_MOMENT_DESTROY, "wsk0_1_a", 60160);
    expect_once(w, "create", "0.1");
    expect_once(w, "connect", "0.03");
    expect_once(w, "start", "0.3");
    expect_once(w, "die", "0.049");
    expect_once(w, "disconnect", "0.1");
    expect_once(w, "destroy", "0.01");
    expect_line(w, "attach", "count", "0");
}

static void create_may_be_told_before_the_asking_and_after_the_start_was_asked(void **state)
{
    struct world *w = *state;

    tell(w, CW_MOMENT_CREATE, "wsk0_1_a", 100);
    tell(w, CW_MOMENT_ASK_CREATE, "wsk0_1_a", 0);
    expect_once(w, "create", "0.1");
    tell(w, CW_MOMENT_DESTROY, "wsk0_1_a", 200);
    tell(w, CW_MOMENT_ASK_CREATE, "wsk0_1_a", 1000);
    tell(w, CW_MOMENT_ASK_START, "wsk0_1_a", 1110);
    tell(w, CW_MOMENT_CREATE, "wsk0_1_a", 1200);
    expect_line(w, "create", "count", "2");
    tell(w, CW_MOMENT_CONNECT, NULL, 1160);
    expect_once(w, "connect", "0.05");
}

static void what_nobody_asked_for_has_no_duration(void **state)
{
    struct world *w = *state;

    create_and_start(w);
    tell(w, CW_MOMENT_DIE, "wsk0_1_a", 90000); /* by itself */
    expect_line(w, "die", "count", "0");
    tell(w, CW_MOMENT_DISCONNECT, NULL, 90010);
    expect_once(w, "disconnect", "0.01");
    tell(w, CW_MOMENT_START, "wsk0_1_a", 95000); /* by somebody else */
    expect_line(w, "start", "count", "1");
}

static void attaching_counts_after_create(void **state)
{
    struct world *w = *state;

    tell(w, CW_MOMENT_CREATE, "wsk0_1_a", 0);
    tell(w, CW_MOMENT_ATTACH, "wsk0_1_a", 7);
    expect_line(w, "create", "count", "0"); /* nobody said when it was asked for */
    expect_once(w, "attach", "0.007");
}

static void clocks_that_differ_and_strangers_do_not_count(void **state)
{
    struct world *w = *state;

    tell(w, CW_MOMENT_CONNECT, NULL, 0); /* of an unknown container */
    tell(w, CW_MOMENT_ASK_START, "wsk0_1_a", 0);
    tell(w, CW_MOMENT_CONNECT, NULL, -5000);
    tell(w, CW_MOMENT_START, "wsk0_1_a", -4900);
    expect_line(w, "connect", "count", "0");
    expect_once(w, "start", "0.1");
}

static void memory_is_bounded_when_ends_are_missed(void **state)
{
    struct world *w = *state;
    char id[65];

    for (int i = 0; i < 6000; i++) {
        (void)snprintf(id, sizeof(id), "%064d", i);
        inv_lifecycle_moment(
            w->lc, &(struct cw_driver_moment){
                       .what = CW_MOMENT_ASK_START, .id = id, .name = "wsk0_1_a", .at_us = T0});
    }
    for (int i = 0; i < 6000; i += 5999) { /* the first is forgotten, the last is not */
        (void)snprintf(id, sizeof(id), "%064d", i);
        inv_lifecycle_moment(w->lc, &(struct cw_driver_moment){
                                        .what = CW_MOMENT_CONNECT, .id = id, .at_us = T0 + 1000});
    }
    expect_line(w, "connect", "count", "1");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_operation_lasts_from_the_moment_before_it),
        CASE(create_may_be_told_before_the_asking_and_after_the_start_was_asked),
        CASE(what_nobody_asked_for_has_no_duration),
        CASE(attaching_counts_after_create),
        CASE(clocks_that_differ_and_strangers_do_not_count),
        CASE(memory_is_bounded_when_ends_are_missed),
    };

    return cmocka_run_group_tests_name("lifecycle_times", tests, NULL, NULL);
}
