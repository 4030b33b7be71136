/* The benchmark measures only what it thinks it measures if its messages are a controller's and it
 * reads acks and percentiles right. */
#include <unistd.h>

#include "common/base/err.h"
#include "common/model/activation_message.h"
#include "tests/bench/load_stats.h"
#include "tests/bench/load_wire.h"
#include "tests/support/cmocka_all.h"

/* The ack with the series' prefix between `before` and `after`. */
static struct load_ack read_ack(const struct load_series *s, const char *before, const char *after)
{
    struct load_ack ack;
    struct cw_err err;
    char text[1024];

    (void)snprintf(text, sizeof(text), "%s%s%s", before, s->prefix, after);
    if (load_read_ack(s, cw_slice_of(text), &ack, &err) != 0)
        fail_msg("%s", err.msg);
    return ack;
}

static void written_activations_are_what_the_invoker_reads(void **state)
{
    struct cw_activation_message *m;
    struct load_series s;
    struct cw_str text;
    struct cw_err err;

    (void)state;
    cw_str_init(&text, 4096);
    load_series_init(&s, "guest", "hello");
    s.revision = "1-a";
    load_write_activation(&s, 0x1f, 1700000000123, &text);
    m = cw_activation_message_decode(cw_str_slice(&text), 0, &err);
    if (!m)
        fail_msg("%s", err.msg);
    assert_string_equal(m->action.full, "guest/hello");
    assert_string_equal(m->revision, "1-a");
    assert_string_equal(m->controller, "0");
    assert_true(m->blocking);
    assert_int_equal(strncmp(m->activation_id, s.prefix, LOAD_PREFIX_LEN), 0);
    assert_string_equal(m->activation_id + LOAD_PREFIX_LEN, "0000001f");
    cw_activation_message_free(m);
    cw_str_done(&text);
}

static void acks_are_told_apart_by_their_keys(void **state)
{
    struct load_series s;
    struct load_ack ack;

    (void)state;
    load_series_init(&s, "guest", "hello");
    ack = read_ack(&s, "{\"transid\":[\"a\",1],\"activationId\":\"",
                   "0000000a\",\"isSystemError\":false,\"instance\":{\"instance\":0}}");
    assert_int_equal(ack.kind, LOAD_ACK_COMPLETION);
    assert_true(ack.ours && ack.success);
    assert_int_equal(ack.number, 10);
    ack = read_ack(&s, "{\"response\":{\"activationId\":\"",
                   "0000000b\",\"response\":{\"statusCode\":0}},\"transid\":[\"a\",1]}");
    assert_int_equal(ack.kind, LOAD_ACK_RESULT);
    assert_true(ack.ours && ack.success);
    ack = read_ack(&s, "{\"response\":\"", "0000000c\",\"isSystemError\":true,\"instance\":{}}");
    assert_int_equal(ack.kind, LOAD_ACK_COMBINED);
    assert_true(ack.ours && !ack.success);
}

static void failed_actions_and_foreign_acks_are_noticed(void **state)
{
    struct load_series s;
    struct load_ack ack;

    (void)state;
    load_series_init(&s, "guest", "hello");
    ack = read_ack(&s, "{\"response\":{\"activationId\":\"",
                   "0000000b\",\"response\":{\"statusCode\":2}}}");
    assert_false(ack.success);
    ack = read_ack(&s, "{\"activationId\":\"x", "0000000b\",\"instance\":{}}");
    assert_false(ack.ours);
    ack = read_ack(&s, "{\"activationId\":\"", "0000000\",\"instance\":{}}");
    assert_false(ack.ours);
}

static void percentiles_are_nearest_ranks(void **state)
{
    int64_t sorted[200];

    (void)state;
    for (int i = 0; i < 200; i++)
        sorted[i] = i + 1;
    assert_int_equal(load_percentile(sorted, 200, 50), 100);
    assert_int_equal(load_percentile(sorted, 200, 99), 198);
    assert_int_equal(load_percentile(sorted, 200, 100), 200);
    assert_int_equal(load_percentile(sorted, 1, 99), 1);
}

static void processor_time_grows_with_work(void **state)
{
    struct cw_err err;
    int64_t before_us = load_cpu_us(getpid(), &err);
    volatile unsigned spin = 0;

    (void)state;
    assert_true(before_us >= 0);
    while (load_cpu_us(getpid(), &err) < before_us + 20000)
        spin++;
    assert_true(load_machine_cpu_us(&err) >= load_cpu_us(getpid(), &err));
    assert_int_equal(load_cpu_us(0x3fffffff, &err), -1);
    assert_int_equal(err.code, CW_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_activations_are_what_the_invoker_reads),
        cmocka_unit_test(acks_are_told_apart_by_their_keys),
        cmocka_unit_test(failed_actions_and_foreign_acks_are_noticed),
        cmocka_unit_test(percentiles_are_nearest_ranks),
        cmocka_unit_test(processor_time_grows_with_work),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
