#include "tests/support/cmocka_all.h"

#include "common/base/base64.h"
#include "common/base/err.h"

static const struct {
    const char *bytes, *text;
} VECTORS[] = {{"", ""},
               {"f", "Zg=="},
               {"fo", "Zm8="},
               {"foo", "Zm9v"},
               {"foob", "Zm9vYg=="},
               {"fooba", "Zm9vYmE="},
               {"foobar", "Zm9vYmFy"}};

static void vectors_of_rfc_4648_go_both_ways(void **state)
{
    cw_auto_str struct cw_str s;
    struct cw_err err = {0};

    (void)state;
    cw_str_init(&s, 100);
    for (size_t i = 0; i < CW_ARRAY_LEN(VECTORS); i++) {
        cw_str_reset(&s);
        cw_base64_encode(cw_slice_of(VECTORS[i].bytes), &s);
        assert_string_equal(s.p, VECTORS[i].text);
        cw_str_reset(&s);
        assert_int_equal(cw_base64_decode(cw_slice_of(VECTORS[i].text), CW_BASE64_URL, &s, &err),
                         0);
        assert_string_equal(s.p, VECTORS[i].bytes);
    }
}

static void all_bytes_survive(void **state)
{
    cw_auto_str struct cw_str text, back;
    struct cw_err err = {0};
    char bytes[256];

    (void)state;
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    cw_str_init(&text, 1000);
    cw_str_init(&back, 1000);
    for (size_t n = 250; n <= 256; n++) {
        cw_str_reset(&text);
        cw_str_reset(&back);
        cw_base64_encode(cw_slice(bytes, n), &text);
        assert_int_equal(cw_base64_decode(cw_str_slice(&text), CW_BASE64_STANDARD, &back, &err), 0);
        assert_int_equal(back.n, n);
        assert_memory_equal(back.p, bytes, n);
    }
}

static void alphabets_are_not_mixed(void **state)
{
    cw_auto_str struct cw_str s;
    struct cw_err err = {0};

    (void)state;
    cw_str_init(&s, 100);
    assert_int_equal(cw_base64_decode(CW_SLICE("-_-_"), CW_BASE64_URL, &s, &err), 0);
    assert_memory_equal(s.p, "\xfb\xff\xbf", 3);
    cw_str_reset(&s);
    assert_int_equal(cw_base64_decode(CW_SLICE("-_-_"), CW_BASE64_STANDARD, &s, &err), -1);
    assert_string_equal(err.msg, "base64: bad character at offset 0");
    assert_int_equal(cw_base64_decode(CW_SLICE("+/+/"), CW_BASE64_URL, &s, &err), -1);
    assert_int_equal(s.n, 0);
}

static void padding_is_complete_or_absent(void **state)
{
    cw_auto_str struct cw_str s;
    struct cw_err err = {0};

    (void)state;
    cw_str_init(&s, 100);
    assert_int_equal(cw_base64_decode(CW_SLICE("Zm8"), CW_BASE64_URL, &s, &err), 0);
    assert_string_equal(s.p, "fo");
    for (const char *const *bad =
             (const char *const[]){"Z", "Zg=", "=", "====", "Zm9v=", "Zg==Zg==", "Zm 9v", "Zm9v\n",
                                   "Z===", NULL};
         *bad; bad++)
        if (cw_base64_decode(cw_slice_of(*bad), CW_BASE64_URL, &s, &err) != -1)
            fail_msg("\"%s\" was decoded", *bad);
}

static void output_is_bounded(void **state)
{
    cw_auto_str struct cw_str s;
    struct cw_err err = {0};

    (void)state;
    cw_str_init(&s, 4);
    cw_base64_encode(CW_SLICE("abcd"), &s);
    assert_true(s.failed);
    cw_str_reset(&s);
    assert_int_equal(cw_base64_decode(CW_SLICE("Zm9vYmFy"), CW_BASE64_URL, &s, &err), -1);
    assert_int_equal(err.code, CW_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_rfc_4648_go_both_ways),
        cmocka_unit_test(all_bytes_survive),
        cmocka_unit_test(alphabets_are_not_mixed),
        cmocka_unit_test(padding_is_complete_or_absent),
        cmocka_unit_test(output_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
