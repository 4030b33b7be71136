#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "common/json/raw.h"
#include "common/model/peer_message.h"
#include "tests/unit/model/samples.h"

#define ID_A "0123456789abcdef0123456789abcdef"
#define ID_B "00000000000000000000000000000001"
#define BOOT "00000000000000007edcba9876543211"
#define LONGER "fedcba98765432107edcba9876543211"

enum { OUT_MAX = 1 << 20 };

static const struct cw_peer_message FORWARD = {
    .to_boot = UINT64_C(0x7edcba9876543211),
    .reply_topic = "cwhisk0",
    .instance = {"{\"instance\":0}", 14},
};

static void compare(struct cw_slice message, const struct cw_activation_message *before)
{
    struct cw_activation_message *after;
    cw_auto_str struct cw_str out;
    struct cw_peer_message m;
    struct cw_arena arena;

    cw_str_init(&out, OUT_MAX);
    cw_arena_init(&arena);
    assert_true(cw_peer_forward_encode(&FORWARD, message, &out));
    assert_memory_equal(out.p + out.n - (message.n - 1), message.p + 1, message.n - 1);
    assert_int_equal(cw_peer_message_decode(cw_str_slice(&out), &arena, &m, NULL), 0);
    assert_int_equal(m.purpose, CW_PEER_FORWARD);
    assert_true(m.to_boot == FORWARD.to_boot);
    assert_true(cw_peer_looks_forwarded(cw_str_slice(&out)));
    assert_false(cw_peer_looks_forwarded(message));
    assert_string_equal(m.reply_topic, "cwhisk0");
    assert_true(cw_slice_is(m.instance, "{\"instance\":0}"));
    after = cw_activation_message_decode(cw_str_slice(&out), 0, NULL);
    assert_non_null(after);
    assert_string_equal(after->activation_id, before->activation_id);
    assert_true(cw_slice_eq(after->content, before->content));
    cw_activation_message_free(after);
    cw_arena_done(&arena);
}

static void forward_and_compare(struct cw_slice message)
{
    struct cw_activation_message *before = cw_activation_message_decode(message, 0, NULL);

    if (before) /* one of the lines is of another path */
        compare(message, before);
    cw_activation_message_free(before);
}

static void forwarded_message_keeps_every_byte_and_is_still_an_activation(void **state)
{
    (void)state;
    assert_true(sample_lines("kafka-invoker0.ndjson", forward_and_compare) > 10);
}

/* Somebody else's way to number processes is no mistake, and none of them is this one. */
static void a_boot_id_of_more_digits_is_nobodys_here(void **state)
{
    static const char TEXT[] = "{\"cwhisk\":{\"v\":1,\"purpose\":\"forward\",\"to\":\"" LONGER
                               "\",\"reply\":\"cwhisk0\",\"instance\":{}}}";
    struct cw_peer_message m;
    struct cw_arena arena;

    (void)state;
    cw_arena_init(&arena);
    assert_int_equal(cw_peer_message_decode(cw_slice_of(TEXT), &arena, &m, NULL), 0);
    assert_true(m.to_boot == 0);
    cw_arena_done(&arena);
}

static void forwarded_message_is_not_forwarded_again(void **state)
{
    const struct cw_slice message = CW_SLICE(" {\"a\":1} ");
    cw_auto_str struct cw_str once, twice;

    (void)state;
    cw_str_init(&once, OUT_MAX);
    cw_str_init(&twice, OUT_MAX);
    assert_true(cw_peer_forward_encode(&FORWARD, message, &once));
    assert_int_equal(cw_raw_check(cw_str_slice(&once), CW_RAW_MAX_DEPTH, NULL, NULL), 0);
    assert_false(cw_peer_forward_encode(&FORWARD, cw_str_slice(&once), &twice));
    assert_int_equal(twice.n, 0);
}

static void reports_come_back_as_they_were_written(void **state)
{
    static const char IDS[][CW_ACTIVATION_ID_LEN + 1] = {ID_A, ID_B};
    static const enum cw_peer_purpose PURPOSES[] = {CW_PEER_ENDED, CW_PEER_RETURNED};
    cw_auto_str struct cw_str out;
    struct cw_peer_message m;
    struct cw_arena arena;

    (void)state;
    cw_str_init(&out, OUT_MAX);
    cw_arena_init(&arena);
    for (size_t i = 0; i < CW_ARRAY_LEN(PURPOSES); i++) {
        cw_str_reset(&out);
        cw_peer_report_encode(PURPOSES[i], IDS, 2, &out);
        assert_int_equal(cw_peer_message_decode(cw_str_slice(&out), &arena, &m, NULL), 0);
        assert_int_equal(m.purpose, PURPOSES[i]);
        assert_int_equal(m.id_count, 2);
        assert_string_equal(m.ids[0], ID_A);
        assert_string_equal(m.ids[1], ID_B);
    }
    cw_arena_done(&arena);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *text, *word;
    } CASES[] = {
        {"[]", "cwhisk: expected object"},
        {"{}", "cwhisk: expected object"},
        {"{\"cwhisk\":1}", "cwhisk: expected object"},
        {"{\"cwhisk\":{\"purpose\":\"ended\"}}", "cwhisk.v"},
        {"{\"cwhisk\":{\"v\":2,\"purpose\":\"ended\"}}", "cwhisk.v"},
        {"{\"cwhisk\":{\"v\":1}}", "cwhisk.purpose"},
        {"{\"cwhisk\":{\"v\":1,\"purpose\":\"steal\"}}", "accepted: forward, ended, returned"},
        {"{\"cwhisk\":{\"v\":1,\"purpose\":\"forward\"}}", "cwhisk.to"},
        {"{\"cwhisk\":{\"v\":1,\"purpose\":\"forward\",\"to\":\"" BOOT "\"}}", "cwhisk.reply"},
        {"{\"cwhisk\":{\"v\":1,\"purpose\":\"forward\",\"to\":\"" BOOT
         "\",\"reply\":\"a b\",\"instance\":{}}}",
         "cwhisk.reply"},
        {"{\"cwhisk\":{\"v\":1,\"purpose\":\"forward\",\"to\":\"" BOOT "\",\"reply\":\"t\"}}",
         "cwhisk.instance"},
        {"{\"cwhisk\":{\"v\":1,\"purpose\":\"ended\"}}", "cwhisk.ids: expected 1 to 1000"},
        {"{\"cwhisk\":{\"v\":1,\"purpose\":\"ended\",\"ids\":[]}}", "cwhisk.ids: expected 1"},
        {"{\"cwhisk\":{\"v\":1,\"purpose\":\"ended\",\"ids\":[1]}}", "cwhisk.ids[0]"},
        {"{\"cwhisk\":{\"v\":1,\"purpose\":\"ended\",\"ids\":[\"" ID_A "\",\"\"]}}",
         "cwhisk.ids[1]"},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct cw_peer_message m;
        struct cw_err err = {0};
        struct cw_arena arena;

        cw_arena_init(&arena);
        assert_int_equal(cw_peer_message_decode(cw_slice_of(CASES[i].text), &arena, &m, &err), -1);
        assert_int_equal(err.code, CW_INVALID);
        assert_non_null(strstr(err.msg, CASES[i].word));
        cw_arena_done(&arena);
    }
}

static void a_report_of_too_many_is_refused(void **state)
{
    cw_auto_str struct cw_str out;
    struct cw_peer_message m;
    struct cw_err err = {0};
    struct cw_arena arena;

    (void)state;
    cw_str_init(&out, OUT_MAX);
    cw_arena_init(&arena);
    cw_str_addz(&out, "{\"cwhisk\":{\"v\":1,\"purpose\":\"ended\",\"ids\":[\"" ID_A "\"");
    for (int i = 0; i < CW_PEER_IDS_MAX; i++)
        cw_str_addz(&out, ",\"" ID_A "\"");
    cw_str_addz(&out, "]}}");
    assert_int_equal(cw_peer_message_decode(cw_str_slice(&out), &arena, &m, &err), -1);
    assert_non_null(strstr(err.msg, "1 to 1000"));
    cw_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forwarded_message_keeps_every_byte_and_is_still_an_activation),
        cmocka_unit_test(a_boot_id_of_more_digits_is_nobodys_here),
        cmocka_unit_test(forwarded_message_is_not_forwarded_again),
        cmocka_unit_test(reports_come_back_as_they_were_written),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_report_of_too_many_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
