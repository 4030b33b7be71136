#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "common/base/quantity.h"

struct size_case {
    const char *text;
    int64_t bytes;
};

static void sizes_of(const struct size_case *c, size_t n, enum cw_size_dialect dialect)
{
    struct cw_err err = {0};
    int64_t v;

    for (size_t i = 0; i < n; i++) {
        v = -1;
        if (cw_parse_size(cw_slice_of(c[i].text), dialect, &v, &err) || v != c[i].bytes)
            fail_msg("%s: %lld, %s", c[i].text, (long long)v, err.msg);
    }
}

static void not_sizes(const char *const *bad, enum cw_size_dialect dialect)
{
    struct cw_err err = {0};
    int64_t v = 42;

    for (; *bad; bad++)
        if (cw_parse_size(cw_slice_of(*bad), dialect, &v, &err) != -1 || v != 42 ||
            err.code != CW_INVALID)
            fail_msg("\"%s\" was taken as %lld", *bad, (long long)v);
}

static void sizes_in_configuration_tell_binary_from_decimal_units(void **state)
{
    static const struct size_case CASES[] = {
        {"0", 0},
        {"1048576", 1048576},
        {"256 m", 256 << 20},
        {"256m", 256 << 20},
        {"1G", 1 << 30},
        {"512KiB", 512 << 10},
        {"256MB", 256000000},
        {"2 kB", 2000},
        {"3 megabytes", 3000000},
        {"1.5g", 1610612736},
        {" 16 k ", 16384},
        {"7 exbibytes", 7LL << 60},
        {"9223372036854775807", INT64_MAX},
        {"0.1 k", 102},
    };

    (void)state;
    sizes_of(CASES, CW_ARRAY_LEN(CASES), CW_SIZE_HOCON);
}

static void sizes_in_json_are_powers_of_1024(void **state)
{
    static const struct size_case CASES[] = {
        {"1073741824 B", 1073741824}, {"256 MB", 256 << 20}, {"256mb", 256 << 20}, {"1 K", 1024},
        {"2GB", 2LL << 30},           {"4g", 4LL << 30},
    };

    (void)state;
    sizes_of(CASES, CW_ARRAY_LEN(CASES), CW_SIZE_JSON);
}

static void texts_that_are_no_size_are_refused(void **state)
{
    (void)state;
    not_sizes((const char *const[]){"", " ", "lots", "m", "-1m", "+1", "1 mb x", "1..5g", "1.g",
                                    ".5g", "1,5g", "8 E", "9223372036854775808",
                                    "99999999999999999999", "1.0000000001g", "256mb", NULL},
              CW_SIZE_HOCON);
    not_sizes((const char *const[]){"", "256", "256 MiB", "MB", "1 TB", "-1 B",
                                    "9999999999999999999 GB", NULL},
              CW_SIZE_JSON);
}

static void a_refused_size_is_quoted(void **state)
{
    struct cw_err err = {0};
    int64_t v;

    (void)state;
    assert_int_equal(cw_parse_size(CW_SLICE("lots"), CW_SIZE_HOCON, &v, &err), -1);
    assert_string_equal(err.msg, "\"lots\" is not a size");
    assert_int_equal(cw_parse_size(CW_SLICE("8192 p"), CW_SIZE_HOCON, &v, &err), -1);
    assert_string_equal(err.msg, "\"8192 p\" is too large a size");
}

static void durations_have_many_spellings(void **state)
{
    static const struct size_case CASES[] = {
        {"100", 100},           {"100 ms", 100},
        {"10 minutes", 600000}, {"5m", 300000},
        {"1 m", 60000},         {"30 seconds", 30000},
        {"0.5 s", 500},         {"2 hours", 7200000},
        {"1d", 86400000},       {"1 min", 60000},
        {"1500 micros", 1},     {"1999999 nanos", 1},
        {"Inf", INT64_MAX},     {"+Inf", INT64_MAX},
        {"PlusInf", INT64_MAX}, {"Duration.Inf", INT64_MAX},
        {"50 millis", 50},      {"1 day", 86400000},
        {" 2s ", 2000},         {"2500 \u00b5s", 2},
    };
    struct cw_err err = {0};
    int64_t v;

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        v = -1;
        if (cw_parse_duration(cw_slice_of(CASES[i].text), &v, &err) || v != CASES[i].bytes)
            fail_msg("%s: %lld, %s", CASES[i].text, (long long)v, err.msg);
    }
}

static void texts_that_are_no_duration_are_refused(void **state)
{
    struct cw_err err = {0};
    int64_t v = 42;

    (void)state;
    for (const char *const *bad =
             (const char *const[]){"", "soon", "-1 s", "1 fortnight", "1 S", "s", "1 s s",
                                   "infinite", "106751991168 days", NULL};
         *bad; bad++)
        if (cw_parse_duration(cw_slice_of(*bad), &v, &err) != -1 || v != 42)
            fail_msg("\"%s\" was taken as %lld", *bad, (long long)v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_in_configuration_tell_binary_from_decimal_units),
        cmocka_unit_test(sizes_in_json_are_powers_of_1024),
        cmocka_unit_test(texts_that_are_no_size_are_refused),
        cmocka_unit_test(a_refused_size_is_quoted),
        cmocka_unit_test(durations_have_many_spellings),
        cmocka_unit_test(texts_that_are_no_duration_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
