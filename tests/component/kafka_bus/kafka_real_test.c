/* What the mock cluster cannot show, against a real broker: CW_TEST_KAFKA=host:port. */
#include "tests/support/cmocka_all.h"

#include <librdkafka/rdkafka.h>
#include <time.h>
#include <unistd.h>

#include "common/bus/kafka_bus.h"
#include "tests/support/bus_sink.h"

enum { LIMIT = 1054644, WAIT_MS = 40000, ECHOES = 300 };

struct fixture {
    struct cw_loop *loop;
    struct cw_bus *bus;
    char topic[64];
    struct bus_sink a, b;
    size_t problems, missing;
};

static void on_problem(void *arg, const struct cw_err *err)
{
    struct fixture *f = arg;

    f->problems++;
    f->missing += err->code == CW_NOT_FOUND;
}

static struct cw_bus *bus_open(struct fixture *f, const char *const *producer)
{
    struct cw_kafka_conf conf = {.brokers = getenv("CW_TEST_KAFKA"),
                                 .max_message_bytes = LIMIT,
                                 .producer = producer,
                                 .on_error = on_problem,
                                 .arg = f};
    struct cw_err err = {0};
    struct cw_bus *bus = cw_kafka_bus_new(f->loop, &conf, &err);

    if (!bus)
        fail_msg("%s", err.msg);
    return bus;
}

static void ensure(struct fixture *f, struct bus_answers *done, const char *bytes)
{
    const char *config[] = {"retention.ms", "172800000", "max.message.bytes", bytes, NULL};
    struct cw_topic_spec spec = {
        .name = f->topic, .partitions = 1, .replication_factor = 1, .config = config};
    size_t want = done->count + 1;

    cw_bus_ensure_topic(f->bus, &spec, bus_answer, done);
    assert_int_equal(done->count, want - 1);
    bus_answers_wait(done, f->loop, want, WAIT_MS);
}

static int setup(void **state)
{
    static unsigned serial;
    struct fixture *f = cw_alloc(sizeof(*f));
    struct bus_answers done = {0};

    f->loop = cw_loop_new(NULL, NULL);
    f->bus = bus_open(f, NULL);
    (void)snprintf(f->topic, sizeof(f->topic), "bus-test-%d-%u", (int)getpid(), serial++);
    ensure(f, &done, "1054644");
    if (done.failed)
        fail_msg("%s", done.last_error.msg);
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

/* One setting of the topic, as the broker tells it. */
static void read_setting(const char *topic, const char *key, char *out, size_t size)
{
    rd_kafka_conf_t *rc = rd_kafka_conf_new();
    rd_kafka_ConfigResource_t *wanted = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    const rd_kafka_ConfigResource_t **got;
    const rd_kafka_ConfigEntry_t **entries;
    rd_kafka_queue_t *queue;
    rd_kafka_event_t *ev;
    rd_kafka_t *rk;
    size_t n;

    assert_int_equal(rd_kafka_conf_set(rc, "bootstrap.servers", getenv("CW_TEST_KAFKA"), out, size),
                     RD_KAFKA_CONF_OK);
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, rc, out, size);
    queue = rd_kafka_queue_new(rk);
    rd_kafka_DescribeConfigs(rk, &wanted, 1, NULL, queue);
    ev = rd_kafka_queue_poll(queue, WAIT_MS);
    assert_non_null(ev);
    got = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(ev), &n);
    assert_int_equal(n, 1);
    entries = rd_kafka_ConfigResource_configs(got[0], &n);
    *out = '\0';
    for (size_t i = 0; i < n; i++)
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), key) == 0)
            (void)snprintf(out, size, "%s", rd_kafka_ConfigEntry_value(entries[i]));
    rd_kafka_event_destroy(ev);
    rd_kafka_queue_destroy(queue);
    rd_kafka_ConfigResource_destroy(wanted);
    rd_kafka_destroy(rk);
}

static void topics_are_made_with_their_settings_and_then_left_alone(void **state)
{
    struct fixture *f = *state;
    struct bus_answers done = {0};
    char value[64];

    read_setting(f->topic, "max.message.bytes", value, sizeof(value));
    assert_string_equal(value, "1054644");
    read_setting(f->topic, "retention.ms", value, sizeof(value));
    assert_string_equal(value, "172800000");
    ensure(f, &done, "5000");
    assert_int_equal(done.failed, 0);
    read_setting(f->topic, "max.message.bytes", value, sizeof(value));
    assert_string_equal(value, "1054644");
}

static void a_setting_the_broker_refuses_is_told(void **state)
{
    struct fixture *f = *state;
    struct bus_answers done = {0};

    memcpy(f->topic, "bad", 3); /* still of this run: the end of the name says so */
    ensure(f, &done, "minus");
    assert_int_equal(done.failed, 1);
    assert_int_equal(done.last_error.code, CW_INVALID);
    assert_non_null(strstr(done.last_error.msg, f->topic));
}

static void large_and_small_messages_travel_in_order(void **state)
{
    struct fixture *f = *state;
    struct bus_answers sent = {0};
    enum { FITS = LIMIT - 100 }; /* the broker counts the batch header too */
    char *big = cw_alloc(LIMIT);

    bus_sink_open(&f->a, f->loop, f->bus, f->topic, f->topic, NULL);
    memset(big, 'x', LIMIT);
    for (int i = 0; i < 200; i++) {
        int n = snprintf(big, 16, "%d", i);

        big[n] = ' ';
        cw_bus_publish(f->bus, f->topic, cw_slice(big, i % 10 ? 20 : FITS), bus_answer, &sent);
    }
    free(big);
    bus_answers_wait(&sent, f->loop, 200, WAIT_MS);
    if (sent.failed)
        fail_msg("%s", sent.last_error.msg);
    bus_sink_wait(&f->a, 200, WAIT_MS);
    bus_sink_expect_run(&f->a, 0, 200);
}

static void a_value_of_the_topics_very_limit_is_refused_by_the_broker_alone(void **state)
{
    struct fixture *f = *state;
    struct bus_answers sent = {0};
    char *big = cw_alloc(LIMIT);

    cw_bus_publish(f->bus, f->topic, cw_slice(big, LIMIT), bus_answer, &sent);
    bus_send_numbers(f->bus, f->topic, 0, 10, &sent);
    free(big);
    bus_answers_wait(&sent, f->loop, 11, WAIT_MS);
    assert_int_equal(sent.failed, 1);
    assert_int_equal(sent.last_error.code, CW_TOO_LARGE);
}

static void a_paused_backlog_of_large_messages_is_bounded_and_complete(void **state)
{
    static const char *const PROPERTIES[] = {"queued.max.messages.kbytes",
                                             "2048",
                                             "session.timeout.ms",
                                             "6000",
                                             "heartbeat.interval.ms",
                                             "1000",
                                             "max.poll.interval.ms",
                                             "6000",
                                             NULL};
    struct fixture *f = *state;
    struct bus_answers sent = {0};
    enum { COUNT = 20, BYTES = 1000000 };
    char *big = cw_alloc(BYTES);

    bus_sink_open(&f->a, f->loop, f->bus, f->topic, f->topic, PROPERTIES);
    f->a.pause_at = 1;
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(big, 16, "%d", i);
        cw_bus_publish(f->bus, f->topic, cw_slice(big, BYTES), bus_answer, &sent);
    }
    free(big);
    bus_sink_wait(&f->a, 1, WAIT_MS);
    bus_idle(f->loop, 8000); /* longer than max.poll.interval.ms */
    assert_int_equal(f->a.count, 1);
    f->bus->ops->resume(f->a.sub);
    bus_sink_wait(&f->a, COUNT, WAIT_MS);
    bus_sink_expect_run(&f->a, 0, COUNT);
    assert_int_equal(f->a.assigned, 1);
    assert_int_equal(f->a.errors, 0);
}

static void pauses_lose_and_repeat_nothing(void **state)
{
    struct fixture *f = *state;

    bus_sink_open(&f->a, f->loop, f->bus, f->topic, f->topic, NULL);
    bus_sink_wait_assigned(&f->a, WAIT_MS);
    for (size_t n = 1; n <= 100; n++) {
        bus_send_numbers(f->bus, f->topic, (int)(n - 1) * 20, 20, NULL);
        f->a.pause_at = n * 20 - 7;
        bus_sink_wait(&f->a, f->a.pause_at, WAIT_MS);
        bus_idle(f->loop, (int64_t)(n % 5));
        f->bus->ops->resume(f->a.sub);
    }
    bus_sink_wait(&f->a, 2000, WAIT_MS);
    bus_sink_expect_run(&f->a, 0, 2000);
}

static void the_group_goes_on_at_the_commit_when_members_change(void **state)
{
    struct fixture *f = *state;
    struct bus_answers done = {0};

    bus_sink_open(&f->a, f->loop, f->bus, f->topic, f->topic, NULL);
    bus_send_numbers(f->bus, f->topic, 0, 100, NULL);
    bus_sink_wait(&f->a, 100, WAIT_MS);
    f->bus->ops->commit(f->a.sub, 30, bus_answer, &done);
    f->bus->ops->commit(f->a.sub, 40, bus_answer, &done);
    f->bus->ops->unsubscribe(f->a.sub);
    bus_sink_open(&f->b, f->loop, f->bus, f->topic, f->topic, NULL);
    bus_sink_wait(&f->b, 60, WAIT_MS);
    bus_sink_expect_run(&f->b, 40, 60);
    assert_int_equal(f->b.errors, 0);
}

static bool one_owner_again(void *arg)
{
    const struct fixture *f = arg;

    return f->a.revoked == 1 && f->a.assigned + f->b.assigned == 1;
}

static bool both_have_all(void *arg)
{
    const struct fixture *f = arg;

    return f->a.count + f->b.count >= 200;
}

static void a_second_member_makes_the_group_share_again_without_loss(void **state)
{
    struct fixture *f = *state;
    struct bus_answers done = {0};

    bus_sink_open(&f->a, f->loop, f->bus, f->topic, f->topic, NULL);
    bus_send_numbers(f->bus, f->topic, 0, 100, NULL);
    bus_sink_wait(&f->a, 100, WAIT_MS);
    f->bus->ops->commit(f->a.sub, 100, bus_answer, &done);
    bus_answers_wait(&done, f->loop, 1, WAIT_MS);
    bus_sink_open(&f->b, f->loop, f->bus, f->topic, f->topic, NULL);
    assert_true(cw_loop_run_until(f->loop, one_owner_again, f, WAIT_MS));
    bus_send_numbers(f->bus, f->topic, 100, 100, NULL);
    assert_true(cw_loop_run_until(f->loop, both_have_all, f, WAIT_MS));
    if (f->a.assigned) {
        bus_sink_expect_run(&f->a, 0, 200);
    } else {
        bus_sink_expect_run(&f->a, 0, 100);
        bus_sink_expect_run(&f->b, 100, 100);
    }
}

static void a_seek_far_back_reads_again(void **state)
{
    struct fixture *f = *state;
    struct cw_err err;

    bus_sink_open(&f->a, f->loop, f->bus, f->topic, f->topic, NULL);
    bus_send_numbers(f->bus, f->topic, 0, 1000, NULL);
    bus_sink_wait(&f->a, 1000, WAIT_MS);
    assert_int_equal(f->bus->ops->end_offset(f->a.sub), 1000);
    if (f->bus->ops->seek(f->a.sub, 500, &err) != 0)
        fail_msg("%s", err.msg);
    f->a.count = 0;
    bus_sink_wait(&f->a, 500, WAIT_MS);
    bus_sink_expect_run(&f->a, 500, 500);
}

/* ---- a topic that is deleted ---- */

static void delete_topic(const char *topic)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_DeleteTopic_t *which = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_queue_t *queue;
    rd_kafka_event_t *ev;
    rd_kafka_t *rk;
    char why[200];

    (void)rd_kafka_conf_set(conf, "bootstrap.servers", getenv("CW_TEST_KAFKA"), why, sizeof(why));
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    assert_non_null(rk);
    queue = rd_kafka_queue_new(rk);
    rd_kafka_DeleteTopics(rk, &which, 1, NULL, queue);
    ev = rd_kafka_queue_poll(queue, WAIT_MS);
    assert_int_equal(rd_kafka_event_type(ev), RD_KAFKA_EVENT_DELETETOPICS_RESULT);
    assert_int_equal(rd_kafka_event_error(ev), 0);
    rd_kafka_event_destroy(ev);
    rd_kafka_DeleteTopic_destroy(which);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
}

static void messages_wait_for_a_topic_that_is_gone(void **state)
{
    static const char *const NO_NEW_TOPICS[] = {"allow.auto.create.topics",
                                                "false",
                                                "topic.metadata.refresh.interval.ms",
                                                "200",
                                                "topic.metadata.propagation.max.ms",
                                                "200",
                                                NULL};
    struct fixture *f = *state;
    struct bus_answers sent = {0}, made = {0};
    int n = 10;

    cw_bus_free(f->bus);
    f->bus = bus_open(f, NO_NEW_TOPICS);
    bus_send_numbers(f->bus, f->topic, 0, 10, &sent);
    bus_answers_wait(&sent, f->loop, 10, WAIT_MS);
    delete_topic(f->topic);
    for (; f->missing == 0; n += 10) {
        bus_send_numbers(f->bus, f->topic, n, 10, &sent);
        bus_idle(f->loop, 20);
    }
    bus_send_numbers(f->bus, f->topic, n, 500, &sent);
    bus_idle(f->loop, 300);
    assert_int_equal(sent.failed, 0);
    assert_true(f->bus->ops->unsent(f->bus) >= 500);
    ensure(f, &made, "1054644");
    assert_int_equal(made.failed, 0);
    bus_answers_wait(&sent, f->loop, (size_t)n + 500, WAIT_MS);
    assert_int_equal(sent.failed, 0);
    assert_int_equal(f->missing, 1); /* one line */
    bus_sink_open(&f->a, f->loop, f->bus, f->topic, f->topic, NULL);
    /* Those before may have come into the old topic in its last moment. */
    bus_sink_wait_each(&f->a, n, 500, WAIT_MS);
}

/* The reader's place is behind the new topic's end: it begins anew. */
static void a_reader_goes_on_when_its_topic_is_made_again(void **state)
{
    struct fixture *f = *state;
    struct bus_answers done = {0};

    bus_sink_open(&f->a, f->loop, f->bus, f->topic, f->topic, NULL);
    bus_send_numbers(f->bus, f->topic, 0, 100, NULL);
    bus_sink_wait(&f->a, 100, WAIT_MS);
    f->bus->ops->commit(f->a.sub, 100, bus_answer, &done);
    bus_answers_wait(&done, f->loop, 1, WAIT_MS);
    assert_int_equal(done.failed, 0);
    delete_topic(f->topic);
    bus_idle(f->loop, 1500); /* so that the broker has taken it from its list */
    ensure(f, &done, "1054644");
    assert_int_equal(done.failed, 0);
    f->a.count = 0;
    bus_send_numbers(f->bus, f->topic, 1000, 50, NULL);
    bus_sink_wait_each(&f->a, 1000, 50, WAIT_MS); /* some brokers may not know the topic yet */
    assert_int_equal(f->a.offsets[0], 0);
    assert_in_range(f->a.errors, 0, 5); /* lines for the log */
    f->bus->ops->commit(f->a.sub, 50, bus_answer, &done);
    bus_answers_wait(&done, f->loop, 3, WAIT_MS);
    assert_int_equal(done.failed, 0);
}

static bool is_revoked(void *arg)
{
    return ((struct bus_sink *)arg)->assigned == 0;
}

/* It is away for so long that the reader is told; made again, it is the reader's again. */
static void a_reader_of_an_absent_topic_is_told_and_waits_for_it(void **state)
{
    static const char *const QUICK[] = {"topic.metadata.refresh.interval.ms", "200", NULL};
    struct fixture *f = *state;
    struct bus_answers done = {0};

    bus_sink_open(&f->a, f->loop, f->bus, f->topic, f->topic, QUICK);
    bus_sink_wait_assigned(&f->a, WAIT_MS);
    delete_topic(f->topic);
    assert_true(cw_loop_run_until(f->loop, is_revoked, &f->a, WAIT_MS));
    bus_idle(f->loop, 3000);
    assert_in_range(f->a.errors, 1, 10); /* lines for the log, not one for each look */
    ensure(f, &done, "1054644");
    assert_int_equal(done.failed, 0);
    bus_sink_wait_assigned(&f->a, WAIT_MS);
    bus_send_numbers(f->bus, f->topic, 0, 50, NULL);
    bus_sink_wait_each(&f->a, 0, 50, WAIT_MS);
}

static int64_t now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Prints rather than judges times: the machine may be busy. */
static void an_echo_takes_milliseconds(void **state)
{
    struct fixture *f = *state;
    struct bus_answers sent = {0};
    int64_t echo_us[ECHOES], ack_us[ECHOES];

    bus_sink_open(&f->a, f->loop, f->bus, f->topic, f->topic, NULL);
    bus_sink_wait_assigned(&f->a, WAIT_MS);
    bus_send_numbers(f->bus, f->topic, 0, 1, &sent);
    bus_sink_wait(&f->a, 1, WAIT_MS);
    for (size_t i = 0; i < ECHOES; i++) {
        int64_t begin = now_us();

        bus_send_numbers(f->bus, f->topic, (int)i + 1, 1, &sent);
        bus_answers_wait(&sent, f->loop, i + 2, WAIT_MS);
        ack_us[i] = now_us() - begin;
        bus_sink_wait(&f->a, i + 2, WAIT_MS);
        echo_us[i] = now_us() - begin;
    }
    qsort(ack_us, ECHOES, sizeof(*ack_us), by_value);
    qsort(echo_us, ECHOES, sizeof(*echo_us), by_value);
    printf("publish to ack: p50 %d us, p99 %d us; publish to message: p50 %d us, p99 %d us\n",
           (int)ack_us[ECHOES / 2], (int)ack_us[ECHOES * 99 / 100], (int)echo_us[ECHOES / 2],
           (int)echo_us[ECHOES * 99 / 100]);
    bus_sink_expect_run(&f->a, 0, ECHOES + 1);
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(topics_are_made_with_their_settings_and_then_left_alone),
        T(a_setting_the_broker_refuses_is_told),
        T(large_and_small_messages_travel_in_order),
        T(a_value_of_the_topics_very_limit_is_refused_by_the_broker_alone),
        T(a_paused_backlog_of_large_messages_is_bounded_and_complete),
        T(pauses_lose_and_repeat_nothing),
        T(the_group_goes_on_at_the_commit_when_members_change),
        T(a_second_member_makes_the_group_share_again_without_loss),
        T(a_seek_far_back_reads_again),
        T(messages_wait_for_a_topic_that_is_gone),
        T(a_reader_goes_on_when_its_topic_is_made_again),
        T(a_reader_of_an_absent_topic_is_told_and_waits_for_it),
        T(an_echo_takes_milliseconds),
    };

    if (!getenv("CW_TEST_KAFKA")) {
        printf("skipped: CW_TEST_KAFKA=host:port is not set\n");
        return 77;
    }
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
