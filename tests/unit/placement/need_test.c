/* What an activation is expected to need: S0 Table 1, and the blend that is the same at n = n0. */
#include "tests/support/cmocka_all.h"

#include <math.h>
#include <stdbool.h>

#include "common/base/mem.h"
#include "invoker/placement/need.h"

static const uint64_t MIB = 1024 * 1024;
static const struct inv_need_conf TABLE1 = {.model = INV_NEED_TABLE1};

struct seen {
    struct inv_hist cpu, memory;
};

static struct inv_observed times(struct seen *s, int n, uint64_t cpu_millis, uint64_t mib)
{
    for (int i = 0; i < n; i++) {
        inv_hist_add(&s->cpu, cpu_millis);
        inv_hist_add(&s->memory, mib);
    }
    return (struct inv_observed){&s->cpu, &s->memory, 1};
}

static bool close_to(uint64_t said, double truth, double error)
{
    return fabs((double)said / truth - 1) <= error;
}

static void table1_is_the_mean_of_type_and_image(void **state)
{
    (void)state;
    /* needCPU = (cpuByServiceType + cpuByImageMonitoring) / 2, needMemory likewise */
    assert_int_equal(inv_need_table1(300, 500), 400);
    assert_int_equal(inv_need_table1(128 * MIB, 256 * MIB), 192 * MIB);
    assert_int_equal(inv_need_table1(500, 300), 400);
    assert_int_equal(inv_need_table1(0, 0), 0);
    assert_int_equal(inv_need_table1(1, 2), 2);
    assert_int_equal(inv_need_table1(UINT64_MAX, UINT64_MAX), UINT64_MAX);
    assert_int_equal(inv_need_table1(UINT64_MAX, UINT64_MAX - 2), UINT64_MAX - 1);
}

static void table1_takes_means_of_what_was_monitored(void **state)
{
    struct seen kind = {0}, image = {0};
    struct inv_need_input in = {.declared_bytes = 1024 * MIB, .share_millis = 1000};
    struct inv_need need;

    (void)state;
    (void)times(&kind, 10, 200, 100);
    in.kind = times(&kind, 10, 400, 156); /* means 300 and 128 */
    in.image = times(&image, 3, 500, 256);
    inv_need_infer(&TABLE1, &in, &need);
    assert_true(close_to(need.cpu_millis, (double)inv_need_table1(300, 500), INV_HIST_MEAN_ERROR));
    assert_true(close_to(need.memory_bytes, (double)inv_need_table1(128 * MIB, 256 * MIB),
                         INV_HIST_MEAN_ERROR));
    assert_int_equal(need.memory_bound, INV_NEED_AS_INFERRED);
}

static void table1_with_one_source_is_that_source(void **state)
{
    struct seen image = {0};
    struct inv_need_input in = {.declared_bytes = 1024 * MIB, .share_millis = 1000};
    struct inv_need need;

    (void)state;
    in.image = times(&image, 4, 500, 256);
    inv_need_infer(&TABLE1, &in, &need);
    assert_true(close_to(need.cpu_millis, 500, INV_HIST_MEAN_ERROR));
    assert_true(close_to(need.memory_bytes, 256.0 * (double)MIB, INV_HIST_MEAN_ERROR));
}

static void blend_at_n0_is_the_papers_mean(void **state)
{
    struct seen kind = {0}, action = {0};
    struct inv_need_conf conf = {.model = INV_NEED_BLEND, .prior_weight = 8};
    struct inv_need_input in = {.share_millis = 0};
    struct inv_need need;

    (void)state;
    in.kind = times(&kind, 50, 256, 128); /* powers of two are lower edges: exact up to 9% */
    in.action = times(&action, 8, 512, 256);
    inv_need_infer(&conf, &in, &need);
    assert_int_equal(need.cpu_millis, inv_need_table1(inv_hist_bucket_max(inv_hist_bucket(256)),
                                                      inv_hist_bucket_max(inv_hist_bucket(512))));
    assert_true(close_to(need.memory_bytes, 192.0 * (double)MIB, INV_HIST_PERCENTILE_ERROR));
}

static void blend_trusts_the_action_more_with_each_run(void **state)
{
    struct seen kind = {0}, action = {0};
    struct inv_need_input in = {.declared_bytes = 512 * MIB, .share_millis = 1000};
    struct inv_need need;
    uint64_t last = UINT64_MAX;

    (void)state;
    in.kind = times(&kind, 100, 400, 300);
    for (int i = 0; i < 60; i++) {
        in.action = times(&action, 1, 50, 40);
        inv_need_infer(NULL, &in, &need);
        assert_true(need.memory_bytes < last);
        last = need.memory_bytes;
    }
    assert_true(last < 70 * MIB && last > 40 * MIB);
}

static void blend_asks_the_image_before_the_kind(void **state)
{
    struct seen kind = {0}, image = {0};
    struct inv_need_input in = {.declared_bytes = 512 * MIB, .share_millis = 1000};
    struct inv_need need;

    (void)state;
    in.kind = times(&kind, 100, 400, 300);
    in.image = times(&image, 100, 50, 40);
    inv_need_infer(NULL, &in, &need);
    assert_true(need.memory_bytes < 60 * MIB);
    assert_int_equal(need.n_action, 0);
    assert_int_equal(need.n_image, 100);
}

static void without_evidence_it_is_what_was_declared(void **state)
{
    static const enum inv_need_model MODELS[] = {INV_NEED_BLEND, INV_NEED_TABLE1,
                                                 INV_NEED_DECLARED};
    struct inv_need_input in = {.declared_bytes = 256 * MIB, .share_millis = 125};

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(MODELS); i++) {
        struct inv_need_conf conf = {.model = MODELS[i]};
        struct inv_need need;

        inv_need_infer(&conf, &in, &need);
        assert_int_equal(need.memory_bytes, 256 * MIB);
        assert_int_equal(need.cpu_millis, 125);
        assert_int_equal(need.memory_bound, INV_NEED_NO_EVIDENCE);
    }
}

static void never_above_what_is_declared(void **state)
{
    struct seen action = {0};
    struct inv_need_input in = {
        .declared_bytes = 128 * MIB, .share_millis = 100, .limit_millis = 700};
    struct inv_need need;

    (void)state;
    in.action = times(&action, 1000, 900, 500);
    inv_need_infer(NULL, &in, &need);
    assert_int_equal(need.memory_bytes, 128 * MIB);
    assert_int_equal(need.memory_bound, INV_NEED_AT_LIMIT);
    assert_int_equal(need.cpu_millis, 700);
    assert_int_equal(need.cpu_bound, INV_NEED_AT_LIMIT);
}

static void never_below_the_idle_runtime(void **state)
{
    struct seen action = {0};
    struct inv_need_input in = {.declared_bytes = 256 * MIB, .idle_bytes = 60 * MIB};
    struct inv_need need;

    (void)state;
    in.action = times(&action, 1000, 1, 5);
    inv_need_infer(NULL, &in, &need);
    assert_int_equal(need.memory_bytes, 60 * MIB);
    assert_int_equal(need.memory_bound, INV_NEED_AT_IDLE);
    in.declared_bytes = 50 * MIB; /* the limit is the kernel's: it wins */
    inv_need_infer(NULL, &in, &need);
    assert_int_equal(need.memory_bytes, 50 * MIB);
}

static void nothing_known_at_all_is_still_a_need(void **state)
{
    struct inv_need_input in = {0};
    struct inv_need need;

    (void)state;
    inv_need_infer(NULL, &in, &need);
    assert_int_equal(need.memory_bytes, 1);
    assert_int_equal(need.cpu_millis, 1);
}

static void settings_out_of_range_are_the_defaults(void **state)
{
    static const struct inv_need_conf BAD[] = {
        {.prior_weight = NAN, .percentile = NAN},
        {.prior_weight = -1, .percentile = 101},
        {.prior_weight = INFINITY, .percentile = -5},
        {.model = (enum inv_need_model)99},
    };
    struct seen action = {0};
    struct inv_need_input in = {.declared_bytes = 512 * MIB, .share_millis = 1000};
    struct inv_need expected, need;

    (void)state;
    in.action = times(&action, 20, 50, 40);
    inv_need_infer(NULL, &in, &expected);
    for (size_t i = 0; i < CW_ARRAY_LEN(BAD); i++) {
        inv_need_infer(&BAD[i], &in, &need);
        assert_int_equal(need.memory_bytes, expected.memory_bytes);
        assert_int_equal(need.cpu_millis, expected.cpu_millis);
    }
}

static void why_names_model_evidence_and_bound(void **state)
{
    struct seen action = {0};
    struct inv_need_input in = {.declared_bytes = 128 * MIB, .share_millis = 100};
    struct inv_need need;
    char why[INV_NEED_WHY_MAX];

    (void)state;
    inv_need_infer(NULL, &in, &need);
    inv_need_why(&need, why);
    assert_string_equal(why, "blend: 128.0 MiB, as declared, 100 millicores, as declared; nothing "
                             "was seen of it or its like");
    in.action = times(&action, 40, 256, 500);
    inv_need_infer(NULL, &in, &need);
    inv_need_why(&need, why);
    assert_non_null(strstr(why, "128.0 MiB, held at its limit"));
    assert_non_null(
        strstr(why, "40.0 runs of the action, 0.0 of its image, 0.0 of its kind in 1 "));
}

static void models_have_names(void **state)
{
    enum inv_need_model model;

    (void)state;
    for (int i = 0; i < INV_NEED_MODELS; i++) {
        assert_int_equal(inv_need_model_of(inv_need_model_name((enum inv_need_model)i), &model), 0);
        assert_int_equal(model, i);
    }
    assert_int_equal(inv_need_model_of("guess", &model), -1);
    assert_string_equal(inv_need_model_name((enum inv_need_model)77), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table1_is_the_mean_of_type_and_image),
        cmocka_unit_test(table1_takes_means_of_what_was_monitored),
        cmocka_unit_test(table1_with_one_source_is_that_source),
        cmocka_unit_test(blend_at_n0_is_the_papers_mean),
        cmocka_unit_test(blend_trusts_the_action_more_with_each_run),
        cmocka_unit_test(blend_asks_the_image_before_the_kind),
        cmocka_unit_test(without_evidence_it_is_what_was_declared),
        cmocka_unit_test(never_above_what_is_declared),
        cmocka_unit_test(never_below_the_idle_runtime),
        cmocka_unit_test(nothing_known_at_all_is_still_a_need),
        cmocka_unit_test(settings_out_of_range_are_the_defaults),
        cmocka_unit_test(why_names_model_evidence_and_bound),
        cmocka_unit_test(models_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
