#include "invoker/placement_counts.h"

#include "common/base/str.h"
#include "common/obs/metrics.h"
#include "invoker/placement/policy.h"
#include "tests/support/cmocka_all.h"

static void assert_shown(const struct cw_metrics *m, const char *line)
{
    cw_auto_str struct cw_str page;

    cw_str_init(&page, 1 << 16);
    cw_metrics_render(m, &page);
    if (!strstr(page.p, line))
        fail_msg("no %s in\n%s", line, page.p);
}

static void decisions_are_counted_by_answer_and_hosts_by_reason(void **state)
{
    struct cw_metrics *m = cw_metrics_new();
    struct inv_placement_counts *c = inv_placement_counts_new(m);

    (void)state;
    inv_placement_counts_add(
        c,
        &(struct inv_placement){
            .host = -1,
            .why = INV_WAIT_MEMORY,
            .unusable = {[INV_USABLE] = 9, [INV_UNUSABLE_DEAD] = 2, [INV_UNUSABLE_GUARANTEE] = 1}});
    inv_placement_counts_add(
        c, &(struct inv_placement){.why = INV_PLACED, .unusable = {[INV_UNUSABLE_DEAD] = 1}});
    assert_shown(m, "cwhisk_placement_decisions_total{answer=\"memory\"} 1\n");
    assert_shown(m, "cwhisk_placement_decisions_total{answer=\"placed\"} 1\n");
    assert_shown(m, "cwhisk_placement_decisions_total{answer=\"busy\"} 0\n");
    assert_shown(m, "cwhisk_placement_passed_over_total{reason=\"dead\"} 3\n");
    assert_shown(m, "cwhisk_placement_passed_over_total{reason=\"unheard\"} 0\n");
    assert_shown(m, "cwhisk_placement_passed_over_total{reason=\"bad-guarantee\"} 1\n");
    inv_placement_counts_free(c);
    cw_metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decisions_are_counted_by_answer_and_hosts_by_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
