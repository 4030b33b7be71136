/* bench_load -- plays the controller: produces activations, consumes acks, measures.
 *
 *   bench_load MODE --brokers HOST:PORT [options]
 *     echo         two Kafka hops without an invoker: produce, consume, produce, consume
 *     activations  keeps --window of --count activations in flight; all at once: --window = --count
 *     startup      says "listening", waits for the first ping and for a health action after it
 *
 * --count N (measured), --warmup N (before, not measured), --action NAME (of namespace guest),
 * --actions N (NAME-0 … NAME-<N-1> in turn), --fresh N (of N activations one has an action of its
 * own),
 * --gap MS (of silence before each activation), --invoker N (topic number), --cpu NAME=PID
 * (repeatable: processor time per activation; always there: "driver", its own, and "machine", all),
 * --timeout S (without any progress). Prints JSON lines; ends with status 1 when an activation
 * failed or an ack is missing. Times are in microseconds, points in time CLOCK_MONOTONIC. */
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/json/writer.h"
#include "tests/bench/load_kafka.h"
#include "tests/bench/load_stats.h"
#include "tests/bench/load_wire.h"

#define REVISION "1-00000000000000000000000000000001" /* as stub_couch.c says */

enum {
    MAX_COUNT = 2000000,
    MAX_PROCESSES = 8,
    MAX_TEXT = 64 << 10,
    MAX_NAME = 200,
    MAX_BATCH_SENDS = 64, /* between two looks at acks */
    TICK_MS = 100,
};

struct process {
    char *name;
    int pid;
    int64_t before_us, used_us;
};

struct options {
    const char *mode, *brokers, *action, *revision;
    char topic[32];
    int64_t count, warmup, window, invoker, timeout_s, gap_ms, actions, fresh;
    struct process processes[MAX_PROCESSES];
    size_t process_count;
    int64_t machine_before_us, machine_used_us;
};

/* ---- options ---- */

static int add_process(struct options *o, const char *text, struct cw_err *err)
{
    const char *eq = strchr(text, '=');
    struct process *p = &o->processes[o->process_count];
    int64_t pid;

    if (!eq || o->process_count == MAX_PROCESSES ||
        cw_parse_i64(cw_slice_of(eq + 1), "pid", 1, INT32_MAX, &pid, NULL) != 0)
        return cw_fail(err, CW_INVALID, "--cpu %s: expected NAME=PID, at most %d times", text,
                       MAX_PROCESSES);
    p->name = cw_slice_dup(cw_slice(text, (size_t)(eq - text)));
    p->pid = (int)pid;
    o->process_count++;
    return 0;
}

static int add_self(struct options *o, struct cw_err *err)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "driver=%d", (int)getpid());
    return add_process(o, text, err);
}

static int set_option(struct options *o, int opt, const char *value, struct cw_err *err)
{
    struct cw_slice text = cw_slice_of(value);

    switch (opt) {
    case 'b':
        o->brokers = value;
        return 0;
    case 'a':
        o->action = value;
        return 0;
    case 'r':
        o->revision = value;
        return 0;
    case 'n':
        return cw_parse_i64(text, "--count", 1, MAX_COUNT, &o->count, err);
    case 'w':
        return cw_parse_i64(text, "--warmup", 0, MAX_COUNT, &o->warmup, err);
    case 'k':
        return cw_parse_i64(text, "--window", 1, MAX_COUNT, &o->window, err);
    case 'i':
        return cw_parse_i64(text, "--invoker", 0, 1000000, &o->invoker, err);
    case 'g':
        return cw_parse_i64(text, "--gap", 0, 60000, &o->gap_ms, err);
    case 'm':
        return cw_parse_i64(text, "--actions", 1, MAX_COUNT, &o->actions, err);
    case 'f':
        return cw_parse_i64(text, "--fresh", 1, MAX_COUNT, &o->fresh, err);
    case 't':
        return cw_parse_i64(text, "--timeout", 1, 3600, &o->timeout_s, err);
    case 'c':
        return add_process(o, value, err);
    default:
        return cw_fail(err, CW_INVALID, "unknown option");
    }
}

static int read_options(int argc, char **argv, struct options *o, struct cw_err *err)
{
    static const struct option OPTIONS[] = {
        {"brokers", required_argument, NULL, 'b'},
        {"action", required_argument, NULL, 'a'},
        {"revision", required_argument, NULL, 'r'},
        {"count", required_argument, NULL, 'n'},
        {"warmup", required_argument, NULL, 'w'},
        {"window", required_argument, NULL, 'k'},
        {"invoker", required_argument, NULL, 'i'},
        {"timeout", required_argument, NULL, 't'},
        {"cpu", required_argument, NULL, 'c'},
        {"gap", required_argument, NULL, 'g'},
        {"actions", required_argument, NULL, 'm'},
        {"fresh", required_argument, NULL, 'f'},
        {NULL, 0, NULL, 0},
    };
    int opt;

    while ((opt = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1)
        if (set_option(o, opt, optarg, err) != 0)
            return -1;
    if (optind + 1 != argc || !o->brokers)
        return cw_fail(err, CW_INVALID, "expected MODE --brokers HOST:PORT");
    o->mode = argv[optind];
    (void)snprintf(o->topic, sizeof(o->topic), "invoker%d", (int)o->invoker);
    return 0;
}

/* ---- output ---- */

static void print_line(struct cw_str *line)
{
    (void)puts(line->p);
    (void)fflush(stdout);
}

static int start_meters(struct options *o, struct cw_err *err)
{
    o->machine_before_us = load_machine_cpu_us(err);
    if (o->machine_before_us < 0)
        return -1;
    for (size_t i = 0; i < o->process_count; i++) {
        o->processes[i].before_us = load_cpu_us(o->processes[i].pid, err);
        if (o->processes[i].before_us < 0)
            return -1;
    }
    return 0;
}

static int stop_meters(struct options *o, struct cw_err *err)
{
    int64_t machine_us = load_machine_cpu_us(err);

    if (machine_us < 0)
        return -1;
    o->machine_used_us = machine_us - o->machine_before_us;
    for (size_t i = 0; i < o->process_count; i++) {
        int64_t now_us = load_cpu_us(o->processes[i].pid, err);

        if (now_us < 0)
            return -1;
        o->processes[i].used_us = now_us - o->processes[i].before_us;
    }
    return 0;
}

static void write_meters(const struct options *o, struct cw_json_writer *w)
{
    cw_json_key(w, "cpu_us");
    cw_json_object(w);
    cw_json_kv_int(w, "machine", o->machine_used_us / o->count);
    for (size_t i = 0; i < o->process_count; i++)
        cw_json_kv_int(w, o->processes[i].name, o->processes[i].used_us / o->count);
    cw_json_object_end(w);
}

/* ---- activations ---- */

struct activation {
    int64_t sent_us, result_us, completed_us; /* 0: not yet */
};

struct drive {
    struct options *o;
    struct load_kafka *kafka;
    struct load_series series;
    struct activation *items;
    int64_t total, sent, completed;
    int64_t failed, foreign, repeated;
    struct cw_str text;
};

/* The action of an activation: one, several in turn, or one that nobody else has. */
static const char *action_of(const struct options *o, uint32_t number, char *buf, size_t size)
{
    if (o->fresh && number % (uint32_t)o->fresh == 0)
        (void)snprintf(buf, size, "%s-fresh-%u", o->action, number);
    else if (o->actions)
        (void)snprintf(buf, size, "%s-%u", o->action, number % (uint32_t)o->actions);
    else
        return o->action;
    return buf;
}

static int send_one(struct drive *d, struct cw_err *err)
{
    uint32_t number = (uint32_t)d->sent++;
    char action[MAX_NAME];

    if (d->o->gap_ms)
        (void)usleep((useconds_t)d->o->gap_ms * 1000);
    d->series.action = action_of(d->o, number, action, sizeof(action));
    load_write_activation(&d->series, number, cw_clock_wall_ms(cw_clock_system()), &d->text);
    d->items[number].sent_us = load_now_us();
    return load_kafka_produce(d->kafka, d->o->topic, cw_str_slice(&d->text), err);
}

static void note(int64_t *slot, int64_t now_us, struct drive *d)
{
    if (*slot)
        d->repeated++;
    else
        *slot = now_us;
}

static void take_ack(struct drive *d, const struct load_ack *ack, int64_t now_us)
{
    struct activation *a;

    if (!ack->ours || ack->number >= d->sent) {
        d->foreign++;
        return;
    }
    a = &d->items[ack->number];
    d->failed += !ack->success;
    if (ack->kind != LOAD_ACK_COMPLETION)
        note(&a->result_us, now_us, d);
    if (ack->kind == LOAD_ACK_RESULT)
        return;
    d->completed += a->completed_us == 0;
    note(&a->completed_us, now_us, d);
}

/* Waits up to a tick for one ack. */
static int receive(struct drive *d, struct cw_err *err)
{
    struct load_message message;
    struct load_ack ack;
    int got = load_kafka_poll(d->kafka, TICK_MS, &message, err);

    if (got <= 0)
        return got;
    if (load_read_ack(&d->series, message.value, &ack, err) != 0)
        return -1;
    take_ack(d, &ack, message.received_us);
    return 1;
}

/* Sends until `upto` are sent, never more than the window in flight, and waits for their ends. */
static int drive_to(struct drive *d, int64_t upto, int64_t window, struct cw_err *err)
{
    int64_t progress_us = load_now_us();

    while (d->completed < upto) {
        int got;

        for (int n = 0; n < MAX_BATCH_SENDS && d->sent < upto && d->sent - d->completed < window;
             n++)
            if (send_one(d, err) != 0)
                return -1;
        got = receive(d, err);
        if (got < 0)
            return -1;
        if (got > 0)
            progress_us = load_now_us();
        else if (load_now_us() - progress_us > d->o->timeout_s * 1000000)
            return cw_fail(err, CW_TIMEOUT, "%lld of %lld activations have not ended after %lld s",
                           (long long)(upto - d->completed), (long long)upto,
                           (long long)d->o->timeout_s);
    }
    return 0;
}

static int check(const struct drive *d, struct cw_err *err)
{
    int64_t without_result = 0;

    for (int64_t i = 0; i < d->total; i++)
        without_result += d->items[i].result_us == 0;
    if (!d->failed && !d->repeated && !without_result)
        return 0;
    return cw_fail(err, CW_INTERNAL,
                   "of %lld activations %lld failed, %lld have no result; %lld acks came twice",
                   (long long)d->total, (long long)d->failed, (long long)without_result,
                   (long long)d->repeated);
}

static void write_latencies(const struct drive *d, struct cw_json_writer *w)
{
    size_t count = (size_t)d->o->count;
    const struct activation *items = d->items + d->o->warmup;
    cw_auto_free int64_t *values = cw_calloc(count, sizeof(*values));

    for (size_t i = 0; i < count; i++)
        values[i] = items[i].result_us - items[i].sent_us;
    load_write_durations(w, "result_us", values, count);
    for (size_t i = 0; i < count; i++)
        values[i] = items[i].completed_us - items[i].sent_us;
    load_write_durations(w, "completion_us", values, count);
}

static void write_rates(const struct drive *d, struct cw_json_writer *w)
{
    const struct activation *items = d->items + d->o->warmup;
    int64_t first_us = INT64_MAX, last_us = 0, count = d->o->count;

    for (int64_t i = 0; i < count; i++) {
        first_us = items[i].completed_us < first_us ? items[i].completed_us : first_us;
        last_us = items[i].completed_us > last_us ? items[i].completed_us : last_us;
    }
    cw_json_kv_int(w, "elapsed_us", last_us - items[0].sent_us);
    cw_json_kv_int(w, "per_second", count * 1000000 / (last_us - items[0].sent_us + 1));
    cw_json_kv_int(w, "acks_per_second", (count - 1) * 1000000 / (last_us - first_us + 1));
}

static void print_drive(struct drive *d)
{
    struct cw_json_writer w;

    cw_str_reset(&d->text);
    cw_json_begin(&w, &d->text);
    cw_json_object(&w);
    cw_json_kv_string(&w, "mode", "activations");
    cw_json_kv_int(&w, "count", d->o->count);
    cw_json_kv_int(&w, "window", d->o->window);
    cw_json_kv_int(&w, "foreign_acks", d->foreign);
    write_rates(d, &w);
    write_latencies(d, &w);
    write_meters(d->o, &w);
    cw_json_object_end(&w);
    print_line(&d->text);
}

static int run_drive(struct drive *d, struct cw_err *err)
{
    if (load_kafka_ensure_topic(d->kafka, d->o->topic, err) != 0 ||
        drive_to(d, d->o->warmup, d->o->window, err) != 0 || start_meters(d->o, err) != 0 ||
        drive_to(d, d->total, d->o->window, err) != 0 || stop_meters(d->o, err) != 0 ||
        check(d, err) != 0)
        return -1;
    print_drive(d);
    return 0;
}

static int mode_activations(struct options *o, struct cw_err *err)
{
    static const char *const TOPICS[] = {"completed0"};
    struct drive d = {.o = o, .total = o->warmup + o->count};
    int rc;

    load_series_init(&d.series, "guest", o->action);
    d.series.revision = o->revision;
    d.kafka = load_kafka_new(o->brokers, TOPICS, 1, err);
    if (!d.kafka)
        return -1;
    d.items = cw_calloc((size_t)d.total, sizeof(*d.items));
    cw_str_init(&d.text, MAX_TEXT);
    rc = run_drive(&d, err);
    cw_str_done(&d.text);
    free(d.items);
    load_kafka_free(d.kafka);
    return rc;
}

/* ---- echo ---- */

static const char *const OUT_TOPIC[] = {"bench.out"}, *const BACK_TOPIC[] = {"bench.back"};

/* The far end, a thread of its own: what arrives on bench.out goes out on bench.back. */
struct reflector {
    struct load_kafka *kafka;
    atomic_bool stop;
    struct cw_slice reply;
    struct cw_err err; /* read after the thread has ended */
};

static void *reflect(void *arg)
{
    struct reflector *r = arg;
    struct load_message message;

    while (!atomic_load(&r->stop)) {
        int got = load_kafka_poll(r->kafka, TICK_MS, &message, &r->err);

        if (got < 0 ||
            (got > 0 && load_kafka_produce(r->kafka, BACK_TOPIC[0], r->reply, &r->err) != 0))
            break;
    }
    return NULL;
}

static int echo_once(struct load_kafka *kafka, const struct options *o, struct cw_slice value,
                     int64_t *ret_us, struct cw_err *err)
{
    int64_t sent_us = load_now_us();
    struct load_message message;
    int got = 0;

    if (load_kafka_produce(kafka, OUT_TOPIC[0], value, err) != 0)
        return -1;
    while (got == 0) {
        got = load_kafka_poll(kafka, TICK_MS, &message, err);
        if (got == 0 && load_now_us() - sent_us > o->timeout_s * 1000000)
            return cw_fail(err, CW_TIMEOUT, "no echo within %lld s", (long long)o->timeout_s);
    }
    *ret_us = message.received_us - sent_us;
    return got < 0 ? -1 : 0;
}

static int run_echo(struct load_kafka *kafka, struct options *o, struct cw_err *err)
{
    cw_auto_free int64_t *values = cw_calloc((size_t)(o->warmup + o->count), sizeof(*values));
    struct load_series series;
    struct cw_json_writer w;
    cw_auto_str struct cw_str text;

    cw_str_init(&text, MAX_TEXT);
    load_series_init(&series, "guest", o->action);
    for (int64_t i = 0; i < o->warmup + o->count; i++) {
        if (i == o->warmup && start_meters(o, err) != 0)
            return -1;
        load_write_activation(&series, (uint32_t)i, cw_clock_wall_ms(cw_clock_system()), &text);
        if (echo_once(kafka, o, cw_str_slice(&text), &values[i], err) != 0)
            return -1;
    }
    if (stop_meters(o, err) != 0)
        return -1;
    cw_str_reset(&text);
    cw_json_begin(&w, &text);
    cw_json_object(&w);
    cw_json_kv_string(&w, "mode", "echo");
    cw_json_kv_int(&w, "count", o->count);
    load_write_durations(&w, "echo_us", values + o->warmup, (size_t)o->count);
    write_meters(o, &w);
    cw_json_object_end(&w);
    print_line(&text);
    return 0;
}

static int mode_echo(struct options *o, struct cw_err *err)
{
    static const char REPLY[700] = {0}; /* about the size of a result ack */
    struct reflector r = {.reply = cw_slice(REPLY, sizeof(REPLY))};
    struct load_kafka *kafka = load_kafka_new(o->brokers, BACK_TOPIC, 1, err);
    pthread_t thread;
    int rc = -1;

    r.kafka = kafka ? load_kafka_new(o->brokers, OUT_TOPIC, 1, err) : NULL;
    if (r.kafka && pthread_create(&thread, NULL, reflect, &r) == 0) {
        rc = run_echo(kafka, o, err);
        atomic_store(&r.stop, true);
        (void)pthread_join(thread, NULL);
        if (r.err.code) {
            *err = r.err;
            rc = -1;
        }
    }
    load_kafka_free(r.kafka);
    load_kafka_free(kafka);
    return rc;
}

/* ---- startup ---- */

enum { TOPIC_HEALTH, TOPIC_ACKS };

struct startup {
    struct options *o;
    struct load_kafka *kafka;
    struct load_series series;
    int64_t ping_us, healthy_us; /* 0: not yet */
};

static int on_ping(struct startup *s, const struct load_message *message, struct cw_err *err)
{
    cw_auto_str struct cw_str text;
    bool enabled;

    cw_str_init(&text, MAX_TEXT);
    if (load_read_ping(message->value, &enabled, err) != 0)
        return -1;
    if (s->ping_us || !enabled)
        return 0;
    s->ping_us = message->received_us;
    if (load_kafka_learn_leader(s->kafka, s->o->topic, err) != 0)
        return -1;
    load_write_activation(&s->series, 0, cw_clock_wall_ms(cw_clock_system()), &text);
    return load_kafka_produce(s->kafka, s->o->topic, cw_str_slice(&text), err);
}

static int on_health_ack(struct startup *s, const struct load_message *message, struct cw_err *err)
{
    struct load_ack ack;

    if (load_read_ack(&s->series, message->value, &ack, err) != 0)
        return -1;
    if (!ack.ours || ack.kind == LOAD_ACK_RESULT)
        return 0;
    if (!ack.success)
        return cw_fail(err, CW_INTERNAL, "the health action failed");
    s->healthy_us = message->received_us;
    return 0;
}

static int watch_start(struct startup *s, struct cw_err *err)
{
    int64_t give_up_us = load_now_us() + s->o->timeout_s * 1000000;
    struct load_message message;

    while (!s->healthy_us) {
        int got = load_kafka_poll(s->kafka, TICK_MS, &message, err);

        if (got < 0)
            return -1;
        if (got > 0 && (message.topic == TOPIC_HEALTH ? on_ping(s, &message, err)
                                                      : on_health_ack(s, &message, err)) != 0)
            return -1;
        if (load_now_us() > give_up_us)
            return cw_fail(err, CW_TIMEOUT, "%s within %lld s",
                           s->ping_us ? "the health action has not ended" : "no ping",
                           (long long)s->o->timeout_s);
    }
    return 0;
}

static int mode_startup(struct options *o, struct cw_err *err)
{
    static const char *const TOPICS[] = {[TOPIC_HEALTH] = "health", [TOPIC_ACKS] = "completed0"};
    struct startup s = {.o = o};
    int rc;

    load_series_init(&s.series, "whisk.system", "invokerHealthTestAction0");
    s.series.transid = "sid_invokerHealth";
    s.series.blocking = false;
    s.kafka = load_kafka_new(o->brokers, TOPICS, CW_ARRAY_LEN(TOPICS), err);
    if (!s.kafka)
        return -1;
    (void)puts("{\"mode\":\"startup\",\"listening\":true}");
    (void)fflush(stdout);
    rc = watch_start(&s, err);
    if (rc == 0)
        (void)printf("{\"mode\":\"startup\",\"first_ping_at_us\":%lld,\"healthy_at_us\":%lld}\n",
                     (long long)s.ping_us, (long long)s.healthy_us);
    load_kafka_free(s.kafka);
    return rc;
}

/* ---- */

static int run(struct options *o, struct cw_err *err)
{
    static const struct {
        const char *name;
        int (*fn)(struct options *o, struct cw_err *err);
    } MODES[] = {{"activations", mode_activations}, {"echo", mode_echo}, {"startup", mode_startup}};

    for (size_t i = 0; i < CW_ARRAY_LEN(MODES); i++)
        if (strcmp(MODES[i].name, o->mode) == 0)
            return MODES[i].fn(o, err);
    return cw_fail(err, CW_INVALID, "mode %s: expected echo, activations or startup", o->mode);
}

int main(int argc, char **argv)
{
    struct options o = {
        .action = "hello", .revision = REVISION, .count = 1000, .window = 1, .timeout_s = 30};
    struct cw_err err;
    int rc = add_self(&o, &err);

    if (rc == 0)
        rc = read_options(argc, argv, &o, &err);
    if (rc == 0)
        rc = run(&o, &err);
    if (rc != 0)
        (void)fprintf(stderr, "bench_load: %s\n", err.msg);
    for (size_t i = 0; i < o.process_count; i++)
        free(o.processes[i].name);
    return rc == 0 ? 0 : 1;
}
