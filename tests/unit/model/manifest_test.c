#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "common/model/manifest.h"
#include "tests/unit/model/samples.h"

static struct cw_manifest *parse(const char *text)
{
    struct cw_err err = {0};
    struct cw_manifest *m = cw_manifest_parse(cw_slice_of(text), &err);

    if (!m)
        fail_msg("%s", err.msg);
    return m;
}

/* A manifest of one runtime with these members behind kind and image. */
static void one_kind(struct cw_str *s, const char *members)
{
    cw_str_init(s, 10000);
    cw_str_addf(
        s, "{\"runtimes\":{\"nodejs\":[{\"kind\":\"nodejs:20\",\"image\":{\"name\":\"n\"}%s}]}}",
        members);
}

static void everything_of_a_runtime_is_read(void **state)
{
    struct cw_manifest *m =
        parse("{\"runtimes\":{\"nodejs\":[{\"kind\":\"nodejs:20\",\"default\":true,\"deprecated\":"
              "true,\"image\":{\"registry\":\"r:5000\",\"prefix\":\"openwhisk\",\"name\":"
              "\"action-nodejs-v20\",\"tag\":\"nightly\"},\"attached\":{\"attachmentName\":\"c\","
              "\"attachmentType\":\"t\"},\"requireMain\":true,\"sentinelledLogs\":false,"
              "\"stemCells\":[{\"initialCount\":2,\"memory\":\"256 MB\",\"reactive\":{\"minCount\":"
              "1,\"maxCount\":4,\"ttl\":\"2 minutes\",\"threshold\":1,\"increment\":2}},{\"count\":"
              "1,\"memory\":\"1g\"}]}]},\"blackboxes\":[]}");
    const struct cw_runtime *r = cw_manifest_at(m, 0);
    cw_auto_str struct cw_str image;

    (void)state;
    cw_str_init(&image, 100);
    assert_int_equal(cw_manifest_count(m), 1);
    assert_string_equal(r->family, "nodejs");
    assert_string_equal(r->kind, "nodejs:20");
    assert_true(r->is_default && r->deprecated && r->attached && r->require_main);
    assert_false(r->sentinelled_logs);
    cw_image_print(&r->image, "other", &image);
    assert_string_equal(image.p, "r:5000/openwhisk/action-nodejs-v20:nightly");
    assert_int_equal(r->stem_cell_count, 2);
    assert_int_equal(r->stem_cells[0].initial_count, 2);
    assert_int_equal(r->stem_cells[0].memory_mb, 256);
    assert_true(r->stem_cells[0].reactive);
    assert_int_equal(r->stem_cells[0].min_count, 1);
    assert_int_equal(r->stem_cells[0].max_count, 4);
    assert_int_equal(r->stem_cells[0].ttl_ms, 120000);
    assert_int_equal(r->stem_cells[0].threshold, 1);
    assert_int_equal(r->stem_cells[0].increment, 2);
    assert_int_equal(r->stem_cells[1].initial_count, 1);
    assert_int_equal(r->stem_cells[1].memory_mb, 1024);
    assert_false(r->stem_cells[1].reactive);
    cw_manifest_free(m);
}

static void only_kind_of_a_family_is_its_default(void **state)
{
    cw_auto_str struct cw_str s;
    struct cw_manifest *m;

    (void)state;
    one_kind(&s, "");
    m = parse(s.p);
    assert_true(cw_manifest_at(m, 0)->is_default);
    assert_true(cw_manifest_at(m, 0)->sentinelled_logs);
    assert_false(cw_manifest_at(m, 0)->attached);
    assert_int_equal(cw_manifest_at(m, 0)->stem_cell_count, 0);
    cw_manifest_free(m);
}

static void kinds_are_found_by_name_and_by_default(void **state)
{
    struct cw_manifest *m = test_manifest();

    (void)state;
    assert_string_equal(cw_manifest_kind(m, CW_SLICE("nodejs:18"))->kind, "nodejs:18");
    assert_string_equal(cw_manifest_kind(m, CW_SLICE(" NodeJS:18 "))->kind, "nodejs:18");
    assert_string_equal(cw_manifest_kind(m, CW_SLICE("nodejs:default"))->kind, "nodejs:20");
    assert_string_equal(cw_manifest_kind(m, CW_SLICE("python:default"))->kind, "python:3.11");
    assert_null(cw_manifest_kind(m, CW_SLICE("nodejs")));
    assert_null(cw_manifest_kind(m, CW_SLICE("ruby:default")));
    assert_null(cw_manifest_kind(m, CW_SLICE(":default")));
    assert_null(cw_manifest_kind(m, CW_SLICE("")));
    cw_manifest_free(m);
}

static void kind_named_default_is_found_by_its_name(void **state)
{
    struct cw_manifest *m =
        parse("{\"runtimes\":{\"java\":[{\"kind\":\"java:default\",\"image\":{\"name\":\"j\"}}]}}");

    (void)state;
    assert_string_equal(cw_manifest_kind(m, CW_SLICE("java:default"))->kind, "java:default");
    cw_manifest_free(m);
}

static void invalid_manifests_are_refused_with_their_path(void **state)
{
#define KIND(name, more) "{\"kind\":\"" name "\",\"image\":{\"name\":\"n\"}" more "}"
#define CELL(text) "{\"runtimes\":{\"f\":[" KIND("f:1", ",\"stemCells\":[" text "]") "]}}"
#define REACTIVE(min, max, ttl, threshold, increment)                                              \
    CELL("{\"initialCount\":1,\"memory\":\"1 MB\",\"reactive\":{\"minCount\":" min                 \
         ",\"maxCount\":" max ",\"ttl\":" ttl ",\"threshold\":" threshold                          \
         ",\"increment\":" increment "}}")
    static const struct {
        const char *text, *named;
    } CASES[] = {
        {"", "runtimes manifest"},
        {"[]", "runtimes manifest"},
        {"{}", "runtimes"},
        {"{\"runtimes\":[]}", "runtimes"},
        {"{\"runtimes\":{\"f\":{}}}", "runtimes.f"},
        {"{\"runtimes\":{\"f\":[]}}", "runtimes.f"},
        {"{\"runtimes\":{\"f\":[7]}}", "runtimes.f[0]"},
        {"{\"runtimes\":{\"f\":[{\"image\":{\"name\":\"n\"}}]}}", "runtimes.f[0].kind"},
        {"{\"runtimes\":{\"f\":[{\"kind\":\"f:1\"}]}}", "runtimes.f[0].image"},
        {"{\"runtimes\":{\"f\":[{\"kind\":\"f:1\",\"image\":{}}]}}", "runtimes.f[0].image.name"},
        {"{\"runtimes\":{\"f\":[{\"kind\":\"f:1\",\"image\":{\"name\":\"\"}}]}}",
         "runtimes.f[0].image.name"},
        {"{\"runtimes\":{\"f\":[{\"kind\":\"f:1\",\"image\":{\"name\":\"n\",\"tag\":\"a b\"}}]}}",
         "runtimes.f[0].image.tag"},
        {"{\"runtimes\":{\"f\":[" KIND("", "") "]}}", "runtimes.f[0].kind"},
        {"{\"runtimes\":{\"f\":[" KIND("blackbox", "") "]}}", "runtimes.f[0].kind"},
        {"{\"runtimes\":{\"f\":[" KIND("f:1", ",\"default\":true") "," KIND("f:1", "") "]}}",
         "runtimes.f[1].kind"},
        {"{\"runtimes\":{\"f\":[" KIND("f:1", "") "," KIND("f:2", "") "]}}", "runtimes.f"},
        {"{\"runtimes\":{\"f\":[" KIND("f:1", ",\"default\":true") "," KIND(
             "f:2", ",\"default\":true") "]}}",
         "runtimes.f"},
        {"{\"runtimes\":{\"f\":[" KIND("f:1", ",\"default\":1") "]}}", "runtimes.f[0].default"},
        {"{\"runtimes\":{\"f\":[" KIND("f:1", ",\"attached\":true") "]}}",
         "runtimes.f[0].attached"},
        {"{\"runtimes\":{\"f\":[" KIND("f:1", ",\"attached\":{\"attachmentType\":\"t\"}") "]}}",
         "runtimes.f[0].attached.attachmentName"},
        {"{\"runtimes\":{\"f\":[" KIND("f:1", ",\"attached\":{\"attachmentName\":\"n\"}") "]}}",
         "runtimes.f[0].attached.attachmentType"},
        {"{\"runtimes\":{\"f\":[" KIND("f:1", ",\"requireMain\":\"yes\"") "]}}",
         "runtimes.f[0].requireMain"},
        {"{\"runtimes\":{\"f\":[]}}", "runtimes.f"},
        {"{\"runtimes\":{},\"blackboxes\":{}}", "blackboxes"},
        {"{\"runtimes\":{},\"blackboxes\":[1]}", "blackboxes[0]"},
        {"{\"runtimes\":{},\"blackboxes\":[{\"prefix\":\"p\"}]}", "blackboxes[0].name"},
        {CELL("1"), "runtimes.f[0].stemCells[0]"},
        {CELL("{\"memory\":\"1 MB\"}"), "runtimes.f[0].stemCells[0].initialCount"},
        {CELL("{\"initialCount\":0,\"memory\":\"1 MB\"}"),
         "runtimes.f[0].stemCells[0].initialCount"},
        {CELL("{\"initialCount\":1}"), "runtimes.f[0].stemCells[0].memory"},
        {CELL("{\"initialCount\":1,\"memory\":\"lots\"}"), "runtimes.f[0].stemCells[0].memory"},
        {CELL("{\"initialCount\":1,\"memory\":\"1 KB\"}"), "runtimes.f[0].stemCells[0].memory"},
        {REACTIVE("2", "1", "\"1 s\"", "1", "1"), "runtimes.f[0].stemCells[0].reactive.minCount"},
        {REACTIVE("-1", "1", "\"1 s\"", "1", "1"), "runtimes.f[0].stemCells[0].reactive.minCount"},
        {REACTIVE("0", "0", "\"1 s\"", "1", "1"), "runtimes.f[0].stemCells[0].reactive.maxCount"},
        {REACTIVE("0", "1", "\"0 s\"", "1", "1"), "runtimes.f[0].stemCells[0].reactive.ttl"},
        {REACTIVE("0", "1", "\"Inf\"", "1", "1"), "runtimes.f[0].stemCells[0].reactive.ttl"},
        {REACTIVE("0", "1", "60000", "1", "1"), "runtimes.f[0].stemCells[0].reactive.ttl"},
        {REACTIVE("0", "1", "\"1 s\"", "0", "1"), "runtimes.f[0].stemCells[0].reactive.threshold"},
        {REACTIVE("0", "1", "\"1 s\"", "1", "0"), "runtimes.f[0].stemCells[0].reactive.increment"},
        {REACTIVE("0", "1", "\"1 s\"", "1", "2"), "runtimes.f[0].stemCells[0].reactive.increment"},
    };
    struct cw_err err;

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        size_t n = strlen(CASES[i].named);

        err = (struct cw_err){0};
        if (cw_manifest_parse(cw_slice_of(CASES[i].text), &err))
            fail_msg("accepted: %s", CASES[i].text);
        assert_int_equal(err.code, CW_INVALID);
        if (strncmp(err.msg, CASES[i].named, n) != 0 || err.msg[n] != ':')
            fail_msg("%s: %s", CASES[i].named, err.msg);
    }
}

static void null_counts_as_absent(void **state)
{
    struct cw_manifest *m = parse("{\"runtimes\":{\"f\":[" KIND(
        "f:1", ",\"default\":null,\"attached\":null,\"stemCells\":null,"
               "\"sentinelledLogs\":null") "]},\"blackboxes\":null}");
    const struct cw_runtime *r = cw_manifest_at(m, 0);

    (void)state;
    assert_true(r->is_default && r->sentinelled_logs);
    assert_false(r->attached);
    assert_int_equal(r->stem_cell_count, 0);
    cw_manifest_free(m);
}

static void images_print_registry_prefix_name_and_tag(void **state)
{
    static const struct {
        struct cw_image image;
        const char *registry, *want;
    } CASES[] = {
        {{"", "", "n", ""}, NULL, "n"},
        {{"", "p", "n", "t"}, "", "p/n:t"},
        {{"", "p", "n", ""}, "reg.example:5000/", "reg.example:5000/p/n"},
        {{"own", "p/q", "n", ""}, "reg", "own/p/q/n"},
    };
    cw_auto_str struct cw_str s;

    (void)state;
    cw_str_init(&s, 200);
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        cw_str_reset(&s);
        cw_image_print(&CASES[i].image, CASES[i].registry, &s);
        assert_string_equal(s.p, CASES[i].want);
    }
}

static void references_are_split_as_docker_does(void **state)
{
    static const struct {
        const char *text, *registry, *prefix, *name, *tag;
    } CASES[] = {
        {"name", "", "", "name", ""},
        {"name:1.0-a", "", "", "name", "1.0-a"},
        {"alice/name", "", "alice", "name", ""},
        {"alice/deep/name:t", "", "alice/deep", "name", "t"},
        {"localhost/name", "localhost", "", "name", ""},
        {"localhost:5000/a/name:t", "localhost:5000", "a", "name", "t"},
        {"reg.example.com/a_b/na-me", "reg.example.com", "a_b", "na-me", ""},
        {"10.1.2.3:80/n", "10.1.2.3:80", "", "n", ""},
        {"n:LATEST_2", "", "", "n", "LATEST_2"},
    };
    struct cw_image_ref r;
    struct cw_err err = {0};

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        if (cw_image_split(cw_slice_of(CASES[i].text), &r, &err))
            fail_msg("%s", err.msg);
        assert_true(cw_slice_is(r.registry, CASES[i].registry));
        assert_true(cw_slice_is(r.prefix, CASES[i].prefix));
        assert_true(cw_slice_is(r.name, CASES[i].name));
        assert_true(cw_slice_is(r.tag, CASES[i].tag));
    }
}

static void malformed_references_are_refused(void **state)
{
    static const char *const BAD[] = {
        "",        "/",           "a/",     "/a", "a//b",         "Name",   "a:",
        "a:b:c",   "a b",         "-a",     "a-", "--privileged", "a:-x",   "a.b:x/n",
        "a.b:0/n", "a.b:70000/n", "a.-/n",  "..", "../a",         "a/../b", "n@sha256:00",
        "a:t/b",   "a\nb",        "n:t;rm", NULL};
    struct cw_image_ref r;
    struct cw_err err;
    char text[600];

    (void)state;
    for (const char *const *p = BAD; *p; p++) {
        err = (struct cw_err){0};
        if (cw_image_split(cw_slice_of(*p), &r, &err) != -1)
            fail_msg("accepted: %s", *p);
        assert_int_equal(err.code, CW_INVALID);
    }
    memset(text, 'a', sizeof(text));
    assert_int_equal(cw_image_split(cw_slice(text, sizeof(text)), &r, &err), -1);
    assert_int_equal(cw_image_split(cw_slice("a\0b", 3), &r, &err), -1);
}

static void native_blackboxes_match_whole_references(void **state)
{
    struct cw_manifest *m = parse("{\"runtimes\":{},\"blackboxes\":[{\"prefix\":\"openwhisk\","
                                  "\"name\":\"skel\",\"tag\":\"nightly\"},{\"registry\":\"r.io\","
                                  "\"name\":\"bare\"},{\"name\":\"x\",\"tag\":\"latest\"}]}");

    (void)state;
    assert_true(cw_manifest_is_native_blackbox(m, "openwhisk/skel:nightly"));
    assert_false(cw_manifest_is_native_blackbox(m, "openwhisk/skel"));
    assert_false(cw_manifest_is_native_blackbox(m, "skel:nightly"));
    assert_true(cw_manifest_is_native_blackbox(m, "r.io/bare"));
    assert_true(cw_manifest_is_native_blackbox(m, "r.io/bare:latest"));
    assert_false(cw_manifest_is_native_blackbox(m, "bare"));
    assert_true(cw_manifest_is_native_blackbox(m, "x"));
    assert_false(cw_manifest_is_native_blackbox(m, "not a reference"));
    cw_manifest_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_of_a_runtime_is_read),
        cmocka_unit_test(only_kind_of_a_family_is_its_default),
        cmocka_unit_test(kinds_are_found_by_name_and_by_default),
        cmocka_unit_test(kind_named_default_is_found_by_its_name),
        cmocka_unit_test(invalid_manifests_are_refused_with_their_path),
        cmocka_unit_test(null_counts_as_absent),
        cmocka_unit_test(images_print_registry_prefix_name_and_tag),
        cmocka_unit_test(references_are_split_as_docker_does),
        cmocka_unit_test(malformed_references_are_refused),
        cmocka_unit_test(native_blackboxes_match_whole_references),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
