#include "tests/support/cmocka_all.h"

#include <stdio.h>

#include "common/base/err.h"
#include "common/model/action_doc.h"
#include "common/model/manifest.h"
#include "invoker/resize/wishes.h"
#include "tests/support/jobs.h"

/* An action of 256 MB with this array of annotations. */
static struct cw_action *annotated(const char *annotations)
{
    struct cw_limit_defaults defaults = {.logs_mb = 10, .concurrency = 1};
    struct cw_manifest *m = test_manifest();
    cw_auto_free char *text = test_action_text("hello", 1000, 256, 10, 1);
    struct cw_err err = {0};
    struct cw_action *a;
    struct cw_str doc;
    char *at = strstr(text, "\"annotations\":[]");

    assert_non_null(at);
    cw_str_init(&doc, 1 << 16);
    cw_str_add(&doc, text, (size_t)(at - text));
    cw_str_addf(&doc, "\"annotations\":%s%s", annotations, at + strlen("\"annotations\":[]"));
    a = cw_action_decode(cw_str_slice(&doc), m, &defaults, &err);
    if (!a)
        fail_msg("%s", err.msg);
    cw_str_done(&doc);
    cw_manifest_free(m);
    return a;
}

static struct inv_wishes wishes_of(const char *annotations)
{
    struct cw_action *a = annotated(annotations);
    struct cw_err err = {0};
    struct inv_wishes w;

    assert_int_equal(inv_wishes_read(a, &w, &err), 0);
    cw_action_unref(a);
    return w;
}

static void assert_refused(const char *annotations, const char *text)
{
    struct cw_action *a = annotated(annotations);
    struct cw_err err = {0};
    struct inv_wishes w;

    assert_int_equal(inv_wishes_read(a, &w, &err), -1);
    assert_int_equal(err.code, CW_INVALID);
    assert_string_equal(err.msg, text);
    cw_action_unref(a);
}

static void without_annotations_nothing_is_wished_for(void **state)
{
    struct inv_wishes w = wishes_of("[{\"key\":\"x\",\"value\":1}]");

    (void)state;
    assert_int_equal(w.guarantee_ppm, 0);
    assert_int_equal(w.cpu_millis, 0);
    assert_int_equal(w.io_weight, 0);
}

static void numbers_are_read_however_they_are_spelled(void **state)
{
    struct inv_wishes w = wishes_of("[{\"key\":\"cwhisk.cpu-guarantee\",\"value\":5e-1},"
                                    "{\"key\":\"cwhisk.cpus\",\"value\":1.5},"
                                    "{\"key\":\"cwhisk.io-weight\",\"value\":500.0}]");

    (void)state;
    assert_int_equal(w.guarantee_ppm, 500000);
    assert_int_equal(w.cpu_millis, 1500);
    assert_int_equal(w.io_weight, 500);
    w = wishes_of("[{\"key\":\"cwhisk.cpu-guarantee\",\"value\":0.25},"
                  "{\"key\":\"cwhisk.cpu-guarantee\",\"value\":1e-300},"
                  "{\"key\":\"cwhisk.cpus\",\"value\":null}]");
    assert_int_equal(w.guarantee_ppm, 1); /* the last one counts, and is not lost in rounding */
    assert_int_equal(w.cpu_millis, 0);
}

#define GUARANTEE(value) "[{\"key\":\"cwhisk.cpu-guarantee\",\"value\":" value "}]"
#define SAYS(value)                                                                                \
    "annotation cwhisk.cpu-guarantee: " value ", accepted: a number above 0 and below 1"

static void what_makes_no_sense_is_refused_with_name_and_range(void **state)
{
    (void)state;
    assert_refused(GUARANTEE("0"), SAYS("0"));
    assert_refused(GUARANTEE("1"), SAYS("1"));
    assert_refused(GUARANTEE("-0.5"), SAYS("-0.5"));
    assert_refused(GUARANTEE("1e400"), SAYS("1e400"));
    assert_refused(GUARANTEE("\"0.5\""), SAYS("\"0.5\""));
    assert_refused(GUARANTEE("[0.5]"), SAYS("[0.5]"));
    assert_refused(GUARANTEE("true"), SAYS("true"));
    assert_refused(GUARANTEE("0.00000000000000000000000000000000000000000000000000000000000001"),
                   SAYS("0.00000000000000000000000000000000000000"));
    assert_refused("[{\"key\":\"cwhisk.cpus\",\"value\":0}]",
                   "annotation cwhisk.cpus: 0, accepted: a number, 0.01..1024");
    assert_refused("[{\"key\":\"cwhisk.cpus\",\"value\":1025}]",
                   "annotation cwhisk.cpus: 1025, accepted: a number, 0.01..1024");
    assert_refused("[{\"key\":\"cwhisk.io-weight\",\"value\":10.5}]",
                   "annotation cwhisk.io-weight: 10.5, accepted: a whole number, 10..1000");
}

static bool by_preopt(const char *value)
{
    char annotations[256];
    struct cw_action *a;
    bool yes;

    (void)snprintf(annotations, sizeof(annotations),
                   "[{\"key\":\"cwhisk.limits-by\",\"value\":%s}]", value);
    a = annotated(annotations);
    yes = inv_wishes_memory_by_preopt(a);
    cw_action_unref(a);
    return yes;
}

/* wsk keeps annotations when a user changes --memory alone. */
static void provenance_counts_only_for_the_memory_that_was_written(void **state)
{
    (void)state;
    assert_true(by_preopt("{\"by\":\"preopt\",\"memory\":256}"));
    assert_false(by_preopt("{\"by\":\"preopt\",\"memory\":128}"));
    assert_false(by_preopt("{\"by\":\"me\",\"memory\":256}"));
    assert_false(by_preopt("{\"by\":\"preopt\"}"));
    assert_false(by_preopt("{\"by\":\"preopt\",\"memory\":\"256\"}"));
    assert_false(by_preopt("\"preopt\""));
    assert_false(by_preopt("null"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_annotations_nothing_is_wished_for),
        cmocka_unit_test(numbers_are_read_however_they_are_spelled),
        cmocka_unit_test(what_makes_no_sense_is_refused_with_name_and_range),
        cmocka_unit_test(provenance_counts_only_for_the_memory_that_was_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
