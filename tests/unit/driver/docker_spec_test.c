#include "tests/support/cmocka_all.h"

#include <math.h>

#include "common/base/err.h"
#include "common/driver/container_driver.h"
#include "common/driver/docker_spec.h"

static const char *const ENV[] = {"__OW_API_HOST=http://10.0.0.1:80", "EMPTY=", NULL};
static const char *const LABELS[] = {"cluster=a=b", "bare", NULL};
static const char *const DNS[] = {"10.0.0.2", "10.0.0.3", NULL};
static const char *const SEARCH[] = {"svc.local", NULL};
static const char *const OPTIONS[] = {"ndots:2", NULL};
static const char *const CAPS[] = {"NET_RAW", "NET_ADMIN", NULL};
static const char *const LOG_OPTIONS[] = {"max-size=10m", "max-file=2", NULL};
static const char *const NOTHING[] = {NULL};

static struct cw_container_spec least(void)
{
    return (struct cw_container_spec){
        .name = "wsk00_1_a", .image = "img", .memory_mb = 256, .cpu_shares = 2};
}

static void assert_body(const struct cw_container_spec *spec, const char *expected)
{
    cw_auto_str struct cw_str out;
    struct cw_err err = {0};

    cw_str_init(&out, CW_DOCKER_MAX_BODY);
    if (cw_docker_create_body(spec, NULL, &out, &err) != 0)
        fail_msg("%s", err.msg);
    assert_string_equal(out.p, expected);
}

static void assert_refused(const struct cw_container_spec *spec, enum cw_code code,
                           const char *message_part)
{
    cw_auto_str struct cw_str out;
    struct cw_err err = {0};

    cw_str_init(&out, CW_DOCKER_MAX_BODY);
    assert_int_equal(cw_docker_create_body(spec, NULL, &out, &err), -1);
    assert_int_equal(err.code, code);
    if (!strstr(err.msg, message_part))
        fail_msg("\"%s\" is not in \"%s\"", message_part, err.msg);
}

static void body_of_a_full_spec_names_every_setting(void **state)
{
    struct cw_container_spec spec = {
        .name = "wsk00_1_guest_hello",
        .image = "reg.example:5000/ow/nodejs:20",
        .memory_mb = 4096,
        .cpu_shares = 262144,
        .cpus = 0.123456789,
        .network = "actions",
        .env = ENV,
        .dns_servers = DNS,
        .dns_search = SEARCH,
        .dns_options = OPTIONS,
        .labels = LABELS,
        .cap_drop = CAPS,
        .pids_limit = 1024,
        .nofile = 1024,
        .log_driver = "json-file",
        .log_options = LOG_OPTIONS,
    };

    (void)state;
    assert_body(
        &spec,
        "{\"Image\":\"reg.example:5000/ow/nodejs:20\","
        "\"Env\":[\"__OW_API_HOST=http://10.0.0.1:80\",\"EMPTY=\"],"
        "\"Labels\":{\"cluster\":\"a=b\",\"bare\":\"\"},"
        "\"HostConfig\":{\"Memory\":4294967296,\"MemorySwap\":4294967296,\"CpuShares\":262144,"
        "\"NanoCpus\":123456789,\"NetworkMode\":\"actions\",\"Dns\":[\"10.0.0.2\",\"10.0.0.3\"],"
        "\"DnsSearch\":[\"svc.local\"],\"DnsOptions\":[\"ndots:2\"],"
        "\"CapDrop\":[\"NET_RAW\",\"NET_ADMIN\"],\"PidsLimit\":1024,"
        "\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":1024,\"Hard\":1024}],"
        "\"LogConfig\":{\"Type\":\"json-file\","
        "\"Config\":{\"max-size\":\"10m\",\"max-file\":\"2\"}},"
        "\"SecurityOpt\":[\"no-new-privileges\"]}}");
}

static void body_of_a_bare_spec_leaves_the_rest_to_the_engine(void **state)
{
    struct cw_container_spec spec = least();

    (void)state;
    spec.env = spec.labels = spec.cap_drop = NOTHING;
    assert_body(&spec, "{\"Image\":\"img\",\"HostConfig\":{\"Memory\":268435456,"
                       "\"MemorySwap\":268435456,\"CpuShares\":2,\"NetworkMode\":\"bridge\","
                       "\"SecurityOpt\":[\"no-new-privileges\"]}}");
}

static void limits_that_would_mean_unlimited_or_overflow_are_refused(void **state)
{
    struct cw_container_spec spec = least();

    (void)state;
    spec.memory_mb = 0;
    assert_refused(&spec, CW_INVALID, "memory_mb 0");
    spec = least();
    spec.cpu_shares = 1;
    assert_refused(&spec, CW_INVALID, "cpu_shares 1: expected 2..262144");
    spec.cpu_shares = 262145;
    assert_refused(&spec, CW_INVALID, "expected 2..262144");
    spec = least();
    spec.cpus = -0.5;
    assert_refused(&spec, CW_INVALID, "cpus");
    spec.cpus = (double)NAN;
    assert_refused(&spec, CW_INVALID, "cpus");
    spec.cpus = 1e12;
    assert_refused(&spec, CW_INVALID, "cpus");
    spec = least();
    spec.pids_limit = -1;
    assert_refused(&spec, CW_INVALID, "pids_limit -1");
    spec = least();
    spec.nofile = -1;
    assert_refused(&spec, CW_INVALID, "nofile -1");
}

static void names_that_could_change_a_url_are_refused(void **state)
{
    static const char *const BAD[] = {"",    "-a",   "_a",   ".",   "a/b",      "a?b",
                                      "a b", "a%2f", "../x", "a\n", "\xc3\xa4", "a#"};
    char longest[CW_DOCKER_MAX_NAME + 2];
    struct cw_err err;

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(BAD); i++)
        assert_int_equal(cw_docker_check_name(BAD[i], "name", &err), -1);
    assert_int_equal(cw_docker_check_name(NULL, "name", &err), -1);
    assert_int_equal(cw_docker_check_name("wsk00_1_a.b-c", "name", &err), 0);
    memset(longest, 'a', sizeof(longest));
    longest[CW_DOCKER_MAX_NAME] = '\0';
    assert_int_equal(cw_docker_check_name(longest, "name", &err), 0);
    longest[CW_DOCKER_MAX_NAME] = 'a';
    longest[CW_DOCKER_MAX_NAME + 1] = '\0';
    assert_int_equal(cw_docker_check_name(longest, "name", &err), -1);
}

static void a_spec_without_image_or_with_foreign_bytes_is_refused(void **state)
{
    static const char *const BINARY[] = {"K=\xff\xfe", NULL};
    struct cw_container_spec spec = least();
    cw_auto_free char *huge = cw_alloc(CW_DOCKER_MAX_BODY + 1);
    const char *const env[] = {huge, NULL};

    (void)state;
    spec.image = "";
    assert_refused(&spec, CW_INVALID, "image");
    spec.image = NULL;
    assert_refused(&spec, CW_INVALID, "image");
    spec = least();
    spec.env = BINARY;
    assert_refused(&spec, CW_INVALID, "UTF-8");
    memset(huge, 'a', CW_DOCKER_MAX_BODY);
    spec.env = env;
    assert_refused(&spec, CW_TOO_LARGE, "over 1048576 bytes");
}

static void image_references_fall_into_name_and_tag(void **state)
{
    static const struct {
        const char *image, *name, *tag;
    } CASES[] = {
        {"busybox", "busybox", "latest"},
        {"busybox:1.35", "busybox", "1.35"},
        {"busybox:", "busybox", "latest"},
        {"reg:5000/a/b", "reg:5000/a/b", "latest"},
        {"reg:5000/a/b:t", "reg:5000/a/b", "t"},
        {"a/b@", "a/b", "latest"},
        {"a/b@sha256:00ff", "a/b", "sha256:00ff"},
        {"reg:5000/a/b:t@sha256:00ff", "reg:5000/a/b", "sha256:00ff"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct cw_slice name, tag;

        cw_docker_image_parts(CASES[i].image, &name, &tag);
        assert_true(cw_slice_is(name, CASES[i].name));
        assert_true(cw_slice_is(tag, CASES[i].tag));
    }
}

static void name_filter_is_anchored_and_escaped(void **state)
{
    cw_auto_str struct cw_str out;

    (void)state;
    cw_str_init(&out, 1024);
    cw_docker_name_filter("wsk.0_1_", &out);
    assert_string_equal(out.p, "{\"name\":[\"^/?wsk\\\\.0_1_\"]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(body_of_a_full_spec_names_every_setting),
        cmocka_unit_test(body_of_a_bare_spec_leaves_the_rest_to_the_engine),
        cmocka_unit_test(limits_that_would_mean_unlimited_or_overflow_are_refused),
        cmocka_unit_test(names_that_could_change_a_url_are_refused),
        cmocka_unit_test(a_spec_without_image_or_with_foreign_bytes_is_refused),
        cmocka_unit_test(image_references_fall_into_name_and_tag),
        cmocka_unit_test(name_filter_is_anchored_and_escaped),
    };

    return cmocka_run_group_tests_name("docker_spec", tests, NULL, NULL);
}
