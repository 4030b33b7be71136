/* Which message a controller gets when (openwhisk kafka.md 6.1), and what is in it. */
#include "tests/support/cmocka_all.h"

#include <jansson.h>

#include "common/loop/loop.h"
#include "common/model/activation_message.h"
#include "common/model/manifest.h"
#include "common/obs/metrics.h"
#include "invoker/ack.h"
#include "invoker/job.h"
#include "invoker/trace.h"
#include "tests/support/fake_bus.h"
#include "tests/support/jobs.h"
#include "tests/support/turns.h"

/* White space and escapes as no writer of ours makes them: they must come back untouched. */
#define TRANSID "[\"Wq\\u0033\",1700000000123,true,[\"root\",1700000000000]]"
#define INSTANCE                                                                                   \
    "{\"instance\":0,\"instanceType\":\"invoker\",\"userMemory\":\"1073741824 B\",\"tags\":[],"    \
    "\"dedicatedNamespaces\":[],\"uniqueName\":\"w\"}"

static const char ID[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

enum shape { NOTHING, RESULT, COMPLETION, COMBINED, RESULT_SHRUNK, COMBINED_SHRUNK };

struct world {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    struct fake_bus bus;
    struct cw_manifest *manifest;
    struct inv_acks *acks;
    struct inv_acks_conf conf;
};

static void begin(struct world *w, size_t max_bytes, const char *events_topic)
{
    *w = (struct world){
        .loop = cw_loop_new(NULL, NULL),
        .metrics = cw_metrics_new(),
        .manifest = test_manifest(),
    };
    fake_bus_init(&w->bus, w->loop);
    w->conf = (struct inv_acks_conf){
        .loop = w->loop,
        .bus = &w->bus.base,
        .metrics = w->metrics,
        .topic_prefix = "ow-",
        .instance = CW_SLICE(INSTANCE),
        .max_bytes = max_bytes,
        .events_topic = events_topic,
        .source = "invoker0",
    };
    w->acks = inv_acks_new(&w->conf);
}

static void end(struct world *w)
{
    run_turns(w->loop); /* answers of the broker */
    cw_bus_free(&w->bus.base);
    inv_acks_free(w->acks);
    cw_manifest_free(w->manifest);
    cw_metrics_free(w->metrics);
    cw_loop_free(w->loop);
}

static uint64_t counter(const struct world *w, const char *name, const char *labels)
{
    return cw_counter_value(cw_metrics_counter(w->metrics, name, labels, NULL));
}

/* An activation that ran with the given outcome. logs_mb -1: its action could not be fetched. */
static struct inv_job *make_job(struct world *w, bool blocking, int logs_mb, enum cw_status status,
                                const char *result)
{
    struct cw_action *action =
        logs_mb < 0 ? NULL : test_action(w->manifest, "hello", 60000, 256, (unsigned)logs_mb, 1);
    struct inv_job *job = test_job(
        &(struct test_message){.id = 'a', .transid = TRANSID, .non_blocking = !blocking}, action);

    job->ended_in_container = action != NULL;
    job->start_ms = 1700000001000;
    job->end_ms = 1700000001042;
    job->wait_ms = 7;
    job->init_ms = 11;
    job->outcome.status = status;
    cw_str_addz(&job->outcome.result, result);
    job->outcome.size = (int64_t)strlen(result);
    return job;
}

/* ---- looking at messages ---- */

static json_t *parse(struct cw_slice text)
{
    json_error_t err;
    json_t *root = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &err);

    if (!root)
        fail_msg("%s at %d in %.*s", err.text, err.position, (int)text.n, text.p);
    return root;
}

/* Exactly these members; NULL ends the list. */
static void expect_keys(const json_t *object, const char *const *keys)
{
    size_t n = 0;

    assert_true(json_is_object(object));
    for (; keys[n]; n++)
        if (!json_object_get(object, keys[n]))
            fail_msg("%s is missing", keys[n]);
    assert_int_equal(json_object_size(object), n);
}

#define EXPECT_KEYS(object, ...) expect_keys(object, (const char *const[]){__VA_ARGS__, NULL})

static enum shape shape_of(const json_t *m)
{
    const json_t *response = json_object_get(m, "response");
    bool last = json_object_get(m, "instance") != NULL;

    if (!response)
        return last ? COMPLETION : NOTHING;
    if (json_is_string(response))
        return last ? COMBINED_SHRUNK : RESULT_SHRUNK;
    return last ? COMBINED : RESULT;
}

static void check_keys(const json_t *m, enum shape shape)
{
    switch (shape) {
    case NOTHING:
        fail_msg("a message of no known shape");
        break;
    case RESULT:
    case RESULT_SHRUNK:
        EXPECT_KEYS(m, "transid", "response");
        break;
    case COMPLETION:
        EXPECT_KEYS(m, "transid", "activationId", "isSystemError", "instance");
        break;
    case COMBINED:
    case COMBINED_SHRUNK:
        EXPECT_KEYS(m, "transid", "response", "isSystemError", "instance");
        break;
    }
}

static const char *string_in(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (!text)
        fail_msg("%s is no string", key);
    return text;
}

static json_int_t int_in(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);

    if (!json_is_integer(v))
        fail_msg("%s is no integer", key);
    return json_integer_value(v);
}

/* Value of an annotation, NULL when absent. */
static const json_t *annotation(const json_t *record, const char *key)
{
    size_t i;
    json_t *a;

    json_array_foreach(json_object_get(record, "annotations"), i, a)
    {
        EXPECT_KEYS(a, "key", "value");
        if (strcmp(string_in(a, "key"), key) == 0)
            return json_object_get(a, "value");
    }
    return NULL;
}

/* Everything that a controller insists on. */
static void check_record(const json_t *r, enum cw_status status)
{
    const json_t *response = json_object_get(r, "response");

    EXPECT_KEYS(r, "namespace", "name", "subject", "activationId", "start", "end", "duration",
                "response", "logs", "version", "publish", "annotations");
    assert_string_equal(string_in(r, "namespace"), "guest");
    assert_string_equal(string_in(r, "name"), "hello");
    assert_string_equal(string_in(r, "subject"), "guest");
    assert_string_equal(string_in(r, "activationId"), ID);
    assert_string_equal(string_in(r, "version"), "0.0.1");
    assert_true(json_is_false(json_object_get(r, "publish")));
    assert_int_equal(int_in(r, "end") - int_in(r, "start"), int_in(r, "duration"));
    assert_true(json_is_array(json_object_get(r, "logs")));
    assert_int_equal(json_array_size(json_object_get(r, "logs")), 0);
    assert_int_equal(int_in(response, "statusCode"), status);
    assert_true(json_is_object(json_object_get(response, "result")));
    assert_string_equal(json_string_value(annotation(r, "path")), "guest/hello");
    assert_non_null(annotation(r, "kind"));
}

static void check_message(const struct fake_bus_message *sent, enum shape expected,
                          enum cw_status status, bool system_error)
{
    static const char START[] = "{\"transid\":" TRANSID ",";
    json_t *m = parse(sent->value), *instance = parse(CW_SLICE(INSTANCE));
    enum shape shape = shape_of(m);

    assert_string_equal(sent->topic, "ow-completed0");
    assert_int_equal(shape, expected);
    check_keys(m, shape);
    assert_memory_equal(sent->value.p, START, strlen(START));
    if (shape == COMPLETION)
        assert_string_equal(string_in(m, "activationId"), ID);
    if (shape == RESULT_SHRUNK || shape == COMBINED_SHRUNK)
        assert_string_equal(string_in(m, "response"), ID);
    if (shape == RESULT || shape == COMBINED)
        check_record(json_object_get(m, "response"), status);
    if (shape != RESULT && shape != RESULT_SHRUNK) {
        assert_true(json_equal(json_object_get(m, "instance"), instance));
        assert_true(json_is_boolean(json_object_get(m, "isSystemError")));
        assert_int_equal(json_is_true(json_object_get(m, "isSystemError")), system_error);
    }
    json_decref(instance);
    json_decref(m);
}

/* ---- the table ---- */

enum situation {
    RAN,          /* in a container */
    NOT_FETCHED,  /* or not executable, or over its limits */
    FAILED_START, /* its container could not be created */
    ABORTED,      /* it waited for a container that failed */
};

static const struct row {
    const char *name;
    enum situation situation;
    int logs_mb;
    bool blocking;
    enum shape first, second;
} TABLE[] = {
    {"split run, blocking", RAN, 10, true, RESULT, COMPLETION},
    {"split run, non-blocking", RAN, 10, false, COMPLETION, NOTHING},
    {"run without logs, blocking", RAN, 0, true, COMBINED, NOTHING},
    {"run without logs, non-blocking", RAN, 0, false, COMPLETION, NOTHING},
    {"no action, blocking", NOT_FETCHED, -1, true, COMBINED, NOTHING},
    {"no action, non-blocking", NOT_FETCHED, -1, false, COMBINED_SHRUNK, NOTHING},
    {"over its limits, blocking", NOT_FETCHED, 10, true, COMBINED, NOTHING},
    {"over its limits, non-blocking", NOT_FETCHED, 10, false, COMBINED_SHRUNK, NOTHING},
    {"no container, blocking, logs", FAILED_START, 10, true, COMBINED, NOTHING},
    {"no container, non-blocking, logs", FAILED_START, 10, false, COMBINED_SHRUNK, NOTHING},
    {"no container, blocking", FAILED_START, 0, true, COMBINED, NOTHING},
    {"no container, non-blocking", FAILED_START, 0, false, COMBINED_SHRUNK, NOTHING},
    {"aborted, blocking, logs", ABORTED, 10, true, COMBINED, NOTHING},
    {"aborted, non-blocking, logs", ABORTED, 10, false, COMPLETION, NOTHING},
    {"aborted, blocking", ABORTED, 0, true, COMBINED, NOTHING},
    {"aborted, non-blocking", ABORTED, 0, false, COMPLETION, NOTHING},
};

static void act_out(struct world *w, struct inv_job *job, enum situation situation)
{
    switch (situation) {
    case RAN:
        inv_acks_result(w->acks, job);
        inv_acks_end(w->acks, job, INV_END_RAN);
        break;
    case NOT_FETCHED:
    case FAILED_START:
        job->ended_in_container = false;
        inv_acks_end(w->acks, job, INV_END_FAILED_START);
        break;
    case ABORTED:
        inv_acks_end(w->acks, job, INV_END_ABORTED);
        break;
    }
}

static void play_row(const struct row *row, enum cw_status status)
{
    struct world w;
    struct inv_job *job;
    size_t count = row->second == NOTHING ? 1 : 2;

    begin(&w, 1 << 20, NULL);
    job = make_job(&w, row->blocking, row->logs_mb, status, "{\"error\":1}");
    act_out(&w, job, row->situation);
    assert_int_equal(w.bus.sent_count, 1); /* a second one waits for the first */
    run_turns(w.loop);
    if (w.bus.sent_count != count)
        fail_msg("%s: %zu messages", row->name, w.bus.sent_count);
    check_message(&w.bus.sent[0], row->first, status, status == CW_STATUS_WHISK_ERROR);
    if (row->second != NOTHING)
        check_message(&w.bus.sent[1], row->second, status, status == CW_STATUS_WHISK_ERROR);
    assert_true(job->answered);
    assert_true(job->at[INV_AT_ENDED] > 0);
    inv_job_free(job);
    end(&w);
}

static void each_situation_gets_the_messages_of_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(TABLE); i++)
        for (int status = CW_STATUS_SUCCESS; status <= CW_STATUS_WHISK_ERROR; status++)
            play_row(&TABLE[i], (enum cw_status)status);
}

/* ---- single rules ---- */

static void result_goes_out_before_the_logs_are_there(void **state)
{
    struct world w;
    struct inv_job *job;

    (void)state;
    begin(&w, 1 << 20, NULL);
    job = make_job(&w, true, 10, CW_STATUS_SUCCESS, "{}");
    inv_acks_result(w.acks, job);
    assert_int_equal(w.bus.sent_count, 1);
    assert_false(job->answered); /* the slot is not free yet */
    run_turns(w.loop);
    inv_acks_end(w.acks, job, INV_END_RAN);
    assert_int_equal(w.bus.sent_count, 2);
    inv_job_free(job);
    end(&w);
}

static void completion_waits_until_the_broker_has_the_result(void **state)
{
    struct world w;
    struct inv_job *job;

    (void)state;
    for (unsigned refused = 0; refused < 2; refused++) {
        begin(&w, 1 << 20, NULL);
        w.bus.hold_answers = true;
        w.bus.failures = refused;
        job = make_job(&w, true, 10, CW_STATUS_SUCCESS, "{}");
        inv_acks_result(w.acks, job);
        inv_acks_end(w.acks, job, INV_END_RAN);
        inv_job_free(job);
        run_turns(w.loop);
        assert_int_equal(w.bus.sent_count, 1);
        check_message(&w.bus.sent[0], RESULT, CW_STATUS_SUCCESS, false);
        fake_bus_release(&w.bus);
        run_turns(w.loop);
        assert_int_equal(w.bus.sent_count, 2);
        check_message(&w.bus.sent[1], COMPLETION, CW_STATUS_SUCCESS, false);
        end(&w);
    }
}

/* The last field of the newest activation in the trace. */
static int64_t traced_end(const struct inv_trace *trace)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, 1 << 16);
    inv_trace_render(trace, &text);
    return strtoll(strrchr(text.p, ',') + 1, NULL, 10);
}

static void trace_has_the_moment_at_which_a_completion_that_waited_went(void **state)
{
    struct world w;
    struct inv_job *job;
    int64_t waiting_us;

    (void)state;
    begin(&w, 1 << 20, NULL);
    w.conf.trace = inv_trace_new(1);
    inv_acks_free(w.acks);
    w.acks = inv_acks_new(&w.conf);
    w.bus.hold_answers = true;
    job = make_job(&w, true, 10, CW_STATUS_SUCCESS, "{}");
    inv_acks_result(w.acks, job);
    assert_true(job->at[INV_AT_RESULT] > 0);
    inv_acks_end(w.acks, job, INV_END_RAN);
    waiting_us = traced_end(w.conf.trace);
    assert_int_equal(waiting_us, job->at[INV_AT_ENDED]);
    inv_job_free(job);
    while (cw_loop_mono_us(w.loop) <= waiting_us)
        ;
    fake_bus_release(&w.bus);
    run_turns(w.loop);
    assert_int_equal(w.bus.sent_count, 2);
    assert_true(traced_end(w.conf.trace) > waiting_us);
    end(&w);
    inv_trace_free(w.conf.trace);
}

static void completion_goes_behind_a_result_that_is_sent_again(void **state)
{
    struct world w;
    struct inv_job *job;

    (void)state;
    begin(&w, 1 << 20, NULL);
    w.bus.failures = 1;
    w.bus.failure.code = CW_TOO_LARGE;
    job = make_job(&w, true, 10, CW_STATUS_SUCCESS, "{}");
    inv_acks_result(w.acks, job);
    inv_acks_end(w.acks, job, INV_END_RAN);
    inv_job_free(job);
    run_turns(w.loop);
    assert_int_equal(w.bus.sent_count, 3);
    check_message(&w.bus.sent[0], RESULT, CW_STATUS_SUCCESS, false);
    check_message(&w.bus.sent[1], RESULT_SHRUNK, CW_STATUS_SUCCESS, false);
    check_message(&w.bus.sent[2], COMPLETION, CW_STATUS_SUCCESS, false);
    end(&w);
}

static void result_and_run_annotations_are_in_the_record(void **state)
{
    struct world w;
    struct inv_job *job;
    json_t *m;
    const json_t *record, *limits;

    (void)state;
    begin(&w, 1 << 20, NULL);
    job = make_job(&w, true, 0, CW_STATUS_SUCCESS, "{\"x\":0.10}");
    inv_acks_end(w.acks, job, INV_END_RAN);
    assert_non_null(strstr(w.bus.sent[0].value.p, "\"result\":{\"x\":0.10}")); /* as it came */
    m = parse(w.bus.sent[0].value);
    record = json_object_get(m, "response");
    assert_int_equal(int_in(json_object_get(record, "response"), "size"), 10);
    assert_int_equal(int_in(record, "start"), 1700000001000);
    assert_int_equal(int_in(record, "duration"), 42);
    assert_string_equal(json_string_value(annotation(record, "kind")), "nodejs:20");
    assert_int_equal(json_integer_value(annotation(record, "waitTime")), 7);
    assert_int_equal(json_integer_value(annotation(record, "initTime")), 11);
    assert_true(json_is_false(annotation(record, "timeout")));
    limits = annotation(record, "limits");
    EXPECT_KEYS(limits, "timeout", "memory", "logs", "concurrency");
    assert_int_equal(int_in(limits, "memory"), 256);
    json_decref(m);
    inv_job_free(job);
    end(&w);
}

static void what_the_stop_ended_is_no_system_error(void **state)
{
    struct world w;
    struct inv_job *job;
    enum shape shapes[] = {COMBINED, COMPLETION, COMBINED_SHRUNK};

    (void)state;
    begin(&w, 1 << 20, NULL);
    for (int i = 0; i < 3; i++) {
        job = make_job(&w, i == 0, 0, CW_STATUS_SUCCESS, "{}");
        inv_job_stop(job, 1700000002000);
        inv_acks_end(w.acks, job, i == 2 ? INV_END_FAILED_START : INV_END_ABORTED);
        check_message(&w.bus.sent[i], shapes[i], CW_STATUS_WHISK_ERROR, false);
        inv_job_free(job);
    }
    end(&w);
}

static void blocked_caller_gets_no_result(void **state)
{
    struct world w;
    struct inv_job *job;

    (void)state;
    begin(&w, 1 << 20, NULL);
    for (size_t i = 0; i < 2; i++) {
        job = make_job(&w, i == 0, -1, CW_STATUS_SUCCESS, "{}");
        inv_job_fail(job, CW_STATUS_APPLICATION_ERROR, "blocked", 1700000002000);
        job->blocked = true;
        inv_acks_end(w.acks, job, INV_END_FAILED_START);
        check_message(&w.bus.sent[i], COMBINED_SHRUNK, CW_STATUS_APPLICATION_ERROR, false);
        inv_job_free(job);
    }
    assert_int_equal(w.bus.sent_count, 2);
    end(&w);
}

static void slot_is_freed_once(void **state)
{
    struct world w;
    struct inv_job *job;

    (void)state;
    begin(&w, 1 << 20, "events");
    job = make_job(&w, true, 0, CW_STATUS_SUCCESS, "{}");
    inv_acks_end(w.acks, job, INV_END_RAN);
    inv_acks_end(w.acks, job, INV_END_ABORTED);
    assert_int_equal(w.bus.sent_count, 2); /* an event and an ack */
    inv_job_free(job);
    end(&w);
}

static void messages_are_counted_by_kind(void **state)
{
    struct world w;
    struct inv_job *job;

    (void)state;
    begin(&w, 1 << 20, NULL);
    job = make_job(&w, true, 10, CW_STATUS_SUCCESS, "{}");
    inv_acks_result(w.acks, job);
    inv_acks_end(w.acks, job, INV_END_RAN);
    inv_job_free(job);
    job = make_job(&w, false, -1, CW_STATUS_WHISK_ERROR, "{}");
    inv_acks_end(w.acks, job, INV_END_FAILED_START);
    inv_job_free(job);
    assert_int_equal(counter(&w, "cwhisk_acks_total", "kind=\"result\""), 1);
    assert_int_equal(counter(&w, "cwhisk_acks_total", "kind=\"completion\""), 1);
    assert_int_equal(counter(&w, "cwhisk_acks_total", "kind=\"combined\""), 1);
    assert_int_equal(counter(&w, "cwhisk_acks_shrunk_total", NULL), 0); /* non-blocking: as usual */
    end(&w);
}

/* ---- too large ---- */

static char *long_result(size_t n)
{
    struct cw_str text;

    cw_str_init(&text, n + 16);
    cw_str_addz(&text, "{\"x\":\"");
    for (size_t i = 0; i < n; i++)
        cw_str_addc(&text, 'x');
    cw_str_addz(&text, "\"}");
    return cw_str_steal(&text);
}

static void what_is_over_the_limit_is_sent_shrunk(void **state)
{
    struct world w;
    struct inv_job *job;
    cw_auto_free char *result = long_result(4096);

    (void)state;
    begin(&w, 4096, NULL);
    job = make_job(&w, true, 10, CW_STATUS_SUCCESS, result);
    inv_acks_result(w.acks, job);
    inv_acks_end(w.acks, job, INV_END_RAN);
    inv_job_free(job);
    run_turns(w.loop);
    job = make_job(&w, true, 0, CW_STATUS_WHISK_ERROR, result);
    inv_acks_end(w.acks, job, INV_END_RAN);
    inv_job_free(job);
    assert_int_equal(w.bus.sent_count, 3);
    check_message(&w.bus.sent[0], RESULT_SHRUNK, CW_STATUS_SUCCESS, false);
    check_message(&w.bus.sent[1], COMPLETION, CW_STATUS_SUCCESS, false);
    check_message(&w.bus.sent[2], COMBINED_SHRUNK, CW_STATUS_WHISK_ERROR, true);
    assert_int_equal(counter(&w, "cwhisk_acks_shrunk_total", NULL), 2);
    end(&w);
}

static void message_of_exactly_the_limit_is_sent_whole(void **state)
{
    struct world w;
    struct inv_job *job;
    size_t whole;

    (void)state;
    begin(&w, 1 << 20, NULL);
    job = make_job(&w, true, 0, CW_STATUS_SUCCESS, "{\"x\":1}");
    inv_acks_end(w.acks, job, INV_END_RAN);
    whole = w.bus.sent[0].value.n;
    inv_job_free(job);
    end(&w);
    for (size_t less = 0; less < 2; less++) {
        begin(&w, whole - less, NULL);
        job = make_job(&w, true, 0, CW_STATUS_SUCCESS, "{\"x\":1}");
        inv_acks_end(w.acks, job, INV_END_RAN);
        assert_int_equal(w.bus.sent_count, 1);
        check_message(&w.bus.sent[0], less ? COMBINED_SHRUNK : COMBINED, CW_STATUS_SUCCESS, false);
        inv_job_free(job);
        end(&w);
    }
}

static void what_the_broker_finds_too_large_is_sent_again_shrunk(void **state)
{
    static const struct {
        int logs_mb;
        enum shape whole, shrunk;
    } CASES[] = {{10, RESULT, RESULT_SHRUNK}, {0, COMBINED, COMBINED_SHRUNK}};

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct world w;
        struct inv_job *job;

        begin(&w, 1 << 20, NULL);
        w.bus.failures = 1;
        w.bus.failure.code = CW_TOO_LARGE;
        job = make_job(&w, true, CASES[i].logs_mb, CW_STATUS_WHISK_ERROR, "{}");
        inv_acks_result(w.acks, job);
        inv_acks_end(w.acks, job, INV_END_RAN);
        inv_job_free(job); /* gone before the broker answers */
        assert_int_equal(w.bus.sent_count, 1);
        run_turns(w.loop);
        assert_int_equal(w.bus.sent_count, CASES[i].logs_mb ? 3 : 2);
        check_message(&w.bus.sent[0], CASES[i].whole, CW_STATUS_WHISK_ERROR, true);
        check_message(&w.bus.sent[1], CASES[i].shrunk, CW_STATUS_WHISK_ERROR, true);
        assert_int_equal(counter(&w, "cwhisk_acks_shrunk_total", NULL), 1);
        assert_int_equal(counter(&w, "cwhisk_acks_failed_total", NULL), 0);
        end(&w);
    }
}

static void shrunk_message_is_not_tried_again(void **state)
{
    struct world w;
    struct inv_job *job;

    (void)state;
    begin(&w, 1 << 20, NULL);
    w.bus.failures = 3;
    w.bus.failure.code = CW_TOO_LARGE;
    job = make_job(&w, true, 0, CW_STATUS_SUCCESS, "{}");
    inv_acks_end(w.acks, job, INV_END_RAN);
    inv_job_free(job);
    run_turns(w.loop);
    assert_int_equal(w.bus.sent_count, 2);
    assert_int_equal(counter(&w, "cwhisk_acks_failed_total", NULL), 1);
    job = make_job(&w, false, 0, CW_STATUS_SUCCESS, "{}"); /* a completion is as small as it gets */
    inv_acks_end(w.acks, job, INV_END_RAN);
    inv_job_free(job);
    run_turns(w.loop);
    assert_int_equal(w.bus.sent_count, 3);
    assert_int_equal(counter(&w, "cwhisk_acks_failed_total", NULL), 2);
    end(&w);
}

static void other_failures_are_counted_and_left(void **state)
{
    struct world w;
    struct inv_job *job;

    (void)state;
    begin(&w, 1 << 20, NULL);
    w.bus.failures = 1; /* the bus gave up after its own retries */
    job = make_job(&w, true, 0, CW_STATUS_SUCCESS, "{}");
    inv_acks_end(w.acks, job, INV_END_RAN);
    inv_job_free(job);
    run_turns(w.loop);
    assert_int_equal(w.bus.sent_count, 1);
    assert_int_equal(counter(&w, "cwhisk_acks_failed_total", NULL), 1);
    assert_int_equal(counter(&w, "cwhisk_acks_shrunk_total", NULL), 0);
    end(&w);
}

static void long_transid_comes_back_whole(void **state)
{
    struct world w;
    char id[100001];
    struct cw_str transid;
    struct inv_job *job;
    json_t *m;

    (void)state;
    memset(id, 'i', sizeof(id) - 1);
    id[sizeof(id) - 1] = '\0';
    cw_str_init(&transid, 200000);
    cw_str_addf(&transid, "[\"%s\",1]", id);
    begin(&w, 1 << 20, NULL);
    job = test_job(&(struct test_message){.id = 'a', .transid = transid.p, .non_blocking = true},
                   NULL);
    inv_job_fail(job, CW_STATUS_WHISK_ERROR, "no action", 1);
    inv_acks_end(w.acks, job, INV_END_FAILED_START);
    m = parse(w.bus.sent[0].value);
    EXPECT_KEYS(m, "transid", "response", "isSystemError", "instance");
    assert_memory_equal(w.bus.sent[0].value.p + strlen("{\"transid\":"), transid.p, transid.n);
    json_decref(m);
    inv_job_free(job);
    cw_str_done(&transid);
    end(&w);
}

/* ---- user events ---- */

static void event_goes_before_the_message_that_frees_the_slot(void **state)
{
    struct world w;

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(TABLE); i++) {
        const struct row *row = &TABLE[i];
        struct inv_job *job;
        size_t at = row->second == NOTHING ? 0 : 1; /* of the event */

        begin(&w, 1 << 20, "events");
        job = make_job(&w, row->blocking, row->logs_mb, CW_STATUS_SUCCESS, "{\"ok\":1}");
        act_out(&w, job, row->situation);
        run_turns(w.loop);
        assert_int_equal(w.bus.sent_count, at + 2);
        assert_string_equal(w.bus.sent[at].topic, "events");
        assert_string_equal(w.bus.sent[at + 1].topic, "ow-completed0");
        check_message(&w.bus.sent[at + 1], at ? row->second : row->first, CW_STATUS_SUCCESS, false);
        inv_job_free(job);
        end(&w);
    }
}

static void event_tells_what_is_billed(void **state)
{
    struct world w;
    struct inv_job *job;
    json_t *m;
    const json_t *body;

    (void)state;
    begin(&w, 1 << 20, "events");
    job = make_job(&w, false, 0, CW_STATUS_APPLICATION_ERROR, "{\"error\":{\"statusCode\":404}}");
    inv_acks_end(w.acks, job, INV_END_RAN);
    m = parse(w.bus.sent[0].value);
    EXPECT_KEYS(m, "source", "body", "subject", "namespace", "userId", "eventType", "timestamp");
    assert_string_equal(string_in(m, "source"), "invoker0");
    assert_string_equal(string_in(m, "subject"), "guest");
    assert_string_equal(string_in(m, "namespace"), "guest");
    assert_string_equal(string_in(m, "userId"), "u");
    assert_string_equal(string_in(m, "eventType"), "Activation");
    assert_true(int_in(m, "timestamp") > 1700000000000);
    body = json_object_get(m, "body");
    EXPECT_KEYS(body, "name", "activationId", "statusCode", "duration", "waitTime", "initTime",
                "kind", "conductor", "memory", "size", "userDefinedStatusCode");
    assert_string_equal(string_in(body, "name"), "guest/hello");
    assert_string_equal(string_in(body, "activationId"), ID);
    assert_string_equal(string_in(body, "kind"), "nodejs:20");
    assert_int_equal(int_in(body, "statusCode"), 1);
    assert_int_equal(int_in(body, "duration"), 42);
    assert_int_equal(int_in(body, "waitTime"), 7);
    assert_int_equal(int_in(body, "initTime"), 11);
    assert_int_equal(int_in(body, "memory"), 256);
    assert_int_equal(int_in(body, "size"), 28);
    assert_int_equal(int_in(body, "userDefinedStatusCode"), 404);
    json_decref(m);
    inv_job_free(job);
    end(&w);
}

static void event_over_the_limit_is_left_out(void **state)
{
    struct world w;
    struct inv_job *job;

    (void)state;
    begin(&w, 100, "events");
    job = make_job(&w, false, 0, CW_STATUS_SUCCESS, "{}");
    inv_acks_end(w.acks, job, INV_END_RAN);
    inv_job_free(job);
    assert_int_equal(w.bus.sent_count, 1);
    check_message(&w.bus.sent[0], COMPLETION, CW_STATUS_SUCCESS, false);
    end(&w);
}

static void lost_event_does_not_hold_up_the_ack(void **state)
{
    struct world w;
    struct inv_job *job;

    (void)state;
    begin(&w, 1 << 20, "events");
    w.bus.failures = 1;
    w.bus.failure.code = CW_TOO_LARGE;
    job = make_job(&w, true, 0, CW_STATUS_SUCCESS, "{}");
    inv_acks_end(w.acks, job, INV_END_RAN);
    inv_job_free(job);
    run_turns(w.loop);
    assert_int_equal(w.bus.sent_count, 2);
    check_message(&w.bus.sent[1], COMBINED, CW_STATUS_SUCCESS, false);
    assert_int_equal(counter(&w, "cwhisk_acks_failed_total", NULL), 0);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_situation_gets_the_messages_of_the_table),
        cmocka_unit_test(result_goes_out_before_the_logs_are_there),
        cmocka_unit_test(completion_waits_until_the_broker_has_the_result),
        cmocka_unit_test(trace_has_the_moment_at_which_a_completion_that_waited_went),
        cmocka_unit_test(completion_goes_behind_a_result_that_is_sent_again),
        cmocka_unit_test(result_and_run_annotations_are_in_the_record),
        cmocka_unit_test(what_the_stop_ended_is_no_system_error),
        cmocka_unit_test(blocked_caller_gets_no_result),
        cmocka_unit_test(slot_is_freed_once),
        cmocka_unit_test(messages_are_counted_by_kind),
        cmocka_unit_test(what_is_over_the_limit_is_sent_shrunk),
        cmocka_unit_test(message_of_exactly_the_limit_is_sent_whole),
        cmocka_unit_test(what_the_broker_finds_too_large_is_sent_again_shrunk),
        cmocka_unit_test(shrunk_message_is_not_tried_again),
        cmocka_unit_test(other_failures_are_counted_and_left),
        cmocka_unit_test(long_transid_comes_back_whole),
        cmocka_unit_test(event_goes_before_the_message_that_frees_the_slot),
        cmocka_unit_test(event_tells_what_is_billed),
        cmocka_unit_test(event_over_the_limit_is_left_out),
        cmocka_unit_test(lost_event_does_not_hold_up_the_ack),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
