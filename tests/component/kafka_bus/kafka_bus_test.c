/* Against librdkafka's mock cluster: a broker in this process, with error injection. Its groups
 * take 3 s to form, so each test that consumes needs about as long. */
#include "tests/support/cmocka_all.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "common/bus/kafka_bus.h"
#include "tests/support/bus_sink.h"

enum {
    MOST_TESTS = 64,
    LIMIT = 1054644,
    WAIT_MS = 30000,
    API_PRODUCE = 0,
    API_OFFSET_COMMIT = 8,
    API_OFFSET_FETCH = 9
};

static const char *const QUICK_METADATA[] = {"topic.metadata.refresh.interval.ms", "200",
                                             "topic.metadata.propagation.max.ms", "100", NULL};

struct fixture {
    struct cw_loop *loop;
    rd_kafka_t *host;
    rd_kafka_mock_cluster_t *mock;
    struct cw_bus *bus;
    size_t problems, timeouts;
    struct cw_err last_problem;
    struct bus_sink a, b;
};

static void on_problem(void *arg, const struct cw_err *err)
{
    struct fixture *f = arg;

    f->problems++;
    f->timeouts += err->code == CW_TIMEOUT;
    f->last_problem = *err;
}

static struct cw_bus *bus_open(struct fixture *f, const char *const *producer)
{
    struct cw_kafka_conf conf = {
        .brokers = rd_kafka_mock_cluster_bootstraps(f->mock),
        .max_message_bytes = LIMIT,
        .producer = producer,
        .on_error = on_problem,
        .arg = f,
    };
    struct cw_err err = {0};
    struct cw_bus *bus = cw_kafka_bus_new(f->loop, &conf, &err);

    if (!bus)
        fail_msg("%s", err.msg);
    return bus;
}

static int setup(void **state)
{
    struct fixture *f = cw_alloc(sizeof(*f));
    char why[200];

    f->loop = cw_loop_new(NULL, NULL);
    f->host = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof(why));
    f->mock = rd_kafka_mock_cluster_new(f->host, 1);
    assert_int_equal(rd_kafka_mock_topic_create(f->mock, "t", 1, 1), 0);
    f->bus = bus_open(f, NULL);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    cw_bus_free(f->bus);
    cw_loop_free(f->loop);
    rd_kafka_mock_cluster_destroy(f->mock);
    rd_kafka_destroy(f->host);
    free(f);
    return 0;
}

static void open_a(struct fixture *f, const char *const *properties)
{
    bus_sink_open(&f->a, f->loop, f->bus, "t", "g", properties);
}

static void messages_arrive_in_order(void **state)
{
    struct fixture *f = *state;
    struct bus_answers sent = {0};

    open_a(f, NULL);
    bus_send_numbers(f->bus, "t", 0, 3000, &sent);
    assert_int_equal(sent.count, 0);
    assert_int_equal(f->bus->ops->unsent(f->bus), 3000);
    bus_answers_wait(&sent, f->loop, 3000, WAIT_MS);
    assert_int_equal(sent.failed, 0);
    assert_int_equal(f->bus->ops->unsent(f->bus), 0);
    bus_sink_wait(&f->a, 3000, WAIT_MS);
    bus_sink_expect_run(&f->a, 0, 3000);
    assert_int_equal(f->a.assigned, 1);
    assert_true(f->a.last_timestamp_ms > 1600000000000);
    assert_int_equal(f->bus->ops->end_offset(f->a.sub), 3000);
}

/* Many short pauses while messages stream, and one that is much longer than the poll interval. */
static void pauses_lose_and_repeat_nothing(void **state)
{
    static const char *const PROPERTIES[] = {"session.timeout.ms",
                                             "4000",
                                             "max.poll.interval.ms",
                                             "4000",
                                             "heartbeat.interval.ms",
                                             "300",
                                             "fetch.wait.max.ms",
                                             "10",
                                             NULL};
    struct fixture *f = *state;

    open_a(f, PROPERTIES);
    bus_sink_wait_assigned(&f->a, WAIT_MS);
    for (size_t n = 1; n <= 50; n++) {
        bus_send_numbers(f->bus, "t", (int)(n - 1) * 20, 20, NULL);
        f->a.pause_at = n * 20 - 7;
        bus_sink_wait(&f->a, f->a.pause_at, WAIT_MS);
        if (n == 25)
            bus_idle(f->loop, 6000);
        else
            bus_idle(f->loop, 1);
        assert_int_equal(f->a.count, f->a.pause_at);
        f->bus->ops->resume(f->a.sub);
    }
    bus_sink_wait(&f->a, 1000, WAIT_MS);
    bus_idle(f->loop, 50);
    bus_sink_expect_run(&f->a, 0, 1000);
    assert_int_equal(f->a.assigned, 1); /* it never left the group */
    assert_int_equal(f->a.timeouts, 0);
}

/* The local queue's bound makes fetching stop and start again. */
static void a_pause_longer_than_the_prefetch_queue_loses_nothing(void **state)
{
    static const char *const PROPERTIES[] = {"queued.min.messages",
                                             "10",
                                             "queued.max.messages.kbytes",
                                             "1",
                                             "fetch.message.max.bytes",
                                             "200",
                                             NULL};
    struct fixture *f = *state;
    struct bus_answers sent = {0};

    open_a(f, PROPERTIES);
    f->a.pause_at = 1;
    bus_send_numbers(f->bus, "t", 0, 1, &sent);
    bus_sink_wait(&f->a, 1, WAIT_MS);
    /* one batch each: the mock hands out whole batches */
    for (int i = 1; i < 100; i++) {
        bus_send_numbers(f->bus, "t", i, 1, &sent);
        bus_answers_wait(&sent, f->loop, (size_t)i + 1, WAIT_MS);
    }
    bus_idle(f->loop, 300);
    assert_int_equal(f->a.count, 1);
    f->bus->ops->resume(f->a.sub);
    bus_sink_wait(&f->a, 100, WAIT_MS);
    bus_sink_expect_run(&f->a, 0, 100);
}

static void a_new_bus_goes_on_at_the_commit(void **state)
{
    static const char *const PROPERTIES[] = {"session.timeout.ms", "4000", NULL};
    struct fixture *f = *state;
    struct bus_answers done = {0};

    open_a(f, PROPERTIES);
    bus_send_numbers(f->bus, "t", 0, 100, NULL);
    bus_sink_wait(&f->a, 100, WAIT_MS);
    for (int i = 1; i <= 42; i++)
        f->bus->ops->commit(f->a.sub, i, bus_answer, &done);
    assert_int_equal(done.count, 0);
    bus_answers_wait(&done, f->loop, 42, WAIT_MS);
    assert_int_equal(done.failed, 0);
    f->bus->ops->commit(f->a.sub, 60, NULL, NULL); /* unanswered when the bus goes */
    f->bus->ops->commit(f->a.sub, 61, NULL, NULL);
    cw_bus_free(f->bus);
    f->bus = bus_open(f, NULL);
    bus_sink_open(&f->b, f->loop, f->bus, "t", "g", PROPERTIES);
    bus_sink_wait(&f->b, 39, WAIT_MS);
    bus_sink_expect_run(&f->b, 61, 39);
}

static void a_failed_commit_is_told_and_later_ones_work(void **state)
{
    struct fixture *f = *state;
    struct bus_answers done = {0};

    open_a(f, NULL);
    bus_send_numbers(f->bus, "t", 0, 10, NULL);
    bus_sink_wait(&f->a, 10, WAIT_MS);
    rd_kafka_mock_push_request_errors(f->mock, API_OFFSET_COMMIT, 1,
                                      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    f->bus->ops->commit(f->a.sub, 5, bus_answer, &done);
    bus_answers_wait(&done, f->loop, 1, WAIT_MS);
    assert_int_equal(done.failed, 1);
    assert_int_equal(done.last_error.code, CW_INVALID);
    f->bus->ops->commit(f->a.sub, 6, bus_answer, &done);
    bus_answers_wait(&done, f->loop, 2, WAIT_MS);
    assert_int_equal(done.failed, 1);
}

static void seeking_goes_back_and_forth(void **state)
{
    struct fixture *f = *state;
    struct cw_err err;

    open_a(f, NULL);
    bus_send_numbers(f->bus, "t", 0, 100, NULL);
    f->a.pause_at = 50;
    bus_sink_wait(&f->a, 50, WAIT_MS);
    /* 50 more are fetched already: they must not come after the seek */
    f->a.pause_at = 52;
    assert_int_equal(f->bus->ops->seek(f->a.sub, 10, &err), 0);
    f->bus->ops->resume(f->a.sub);
    bus_sink_wait(&f->a, 52, WAIT_MS);
    assert_int_equal(f->a.numbers[50], 10);
    assert_int_equal(f->a.numbers[51], 11);
    assert_int_equal(f->bus->ops->seek(f->a.sub, 98, &err), 0);
    f->a.pause_at = 0;
    f->bus->ops->resume(f->a.sub);
    bus_sink_wait(&f->a, 54, WAIT_MS);
    assert_int_equal(f->a.numbers[52], 98);
    assert_int_equal(f->a.numbers[53], 99);
    assert_int_equal(f->bus->ops->seek(f->a.sub, -5, &err), -1);
    assert_int_equal(err.code, CW_INVALID);
}

static void a_seek_in_on_assigned_chooses_the_start(void **state)
{
    struct fixture *f = *state;

    bus_send_numbers(f->bus, "t", 0, 100, NULL);
    open_a(f, NULL);
    f->a.seek_when_assigned = 70;
    bus_sink_wait(&f->a, 30, WAIT_MS);
    bus_sink_expect_run(&f->a, 70, 30);
}

/* And nothing is read before it does. */
static void the_next_reader_learns_who_committed(void **state)
{
    static const char *const PROPERTIES[] = {"session.timeout.ms", "4000", NULL};
    struct fixture *f = *state;
    struct bus_answers done = {0};

    bus_send_numbers(f->bus, "t", 0, 10, NULL);
    bus_sink_open_noting(&f->a, f->loop, f->bus, "t", "g", "first", PROPERTIES);
    bus_sink_wait(&f->a, 10, WAIT_MS);
    assert_int_equal(f->a.position, -1);
    f->bus->ops->commit(f->a.sub, 6, bus_answer, &done);
    bus_answers_wait(&done, f->loop, 1, WAIT_MS);
    f->bus->ops->unsubscribe(CW_STEAL(f->a.sub));
    rd_kafka_mock_push_request_errors(f->mock, API_OFFSET_FETCH, 1,
                                      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    bus_sink_open_noting(&f->b, f->loop, f->bus, "t", "g", "second", PROPERTIES);
    f->b.seek_when_assigned = 8;
    bus_sink_wait(&f->b, 2, WAIT_MS);
    assert_int_equal(f->b.position, 6);
    assert_string_equal(f->b.position_note, "first");
    bus_sink_expect_run(&f->b, 8, 2);
    assert_int_equal(f->b.assigned, 1);
    assert_non_null(
        strstr(f->b.last_error.msg, "nothing is read until the group's commit is known"));
}

static void a_reader_goes_while_it_is_not_known_where_to_begin(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 100; i++)
        rd_kafka_mock_push_request_errors(f->mock, API_OFFSET_FETCH, 1,
                                          RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    bus_sink_open_noting(&f->a, f->loop, f->bus, "t", "g", "first", NULL);
    bus_sink_wait_error(&f->a, "nothing is read until", WAIT_MS);
    assert_int_equal(f->a.assigned, 0);
    f->bus->ops->unsubscribe(CW_STEAL(f->a.sub));
    cw_bus_free(f->bus);
    f->bus = bus_open(f, NULL);
}

/* Right after the assignment librdkafka still asks for the group's offsets and refuses to seek. */
static void a_seek_right_after_the_assignment_works_too(void **state)
{
    struct fixture *f = *state;
    struct cw_err err;

    bus_send_numbers(f->bus, "t", 0, 100, NULL);
    open_a(f, NULL);
    bus_sink_wait_assigned(&f->a, WAIT_MS);
    assert_int_equal(f->a.count, 0);
    assert_int_equal(f->bus->ops->seek(f->a.sub, 70, &err), 0);
    bus_sink_wait(&f->a, 30, WAIT_MS);
    bus_sink_expect_run(&f->a, 70, 30);
    assert_int_equal(f->a.assigned, 1);
}

static void the_largest_messages_pass_and_larger_ones_are_refused_at_once(void **state)
{
    struct fixture *f = *state;
    struct bus_answers sent = {0}, refused = {0};
    enum { BIG = 4 }; /* the mock keeps 5 MiB */
    char *big = cw_alloc(LIMIT + 1);

    memset(big, 'x', LIMIT + 1);
    open_a(f, NULL);
    cw_bus_publish(f->bus, "t", cw_slice(big, LIMIT + 1), bus_answer, &refused);
    assert_int_equal(refused.count, 0);
    bus_answers_wait(&refused, f->loop, 1, WAIT_MS);
    assert_int_equal(refused.last_error.code, CW_TOO_LARGE);
    for (int i = 0; i < BIG; i++) {
        big[0] = (char)('0' + i);
        cw_bus_publish(f->bus, "t", cw_slice(big, LIMIT), bus_answer, &sent);
    }
    free(big);
    bus_answers_wait(&sent, f->loop, BIG, WAIT_MS);
    assert_int_equal(sent.failed, 0);
    bus_sink_wait(&f->a, BIG, WAIT_MS);
    bus_sink_expect_run(&f->a, 0, BIG);
    assert_int_equal(f->a.last_bytes, LIMIT);
}

static int by_value(const void *a, const void *b)
{
    const int *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Not in order: librdkafka may have made its next request when the one before is refused. */
static void retries_after_broker_errors_lose_and_repeat_nothing(void **state)
{
    static const char *const SMALL[] = {"batch.num.messages", "2", NULL}; /* many requests */
    struct fixture *f = *state;
    struct bus_answers sent = {0};

    cw_bus_free(f->bus);
    f->bus = bus_open(f, SMALL);
    open_a(f, NULL);
    for (int round = 0; round < 10; round++) {
        rd_kafka_mock_push_request_errors(f->mock, API_PRODUCE, 2,
                                          RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                          RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
        bus_send_numbers(f->bus, "t", round * 100, 100, &sent);
        bus_idle(f->loop, 20);
    }
    bus_answers_wait(&sent, f->loop, 1000, WAIT_MS);
    assert_int_equal(sent.failed, 0);
    bus_sink_wait(&f->a, 1000, WAIT_MS);
    qsort(f->a.numbers, 1000, sizeof(f->a.numbers[0]), by_value);
    bus_sink_expect_run(&f->a, 0, 1000);
}

static void messages_wait_while_the_broker_is_away(void **state)
{
    struct fixture *f = *state;
    struct bus_answers sent = {0};

    open_a(f, NULL);
    bus_send_numbers(f->bus, "t", 0, 10, &sent);
    bus_sink_wait(&f->a, 10, WAIT_MS);
    assert_int_equal(rd_kafka_mock_broker_set_down(f->mock, 1), 0);
    bus_send_numbers(f->bus, "t", 10, 50, &sent);
    bus_idle(f->loop, 1500);
    assert_int_equal(sent.count, 10);
    assert_int_equal(f->bus->ops->unsent(f->bus), 50);
    assert_true(f->problems > 0 && f->last_problem.code == CW_UNAVAILABLE);
    assert_int_equal(rd_kafka_mock_broker_set_up(f->mock, 1), 0);
    bus_answers_wait(&sent, f->loop, 60, WAIT_MS);
    assert_int_equal(sent.failed, 0);
    bus_sink_wait(&f->a, 60, WAIT_MS);
    bus_sink_expect_run(&f->a, 0, 60);
}

static void a_full_queue_makes_messages_wait_in_order(void **state)
{
    static const char *const SMALL[] = {"queue.buffering.max.messages", "10", NULL};
    struct fixture *f = *state;
    struct bus_answers sent = {0};

    cw_bus_free(f->bus);
    assert_int_equal(rd_kafka_mock_broker_set_down(f->mock, 1), 0);
    f->bus = bus_open(f, SMALL);
    bus_send_numbers(f->bus, "t", 0, 300, &sent);
    bus_idle(f->loop, 100);
    assert_int_equal(sent.count, 0);
    assert_int_equal(f->bus->ops->unsent(f->bus), 300);
    assert_true(f->bus->ops->unsent_bytes(f->bus) > 300);
    assert_int_equal(rd_kafka_mock_broker_set_up(f->mock, 1), 0);
    bus_answers_wait(&sent, f->loop, 300, WAIT_MS);
    assert_int_equal(sent.failed, 0);
    assert_int_equal(f->bus->ops->unsent(f->bus), 0);
    assert_int_equal(f->bus->ops->unsent_bytes(f->bus), 0);
    open_a(f, NULL);
    bus_sink_wait(&f->a, 300, WAIT_MS);
    bus_sink_expect_run(&f->a, 0, 300);
}

static void a_message_larger_than_the_whole_queue_fails(void **state)
{
    static const char *const SMALL[] = {"queue.buffering.max.kbytes", "1", NULL};
    struct fixture *f = *state;
    struct bus_answers sent = {0};
    char big[2000];

    cw_bus_free(f->bus);
    f->bus = bus_open(f, SMALL);
    memset(big, 'x', sizeof(big));
    cw_bus_publish(f->bus, "t", cw_slice(big, sizeof(big)), bus_answer, &sent);
    assert_int_equal(sent.count, 0);
    bus_send_numbers(f->bus, "t", 0, 5, &sent); /* behind it */
    bus_answers_wait(&sent, f->loop, 6, WAIT_MS);
    assert_int_equal(sent.failed, 1);
}

static void a_bus_with_a_full_queue_is_freed(void **state)
{
    static const char *const SMALL[] = {"queue.buffering.max.messages", "10", NULL};
    struct fixture *f = *state;
    struct bus_answers sent = {0};

    cw_bus_free(f->bus);
    assert_int_equal(rd_kafka_mock_broker_set_down(f->mock, 1), 0);
    f->bus = bus_open(f, SMALL);
    bus_send_numbers(f->bus, "t", 0, 30, &sent);
    cw_bus_free(CW_STEAL(f->bus));
    assert_int_equal(sent.count, 0);
}

/* A topic that is deleted: messages wait for it, and one line says so. */
static void messages_wait_for_a_topic_that_is_gone(void **state)
{
    struct fixture *f = *state;
    struct bus_answers sent = {0}, other = {0};
    size_t before;
    int n = 0;

    cw_bus_free(f->bus);
    f->bus = bus_open(f, QUICK_METADATA);
    assert_int_equal(rd_kafka_mock_topic_create(f->mock, "other", 1, 1), 0);
    bus_send_numbers(f->bus, "t", 0, 10, &sent);
    bus_answers_wait(&sent, f->loop, 10, WAIT_MS);
    rd_kafka_mock_topic_set_error(f->mock, "t", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    before = f->problems;
    for (n = 10; f->problems == before; n += 10) { /* the mock takes them until metadata tells */
        bus_send_numbers(f->bus, "t", n, 10, &sent);
        bus_idle(f->loop, 5);
    }
    assert_int_equal(f->last_problem.code, CW_NOT_FOUND);
    assert_non_null(strstr(f->last_problem.msg, "messages wait: kafka: t: "));
    bus_send_numbers(f->bus, "t", n, 300, &sent);
    bus_send_numbers(f->bus, "other", 0, 10, &other); /* is not kept waiting */
    bus_answers_wait(&other, f->loop, 10, WAIT_MS);
    bus_idle(f->loop, 500);
    assert_int_equal(f->problems, before + 1);
    assert_true(f->bus->ops->unsent(f->bus) >= 300);
    rd_kafka_mock_topic_set_error(f->mock, "t", RD_KAFKA_RESP_ERR_NO_ERROR);
    bus_answers_wait(&sent, f->loop, (size_t)n + 300, WAIT_MS);
    assert_int_equal(sent.failed, 0);
    open_a(f, NULL);
    bus_sink_wait(&f->a, (size_t)n + 300, WAIT_MS);
    bus_sink_expect_run(&f->a, 0, (size_t)n + 300);
}

/* As with delivery.timeout.ms of a deployment: the producer gives up, the bus does not. */
static void messages_that_the_producer_gives_up_are_sent_again(void **state)
{
    static const char *const SHORT[] = {"message.timeout.ms", "200", NULL};
    struct fixture *f = *state;
    struct bus_answers sent = {0};

    cw_bus_free(f->bus);
    f->bus = bus_open(f, SHORT);
    bus_send_numbers(f->bus, "t", 0, 10, &sent);
    bus_answers_wait(&sent, f->loop, 10, WAIT_MS);
    assert_int_equal(rd_kafka_mock_broker_set_down(f->mock, 1), 0);
    bus_send_numbers(f->bus, "t", 10, 50, &sent);
    while (f->timeouts == 0)
        bus_idle(f->loop, 20);
    bus_send_numbers(f->bus, "t", 60, 50, &sent);
    bus_idle(f->loop, 500);
    assert_int_equal(sent.count, 10);
    assert_int_equal(f->bus->ops->unsent(f->bus), 100);
    assert_int_equal(rd_kafka_mock_broker_set_up(f->mock, 1), 0);
    bus_answers_wait(&sent, f->loop, 110, WAIT_MS);
    assert_int_equal(sent.failed, 0);
    open_a(f, NULL);
    bus_sink_wait(&f->a, 110, WAIT_MS);
    bus_sink_expect_run(&f->a, 0, 110);
}

static void messages_nobody_waits_for_are_lost_with_their_topic(void **state)
{
    struct fixture *f = *state;

    cw_bus_free(f->bus);
    f->bus = bus_open(f, QUICK_METADATA);
    rd_kafka_mock_topic_set_error(f->mock, "t", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    bus_send_numbers(f->bus, "t", 0, 100, NULL);
    while (f->bus->ops->unsent(f->bus) > 0)
        bus_idle(f->loop, 20);
    assert_int_equal(f->problems, 1); /* told once */
    assert_int_equal(f->last_problem.code, CW_NOT_FOUND);
}

static void a_message_the_broker_refuses_is_told(void **state)
{
    struct fixture *f = *state;
    struct bus_answers sent = {0};

    rd_kafka_mock_push_request_errors(f->mock, API_PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    bus_send_numbers(f->bus, "t", 0, 1, &sent);
    bus_answers_wait(&sent, f->loop, 1, WAIT_MS);
    assert_int_equal(sent.failed, 1);
    assert_int_equal(sent.last_error.code, CW_TOO_LARGE);
    rd_kafka_mock_push_request_errors(f->mock, API_PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    bus_send_numbers(f->bus, "t", 0, 1, NULL); /* nobody listens: the bus's own channel does */
    while (f->problems == 0)
        bus_idle(f->loop, 5);
    assert_int_equal(f->last_problem.code, CW_INVALID);
    assert_non_null(strstr(f->last_problem.msg, "kafka: t:"));
}

static void unsubscribing_in_traffic_is_silent_and_frees_the_group(void **state)
{
    static const char *const PROPERTIES[] = {"session.timeout.ms", "4000", NULL};
    struct fixture *f = *state;
    struct bus_answers done = {0};

    open_a(f, PROPERTIES);
    f->a.unsubscribe_at = 100;
    bus_send_numbers(f->bus, "t", 0, 1000, NULL);
    f->a.pause_at = 99;
    bus_sink_wait(&f->a, 99, WAIT_MS);
    f->bus->ops->commit(f->a.sub, 99, bus_answer, &done);
    f->bus->ops->commit(f->a.sub, 100, bus_answer, &done);
    f->bus->ops->resume(f->a.sub);
    bus_sink_wait(&f->a, 100, WAIT_MS);
    bus_sink_open(&f->b, f->loop, f->bus, "t", "g", PROPERTIES);
    bus_sink_wait_assigned(&f->b, WAIT_MS);
    bus_sink_wait(&f->b, 900, WAIT_MS);
    bus_sink_expect_run(&f->b, 100, 900);
    assert_int_equal(f->a.count, 100);
    assert_int_equal(f->a.assigned, 1); /* no word of the revocation either */
}

static void freeing_the_bus_in_traffic_does_not_wait_long(void **state)
{
    struct fixture *f = *state;
    struct bus_answers sent = {0};
    int64_t begin_us;
    size_t before;

    open_a(f, NULL);
    bus_send_numbers(f->bus, "t", 0, 1000, &sent);
    bus_sink_wait(&f->a, 1, WAIT_MS);
    assert_int_equal(rd_kafka_mock_broker_set_down(f->mock, 1), 0);
    bus_send_numbers(f->bus, "t", 1000, 1000, &sent);
    before = sent.count;
    begin_us = cw_loop_mono_us(f->loop);
    cw_bus_free(CW_STEAL(f->bus));
    assert_in_range(cw_loop_mono_us(f->loop) - begin_us, 0, 5000000);
    bus_idle(f->loop, 20);
    assert_int_equal(sent.count, before);
}

/* The mock knows no CreateTopics, as a cluster in which we may not create any: kafka_real_test does
 * the rest. */
static void ensure_topic_is_content_with_one_that_exists(void **state)
{
    struct fixture *f = *state;
    struct cw_topic_spec spec = {.name = "t", .partitions = 1, .replication_factor = 1};
    struct bus_answers done = {0};

    cw_bus_ensure_topic(f->bus, &spec, bus_answer, &done);
    assert_int_equal(done.count, 0);
    bus_answers_wait(&done, f->loop, 1, WAIT_MS);
    assert_int_equal(done.failed, 0);
    spec.partitions = 0;
    cw_bus_ensure_topic(f->bus, &spec, bus_answer, &done);
    bus_answers_wait(&done, f->loop, 2, WAIT_MS);
    assert_int_equal(done.failed, 1);
    assert_int_equal(done.last_error.code, CW_INVALID);
}

static void expect_refused(struct fixture *f, struct cw_kafka_conf conf, const char *word)
{
    struct cw_err err = {0};

    assert_null(cw_kafka_bus_new(f->loop, &conf, &err));
    assert_int_equal(err.code, CW_INVALID);
    if (!strstr(err.msg, word))
        fail_msg("\"%s\" does not name %s", err.msg, word);
}

static void wrong_settings_are_named(void **state)
{
    static const char *const UNKNOWN[] = {"no.such.setting", "1", NULL};
    static const char *const RANGE[] = {"session.timeout.ms", "-4", NULL};
    static const char *const COOPERATIVE[] = {"partition.assignment.strategy", "cooperative-sticky",
                                              NULL};
    struct fixture *f = *state;
    struct cw_kafka_conf good = {.brokers = "127.0.0.1:1", .max_message_bytes = LIMIT}, conf;
    struct cw_bus_subscription desc = {
        .topic = "t", .group = "g", .on_message = bus_sink_on_message, .properties = COOPERATIVE};
    struct cw_err err;

    conf = good, conf.common = UNKNOWN;
    expect_refused(f, conf, "no.such.setting");
    conf = good, conf.consumer = RANGE;
    expect_refused(f, conf, "session.timeout.ms");
    conf = good, conf.producer = UNKNOWN;
    expect_refused(f, conf, "no.such.setting");
    conf = good, conf.max_message_bytes = 10;
    expect_refused(f, conf, "1000..");
    conf = good, conf.brokers = "";
    expect_refused(f, conf, "broker");
    assert_null(cw_bus_subscribe(f->bus, &desc, &err));
    assert_int_equal(err.code, CW_INVALID);
    desc.properties = UNKNOWN;
    assert_null(cw_bus_subscribe(f->bus, &desc, &err));
    desc.properties = NULL;
    desc.group = "";
    assert_null(cw_bus_subscribe(f->bus, &desc, &err));
}

/* Every so many of them, beginning with the part's (from 1): the parts run at a time. */
static int run_part(const struct CMUnitTest *tests, size_t count, size_t part, size_t parts)
{
    struct CMUnitTest chosen[MOST_TESTS];
    size_t n = 0;

    if (part < 1 || part > parts || count > MOST_TESTS)
        return 2;
    for (size_t i = part - 1; i < count; i += parts)
        chosen[n++] = tests[i];
    return _cmocka_run_group_tests("tests", chosen, n, NULL, NULL);
}

/* usage: kafka_bus_test [PATTERN | PART PARTS] */
int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(messages_arrive_in_order),
        T(pauses_lose_and_repeat_nothing),
        T(a_pause_longer_than_the_prefetch_queue_loses_nothing),
        T(a_new_bus_goes_on_at_the_commit),
        T(a_failed_commit_is_told_and_later_ones_work),
        T(seeking_goes_back_and_forth),
        T(a_seek_in_on_assigned_chooses_the_start),
        T(the_next_reader_learns_who_committed),
        T(a_reader_goes_while_it_is_not_known_where_to_begin),
        T(a_seek_right_after_the_assignment_works_too),
        T(the_largest_messages_pass_and_larger_ones_are_refused_at_once),
        T(retries_after_broker_errors_lose_and_repeat_nothing),
        T(messages_wait_while_the_broker_is_away),
        T(a_full_queue_makes_messages_wait_in_order),
        T(a_message_larger_than_the_whole_queue_fails),
        T(a_bus_with_a_full_queue_is_freed),
        T(messages_wait_for_a_topic_that_is_gone),
        T(messages_that_the_producer_gives_up_are_sent_again),
        T(messages_nobody_waits_for_are_lost_with_their_topic),
        T(a_message_the_broker_refuses_is_told),
        T(unsubscribing_in_traffic_is_silent_and_frees_the_group),
        T(freeing_the_bus_in_traffic_does_not_wait_long),
        T(ensure_topic_is_content_with_one_that_exists),
        T(wrong_settings_are_named),
    };

    if (argc > 2)
        return run_part(tests, CW_ARRAY_LEN(tests), strtoul(argv[1], NULL, 10),
                        strtoul(argv[2], NULL, 10));
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
