/* What containers look like to the engine (openwhisk container.md 6, 7). */
#include "tests/support/cmocka_all.h"

#include <math.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/model/action_doc.h"
#include "common/model/manifest.h"
#include "invoker/container/spec.h"
#include "invoker/machine.h"
#include "invoker/settings.h"
#include "tests/support/jobs.h"

static const char MANIFEST[] =
    "{\"runtimes\":{\"nodejs\":[{\"kind\":\"nodejs:20\",\"default\":true,\"image\":"
    "{\"prefix\":\"openwhisk\",\"name\":\"action-nodejs-v20\",\"tag\":\"nightly\"}}],"
    "\"python\":[{\"kind\":\"python:3\",\"image\":{\"registry\":\"own.example:5000\","
    "\"name\":\"python3\"}}]},"
    "\"blackboxes\":[{\"prefix\":\"openwhisk\",\"name\":\"dockerskeleton\",\"tag\":\"nightly\"},"
    "{\"prefix\":\"openwhisk\",\"name\":\"example\"}]}";

struct made {
    struct inv_settings settings;
    struct cw_manifest *manifest;
    struct cw_action action;
    struct cw_arena arena;
    struct cw_container_spec spec;
    struct cw_err err;
    uint64_t number;
    int64_t instance;
    const char *namespace_name;
};

/* Variables are "K=V"; NULL ends them. */
static void set_up(struct made *m, const char *const *variables)
{
    *m = (struct made){
        .action = {.id = "guest/hello",
                   .name = "hello",
                   .kind = "nodejs:20",
                   .limits = {.timeout_ms = 60000, .memory_mb = 256, .logs_mb = 10}},
        .number = 7,
        .namespace_name = "guest",
    };
    test_settings(variables, &m->settings);
    m->manifest = cw_manifest_parse(cw_slice_of(MANIFEST), &m->err);
    if (!m->manifest)
        fail_msg("%s", m->err.msg);
    cw_arena_init(&m->arena);
}

#define SET_UP(m, ...) set_up(m, (const char *const[]){__VA_ARGS__, NULL})

static int make(struct made *m)
{
    return inv_container_spec(&m->settings, m->manifest, m->instance, m->number, m->namespace_name,
                              &m->action, &m->arena, &m->spec, &m->err);
}

static void tear_down(struct made *m)
{
    cw_arena_done(&m->arena);
    cw_manifest_free(m->manifest);
    cw_conf_free(inv_settings_table(), &m->settings);
}

static void expect_words(const char *const *words, const char *const *expected)
{
    size_t i = 0;

    assert_non_null(words);
    for (; expected[i]; i++) {
        assert_non_null(words[i]);
        assert_string_equal(words[i], expected[i]);
    }
    assert_null(words[i]);
}

#define EXPECT_WORDS(words, ...) expect_words(words, (const char *const[]){__VA_ARGS__, NULL})

/* ---- names ---- */

static void expect_prefix(const char *unique_name, int64_t instance, const char *expected)
{
    struct inv_settings s = {.unique_name = (char *)unique_name};
    cw_auto_str struct cw_str prefix;

    cw_str_init(&prefix, 1024);
    inv_container_prefix(&s, instance, &prefix);
    assert_string_equal(prefix.p, expected);
}

static void prefix_names_the_invoker(void **state)
{
    (void)state;
    expect_prefix("0", 0, "wsk00_"); /* as ansible starts it */
    expect_prefix(NULL, 3, "wsk3_");
    expect_prefix("", 12, "wsk12_");
    expect_prefix("worker-7", 1, "wskworker-71_");
}

static void prefix_keeps_what_engines_allow(void **state)
{
    (void)state;
    expect_prefix("a_b.c-d", 0, "wska_b.c-d0_");
    expect_prefix("a b/c:d@e\"f\n\xc3\xa4", 0, "wskabcdef0_");
}

static void name_tells_number_namespace_and_action(void **state)
{
    struct made m;

    (void)state;
    SET_UP(&m, "CONFIG_cwhisk_uniqueName=0");
    assert_int_equal(make(&m), 0);
    assert_string_equal(m.spec.name, "wsk00_7_guest_hello");
    tear_down(&m);
}

static void name_is_sanitised(void **state)
{
    struct made m;

    (void)state;
    set_up(&m, NULL);
    m.namespace_name = "whisk.system";
    m.action.name = "a_b c-d.e@f&g";
    m.instance = 2;
    assert_int_equal(make(&m), 0);
    assert_string_equal(m.spec.name, "wsk2_7_whisksystem_a_bcdefg");
    tear_down(&m);
}

/* ---- resources ---- */

static void cpu_shares_follow_the_memory(void **state)
{
    static const struct {
        int64_t user_mb, action_mb;
        uint32_t shares;
    } CASES[] = {
        {1024, 256, 256},  {1024, 128, 128}, {1024, 1024, 1024},
        {2048, 256, 128},  {1024, 300, 341}, {1024, 2048, 1024} /* larger than the pool */,
        {1 << 20, 128, 2}, {65536, 128, 2},  {65535, 128, 2},
        {43000, 128, 3},   {1024, 0, 1024},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++)
        assert_int_equal(inv_cpu_shares(CASES[i].user_mb << 20, CASES[i].action_mb << 20),
                         CASES[i].shares);
}

static void memory_and_shares_are_of_the_action(void **state)
{
    struct made m;

    (void)state;
    SET_UP(&m, "CONFIG_whisk_containerPool_userMemory=2048m");
    assert_int_equal(make(&m), 0);
    assert_int_equal(m.spec.memory_mb, 256);
    assert_int_equal(m.spec.cpu_shares, 128);
    assert_true(m.spec.cpus == 0);
    tear_down(&m);
}

/* user-memory, which may be any promise, does not matter then. */
static void where_needs_are_inferred_a_part_is_one_of_the_machine(void **state)
{
    static const char *const PROMISES[] = {"1g", "1024t"};
    int64_t machine = inv_machine_memory_bytes(), action = 256LL << 20;
    double cpus = round(8.0 / (double)(machine / action) * 1e5) / 1e5;

    (void)state;
    assert_true(machine > action);
    for (size_t i = 0; i < CW_ARRAY_LEN(PROMISES); i++) {
        struct made m;
        char promise[80];

        (void)snprintf(promise, sizeof(promise), "CONFIG_whisk_containerPool_userMemory=%s",
                       PROMISES[i]);
        SET_UP(&m, promise, "CONFIG_whisk_containerPool_userCpus=8", "CWHISK_ADMISSION=inferred");
        assert_int_equal(make(&m), 0);
        assert_int_equal(m.spec.cpu_shares, inv_cpu_shares(machine, action));
        assert_true(fabs(m.spec.cpus - cpus) < 1e-9);
        tear_down(&m);
        SET_UP(&m, promise, "CONFIG_whisk_containerPool_userCpus=8");
        assert_int_equal(make(&m), 0);
        assert_int_equal(m.spec.cpu_shares, i == 0 ? 256 : 2); /* stock's */
        assert_true(fabs(m.spec.cpus - (i == 0 ? 2 : 0.01)) < 1e-9);
        tear_down(&m);
    }
}

static void cores_are_shared_out_by_memory(void **state)
{
    static const struct {
        const char *cores;
        int64_t memory_mb;
        double cpus;
    } CASES[] = {
        {"CONFIG_whisk_containerPool_userCpus=4", 256, 1.0},
        {"CONFIG_whisk_containerPool_userCpus=1", 341, 0.33333}, /* five digits */
        {"CONFIG_whisk_containerPool_userCpus=0.5", 512, 0.25},
        {"CONFIG_whisk_containerPool_userCpus=0.001", 128, 0.01}, /* the least */
        {"CONFIG_whisk_containerPool_userCpus=4", 4096, 4.0},     /* larger than the pool */
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct made m;

        SET_UP(&m, CASES[i].cores);
        m.action.limits.memory_mb = CASES[i].memory_mb;
        assert_int_equal(make(&m), 0);
        assert_true(m.spec.cpus > CASES[i].cpus - 1e-9 && m.spec.cpus < CASES[i].cpus + 1e-9);
        tear_down(&m);
    }
}

static void limits_and_capabilities_are_those_of_stock(void **state)
{
    struct made m;

    (void)state;
    set_up(&m, NULL);
    assert_int_equal(make(&m), 0);
    EXPECT_WORDS(m.spec.cap_drop, "NET_RAW", "NET_ADMIN");
    assert_int_equal(m.spec.pids_limit, 1024);
    assert_int_equal(m.spec.nofile, 1024);
    assert_string_equal(m.spec.log_driver, "json-file");
    tear_down(&m);
}

static void a_log_driver_store_leaves_the_driver_to_the_engine_and_extra_args(void **state)
{
    struct made m;

    (void)state;
    SET_UP(&m, "CONFIG_whisk_spi_LogStoreProvider=a.LogDriverLogStoreProvider");
    assert_int_equal(make(&m), 0);
    assert_null(m.spec.log_driver);
    tear_down(&m);
}

/* ---- network and environment ---- */

static void network_and_dns_are_as_configured(void **state)
{
    struct made m;

    (void)state;
    set_up(&m, NULL);
    assert_int_equal(make(&m), 0);
    assert_string_equal(m.spec.network, "bridge");
    assert_null(m.spec.dns_servers[0]);
    assert_null(m.spec.dns_search[0]);
    assert_null(m.spec.dns_options[0]);
    tear_down(&m);
    SET_UP(&m, "CONFIG_whisk_containerFactory_containerArgs_network=actions",
           "CONFIG_whisk_containerFactory_containerArgs_dnsServers_0=10.0.0.1",
           "CONFIG_whisk_containerFactory_containerArgs_dnsServers_1=10.0.0.2",
           "CONFIG_whisk_containerFactory_containerArgs_dnsSearch_0=example.org",
           "CONFIG_whisk_containerFactory_containerArgs_dnsOptions_0=ndots:2");
    assert_int_equal(make(&m), 0);
    assert_string_equal(m.spec.network, "actions");
    EXPECT_WORDS(m.spec.dns_servers, "10.0.0.1", "10.0.0.2");
    EXPECT_WORDS(m.spec.dns_search, "example.org");
    EXPECT_WORDS(m.spec.dns_options, "ndots:2");
    tear_down(&m);
}

static void api_host_leaves_the_protocols_own_port_out(void **state)
{
    static const struct {
        const char *proto, *port, *expected;
    } CASES[] = {
        {"WHISK_API_HOST_PROTO=https", "WHISK_API_HOST_PORT=443", "__OW_API_HOST=https://api"},
        {"WHISK_API_HOST_PROTO=http", "WHISK_API_HOST_PORT=80", "__OW_API_HOST=http://api"},
        {"WHISK_API_HOST_PROTO=https", "WHISK_API_HOST_PORT=80", "__OW_API_HOST=https://api:80"},
        {"WHISK_API_HOST_PROTO=http", "WHISK_API_HOST_PORT=443", "__OW_API_HOST=http://api:443"},
        {"WHISK_API_HOST_PROTO=https", "WHISK_API_HOST_PORT=8443",
         "__OW_API_HOST=https://api:8443"},
        {"WHISK_API_HOST_PROTO=", "WHISK_API_HOST_PORT=", "__OW_API_HOST=https://api"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct made m;

        SET_UP(&m, CASES[i].proto, CASES[i].port);
        assert_int_equal(make(&m), 0);
        EXPECT_WORDS(m.spec.env, CASES[i].expected);
        tear_down(&m);
    }
}

static void extra_environment_may_lack_values(void **state)
{
    struct made m;

    (void)state;
    SET_UP(&m,
           "CONFIG_whisk_containerFactory_containerArgs_extraEnvVars_0=__OW_ALLOW_CONCURRENT=true",
           "CONFIG_whisk_containerFactory_containerArgs_extraEnvVars_1=PLAIN",
           "CONFIG_whisk_containerFactory_containerArgs_extraEnvVars_2=EMPTY=",
           "CONFIG_whisk_containerFactory_containerArgs_extraEnvVars_3=TWO=a=b");
    assert_int_equal(make(&m), 0);
    EXPECT_WORDS(m.spec.env, "__OW_API_HOST=https://api", "__OW_ALLOW_CONCURRENT=true",
                 "PLAIN=", "EMPTY=", "TWO=a=b");
    tear_down(&m);
}

static void labels_tell_whose_it_is(void **state)
{
    struct made m;

    (void)state;
    set_up(&m, NULL);
    m.instance = 3;
    m.namespace_name = "alice";
    m.action.id = "guest/utils/hello";
    assert_int_equal(make(&m), 0);
    EXPECT_WORDS(m.spec.labels, "org.cwhisk.instance=3", "org.cwhisk.namespace=alice",
                 "org.cwhisk.action=guest/utils/hello", "org.cwhisk.kind=nodejs:20");
    tear_down(&m);
}

/* ---- images ---- */

#define RUNTIMES "CONFIG_whisk_containerFactory_runtimesRegistry_url=runtimes.example"
#define USERS "CONFIG_whisk_containerFactory_userImagesRegistry_url=users.example/"
#define BYPASS "CONFIG_whisk_runtimes_bypassPullForLocalImages=true"

static void managed_images_come_from_the_manifest_and_are_not_pulled(void **state)
{
    static const struct {
        const char *kind, *registry, *expected;
    } CASES[] = {
        {"nodejs:20", "X=", "openwhisk/action-nodejs-v20:nightly"},
        {"nodejs:20", RUNTIMES, "runtimes.example/openwhisk/action-nodejs-v20:nightly"},
        {"nodejs:20", RUNTIMES "/", "runtimes.example/openwhisk/action-nodejs-v20:nightly"},
        {"nodejs:20", USERS, "openwhisk/action-nodejs-v20:nightly"},
        {"python:3", RUNTIMES, "own.example:5000/python3"}, /* no tag: none printed */
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct made m;

        SET_UP(&m, CASES[i].registry);
        m.action.kind = CASES[i].kind;
        assert_int_equal(make(&m), 0);
        assert_string_equal(m.spec.image, CASES[i].expected);
        assert_int_equal(m.spec.pull, CW_PULL_NEVER);
        tear_down(&m);
    }
}

static void unknown_kind_is_an_error(void **state)
{
    struct made m;

    (void)state;
    set_up(&m, NULL);
    m.action.kind = "cobol:85";
    assert_int_equal(make(&m), -1);
    assert_int_equal(m.err.code, CW_INVALID);
    assert_non_null(strstr(m.err.msg, "cobol:85"));
    tear_down(&m);
}

static void blackbox_images_are_pulled_by_their_tag(void **state)
{
    static const struct {
        const char *image, *registry, *more, *expected;
        enum cw_pull_policy pull;
    } CASES[] = {
        {"alice/tool", "X=", "X=", "alice/tool", CW_PULL_ALWAYS},
        {"alice/tool:latest", "X=", "X=", "alice/tool:latest", CW_PULL_ALWAYS},
        {"alice/tool:1.2", "X=", "X=", "alice/tool:1.2", CW_PULL_TRY},
        {"tool", "X=", "X=", "tool", CW_PULL_ALWAYS},
        {"localhost:5000/tool", "X=", "X=", "localhost:5000/tool", CW_PULL_ALWAYS}, /* no tag */
        {"alice/tool:1", USERS, RUNTIMES, "users.example/alice/tool:1", CW_PULL_TRY},
        {"own.example/alice/tool:1", USERS, "X=", "own.example/alice/tool:1", CW_PULL_TRY},
        {"alice/tool:1", RUNTIMES, "X=", "alice/tool:1", CW_PULL_TRY},
        /* listed in the manifest: ours, so from the registry of the runtimes */
        {"openwhisk/dockerskeleton:nightly", "X=", "X=", "openwhisk/dockerskeleton:nightly",
         CW_PULL_NEVER},
        {"openwhisk/dockerskeleton:nightly", USERS, RUNTIMES,
         "runtimes.example/openwhisk/dockerskeleton:nightly", CW_PULL_NEVER},
        {"openwhisk/example", "X=", "X=", "openwhisk/example", CW_PULL_NEVER},
        {"openwhisk/example:latest", "X=", "X=", "openwhisk/example:latest", CW_PULL_NEVER},
        {"openwhisk/dockerskeleton:other", USERS,
         "X=", "users.example/openwhisk/dockerskeleton:other", CW_PULL_TRY},
        {"other.example/openwhisk/example", "X=", "X=", "other.example/openwhisk/example",
         CW_PULL_ALWAYS},
        /* local images */
        {"whisk/mine", BYPASS, "X=", "whisk/mine", CW_PULL_NEVER},
        {"whisk/mine:1", BYPASS, USERS, "whisk/mine:1", CW_PULL_NEVER},
        {"whisk/mine:1", BYPASS, RUNTIMES, "runtimes.example/whisk/mine:1", CW_PULL_NEVER},
        {"whiskers/mine", BYPASS, "X=", "whiskers/mine", CW_PULL_ALWAYS},
        {"whisk/sub/mine", BYPASS, "X=", "whisk/sub/mine", CW_PULL_ALWAYS},
        {"mine", BYPASS, "X=", "mine", CW_PULL_ALWAYS},
        {"here/mine", BYPASS, "CONFIG_whisk_runtimes_localImagePrefix=here", "here/mine",
         CW_PULL_NEVER},
        {"whisk/mine", "CONFIG_whisk_runtimes_localImagePrefix=whisk", "X=", "whisk/mine",
         CW_PULL_ALWAYS}, /* the bypass is off */
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct made m;

        SET_UP(&m, CASES[i].registry, CASES[i].more);
        m.action.kind = "blackbox";
        m.action.image = CASES[i].image;
        assert_int_equal(make(&m), 0);
        if (strcmp(m.spec.image, CASES[i].expected) != 0 || m.spec.pull != CASES[i].pull)
            fail_msg("%s (%s, %s): %s, %d", CASES[i].image, CASES[i].registry, CASES[i].more,
                     m.spec.image, (int)m.spec.pull);
        tear_down(&m);
    }
}

static void unreadable_image_is_an_error(void **state)
{
    struct made m;

    (void)state;
    set_up(&m, NULL);
    m.action.kind = "blackbox";
    m.action.image = "-v/:/host";
    assert_int_equal(make(&m), -1);
    assert_int_equal(m.err.code, CW_INVALID);
    tear_down(&m);
}

static void image_that_is_too_long_with_its_registry_is_an_error(void **state)
{
    char registry[700], image[512];
    struct made m;

    (void)state;
    memset(registry, 'r', sizeof(registry) - 1);
    registry[sizeof(registry) - 1] = '\0';
    memset(image, 'i', sizeof(image) - 1);
    image[sizeof(image) - 1] = '\0';
    set_up(&m, NULL);
    free(m.settings.user_images_registry);
    m.settings.user_images_registry = cw_strdup(registry);
    m.action.kind = "blackbox";
    m.action.image = image;
    assert_int_equal(make(&m), -1);
    assert_int_equal(m.err.code, CW_INVALID);
    tear_down(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefix_names_the_invoker),
        cmocka_unit_test(prefix_keeps_what_engines_allow),
        cmocka_unit_test(name_tells_number_namespace_and_action),
        cmocka_unit_test(name_is_sanitised),
        cmocka_unit_test(cpu_shares_follow_the_memory),
        cmocka_unit_test(memory_and_shares_are_of_the_action),
        cmocka_unit_test(cores_are_shared_out_by_memory),
        cmocka_unit_test(where_needs_are_inferred_a_part_is_one_of_the_machine),
        cmocka_unit_test(limits_and_capabilities_are_those_of_stock),
        cmocka_unit_test(a_log_driver_store_leaves_the_driver_to_the_engine_and_extra_args),
        cmocka_unit_test(network_and_dns_are_as_configured),
        cmocka_unit_test(api_host_leaves_the_protocols_own_port_out),
        cmocka_unit_test(extra_environment_may_lack_values),
        cmocka_unit_test(labels_tell_whose_it_is),
        cmocka_unit_test(managed_images_come_from_the_manifest_and_are_not_pulled),
        cmocka_unit_test(unknown_kind_is_an_error),
        cmocka_unit_test(blackbox_images_are_pulled_by_their_tag),
        cmocka_unit_test(unreadable_image_is_an_error),
        cmocka_unit_test(image_that_is_too_long_with_its_registry_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
