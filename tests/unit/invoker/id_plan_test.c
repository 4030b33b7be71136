/* Ids in ZooKeeper's nodes, and which one a new name gets (openwhisk invoker.md 1.1). */
#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "invoker/id_plan.h"

enum { HOSTS_MAX_BYTES = 256 };

/* What java.math.BigInteger.toByteArray gives. */
static const struct {
    int64_t id;
    const char *bytes;
    size_t n;
} IDS[] = {
    {0, "\0", 1},           {1, "\x01", 1},
    {127, "\x7f", 1},       {128, "\0\x80", 2},
    {200, "\0\xc8", 2},     {255, "\0\xff", 2},
    {256, "\x01\0", 2},     {32767, "\x7f\xff", 2},
    {32768, "\0\x80\0", 3}, {1000000, "\x0f\x42\x40", 3},
};

static void ids_are_the_shortest_twos_complement(void **state)
{
    uint8_t out[INV_ID_BYTES];

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(IDS); i++) {
        assert_int_equal(inv_id_encode(IDS[i].id, out), IDS[i].n);
        assert_memory_equal(out, IDS[i].bytes, IDS[i].n);
        assert_int_equal(inv_id_decode(cw_slice(IDS[i].bytes, IDS[i].n)), IDS[i].id);
    }
}

static void longer_forms_are_read_too(void **state)
{
    (void)state;
    assert_int_equal(inv_id_decode(cw_slice("\0\0\0\0\0\x07", 6)), 7);
}

static void what_is_no_id_is_refused(void **state)
{
    (void)state;
    assert_int_equal(inv_id_decode(cw_slice("", 0)), -1);
    assert_int_equal(inv_id_decode(cw_slice("\xff", 1)), -1);         /* -1 */
    assert_int_equal(inv_id_decode(cw_slice("\x0f\x42\x41", 3)), -1); /* 1000001 */
    assert_int_equal(inv_id_decode(CW_SLICE("10.0.0.7")), -1); /* Curator's data of made parents */
    assert_int_equal(inv_id_decode(cw_slice("\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10)), -1);
}

static void counter_is_four_bytes(void **state)
{
    uint8_t out[INV_ID_COUNTER_BYTES];

    (void)state;
    inv_id_counter_encode(0x01020304, out);
    assert_memory_equal(out, "\x01\x02\x03\x04", 4);
    assert_int_equal(inv_id_counter_decode(cw_slice((char *)out, 4)), 0x01020304);
    assert_int_equal(inv_id_counter_decode(cw_slice("", 0)), 0);
    assert_int_equal(inv_id_counter_decode(cw_slice("\0\0\x01", 3)), -1);
    assert_int_equal(inv_id_counter_decode(cw_slice("\x80\0\0\0", 4)), -1);
}

static int64_t next(size_t count, const int64_t *ids)
{
    int64_t copy[8];

    memcpy(copy, ids, count * sizeof(*ids));
    return inv_id_next(copy, count);
}

static void next_id_is_the_number_of_names(void **state)
{
    (void)state;
    assert_int_equal(inv_id_next(NULL, 0), 0);
    assert_int_equal(next(1, (int64_t[]){0}), 1);
    assert_int_equal(next(3, (int64_t[]){2, 0, 1}), 3);
    assert_int_equal(next(2, (int64_t[]){0, -1}), 2); /* an unreadable one counts as a name */
    assert_int_equal(next(2, (int64_t[]){1, 0}), 2);
    assert_int_equal(next(2, (int64_t[]){1, 700}), 2); /* as stock: a hole that is no clash stays */
}

static void next_id_is_never_one_that_is_taken(void **state)
{
    (void)state;
    assert_int_equal(next(2, (int64_t[]){2, 1}), 0);
    assert_int_equal(next(2, (int64_t[]){0, 2}), 1);
    assert_int_equal(next(3, (int64_t[]){3, 0, 0}), 1);
}

/* ---- settings ---- */

static void names_that_can_be_nodes_are_accepted(void **state)
{
    static const char *const NAMES[] = {"0",   "owdev-invoker-0", "node.example.org",
                                        "a b", "knöterich",       "..."};
    struct cw_err err;

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(NAMES); i++)
        assert_int_equal(inv_id_check_name(NAMES[i], &err), 0);
}

static void names_that_cannot_be_nodes_are_refused(void **state)
{
    static const char *const NAMES[] = {"", ".", "..", "a/b", "/", "a\nb", "a\x7f", "\xff\xfe"};
    struct cw_err err = {0};
    char long_name[257];

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(NAMES); i++) {
        assert_int_equal(inv_id_check_name(NAMES[i], &err), -1);
        assert_int_equal(err.code, CW_INVALID);
        assert_non_null(strstr(err.msg, "--uniqueName"));
    }
    memset(long_name, 'x', 256);
    long_name[256] = '\0';
    assert_int_equal(inv_id_check_name(long_name, &err), -1);
    assert_int_equal(inv_id_check_name(long_name + 1, &err), 0);
}

static void hosts_get_their_ports(void **state)
{
    static const struct {
        const char *text, *hosts;
    } CASES[] = {
        {"zk:2181", "zk:2181"},
        {"a:1,b:65535", "a:1,b:65535"},
        {" a:1 , b ", "a:1,b:2181"},
        {"a", "a:2181"},
        {"[::1]:2182,[fd00::2]", "::1:2182,fd00::2:2181"},
        {"a:1,b:2/ow/test", "a:1,b:2/ow/test"},
        {"a/", "a:2181"},
    };
    struct cw_err err;
    struct cw_str out;

    (void)state;
    cw_str_init(&out, HOSTS_MAX_BYTES);
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        assert_int_equal(inv_id_hosts(CASES[i].text, &out, &err), 0);
        assert_string_equal(out.p, CASES[i].hosts);
    }
    cw_str_done(&out);
}

static void hosts_that_are_none_are_refused_in_words_of_stock(void **state)
{
    static const char *const CASES[] = {NULL,      "",      " ",    ":",     ":2181",
                                        "zk:",     "a:1,",  ",a:1", "a:0",   "a:b",
                                        "a:65536", "a b:1", "[]:1", "/path", ":1,b:2"};
    struct cw_err err = {0};
    struct cw_str out;

    (void)state;
    cw_str_init(&out, HOSTS_MAX_BYTES);
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        assert_int_equal(inv_id_hosts(CASES[i], &out, &err), -1);
        assert_int_equal(err.code, CW_INVALID);
        assert_ptr_equal(strstr(err.msg, "Must provide valid zookeeper host and port to use "
                                         "dynamicId assignment ("),
                         err.msg);
    }
    cw_str_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_the_shortest_twos_complement),
        cmocka_unit_test(longer_forms_are_read_too),
        cmocka_unit_test(what_is_no_id_is_refused),
        cmocka_unit_test(counter_is_four_bytes),
        cmocka_unit_test(next_id_is_the_number_of_names),
        cmocka_unit_test(next_id_is_never_one_that_is_taken),
        cmocka_unit_test(names_that_can_be_nodes_are_accepted),
        cmocka_unit_test(names_that_cannot_be_nodes_are_refused),
        cmocka_unit_test(hosts_get_their_ports),
        cmocka_unit_test(hosts_that_are_none_are_refused_in_words_of_stock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
