#include "tests/support/cmocka_all.h"

#include <errno.h>

#include "common/base/arena.h"
#include "common/base/boot.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/str.h"
#include "common/base/utf8.h"

static void err_keeps_code_and_wraps_context(void **state)
{
    struct cw_err err = {0};

    (void)state;
    assert_int_equal(cw_fail(&err, CW_CONFLICT, "put %s", "a\nb"), -1);
    assert_int_equal(cw_err_wrap(&err, "couch %d", 7), -1);
    assert_int_equal(err.code, CW_CONFLICT);
    assert_false(err.retriable);
    assert_string_equal(err.msg, "couch 7: put a?b");
    assert_int_equal(cw_fail_retriable(&err, CW_UNAVAILABLE, "x"), -1);
    assert_true(err.retriable);
    assert_int_equal(cw_fail(NULL, CW_INVALID, "ignored"), -1);
}

static void err_from_errno_names_it(void **state)
{
    struct cw_err err = {0};

    (void)state;
    (void)cw_fail_errno(&err, ENOENT, "open %s", "/nowhere");
    assert_int_equal(err.code, CW_NOT_FOUND);
    assert_int_equal(err.sys_errno, ENOENT);
    assert_string_equal(err.msg, "open /nowhere: No such file or directory");
}

static void err_text_is_cut_at_its_size(void **state)
{
    struct cw_err err = {0};
    char text[600];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    (void)cw_fail(&err, CW_INTERNAL, "%s", text);
    (void)cw_err_wrap(&err, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
}

static void str_appends_grow_and_stay_terminated(void **state)
{
    cw_auto_str struct cw_str s;

    (void)state;
    cw_str_init(&s, 100000);
    assert_string_equal(s.p, "");
    for (int i = 0; i < 1000; i++)
        cw_str_addf(&s, "%d,", i);
    assert_false(s.failed);
    assert_int_equal(s.n, strlen(s.p));
    cw_str_consume(&s, 2);
    assert_memory_equal(s.p, "1,2,3,", 6);
    cw_str_consume(&s, 1 << 20);
    assert_int_equal(s.n, 0);
}

static void str_over_maximum_fails_and_stays_failed(void **state)
{
    cw_auto_str struct cw_str s;

    (void)state;
    cw_str_init(&s, 4);
    cw_str_addz(&s, "abcd");
    assert_false(s.failed);
    cw_str_addc(&s, 'e');
    assert_true(s.failed);
    assert_string_equal(s.p, "abcd");
    cw_str_reset(&s);
    assert_false(s.failed);
    cw_str_addf(&s, "%s", "12345");
    assert_true(s.failed);
}

static void str_long_format_is_whole(void **state)
{
    cw_auto_str struct cw_str s;
    char text[1001];

    (void)state;
    memset(text, 'y', 1000);
    text[1000] = '\0';
    cw_str_init(&s, 5000);
    cw_str_addf(&s, "<%s>", text);
    assert_int_equal(s.n, 1002);
    assert_int_equal(s.p[1001], '>');
}

static void str_integer_text_has_extremes(void **state)
{
    cw_auto_str struct cw_str s;

    (void)state;
    cw_str_init(&s, 100);
    cw_str_addi(&s, INT64_MIN);
    cw_str_addc(&s, ' ');
    cw_str_addi(&s, 0);
    cw_str_addc(&s, ' ');
    cw_str_addi(&s, INT64_MAX);
    assert_string_equal(s.p, "-9223372036854775808 0 9223372036854775807");
}

static void numbers_are_parsed_within_range_only(void **state)
{
    struct cw_err err = {0};
    int64_t v = 0;

    (void)state;
    assert_int_equal(
        cw_parse_i64(CW_SLICE("-9223372036854775808"), "x", INT64_MIN, INT64_MAX, &v, &err), 0);
    assert_true(v == INT64_MIN);
    assert_int_equal(cw_parse_i64(CW_SLICE("42"), "x", 0, 42, &v, &err), 0);
    assert_int_equal(v, 42);
    assert_int_equal(cw_parse_i64(CW_SLICE("43"), "port", 0, 42, &v, &err), -1);
    assert_string_equal(err.msg, "port: \"43\" is not an integer in 0..42");
    for (const char *const *bad =
             (const char *const[]){"", "-", " 1", "1 ", "0x1", "1.0", "9223372036854775808", NULL};
         *bad; bad++)
        assert_int_equal(cw_parse_i64(cw_slice_of(*bad), "x", INT64_MIN, INT64_MAX, &v, &err), -1);
}

static void utf8_sequences_are_well_formed_ones_only(void **state)
{
    static const struct {
        const char *text;
        size_t seq;
    } cases[] = {{"a", 1},
                 {"\x7f", 1},
                 {"\x80", 0},
                 {"\xc1\xbf", 0},
                 {"\xc2\x80", 2},
                 {"\xc2", 0},
                 {"\xc2z", 0},
                 {"\xe0\x9f\xbf", 0},
                 {"\xe0\xa0\x80", 3},
                 {"\xed\x9f\xbf", 3},
                 {"\xed\xa0\x80", 0},
                 {"\xef\xbf", 0},
                 {"\xf0\x8f\xbf\xbf", 0},
                 {"\xf0\x90\x80\x80", 4},
                 {"\xf4\x8f\xbf\xbf", 4},
                 {"\xf4\x90\x80\x80", 0},
                 {"\xf5\x80\x80\x80", 0},
                 {"\xff", 0}};

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(cases); i++)
        assert_int_equal(cw_utf8_seq(cases[i].text, strlen(cases[i].text)), cases[i].seq);
}

struct item {
    struct cw_link link;
    int v;
};

static void list_keeps_order_and_count(void **state)
{
    struct cw_list l;
    struct item items[5];
    int seen = 0;

    (void)state;
    cw_list_init(&l);
    assert_null(cw_list_pop_front(&l));
    for (int i = 0; i < 5; i++) {
        items[i] = (struct item){.v = i};
        cw_list_push_back(&l, &items[i].link);
    }
    cw_list_remove(&l, &items[2].link);
    assert_false(cw_link_on_list(&items[2].link));
    CW_LIST_EACH (&l, n) {
        seen = seen * 10 + CW_LIST_ENTRY(n, struct item, link)->v;
        cw_list_remove(&l, n);
    }
    assert_int_equal(seen, 134);
    assert_true(cw_list_empty(&l));
}

struct entry {
    struct cw_map_node node;
    char key[16];
};

static void count_entry(void *arg, struct cw_map_node *node)
{
    (void)node;
    ++*(int *)arg;
}

static void check_map(int n)
{
    struct entry *entries = cw_calloc((size_t)n, sizeof(*entries));
    struct cw_map m;
    int count = 0;

    cw_map_init(&m);
    assert_null(cw_map_get(&m, CW_SLICE("k1")));
    for (int i = 0; i < n; i++) {
        (void)snprintf(entries[i].key, sizeof(entries[i].key), "k%d", i);
        cw_map_put(&m, &entries[i].node, cw_slice_of(entries[i].key));
    }
    for (int i = 0; i < n; i += 2)
        cw_map_remove(&m, &entries[i].node);
    for (int i = 0; i < n; i++)
        assert_ptr_equal(cw_map_get(&m, cw_slice_of(entries[i].key)),
                         i % 2 ? &entries[i].node : NULL);
    cw_map_each(&m, count_entry, &count);
    assert_int_equal(count, n / 2);
    cw_map_done(&m);
    free(entries);
}

static void map_finds_what_was_put(void **state)
{
    (void)state;
    for (int n = 1; n < 40; n++) /* from a list to a table, and to a larger one */
        check_map(n);
    check_map(1000);
}

static void arena_pieces_are_aligned_zeroed_and_separate(void **state)
{
    struct cw_arena a;
    char *small[100], *big;

    (void)state;
    cw_arena_init(&a);
    for (int i = 0; i < 100; i++) {
        small[i] = cw_arena_alloc(&a, 33);
        assert_int_equal((uintptr_t)small[i] % 16, 0);
        for (int j = 0; j < 33; j++)
            assert_int_equal(small[i][j], 0);
        memset(small[i], i, 33);
        if (i == 50) {
            big = cw_arena_alloc(&a, 100000);
            memset(big, 1, 100000);
        }
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(small[i][32], i);
    assert_string_equal(cw_arena_dup(&a, CW_SLICE("text")), "text");
    cw_arena_done(&a);
}

static void iso_time_is_utc_with_milliseconds(void **state)
{
    char buf[CW_ISO_TIME_LEN + 1];

    (void)state;
    cw_clock_iso(1767323045123, buf);
    assert_string_equal(buf, "2026-01-02T03:04:05.123Z");
}

static void a_process_is_told_from_the_one_before(void **state)
{
    char text[CW_BOOT_TEXT + 1];
    uint64_t boot = cw_boot_draw();

    (void)state;
    assert_true(boot & 1);
    assert_true(boot <= INT64_MAX);
    assert_true(boot != cw_boot_draw());
    cw_boot_text(0xb007, text);
    assert_string_equal(text, "000000000000b007");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err_keeps_code_and_wraps_context),
        cmocka_unit_test(err_from_errno_names_it),
        cmocka_unit_test(err_text_is_cut_at_its_size),
        cmocka_unit_test(str_appends_grow_and_stay_terminated),
        cmocka_unit_test(str_over_maximum_fails_and_stays_failed),
        cmocka_unit_test(str_long_format_is_whole),
        cmocka_unit_test(str_integer_text_has_extremes),
        cmocka_unit_test(numbers_are_parsed_within_range_only),
        cmocka_unit_test(utf8_sequences_are_well_formed_ones_only),
        cmocka_unit_test(list_keeps_order_and_count),
        cmocka_unit_test(map_finds_what_was_put),
        cmocka_unit_test(arena_pieces_are_aligned_zeroed_and_separate),
        cmocka_unit_test(a_process_is_told_from_the_one_before),
        cmocka_unit_test(iso_time_is_utc_with_milliseconds),
    };

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
