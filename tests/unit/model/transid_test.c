#include "tests/support/cmocka_all.h"

#include "common/base/arena.h"
#include "common/model/transid.h"

static struct cw_tx decode(struct cw_arena *arena, const char *text)
{
    struct cw_tx tx;

    cw_transid_decode(cw_slice_of(text), 77, arena, &tx);
    return tx;
}

static void check_echo(const char *text, const char *echoed)
{
    struct cw_arena arena = {0};
    struct cw_tx tx = decode(&arena, text);

    if (!cw_slice_is(tx.raw, echoed))
        fail_msg("%s: %.*s", text, (int)tx.raw.n, tx.raw.p);
    cw_arena_done(&arena);
}

static void what_is_echoed_is_what_stock_writes(void **state)
{
    static const char *const AS_IT_IS[] = {
        "[\"abc\",1700000000123]",
        "[\"a\\u0041\\/\",0,true]",
        "[\"c\",3,true,[\"b\",2,[\"a\",1,true]]]",
        "[\"c\",-3,[\"b\",2]]",
    };
    static const struct {
        const char *text, *echoed;
    } CASES[] = {
        {"[ \"a\" , 1 , [\"b\", 2] ]", "[\"a\",1,[\"b\",2]]"},
        {"[\"a\",1,false]", "[\"a\",1]"},
        {"[\"a\",1,null]", "[\"a\",1]"},
        {"[\"a\",1,\"b\"]", "[\"a\",1]"},
        {"[\"a\",1,true,[]]", "[\"a\",1,true]"},
        {"[\"a\",1,[\"b\",2,[\"c\"]]]", "[\"a\",1,[\"b\",2]]"},
        {"[\"a\",1.9]", "[\"a\",1]"},
        {"[\"a\",1.7e12]", "[\"a\",1700000000000]"},
        {"[\"a\",12e-1]", "[\"a\",1]"},
        {"[\"a\",1e-99]", "[\"a\",0]"},
        {"[\"a\",18446744073709551617]", "[\"a\",1]"},
        {"[\"a\",1e99999999999999]", "[\"a\",0]"},
        {"[\"a\",1,[\"b\",2],true]", "[\"sid_unknown\",77]"},
        {"{}", "[\"sid_unknown\",77]"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(AS_IT_IS); i++)
        check_echo(AS_IT_IS[i], AS_IT_IS[i]);
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++)
        check_echo(CASES[i].text, CASES[i].echoed);
}

static void plain_id_is_its_own_root(void **state)
{
    struct cw_arena arena = {0};
    struct cw_tx tx = decode(&arena, "[\"abc\",1700000000123]");

    (void)state;
    assert_string_equal(tx.id, "abc");
    assert_string_equal(tx.root_id, "abc");
    assert_int_equal(tx.start_ms, 1700000000123);
    assert_false(tx.has_parent);
    assert_false(tx.extra_logging);
    cw_arena_done(&arena);
}

static void extra_logging_is_the_optional_third(void **state)
{
    struct cw_arena arena = {0};
    struct cw_tx tx = decode(&arena, "[\"abc\",5,true]");

    (void)state;
    assert_true(tx.extra_logging);
    assert_false(tx.has_parent);
    cw_arena_done(&arena);
}

static void outermost_ancestor_is_the_root(void **state)
{
    struct cw_arena arena = {0};
    struct cw_tx tx = decode(&arena, "[\"c\", 3, true, [\"b\", 2, [ \"a\\u0041\", 1, true ] ] ]");

    (void)state;
    assert_string_equal(tx.id, "c");
    assert_string_equal(tx.root_id, "aA");
    assert_int_equal(tx.start_ms, 3);
    assert_true(tx.has_parent);
    assert_true(tx.extra_logging);
    tx = decode(&arena, "[\"c\",3,[\"b\",2]]");
    assert_string_equal(tx.root_id, "b");
    cw_arena_done(&arena);
}

static void what_is_not_understood_becomes_sid_unknown(void **state)
{
    static const char *const BAD[] = {
        "null",
        "\"abc\"",
        "{}",
        "[]",
        "[\"a\"]",
        "[1,2]",
        "[\"a\",\"b\"]",
        "[\"a\",1,[],1]",
        "[\"a\",1,true,[\"b\",1],3]",
        "[\"a\\u0000b\",1]",
    };
    struct cw_arena arena = {0};

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(BAD); i++) {
        struct cw_tx tx = decode(&arena, BAD[i]);

        if (strcmp(tx.id, "sid_unknown") != 0 || strcmp(tx.root_id, "sid_unknown") != 0 ||
            tx.start_ms != 77)
            fail_msg("%s was understood as %s", BAD[i], tx.id);
    }
    cw_arena_done(&arena);
}

static void deep_ancestry_is_not_followed_for_ever(void **state)
{
    struct cw_arena arena = {0};
    cw_auto_str struct cw_str s;
    struct cw_tx tx;

    (void)state;
    cw_str_init(&s, 10000);
    for (int i = 0; i < 100; i++)
        cw_str_addf(&s, "%s[\"t%d\",%d", i ? "," : "", i, i);
    for (int i = 0; i < 100; i++)
        cw_str_addc(&s, ']');
    tx = decode(&arena, s.p);
    assert_string_equal(tx.id, "t0");
    assert_string_equal(tx.root_id, "t16");
    cw_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_id_is_its_own_root),
        cmocka_unit_test(what_is_echoed_is_what_stock_writes),
        cmocka_unit_test(extra_logging_is_the_optional_third),
        cmocka_unit_test(outermost_ancestor_is_the_root),
        cmocka_unit_test(what_is_not_understood_becomes_sid_unknown),
        cmocka_unit_test(deep_ancestry_is_not_followed_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
