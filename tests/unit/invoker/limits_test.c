/* A namespace's own limit, the default for namespaces, the system's (openwhisk kafka.md 4.4). */
#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "common/model/action_doc.h"
#include "common/model/identity.h"
#include "invoker/limits.h"
#include "invoker/settings.h"
#include "tests/support/jobs.h"

static const struct cw_action_limits USUAL = {
    .timeout_ms = 60000, .memory_mb = 256, .logs_mb = 10, .concurrency = 1};

struct world {
    struct inv_settings s;
    struct cw_user_limits user;
    struct cw_action_limits action;
    char text[INV_LIMITS_TEXT_MAX];
    struct cw_err err;
};

static void begin(struct world *w, const char *const *env)
{
    *w = (struct world){.action = USUAL};
    test_settings(env, &w->s);
}

static void end(struct world *w)
{
    cw_conf_free(inv_settings_table(), &w->s);
}

#define ENV(...) ((const char *const[]){__VA_ARGS__, NULL})

static bool allowed(struct world *w)
{
    return inv_limits_allow(&w->s, &w->user, &w->action, w->text);
}

static void system_limits_hold_without_others(void **state)
{
    struct world w;

    (void)state;
    begin(&w, NULL);
    assert_true(allowed(&w));
    w.action.memory_mb = 513;
    assert_false(allowed(&w));
    assert_string_equal(
        w.text, "requirement failed: memory size 513 MB exceeds allowed threshold of 512 MB");
    w.action = USUAL;
    w.action.timeout_ms = 99;
    assert_false(allowed(&w));
    assert_string_equal(
        w.text, "requirement failed: duration 99 milliseconds below allowed threshold of 100 "
                "milliseconds");
    end(&w);
}

static void defaults_of_namespaces_bound_those_without_limits(void **state)
{
    struct world w;

    (void)state;
    begin(&w, ENV("CONFIG_whisk_namespaceDefaultLimit_memory_min=128m",
                  "CONFIG_whisk_namespaceDefaultLimit_memory_max=192m",
                  "CONFIG_whisk_namespaceDefaultLimit_timeLimit_min=1 s",
                  "CONFIG_whisk_namespaceDefaultLimit_timeLimit_max=2 minutes",
                  "CONFIG_whisk_namespaceDefaultLimit_logLimit_min=1 m",
                  "CONFIG_whisk_namespaceDefaultLimit_logLimit_max=5 m"));
    assert_int_equal(inv_limits_check(&w.s, &w.err), 0);
    assert_false(allowed(&w));
    assert_string_equal(
        w.text, "requirement failed: memory size 256 MB exceeds allowed threshold of 192 MB");
    w.action.memory_mb = 128;
    assert_false(allowed(&w));
    assert_string_equal(w.text,
                        "requirement failed: log size 10 MB exceeds allowed threshold of 5 MB");
    w.action.logs_mb = 5;
    assert_true(allowed(&w));
    w.action.timeout_ms = 120001;
    assert_false(allowed(&w));
    w.action.timeout_ms = 999;
    assert_false(allowed(&w));
    end(&w);
}

static void own_limits_beat_the_defaults_but_not_the_system(void **state)
{
    struct world w;

    (void)state;
    begin(&w, ENV("CONFIG_whisk_namespaceDefaultLimit_memory_min=128m",
                  "CONFIG_whisk_namespaceDefaultLimit_memory_max=192m"));
    w.user.max_memory_mb = (struct cw_opt_int){.value = 400, .set = true};
    assert_true(allowed(&w));
    w.user.max_memory_mb.value = 4000;
    w.action.memory_mb = 513;
    assert_false(allowed(&w));
    assert_string_equal(
        w.text, "requirement failed: memory size 513 MB exceeds allowed threshold of 512 MB");
    w.user.min_memory_mb = (struct cw_opt_int){.value = 1, .set = true};
    w.action.memory_mb = 127;
    assert_false(allowed(&w));
    assert_string_equal(w.text,
                        "requirement failed: memory size 127 MB below allowed threshold of 128 MB");
    end(&w);
}

static void half_a_pair_counts_as_none(void **state)
{
    struct world w;

    (void)state;
    begin(&w, ENV("CONFIG_whisk_namespaceDefaultLimit_memory_max=192m",
                  "CONFIG_whisk_namespaceDefaultLimit_activation_payload_max=1k"));
    assert_int_equal(inv_limits_check(&w.s, &w.err), 0);
    assert_true(allowed(&w));
    assert_int_equal(inv_limits_payload(&w.s, &w.user), 1 << 20);
    end(&w);
}

static void results_have_the_same_ladder(void **state)
{
    struct world w;

    (void)state;
    begin(&w, NULL);
    assert_int_equal(inv_limits_payload(&w.s, &w.user), 1 << 20);
    assert_int_equal(inv_limits_truncation(&w.s, &w.user), 1 << 20);
    end(&w);
    begin(&w, ENV("CONFIG_whisk_namespaceDefaultLimit_activation_payload_max=2k",
                  "CONFIG_whisk_namespaceDefaultLimit_activation_payload_truncation=1k"));
    assert_int_equal(inv_limits_payload(&w.s, &w.user), 2048);
    assert_int_equal(inv_limits_truncation(&w.s, &w.user), 1024);
    w.user.max_payload_bytes = (struct cw_opt_int){.value = 1 << 30, .set = true};
    w.user.truncation_bytes = (struct cw_opt_int){.value = 5, .set = true};
    assert_int_equal(inv_limits_payload(&w.s, &w.user), 1 << 20);
    assert_int_equal(inv_limits_truncation(&w.s, &w.user), 5);
    end(&w);
}

static void defaults_beyond_the_system_end_the_start(void **state)
{
    static const struct {
        const char *one, *two, *message;
    } CASES[] = {
        {"CONFIG_whisk_namespaceDefaultLimit_memory_min=128m",
         "CONFIG_whisk_namespaceDefaultLimit_memory_max=513m",
         "whisk.namespace-default-limit.memory.max is above the system's, whisk.memory.max"},
        {"CONFIG_whisk_namespaceDefaultLimit_timeLimit_min=10ms",
         "CONFIG_whisk_namespaceDefaultLimit_timeLimit_max=1m",
         "whisk.namespace-default-limit.time-limit.min is below the system's, "
         "whisk.time-limit.min"},
        {"CONFIG_whisk_namespaceDefaultLimit_memory_min=256m",
         "CONFIG_whisk_namespaceDefaultLimit_memory_max=200m",
         "whisk.namespace-default-limit.memory.min is above "
         "whisk.namespace-default-limit.memory.max"},
        {"CONFIG_whisk_concurrencyLimit_min=5", "CONFIG_whisk_concurrencyLimit_max=4",
         "whisk.concurrency-limit.min is above whisk.concurrency-limit.max"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct world w;

        begin(&w, ENV(CASES[i].one, CASES[i].two));
        assert_int_equal(inv_limits_check(&w.s, &w.err), -1);
        assert_string_equal(w.err.msg, CASES[i].message);
        end(&w);
    }
}

static void code_may_grow_with_the_limit_of_the_controllers(void **state)
{
    struct world w;

    (void)state;
    begin(&w, NULL);
    assert_int_equal(inv_limits_code(&w.s), 64 << 20);
    end(&w);
    begin(&w, ENV("CONFIG_whisk_execSizeLimit=96 m"));
    assert_int_equal(inv_limits_code(&w.s), 128 << 20);
    end(&w);
    begin(&w, ENV("CONFIG_whisk_execSizeLimit=1 m"));
    assert_int_equal(inv_limits_code(&w.s), 64 << 20);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(system_limits_hold_without_others),
        cmocka_unit_test(defaults_of_namespaces_bound_those_without_limits),
        cmocka_unit_test(own_limits_beat_the_defaults_but_not_the_system),
        cmocka_unit_test(half_a_pair_counts_as_none),
        cmocka_unit_test(results_have_the_same_ladder),
        cmocka_unit_test(defaults_beyond_the_system_end_the_start),
        cmocka_unit_test(code_may_grow_with_the_limit_of_the_controllers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
