#include "tests/support/cmocka_all.h"

#include <glob.h>
#include <limits.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/json/raw.h"

/* ---- helpers ---- */

/* On a copy without a byte behind it, so that the sanitizer sees every read past the end. */
static int check(struct cw_slice text, unsigned max_depth, struct cw_err *err)
{
    char *copy = malloc(text.n ? text.n : 1);
    struct cw_slice value;
    int r;

    assert_non_null(copy);
    if (text.n)
        memcpy(copy, text.p, text.n);
    r = cw_raw_check(cw_slice(copy, text.n), max_depth, &value, err);
    free(copy);
    return r;
}

static void assert_accepted(struct cw_slice text)
{
    struct cw_err err = {0};

    if (check(text, CW_RAW_MAX_DEPTH, &err) < 0)
        fail_msg("refused: %.*s: %s", (int)text.n, text.p, err.msg);
}

static void assert_refused(struct cw_slice text, const char *msg)
{
    struct cw_err err = {0};

    if (check(text, CW_RAW_MAX_DEPTH, &err) == 0)
        fail_msg("accepted: %.*s", (int)text.n, text.p);
    assert_int_equal(err.code, CW_INVALID);
    if (msg)
        assert_string_equal(err.msg, msg);
}

static struct cw_slice checked(const char *text)
{
    struct cw_slice value;
    struct cw_err err = {0};

    if (cw_raw_check(cw_slice_of(text), CW_RAW_MAX_DEPTH, &value, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    return value;
}

static void assert_slice(struct cw_slice got, const char *want)
{
    if (!cw_slice_is(got, want))
        fail_msg("got \"%.*s\", expected \"%s\"", (int)got.n, got.p, want);
}

/* ---- the grammar ---- */

static void check_accepts_every_kind_of_value(void **state)
{
    static const char *const TEXTS[] = {
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-0.0",
        "10",
        "1e400",
        "0.1",
        "12345678901234567890",
        "1E+2",
        "1e-05",
        "-1.25e0",
        "\"\"",
        "\"a\"",
        "[]",
        "[ ]",
        "{}",
        "{ }",
        "[1]",
        "[1,2]",
        "[[],{}]",
        "{\"\":{}}",
        " \t\r\n[ 1 , \"a\" , { \"k\" : null , \"k\" : [ ] } ] \n",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\uABCD\\ud83d\\ude00\"",
        "\"\\ud800\"",
        "\"\\udc00\\ud800x\"",
        "\"\x7f\"",
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(TEXTS); i++)
        assert_accepted(cw_slice_of(TEXTS[i]));
}

static void check_refuses_what_the_grammar_does_not_know(void **state)
{
    static const char *const TEXTS[] = {
        "nul",         "nulll",
        "True",        "tru",
        "NaN",         "Infinity",
        "undefined",   "00",
        "01",          "-01",
        "-",           "+1",
        ".5",          "1.",
        "1.e3",        "1e",
        "1e+",         "1e+-2",
        "0x10",        "1_000",
        "--1",         "'a'",
        "a",           "\"",
        "\"a",         "\"\\\"",
        "\"\\x41\"",   "\"\\u12\"",
        "\"\\u12g4\"", "\"\\u123\"",
        "\"\\u123g\"", "\"\\",
        "\"\\u",       "\"\\u123",
        "\"\\U0041\"", "[",
        "]",           "[1",
        "[1,",         "[1,]",
        "[,1]",        "[,]",
        "[1 2]",       "[1}",
        "{",           "}",
        "{\"a\"",      "{\"a\":",
        "{\"a\":1",    "{\"a\":1,",
        "{\"a\":1,}",  "{,}",
        "{\"a\"}",     "{\"a\" 1}",
        "{a:1}",       "{1:1}",
        "{\"a\":1]",   "{\"a\":,}",
        "{\"a\"::1}",  "{\"a\":1 \"b\":2}",
        "1 2",         "[] []",
        "{}}",         "/**/1",
        "1//",         "[1]\v",
        "\xc2\xa0[]",  "\xef\xbb\xbf{}",
        "[\"a\":1]",   "[true false]",
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(TEXTS); i++)
        assert_refused(cw_slice_of(TEXTS[i]), NULL);
    assert_refused(CW_SLICE("1\0"), NULL);
    assert_refused(CW_SLICE("\"a\0b\""), NULL);
}

static void check_names_the_byte_and_what_was_expected(void **state)
{
    (void)state;
    assert_refused(CW_SLICE(""), "JSON: expected a value, but the text ends at byte 0");
    assert_refused(cw_slice(NULL, 0), "JSON: expected a value, but the text ends at byte 0");
    assert_refused(CW_SLICE("  "), "JSON: expected a value, but the text ends at byte 2");
    assert_refused(CW_SLICE("[1,x]"), "JSON: expected a value at byte 3");
    assert_refused(CW_SLICE("[1;2]"), "JSON: expected ',' or ']' at byte 2");
    assert_refused(CW_SLICE("{\"a\":1]"), "JSON: expected ',' or '}' at byte 6");
    assert_refused(CW_SLICE("{\"a\" 1}"), "JSON: expected ':' at byte 5");
    assert_refused(CW_SLICE("{a"), "JSON: expected a quoted key at byte 1");
    assert_refused(CW_SLICE("01"), "JSON: unexpected text after the value at byte 1");
    assert_refused(CW_SLICE("-x"), "JSON: expected a digit at byte 1");
    assert_refused(CW_SLICE("1.x"), "JSON: expected a digit at byte 2");
    assert_refused(CW_SLICE("\"ab"),
                   "JSON: expected the end of a string, but the text ends at byte 3");
    assert_refused(CW_SLICE("\"\n\""), "JSON: control character in a string at byte 1");
    assert_refused(CW_SLICE("\"a\\q\""), "JSON: unknown escape sequence at byte 2");
    assert_refused(CW_SLICE("\"\\u00x0\""),
                   "JSON: expected four hexadecimal digits after \\u at byte 5");
    assert_refused(CW_SLICE("\"a\xff\""), "JSON: invalid UTF-8 at byte 2");
}

static void check_gives_the_value_without_white_space(void **state)
{
    struct cw_slice value;
    struct cw_slice text = CW_SLICE(" \n {\"a\" : 1 }\r\n");

    (void)state;
    assert_int_equal(cw_raw_check(text, 1, &value, NULL), 0);
    assert_slice(value, "{\"a\" : 1 }");
    assert_ptr_equal(value.p, text.p + 3);
    assert_int_equal(cw_raw_check(text, 1, NULL, NULL), 0);
}

/* Every byte at every place of strings of many lengths, so that whole words, rests and the borders
 * between them are all met. */
static void check_knows_each_byte_anywhere_in_a_string(void **state)
{
    char text[40];

    (void)state;
    for (size_t len = 1; len <= 20; len++) {
        for (size_t at = 0; at < len; at++) {
            for (int c = 0; c < 256; c++) {
                bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
                struct cw_err err = {0};

                memset(text, 'x', sizeof(text));
                text[0] = text[len + 1] = '"';
                text[at + 1] = (char)c;
                if ((check(cw_slice(text, len + 2), 0, &err) == 0) != plain)
                    fail_msg("byte %02x at %zu of %zu: %s", c, at, len, err.msg);
            }
        }
    }
}

static void check_refuses_malformed_utf8_only(void **state)
{
    static const char *const GOOD[] = {
        "\"\xc2\x80\"",         "\"\xdf\xbf\"",
        "\"\xe0\xa0\x80\"",     "\"\xed\x9f\xbf\"",
        "\"\xee\x80\x80\"",     "\"\xef\xbf\xbf\"",
        "\"\xf0\x90\x80\x80\"", "\"\xf4\x8f\xbf\xbf\"",
        "\"abcdefg\xc3\xa4\"",  "\"\xe6\x97\xa5\xe6\x9c\xac x \xe8\xaa\x9e\"",
    };
    static const char *const BAD[] = {
        "\"\x80\"",
        "\"\xc0\x80\"",
        "\"\xc1\xbf\"",
        "\"\xc3\"",
        "\"\xc3x\"",
        "\"\xe0\x9f\xbf\"",
        "\"\xed\xa0\x80\"",
        "\"\xed\xbf\xbf\"",
        "\"\xe4\xb8\"",
        "\"\xf0\x8f\xbf\xbf\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xf5\x80\x80\x80\"",
        "\"\xf0\x9f\x98\"",
        "\"\xff\"",
        "\"\xc3\xa4\xa4\"",
        "\"\xc3",
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(GOOD); i++)
        assert_accepted(cw_slice_of(GOOD[i]));
    for (size_t i = 0; i < CW_ARRAY_LEN(BAD); i++)
        assert_refused(cw_slice_of(BAD[i]), NULL);
}

/* depth levels, arrays and objects by turns */
static struct cw_slice nested(char *buf, unsigned depth)
{
    char *p = buf;

    for (unsigned i = 0; i < depth; i++)
        p += snprintf(p, 8, "%s", i % 3 ? "[" : "{\"k\":");
    *p++ = '1';
    for (unsigned i = depth; i > 0; i--)
        *p++ = (i - 1) % 3 ? ']' : '}';
    return cw_slice(buf, (size_t)(p - buf));
}

static void check_counts_depth_exactly(void **state)
{
    static char buf[16 * (CW_RAW_MAX_DEPTH + 1)];
    struct cw_err err = {0};

    (void)state;
    assert_int_equal(check(CW_SLICE("1"), 0, NULL), 0);
    assert_int_equal(check(CW_SLICE("[]"), 0, NULL), -1);
    assert_int_equal(check(CW_SLICE("[[],{\"a\":[]}]"), 3, NULL), 0);
    assert_int_equal(check(CW_SLICE("[[],{\"a\":[]}]"), 2, &err), -1);
    assert_string_equal(err.msg, "JSON: nested deeper than 2 levels at byte 9");
    for (unsigned depth = 1; depth <= CW_RAW_MAX_DEPTH; depth++)
        assert_int_equal(check(nested(buf, depth), depth, NULL), 0);
    assert_int_equal(check(nested(buf, CW_RAW_MAX_DEPTH + 1), UINT_MAX, &err), -1);
    assert_int_equal(err.code, CW_INVALID);
}

static void check_tells_brackets_apart_at_each_level(void **state)
{
    static char buf[16 * CW_RAW_MAX_DEPTH];
    struct cw_slice text = nested(buf, 200);

    (void)state;
    for (size_t i = text.n - 200; i < text.n; i++) {
        buf[i] ^= ']' ^ '}';
        assert_int_equal(check(text, CW_RAW_MAX_DEPTH, NULL), -1);
        buf[i] ^= ']' ^ '}';
    }
    assert_accepted(text);
}

static void every_cut_of_a_text_is_refused(void **state)
{
    struct cw_slice text =
        CW_SLICE("{\"a\":[1.5e-3,true,null,\"\\ud83d\\ude00\xc3\xa4\",{}],\"b\":{\"c\":false}}");

    (void)state;
    assert_accepted(text);
    for (size_t n = 0; n < text.n; n++)
        assert_int_equal(check(cw_slice(text.p, n), 10, NULL), -1);
}

/* ---- values and iterators ---- */

static void types_are_told_by_the_value(void **state)
{
    (void)state;
    assert_int_equal(cw_raw_type(CW_SLICE("null")), CW_RAW_NULL);
    assert_int_equal(cw_raw_type(CW_SLICE("false")), CW_RAW_BOOL);
    assert_int_equal(cw_raw_type(CW_SLICE("true")), CW_RAW_BOOL);
    assert_int_equal(cw_raw_type(CW_SLICE("-1")), CW_RAW_NUMBER);
    assert_int_equal(cw_raw_type(CW_SLICE("7")), CW_RAW_NUMBER);
    assert_int_equal(cw_raw_type(CW_SLICE("\"\"")), CW_RAW_STRING);
    assert_int_equal(cw_raw_type(CW_SLICE("[]")), CW_RAW_ARRAY);
    assert_int_equal(cw_raw_type(CW_SLICE("{}")), CW_RAW_OBJECT);
    assert_true(cw_raw_is_true(CW_SLICE("true")));
    assert_false(cw_raw_is_true(CW_SLICE("false")));
    assert_false(cw_raw_is_true(CW_SLICE("\"true\"")));
}

static void members_come_in_order_and_byte_for_byte(void **state)
{
    struct cw_slice object = checked(" { \"a\" : 0.10 , \"b\\u0062\":[ 1 , {\"x\":\"]}\\\"\"} ] ,\n"
                                     "\"\":{},\"a\":\"\\\\\" } ");
    static const char *const WANT[][2] = {
        {"\"a\"", "0.10"},
        {"\"b\\u0062\"", "[ 1 , {\"x\":\"]}\\\"\"} ]"},
        {"\"\"", "{}"},
        {"\"a\"", "\"\\\\\""},
    };
    struct cw_raw_iter it = cw_raw_iter(object);
    struct cw_slice key, value;

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(WANT); i++) {
        assert_true(cw_raw_next_member(&it, &key, &value));
        assert_slice(key, WANT[i][0]);
        assert_slice(value, WANT[i][1]);
    }
    assert_false(cw_raw_next_member(&it, &key, &value));
    assert_false(cw_raw_next_member(&it, &key, &value));
}

static void elements_come_in_order_and_byte_for_byte(void **state)
{
    static const char *const WANT[] = {"1",    "-2.50e+1",          "true",    "null",
                                       "\"\"", "\"a,b]\\\\\\\"c\"", "[[],[]]", "{\"a\":[{}]}"};
    struct cw_slice array =
        checked("[1,-2.50e+1 ,true\t, null,\"\",\"a,b]\\\\\\\"c\",[[],[]],{\"a\":[{}]} ]");
    struct cw_raw_iter it = cw_raw_iter(array);
    struct cw_slice value;

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(WANT); i++) {
        assert_true(cw_raw_next_element(&it, &value));
        assert_slice(value, WANT[i]);
    }
    assert_false(cw_raw_next_element(&it, &value));
}

static void skipping_finds_ends_at_any_distance(void **state)
{
    char text[128];
    struct cw_slice value;

    (void)state;
    for (int pad = 0; pad < 24; pad++) {
        for (int inner = 0; inner < 24; inner++) {
            char want[96];
            struct cw_raw_iter it;

            (void)snprintf(want, sizeof(want), "{\"%.*s\\\"]\":[%*s1]}", inner,
                           "xxxxxxxxxxxxxxxxxxxxxxxx", inner, "");
            (void)snprintf(text, sizeof(text), "[%*s%s,2]", pad, "", want);
            it = cw_raw_iter(checked(text));
            assert_true(cw_raw_next_element(&it, &value));
            assert_slice(value, want);
            assert_true(cw_raw_next_element(&it, &value));
            assert_slice(value, "2");
            assert_false(cw_raw_next_element(&it, &value));
        }
    }
}

/* A value of strings full of quotes, brackets and runs of backslashes, nested at random. */
static void add_random_value(struct cw_str *out, uint64_t *seed, int levels)
{
    static const char *const PIECES[] = {"\\\\", "\\\"",     "]",   "}",       "[",
                                         "{",    "\xc3\xa4", "xyz", "\\\\\\\\"};
    unsigned dice;

    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    dice = (unsigned)(*seed >> 33);
    if (levels == 0 || dice % 3 == 0) {
        cw_str_addc(out, '"');
        for (unsigned i = dice / 3 % 12; i > 0; i--, dice = dice / 3 * 7 + i)
            cw_str_addz(out, PIECES[dice % CW_ARRAY_LEN(PIECES)]);
        cw_str_addc(out, '"');
        return;
    }
    if (dice % 7 == 0) { /* brackets and no quote for a long while */
        cw_str_addf(out, "[[%*d],[%*d,[]]]", (int)(dice / 7 % 90), 1, (int)(dice / 630 % 90), 2);
        return;
    }
    cw_str_addz(out, dice % 3 == 1 ? "[" : "{\"k\\\\\":[");
    for (unsigned i = dice / 3 % 4; i > 0; i--) {
        add_random_value(out, seed, levels - 1);
        cw_str_addz(out, i > 1 ? "," : "");
    }
    cw_str_addz(out, dice % 3 == 1 ? "]" : "]}");
}

static void skipping_is_not_misled_by_what_strings_contain(void **state)
{
    enum { ROUNDS = 3000, COUNT = 4 };
    uint64_t seed = 1;

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        size_t ends[COUNT];
        struct cw_slice value;
        struct cw_raw_iter it;
        struct cw_str text;

        cw_str_init(&text, 1 << 20);
        for (int i = 0; i < COUNT; i++) {
            cw_str_addc(&text, i ? ',' : '[');
            add_random_value(&text, &seed, 5);
            ends[i] = text.n;
        }
        cw_str_addc(&text, ']');
        assert_false(text.failed);
        it = cw_raw_iter(checked(text.p));
        for (int i = 0; i < COUNT; i++) {
            assert_true(cw_raw_next_element(&it, &value));
            assert_ptr_equal(value.p, text.p + (i ? ends[i - 1] + 1 : 1));
            assert_ptr_equal(value.p + value.n, text.p + ends[i]);
        }
        assert_false(cw_raw_next_element(&it, &value));
        cw_str_done(&text);
    }
}

static void iterating_other_values_gives_nothing(void **state)
{
    static const char *const VALUES[] = {"1", "\"[1]\"", "null", "{}", "[]", "[ ]"};
    struct cw_slice key, value;

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(VALUES); i++) {
        struct cw_raw_iter it = cw_raw_iter(checked(VALUES[i]));

        assert_false(cw_raw_next_element(&it, &value));
        it = cw_raw_iter(checked(VALUES[i]));
        assert_false(cw_raw_next_member(&it, &key, &value));
    }
    assert_false(cw_raw_next_member(&(struct cw_raw_iter){0}, &key, &value));
    for (size_t i = 0; i < 2; i++) { /* an array taken for an object */
        struct cw_raw_iter it = cw_raw_iter(checked(i ? "[\"a\",\"b\"]" : "[1]"));

        assert_false(cw_raw_next_member(&it, &key, &value));
    }
}

static void get_takes_the_last_of_equal_keys(void **state)
{
    struct cw_slice object = checked("{\"a\":1,\"na\\u006de\":2,\"b\":{\"name\":9},\"a\":3}");
    struct cw_slice value = CW_SLICE("untouched");

    (void)state;
    assert_true(cw_raw_get(object, "name", &value));
    assert_slice(value, "2");
    assert_true(cw_raw_get(object, "a", &value));
    assert_slice(value, "3");
    assert_false(cw_raw_get(object, "c", &value));
    assert_false(cw_raw_get(checked("[\"a\",1]"), "a", &value));
    assert_false(cw_raw_get(cw_slice(NULL, 0), "a", &value));
    assert_slice(value, "3");
}

/* ---- strings ---- */

static void string_is_compares_what_is_meant(void **state)
{
    (void)state;
    assert_true(cw_raw_string_is(CW_SLICE("\"name\""), "name"));
    assert_true(cw_raw_string_is(CW_SLICE("\"na\\u006de\""), "name"));
    assert_true(
        cw_raw_string_is(CW_SLICE("\"\\u00e4\\ud83d\\ude00\""), "\xc3\xa4\xf0\x9f\x98\x80"));
    assert_true(cw_raw_string_is(CW_SLICE("\"\""), ""));
    assert_true(cw_raw_string_is(CW_SLICE("\"\\/\\n\""), "/\n"));
    assert_false(cw_raw_string_is(CW_SLICE("\"a\\n\""), "a\\n"));
    assert_false(cw_raw_string_is(CW_SLICE("\"name\""), "nam"));
    assert_false(cw_raw_string_is(CW_SLICE("\"nam\""), "name"));
    assert_false(cw_raw_string_is(CW_SLICE("\"Name\""), "name"));
    assert_false(cw_raw_string_is(CW_SLICE("\"\""), "n"));
    assert_false(cw_raw_string_is(CW_SLICE("\"n\""), ""));
    assert_false(cw_raw_string_is(CW_SLICE("\"a\\u0000\""), "a"));
    assert_false(cw_raw_string_is(CW_SLICE("\"\\u0000\""), ""));
    assert_false(cw_raw_string_is(CW_SLICE("\"\\u20ac\""), "\xe2"));
}

static void unescape_yields_utf8(void **state)
{
    static const struct {
        const char *quoted;
        struct cw_slice want;
    } CASES[] = {
        {"\"\"", CW_SLICE("")},
        {"\"plain \xc3\xa4\"", CW_SLICE("plain \xc3\xa4")},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", CW_SLICE("\"\\/\b\f\n\r\t")},
        {"\"a\\u0000b\"", CW_SLICE("a\0b")},
        {"\"\\u007f\\u0080\\u07FF\\u0800\\uffff\"",
         CW_SLICE("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf")},
        {"\"\\ud800\\udc00\\uDBFF\\uDFFF\"", CW_SLICE("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")},
        {"\"\\ud800\"", CW_SLICE("\xef\xbf\xbd")},
        {"\"\\ud800x\"", CW_SLICE("\xef\xbf\xbdx")},
        {"\"\\udc00\\ud800\"", CW_SLICE("\xef\xbf\xbd\xef\xbf\xbd")},
        {"\"\\udc00\\udc01\"", CW_SLICE("\xef\xbf\xbd\xef\xbf\xbd")},
        {"\"\\ud800\\n\"", CW_SLICE("\xef\xbf\xbd\n")},
        {"\"\\ud800\\u0041\"", CW_SLICE("\xef\xbf\xbd"
                                        "A")},
        {"\"\\ud800\\ud83d\\ude00\"", CW_SLICE("\xef\xbf\xbd\xf0\x9f\x98\x80")},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct cw_slice quoted = checked(CASES[i].quoted);
        struct cw_arena arena;
        struct cw_str out;
        size_t n;
        char *text;

        cw_str_init(&out, 100);
        cw_str_addz(&out, ">");
        cw_raw_unescape(quoted, &out);
        assert_false(out.failed);
        assert_int_equal(out.n, CASES[i].want.n + 1);
        assert_memory_equal(out.p + 1, CASES[i].want.p, CASES[i].want.n + 1);
        cw_str_done(&out);
        cw_arena_init(&arena);
        text = cw_raw_string(quoted, &arena, &n);
        assert_int_equal(n, CASES[i].want.n);
        assert_memory_equal(text, CASES[i].want.p, n + 1);
        assert_memory_equal(cw_raw_string(quoted, &arena, NULL), text, n + 1);
        cw_arena_done(&arena);
    }
}

static void unescape_counts_against_the_maximum_what_it_writes(void **state)
{
    struct cw_slice quoted = CW_SLICE("\"ab\\u00e4\\n\""); /* 5 bytes when unescaped */
    struct cw_str out;

    (void)state;
    cw_str_init(&out, 5);
    cw_raw_unescape(quoted, &out);
    assert_false(out.failed);
    assert_slice(cw_str_slice(&out), "ab\xc3\xa4\n");
    cw_raw_unescape(CW_SLICE("\"\""), &out);
    assert_false(out.failed);
    cw_str_done(&out);
    cw_str_init(&out, 4);
    cw_raw_unescape(quoted, &out);
    assert_true(out.failed);
    assert_int_equal(out.n, 0);
    cw_str_done(&out);
}

/* ---- UTF-8 ---- */

static void utf16_units_are_counted_as_java_does(void **state)
{
    char text[64];
    static const char *const CHARS[] = {"x", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

    (void)state;
    assert_int_equal(cw_utf16_units(cw_slice(NULL, 0)), 0);
    for (size_t c = 0; c < CW_ARRAY_LEN(CHARS); c++) {
        for (int before = 0; before < 20; before++) {
            int n = snprintf(text, sizeof(text), "%.*s%s%s%.*s", before, "....................",
                             CHARS[c], CHARS[c], 20 - before, "....................");

            assert_int_equal(cw_utf16_units(cw_slice(text, (size_t)n)), c == 3 ? 24 : 22);
        }
    }
    memset(text, '\xbf', sizeof(text)); /* sums of lanes at their extremes */
    assert_int_equal(cw_utf16_units(cw_slice(text, 64)), 0);
    memset(text, '\xf0', sizeof(text));
    assert_int_equal(cw_utf16_units(cw_slice(text, 64)), 128);
}

/* Expected texts and lengths are those of Java 17's new String(bytes, UTF_8). */
static void repair_replaces_what_java_replaces(void **state)
{
#define R "\xef\xbf\xbd"
    static const struct {
        const char *bytes, *want;
    } CASES[] = {
        {"\x80", R},
        {"a\xff"
         "b",
         "a" R "b"},
        {"\xc0\x80", R R},
        {"\xc3", R},
        {"\xc3x", R "x"},
        {"\xc3\xc3\xa4", R "\xc3\xa4"},
        {"\xe0\x80\x80", R R R},
        {"\xe2\x82", R},
        {"\xe2\x82x", R "x"},
        {"\xe2x", R "x"},
        {"\xed\xa0\x80", R},
        {"\xed\xa0", R},
        {"\xed\xa0x", R "x"},
        {"\xed\xa0\x80\xed\xb0\x80", R R},
        {"\xf0\x80\x80\x80", R R R R},
        {"\xf0\x90\x80", R},
        {"\xf0\x90\x80x", R "x"},
        {"\xf0\x90x", R "x"},
        {"\xf0", R},
        {"\xf4\x90\x80\x80", R R R R},
        {"\xf5\x80\x80\x80", R R R R},
        {"\xf8\xff", R R},
        {"12345678\xc3\xa4\xa4\xc3", "12345678\xc3\xa4" R R},
    };
#undef R

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct cw_slice bytes = cw_slice_of(CASES[i].bytes);
        struct cw_str out;

        cw_str_init(&out, 100);
        assert_false(cw_utf8_valid(bytes));
        assert_true(cw_utf8_repair(bytes, &out));
        assert_slice(cw_str_slice(&out), CASES[i].want);
        assert_true(cw_utf8_valid(cw_str_slice(&out)));
        cw_str_done(&out);
    }
}

static void lone_surrogates_are_mended(void **state)
{
    static const struct {
        const char *text, *mended; /* NULL: nothing to mend */
    } CASES[] = {
        {"\"\\ud83d\\ude00\"", NULL},
        {"\"\\\\ud800\"", NULL},
        {"\"\\u00e9\"", NULL},
        {"\"\\ud800x\\udc00\"", "\"?x?\""},
        {"\"\\uD83D\\uD83D\\uDE00\\n\"", "\"?\\uD83D\\uDE00\\n\""},
        {"\"\\udc00\\ud800\"", "\"??\""},
        {"[\"\\\\\\ud800\",\"\\ud800\\\\udc00\"]", "[\"\\\\?\",\"?\\\\udc00\"]"},
        {"{\"\\ud800\":\"\"}", "{\"?\":\"\"}"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        cw_auto_str struct cw_str out;

        cw_str_init(&out, 200);
        assert_int_equal(cw_raw_mend_surrogates(cw_slice_of(CASES[i].text), &out),
                         CASES[i].mended != NULL);
        assert_string_equal(out.n ? out.p : "", CASES[i].mended ? CASES[i].mended : "");
    }
}

static void numbers_become_integers_as_in_java(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
        bool whole;
    } CASES[] = {
        {"0", 0, true},
        {"-0", 0, true},
        {"12", 12, true},
        {"-12", -12, true},
        {"1.0", 1, true},
        {"1.5", 1, false},
        {"-1.9", -1, false},
        {"1e3", 1000, true},
        {"1.25e1", 12, false},
        {"1.25E+2", 125, true},
        {"125e-2", 1, false},
        {"100e-2", 1, true},
        {"1e-5", 0, false},
        {"0e9", 0, true},
        {"0.0", 0, true},
        {"1e99", 0, true},
        {"9223372036854775807", INT64_MAX, true},
        {"9223372036854775808", INT64_MIN, true},
        {"18446744073709551615", -1, true},
        {"1e99999999999", 0, true},
        {"1e-99999999999", 0, false},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct cw_slice number = cw_slice_of(CASES[i].text);

        if (cw_raw_long(number) != CASES[i].value || cw_raw_is_whole(number) != CASES[i].whole)
            fail_msg("%s", CASES[i].text);
    }
}

static void repair_leaves_valid_text_alone(void **state)
{
    static const char *const TEXTS[] = {"", "abc", "12345678\xf0\x9f\x98\x80", "\xe2\x82\xac"};
    struct cw_str out;

    (void)state;
    cw_str_init(&out, 100);
    for (size_t i = 0; i < CW_ARRAY_LEN(TEXTS); i++) {
        assert_true(cw_utf8_valid(cw_slice_of(TEXTS[i])));
        assert_false(cw_utf8_repair(cw_slice_of(TEXTS[i]), &out));
    }
    assert_true(cw_utf8_valid(cw_slice(NULL, 0)));
    assert_int_equal(out.n, 0);
    cw_str_done(&out);
}

/* ---- decoding by table ---- */

struct target {
    struct cw_slice raw, object, array, quoted;
    const char *string;
    int64_t n;
    bool has_n, flag, has_flag, has_string;
};

#define AT(member) offsetof(struct target, member)
static const struct cw_field FIELDS[] = {
    {"raw", CW_FIELD_RAW, 0, AT(raw), 0, 0, 0},
    {"object", CW_FIELD_OBJECT, 0, AT(object), 0, 0, 0},
    {"array", CW_FIELD_ARRAY, 0, AT(array), 0, 0, 0},
    {"quoted", CW_FIELD_QUOTED, 0, AT(quoted), 0, 0, 0},
    {"string", CW_FIELD_STRING, CW_FIELD_NULLABLE, AT(string), AT(has_string), 2, 4},
    {"n", CW_FIELD_INT, CW_FIELD_REQUIRED, AT(n), AT(has_n), 1, 4096},
    {"flag", CW_FIELD_BOOL, CW_FIELD_REQUIRED | CW_FIELD_NULLABLE, AT(flag), AT(has_flag), 0, 0},
};

static int decode(const char *text, struct target *t, struct cw_arena *arena, const char *path,
                  struct cw_err *err)
{
    return cw_raw_decode(checked(text), FIELDS, CW_ARRAY_LEN(FIELDS), t, arena, path, err);
}

static void decode_fills_every_type(void **state)
{
    struct target t = {0};
    struct cw_arena arena;

    (void)state;
    cw_arena_init(&arena);
    assert_int_equal(
        decode("{\"flag\":true,\"other\":[{\"n\":0}],\"n\": 4096 ,\"string\":\"a\\u00e4\","
               "\"quoted\":\"x\\ty\",\"array\":[1, 2],\"object\":{\"n\":7},"
               "\"raw\":1e400,\"other\":2}",
               &t, &arena, "", NULL),
        0);
    assert_slice(t.raw, "1e400");
    assert_slice(t.object, "{\"n\":7}");
    assert_slice(t.array, "[1, 2]");
    assert_slice(t.quoted, "\"x\\ty\"");
    assert_string_equal(t.string, "a\xc3\xa4");
    assert_true(t.has_string);
    assert_int_equal(t.n, 4096);
    assert_true(t.has_n);
    assert_true(t.flag);
    assert_true(t.has_flag);
    cw_arena_done(&arena);
}

static void decode_leaves_absent_and_null_members_alone(void **state)
{
    struct target t = {.string = "default", .flag = true, .raw = CW_SLICE("default")};
    struct cw_arena arena;

    (void)state;
    cw_arena_init(&arena);
    assert_int_equal(decode("{\"n\":1,\"string\":null,\"flag\":null}", &t, &arena, "", NULL), 0);
    assert_string_equal(t.string, "default");
    assert_false(t.has_string);
    assert_true(t.flag);
    assert_false(t.has_flag);
    assert_slice(t.raw, "default");
    assert_int_equal(decode("{\"n\":1,\"raw\":null,\"flag\":false}", &t, &arena, "", NULL), 0);
    assert_slice(t.raw, "null");
    assert_false(t.flag);
    assert_true(t.has_flag);
    cw_arena_done(&arena);
}

static void decode_knows_names_however_they_are_written(void **state)
{
    struct target t = {0};
    struct cw_arena arena;
    struct cw_err err = {0};

    (void)state;
    cw_arena_init(&arena);
    assert_int_equal(decode("{\"\\u006e\":5,\"fl\\u0061g\":true,\"\":0,\"n2\":0,\"N\":0,"
                            "\"n\\u0000\":0,\"strin\":0,\"strings\":0}",
                            &t, &arena, "", &err),
                     0);
    assert_int_equal(t.n, 5);
    assert_true(t.flag);
    assert_int_equal(decode("{\"n\":\"x\",\"\\u006e\":6,\"flag\":true}", &t, &arena, "a.b", &err),
                     0);
    assert_int_equal(t.n, 6); /* of equal ones the last, whatever the others are */
    assert_int_equal(decode("{\"n\":5,\"flag\":true,\"flag\":1}", &t, &arena, "a.b", &err), -1);
    assert_string_equal(err.msg, "a.b.flag: expected boolean");
    cw_arena_done(&arena);
}

static void decode_errors_name_the_path(void **state)
{
    static const char RANGE[] = "limits.n: expected integer in 1..4096";
    static const char BYTES[] = "limits.string: expected string of 2..4 bytes";
    static const struct {
        const char *text, *msg;
    } CASES[] = {
        {"{\"n\":0}", RANGE},
        {"{\"n\":4097}", RANGE},
        {"{\"n\":1.0}", RANGE},
        {"{\"n\":1e3}", RANGE},
        {"{\"n\":-1}", RANGE},
        {"{\"n\":99999999999999999999}", RANGE},
        {"{\"n\":\"1\"}", RANGE},
        {"{\"n\":null}", RANGE},
        {"{\"n\":[]}", RANGE},
        {"{\"n\":1,\"flag\":0}", "limits.flag: expected boolean"},
        {"{\"n\":1,\"flag\":\"true\"}", "limits.flag: expected boolean"},
        {"{\"n\":1,\"string\":1}", "limits.string: expected string"},
        {"{\"n\":1,\"string\":\"a\"}", BYTES},
        {"{\"n\":1,\"string\":\"abcde\"}", BYTES},
        {"{\"n\":1,\"string\":\"ab\\u0000\"}", "limits.string: expected string without \\u0000"},
        {"{\"n\":1,\"quoted\":null}", "limits.quoted: expected string"},
        {"{\"n\":1,\"object\":[]}", "limits.object: expected object"},
        {"{\"n\":1,\"array\":{}}", "limits.array: expected array"},
        {"{\"n\":1,\"string\":null,\"string\":\"abcde\"}", BYTES},
        {"{\"n\":1}", "limits.flag: missing"},
        {"{\"flag\":true}", "limits.n: missing"},
        {"[]", "limits: expected object"},
        {"\"n\"", "limits: expected object"},
    };
    struct target t = {0};
    struct cw_arena arena;

    (void)state;
    cw_arena_init(&arena);
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct cw_err err = {0};

        assert_int_equal(decode(CASES[i].text, &t, &arena, "limits", &err), -1);
        assert_int_equal(err.code, CW_INVALID);
        assert_string_equal(err.msg, CASES[i].msg);
    }
    cw_arena_done(&arena);
}

static void decode_at_the_top_needs_no_path(void **state)
{
    struct target t = {0};
    struct cw_arena arena;
    struct cw_err err = {0};

    (void)state;
    cw_arena_init(&arena);
    assert_int_equal(decode("{}", &t, &arena, "", &err), -1);
    assert_string_equal(err.msg, "n: missing");
    assert_int_equal(decode("1", &t, &arena, NULL, &err), -1);
    assert_string_equal(err.msg, "expected object");
    cw_arena_done(&arena);
}

static void decode_takes_long_strings_up_to_the_default(void **state)
{
    static const struct cw_field FIELD = {"s", CW_FIELD_STRING, 0, 0, 0, 0, 0};
    enum { MAX = 65536 };
    static char text[MAX + 16];
    struct cw_arena arena;
    struct cw_err err = {0};

    (void)state;
    cw_arena_init(&arena);
    for (size_t len = MAX; len <= MAX + 1; len++) {
        const char *s = NULL;
        int n = snprintf(text, sizeof(text), "{\"s\":\"%0*d\"}", (int)len, 0);
        int r = cw_raw_decode(cw_slice(text, (size_t)n), &FIELD, 1, &s, &arena, "", &err);

        assert_int_equal(r, len > MAX ? -1 : 0);
        assert_int_equal(s ? strlen(s) : 0, len > MAX ? 0 : len);
    }
    assert_string_equal(err.msg, "s: expected string of 0..65536 bytes");
    cw_arena_done(&arena);
}

static void decode_handles_a_full_table(void **state)
{
    enum { COUNT = 64 };
    struct cw_field fields[COUNT];
    char names[COUNT][8];
    int64_t out[COUNT] = {0};
    struct cw_str text;
    struct cw_err err = {0};

    (void)state;
    cw_str_init(&text, 4096);
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "f%d", i);
        fields[i] = (struct cw_field){
            names[i], CW_FIELD_INT, CW_FIELD_REQUIRED, (size_t)i * sizeof(out[0]), 0, 0, COUNT};
        cw_str_addf(&text, "%c\"f%d\":%d", i ? ',' : '{', COUNT - 1 - i, i);
    }
    cw_str_addc(&text, '}');
    assert_int_equal(cw_raw_decode(checked(text.p), fields, COUNT, out, NULL, "", NULL), 0);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(out[i], COUNT - 1 - i);
    text.p[text.n - 1] = ',';
    cw_str_addz(&text, "\"f63\":1}");
    assert_int_equal(cw_raw_decode(checked(text.p), fields, COUNT, out, NULL, "", &err), 0);
    assert_int_equal(out[COUNT - 1], 1);
    cw_str_done(&text);
}

/* ---- what a real controller and invoker sent ---- */

static size_t check_lines(const char *path)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0, count = 0;
    ssize_t n;

    assert_non_null(f);
    while ((n = getline(&line, &cap, f)) > 0) {
        struct cw_slice value, key, member;
        struct cw_err err = {0};
        struct cw_raw_iter it;

        if (cw_raw_check(cw_slice(line, (size_t)n), CW_RAW_MAX_DEPTH, &value, &err) < 0)
            fail_msg("%s: %s", path, err.msg);
        assert_int_equal(cw_raw_type(value), CW_RAW_OBJECT);
        it = cw_raw_iter(value);
        assert_true(cw_raw_next_member(&it, &key, &member));
        count++;
    }
    free(line);
    (void)fclose(f);
    return count;
}

static void recorded_messages_are_accepted(void **state)
{
    size_t lines = 0;
    glob_t found;

    (void)state;
    assert_int_equal(glob(CW_TEST_DATA "/samples/*.ndjson", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        lines += check_lines(found.gl_pathv[i]);
    globfree(&found);
    assert_true(lines > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_accepts_every_kind_of_value),
        cmocka_unit_test(check_refuses_what_the_grammar_does_not_know),
        cmocka_unit_test(check_names_the_byte_and_what_was_expected),
        cmocka_unit_test(check_gives_the_value_without_white_space),
        cmocka_unit_test(check_knows_each_byte_anywhere_in_a_string),
        cmocka_unit_test(check_refuses_malformed_utf8_only),
        cmocka_unit_test(check_counts_depth_exactly),
        cmocka_unit_test(check_tells_brackets_apart_at_each_level),
        cmocka_unit_test(every_cut_of_a_text_is_refused),
        cmocka_unit_test(types_are_told_by_the_value),
        cmocka_unit_test(members_come_in_order_and_byte_for_byte),
        cmocka_unit_test(elements_come_in_order_and_byte_for_byte),
        cmocka_unit_test(skipping_finds_ends_at_any_distance),
        cmocka_unit_test(skipping_is_not_misled_by_what_strings_contain),
        cmocka_unit_test(iterating_other_values_gives_nothing),
        cmocka_unit_test(get_takes_the_last_of_equal_keys),
        cmocka_unit_test(string_is_compares_what_is_meant),
        cmocka_unit_test(unescape_yields_utf8),
        cmocka_unit_test(unescape_counts_against_the_maximum_what_it_writes),
        cmocka_unit_test(utf16_units_are_counted_as_java_does),
        cmocka_unit_test(repair_replaces_what_java_replaces),
        cmocka_unit_test(repair_leaves_valid_text_alone),
        cmocka_unit_test(lone_surrogates_are_mended),
        cmocka_unit_test(numbers_become_integers_as_in_java),
        cmocka_unit_test(decode_fills_every_type),
        cmocka_unit_test(decode_leaves_absent_and_null_members_alone),
        cmocka_unit_test(decode_knows_names_however_they_are_written),
        cmocka_unit_test(decode_errors_name_the_path),
        cmocka_unit_test(decode_at_the_top_needs_no_path),
        cmocka_unit_test(decode_takes_long_strings_up_to_the_default),
        cmocka_unit_test(decode_handles_a_full_table),
        cmocka_unit_test(recorded_messages_are_accepted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
