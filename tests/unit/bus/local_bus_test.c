#include "tests/support/cmocka_all.h"

#include "common/bus/local_bus.h"
#include "tests/support/bus_sink.h"

enum { LIMIT = 1054644, WAIT_MS = 5000 };

struct fixture {
    struct cw_loop *loop;
    struct cw_bus *bus;
    struct bus_sink a, b;
};

static int setup(void **state)
{
    struct fixture *f = cw_alloc(sizeof(*f));

    f->loop = cw_loop_new(NULL, NULL);
    f->bus = cw_local_bus_new(f->loop, LIMIT);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    cw_bus_free(f->bus);
    cw_loop_free(f->loop);
    free(f);
    return 0;
}

static void open_a(struct fixture *f)
{
    bus_sink_open(&f->a, f->loop, f->bus, "t", "g", NULL);
}

static void messages_arrive_in_order_and_publishers_hear_of_it_later(void **state)
{
    struct fixture *f = *state;
    struct bus_answers sent = {0};

    open_a(f);
    bus_send_numbers(f->bus, "t", 0, 500, &sent);
    assert_int_equal(sent.count, 0);
    assert_int_equal(f->a.count, 0);
    assert_int_equal(f->bus->ops->unsent(f->bus), 500);
    bus_sink_wait(&f->a, 500, WAIT_MS);
    bus_sink_expect_run(&f->a, 0, 500);
    bus_answers_wait(&sent, f->loop, 500, WAIT_MS);
    assert_int_equal(sent.failed, 0);
    assert_int_equal(f->bus->ops->unsent(f->bus), 0);
    assert_int_equal(f->bus->ops->end_offset(f->a.sub), 500);
    assert_true(f->a.last_timestamp_ms > 0);
}

static void a_new_group_reads_from_the_beginning(void **state)
{
    struct fixture *f = *state;

    bus_send_numbers(f->bus, "t", 7, 10, NULL);
    open_a(f);
    bus_sink_wait(&f->a, 10, WAIT_MS);
    bus_sink_expect_run(&f->a, 7, 10);
    assert_int_equal(f->a.assigned, 1);
}

static void a_paused_subscription_gets_nothing_and_then_the_rest(void **state)
{
    struct fixture *f = *state;

    open_a(f);
    f->a.pause_at = 5;
    bus_send_numbers(f->bus, "t", 0, 20, NULL);
    bus_sink_wait(&f->a, 5, WAIT_MS);
    bus_idle(f->loop, 5);
    assert_int_equal(f->a.count, 5);
    f->bus->ops->resume(f->a.sub);
    assert_int_equal(f->a.count, 5);
    bus_sink_wait(&f->a, 20, WAIT_MS);
    bus_sink_expect_run(&f->a, 0, 20);
}

static void a_successor_of_the_group_goes_on_at_the_commit(void **state)
{
    struct fixture *f = *state;
    struct bus_answers done = {0};

    open_a(f);
    bus_send_numbers(f->bus, "t", 0, 10, NULL);
    bus_sink_wait(&f->a, 10, WAIT_MS);
    f->bus->ops->commit(f->a.sub, 6, bus_answer, &done);
    assert_int_equal(done.count, 0);
    bus_answers_wait(&done, f->loop, 1, WAIT_MS);
    f->bus->ops->unsubscribe(f->a.sub);
    bus_sink_open(&f->b, f->loop, f->bus, "t", "g", NULL);
    bus_sink_wait(&f->b, 4, WAIT_MS);
    bus_sink_expect_run(&f->b, 6, 4);
}

static void only_one_member_of_a_group_reads_and_the_next_inherits(void **state)
{
    struct fixture *f = *state;

    open_a(f);
    bus_sink_open(&f->b, f->loop, f->bus, "t", "g", NULL);
    bus_send_numbers(f->bus, "t", 0, 10, NULL);
    bus_sink_wait(&f->a, 10, WAIT_MS);
    assert_int_equal(f->b.count, 0);
    assert_int_equal(f->b.assigned, 0);
    f->bus->ops->commit(f->a.sub, 8, NULL, NULL);
    f->bus->ops->unsubscribe(f->a.sub);
    bus_sink_wait(&f->b, 2, WAIT_MS);
    bus_sink_expect_run(&f->b, 8, 2);
    assert_int_equal(f->b.assigned, 1);
}

static void seeking_repeats_or_skips(void **state)
{
    struct fixture *f = *state;
    struct cw_err err;

    open_a(f);
    bus_send_numbers(f->bus, "t", 0, 100, NULL);
    bus_sink_wait(&f->a, 100, WAIT_MS);
    assert_int_equal(f->bus->ops->seek(f->a.sub, 97, &err), 0);
    bus_sink_wait(&f->a, 103, WAIT_MS);
    assert_int_equal(f->a.numbers[100], 97);
    assert_int_equal(f->bus->ops->seek(f->a.sub, 2, &err), 0);
    f->a.pause_at = 104;
    bus_sink_wait(&f->a, 104, WAIT_MS);
    assert_int_equal(f->a.numbers[103], 2);
    assert_int_equal(f->bus->ops->seek(f->a.sub, -1, &err), -1);
    assert_int_equal(err.code, CW_INVALID);
}

static void a_seek_in_on_assigned_chooses_the_start(void **state)
{
    struct fixture *f = *state;

    bus_send_numbers(f->bus, "t", 0, 10, NULL);
    open_a(f);
    f->a.seek_when_assigned = 4;
    bus_sink_wait(&f->a, 6, WAIT_MS);
    bus_sink_expect_run(&f->a, 4, 6);
}

static void the_next_reader_learns_who_committed(void **state)
{
    struct fixture *f = *state;

    bus_send_numbers(f->bus, "t", 0, 3, NULL);
    bus_sink_open_noting(&f->a, f->loop, f->bus, "t", "g", "first", NULL);
    bus_sink_wait(&f->a, 3, WAIT_MS);
    assert_int_equal(f->a.position, -1);
    assert_string_equal(f->a.position_note, "");
    f->bus->ops->commit(f->a.sub, 2, NULL, NULL);
    f->bus->ops->unsubscribe(CW_STEAL(f->a.sub));
    bus_sink_open_noting(&f->a, f->loop, f->bus, "t", "g", NULL, NULL);
    bus_sink_wait(&f->a, 1, WAIT_MS);
    assert_int_equal(f->a.position, 2);
    assert_string_equal(f->a.position_note, "first");
    f->bus->ops->commit(f->a.sub, 3, NULL, NULL);
    f->bus->ops->unsubscribe(CW_STEAL(f->a.sub));
    bus_sink_open_noting(&f->a, f->loop, f->bus, "t", "g", "second", NULL);
    bus_send_numbers(f->bus, "t", 3, 1, NULL);
    bus_sink_wait(&f->a, 1, WAIT_MS);
    assert_int_equal(f->a.position, 3);
    assert_string_equal(f->a.position_note, "");
}

static void a_message_over_the_limit_is_refused(void **state)
{
    struct fixture *f = *state;
    struct bus_answers sent = {0};
    char *big = cw_alloc(LIMIT + 1);

    big[0] = '1';
    open_a(f);
    cw_bus_publish(f->bus, "t", cw_slice(big, LIMIT + 1), bus_answer, &sent);
    cw_bus_publish(f->bus, "t", cw_slice(big, LIMIT), bus_answer, &sent);
    free(big);
    bus_sink_wait(&f->a, 1, WAIT_MS);
    bus_answers_wait(&sent, f->loop, 2, WAIT_MS);
    assert_int_equal(f->a.last_bytes, LIMIT);
    assert_int_equal(sent.failed, 1);
    assert_int_equal(sent.last_error.code, CW_TOO_LARGE);
}

static void unsubscribing_in_the_callback_stops_at_once(void **state)
{
    struct fixture *f = *state;

    open_a(f);
    f->a.unsubscribe_at = 3;
    bus_send_numbers(f->bus, "t", 0, 10, NULL);
    bus_sink_wait(&f->a, 3, WAIT_MS);
    bus_idle(f->loop, 5);
    assert_int_equal(f->a.count, 3);
}

static void a_backlog_without_end_is_refused_until_readers_commit(void **state)
{
    struct fixture *f = *state;
    struct bus_answers sent = {0}, done = {0};
    enum { COUNT = 300 };
    char *big = cw_alloc(LIMIT);

    open_a(f);
    for (int i = 0; i < COUNT; i++)
        cw_bus_publish(f->bus, "t", cw_slice(big, LIMIT), bus_answer, &sent);
    bus_answers_wait(&sent, f->loop, COUNT, WAIT_MS);
    assert_in_range(sent.failed, 1, COUNT - 200);
    assert_int_equal(sent.last_error.code, CW_UNAVAILABLE);
    assert_true(sent.last_error.retriable);
    f->bus->ops->commit(f->a.sub, f->bus->ops->end_offset(f->a.sub), bus_answer, &done);
    sent = (struct bus_answers){0};
    cw_bus_publish(f->bus, "t", cw_slice(big, LIMIT), bus_answer, &sent);
    bus_answers_wait(&sent, f->loop, 1, WAIT_MS);
    assert_int_equal(sent.failed, 0);
    free(big);
}

static void a_topic_nobody_reads_keeps_its_newest_records(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 400 };
    struct bus_answers sent = {0};
    char *big = cw_alloc(LIMIT);

    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(big, 16, "%d", i);
        cw_bus_publish(f->bus, "t", cw_slice(big, LIMIT), bus_answer, &sent);
    }
    free(big);
    bus_answers_wait(&sent, f->loop, COUNT, WAIT_MS);
    assert_int_equal(sent.failed, 0);
    open_a(f);
    bus_sink_wait(&f->a, 10, WAIT_MS);
    bus_idle(f->loop, 5);
    assert_in_range(f->a.count, 10, 20);
    assert_int_equal(f->a.numbers[f->a.count - 1], COUNT - 1);
    assert_int_equal(f->a.offsets[f->a.count - 1], COUNT - 1);
}

static void count_members(void *arg, const struct cw_group_member *members, size_t count,
                          const struct cw_err *err)
{
    size_t *ret = arg;

    assert_null(err);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(members[i].client_id, "local");
    *ret = count;
}

static void a_group_knows_its_members(void **state)
{
    struct fixture *f = *state;
    size_t before = 99, after = 99, dropped = 99;

    f->bus->ops->group_members(f->bus, "g", count_members, &before);
    bus_idle(f->loop, 5);
    assert_int_equal(before, 0);
    open_a(f);
    bus_sink_open(&f->b, f->loop, f->bus, "t", "other", NULL);
    f->bus->ops->group_members(f->bus, "g", count_members, &after);
    assert_int_equal(after, 99);
    bus_idle(f->loop, 5);
    assert_int_equal(after, 1);
    f->bus->ops->group_members(f->bus, "g", count_members, &dropped);
    cw_bus_free(CW_STEAL(f->bus));
    bus_idle(f->loop, 5);
    assert_int_equal(dropped, 99);
}

static void freeing_drops_what_is_under_way(void **state)
{
    struct fixture *f = *state;
    struct bus_answers sent = {0};

    open_a(f);
    bus_send_numbers(f->bus, "t", 0, 5, &sent);
    f->bus->ops->commit(f->a.sub, 3, bus_answer, &sent);
    cw_bus_free(CW_STEAL(f->bus));
    bus_idle(f->loop, 5);
    assert_int_equal(sent.count + f->a.count, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(messages_arrive_in_order_and_publishers_hear_of_it_later),
        T(a_new_group_reads_from_the_beginning),
        T(a_paused_subscription_gets_nothing_and_then_the_rest),
        T(a_successor_of_the_group_goes_on_at_the_commit),
        T(only_one_member_of_a_group_reads_and_the_next_inherits),
        T(seeking_repeats_or_skips),
        T(a_seek_in_on_assigned_chooses_the_start),
        T(the_next_reader_learns_who_committed),
        T(a_message_over_the_limit_is_refused),
        T(unsubscribing_in_the_callback_stops_at_once),
        T(a_backlog_without_end_is_refused_until_readers_commit),
        T(a_topic_nobody_reads_keeps_its_newest_records),
        T(a_group_knows_its_members),
        T(freeing_drops_what_is_under_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
