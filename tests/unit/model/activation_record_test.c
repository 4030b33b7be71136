#include "tests/support/cmocka_all.h"

#include "common/base/txid.h"
#include "common/model/activation_record.h"
#include "tests/unit/model/samples.h"

/* A record with what its slices point to. */
struct filled {
    struct cw_activation_record r;
    char *result, *limits;
};

static const json_t *annotation(const json_t *record, const char *key)
{
    const json_t *a;
    size_t i;

    json_array_foreach(json_object_get(record, "annotations"), i,
                       a) if (strcmp(string_at(a, "key"), key) ==
                              0) return json_object_get(a, "value");
    return NULL;
}

static int64_t int_or(const json_t *v, int64_t otherwise)
{
    return v ? json_integer_value(v) : otherwise;
}

static void fill(struct filled *f, const json_t *doc)
{
    const json_t *response = json_object_get(doc, "response");
    const json_t *limits = annotation(doc, "limits");
    const json_t *result = json_object_get(response, "result");

    *f = (struct filled){0};
    f->result = result ? dump_of(result) : NULL;
    f->limits = limits ? dump_of(limits) : NULL;
    f->r = (struct cw_activation_record){
        .namespace_name = string_at(doc, "namespace"),
        .name = string_at(doc, "name"),
        .subject = string_at(doc, "subject"),
        .activation_id = string_at(doc, "activationId"),
        .cause = string_at(doc, "cause"),
        .version = string_at(doc, "version"),
        .start_ms = int_or(json_object_get(doc, "start"), 0),
        .end_ms = int_or(json_object_get(doc, "end"), 0),
        .duration_ms = int_or(json_object_get(doc, "duration"), 0),
        .status = (enum cw_status)int_or(json_object_get(response, "statusCode"), 0),
        .result = cw_slice_of(f->result),
        .size = int_or(json_object_get(response, "size"), -1),
        .path = json_string_value(annotation(doc, "path")),
        .kind = json_string_value(annotation(doc, "kind")),
        .binding = json_string_value(annotation(doc, "binding")),
        .is_run = limits != NULL,
        .limits_raw = cw_slice_of(f->limits),
        .timeout = json_is_true(annotation(doc, "timeout")),
        .wait_ms = int_or(annotation(doc, "waitTime"), 0),
        .init_ms = int_or(annotation(doc, "initTime"), -1),
        .memory_mb = int_or(json_object_get(limits, "memory"), 0),
        .updated_ms = int_or(json_object_get(doc, "updated"), 0),
    };
}

static void unfill(struct filled *f)
{
    free(f->result);
    free(f->limits);
}

static int by_key(const void *a, const void *b)
{
    const json_t *const *x = a, *const *y = b;

    return strcmp(string_at(*x, "key"), string_at(*y, "key"));
}

/* Their order has no meaning. */
static void sort_annotations(json_t *record)
{
    json_t *old = json_object_get(record, "annotations"), *sorted = json_array();
    size_t n = json_array_size(old);
    json_t *items[32];

    assert_true(n <= CW_ARRAY_LEN(items));
    for (size_t i = 0; i < n; i++)
        items[i] = json_array_get(old, i);
    qsort(items, n, sizeof(*items), by_key);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(json_array_append(sorted, items[i]), 0);
    assert_int_equal(json_object_set_new(record, "annotations", sorted), 0);
}

static void same_record(struct cw_slice have_text, json_t *want)
{
    json_t *have = json_of(have_text);
    json_t *have_record =
        json_object_get(have, "activationId") ? have : json_object_get(have, "response");
    json_t *want_record =
        json_object_get(want, "activationId") ? want : json_object_get(want, "response");

    if (json_object_get(want_record, "annotations")) {
        sort_annotations(have_record);
        sort_annotations(want_record);
    }
    assert_json(have, want);
    json_decref(have);
}

/* Records that controllers wrote themselves (triggers, sequences) have other annotations. */
static bool is_of_invoker(const json_t *doc)
{
    const char *kind = json_string_value(annotation(doc, "kind"));

    return kind && strcmp(kind, "sequence") != 0;
}

static void check_stored(json_t *doc)
{
    cw_auto_free char *logs = dump_of(json_object_get(doc, "logs"));
    cw_auto_str struct cw_str s;
    struct filled f;

    cw_str_init(&s, 1 << 20);
    fill(&f, doc);
    cw_activation_record_encode(&f.r, cw_slice_of(logs), &s);
    json_object_del(doc, "_rev");
    same_record(cw_str_slice(&s), doc);
    unfill(&f);
}

static void recorded_documents_are_reproduced(void **state)
{
    json_t *docs = sample_documents("couch-activations.json"), *doc;
    size_t i, checked = 0;

    (void)state;
    json_array_foreach(docs, i, doc) if (is_of_invoker(doc))
    {
        check_stored(doc);
        checked++;
    }
    assert_true(checked >= 15);
    json_decref(docs);
}

static void encode_ack(const json_t *ack, const struct cw_activation_record *r,
                       const struct cw_tx *tx, struct cw_slice instance, struct cw_str *out)
{
    const json_t *response = json_object_get(ack, "response");
    bool is_system_error = json_is_true(json_object_get(ack, "isSystemError"));

    if (!response)
        cw_ack_completion_encode(string_at(ack, "activationId"), tx, is_system_error, instance,
                                 out);
    else if (json_is_string(response) && instance.n)
        cw_ack_combined_shrunk_encode(json_string_value(response), tx, is_system_error, instance,
                                      out);
    else if (json_is_string(response))
        cw_ack_result_shrunk_encode(json_string_value(response), tx, out);
    else if (instance.n)
        cw_ack_combined_encode(r, tx, instance, out);
    else
        cw_ack_result_encode(r, tx, out);
}

static void check_ack(struct cw_slice line)
{
    json_t *want = json_of(line);
    json_t *instance = json_object_get(want, "instance");
    cw_auto_free char *transid = dump_of(json_object_get(want, "transid"));
    cw_auto_free char *instance_text = instance ? dump_of(instance) : NULL;
    struct cw_tx tx = cw_tx_named("not written", 0);
    cw_auto_str struct cw_str s;
    struct filled f;

    tx.raw = cw_slice_of(transid);
    cw_str_init(&s, 1 << 20);
    fill(&f, json_object_get(want, "response"));
    encode_ack(want, &f.r, &tx, cw_slice_of(instance_text), &s);
    assert_int_equal(s.n, line.n); /* compact */
    same_record(cw_str_slice(&s), want);
    unfill(&f);
    json_decref(want);
}

static void recorded_acks_are_reproduced(void **state)
{
    (void)state;
    assert_int_equal(sample_lines("kafka-completed0.ndjson", check_ack), 12);
}

static void check_event(struct cw_slice line)
{
    json_t *want = json_of(line);
    const json_t *body = json_object_get(want, "body");
    const json_t *code = json_object_get(body, "userDefinedStatusCode");
    struct cw_activation_record r = {
        .namespace_name = string_at(want, "namespace"),
        .subject = string_at(want, "subject"),
        .activation_id = string_at(body, "activationId"),
        .cause = json_object_get(body, "causedBy") ? "0123456789abcdef0123456789abcdef" : NULL,
        .duration_ms = int_or(json_object_get(body, "duration"), 0),
        .status = (enum cw_status)int_or(json_object_get(body, "statusCode"), 0),
        .result = code ? CW_SLICE("{\"statusCode\":200}") : CW_SLICE("{}"),
        .size = int_or(json_object_get(body, "size"), -1),
        .path = string_at(body, "name"),
        .kind = string_at(body, "kind"),
        .is_run = true,
        .wait_ms = int_or(json_object_get(body, "waitTime"), 0),
        .init_ms = int_or(json_object_get(body, "initTime"), -1),
        .memory_mb = int_or(json_object_get(body, "memory"), 0),
    };
    cw_auto_str struct cw_str s;
    json_t *have;

    if (strcmp(string_at(want, "eventType"), "Activation") == 0) {
        cw_str_init(&s, 10000);
        cw_user_event_encode(&r, string_at(want, "source"), string_at(want, "userId"),
                             int_or(json_object_get(want, "timestamp"), 0), &s);
        have = json_of(cw_str_slice(&s));
        assert_json(have, want);
        json_decref(have);
        cw_str_done(&s);
    } else {
        cw_str_init(&s, 0);
    }
    json_decref(want);
}

static void recorded_events_are_reproduced(void **state)
{
    (void)state;
    assert_int_equal(sample_lines("kafka-events.ndjson", check_event), 8);
}

static const struct cw_activation_record FALLBACK = {
    .namespace_name = "guest",
    .name = "gone",
    .subject = "alice",
    .activation_id = "0123456789abcdef0123456789abcdef",
    .start_ms = 5,
    .end_ms = 5,
    .status = CW_STATUS_APPLICATION_ERROR,
    .result = {"{\"error\":\"x\"}", 13},
    .size = -1,
    .path = "guest/gone",
    .kind = "unknown",
    .init_ms = -1,
    .memory_mb = 256,
    .updated_ms = 6,
};

static void record_without_a_run_has_two_annotations_and_a_version(void **state)
{
    cw_auto_str struct cw_str s;

    (void)state;
    cw_str_init(&s, 10000);
    cw_activation_record_encode(&FALLBACK, CW_SLICE("[]"), &s);
    assert_json_text(
        cw_str_slice(&s),
        "{\"_id\":\"guest/0123456789abcdef0123456789abcdef\",\"entityType\":\"activation\","
        "\"namespace\":\"guest\",\"name\":\"gone\",\"subject\":\"alice\",\"activationId\":"
        "\"0123456789abcdef0123456789abcdef\",\"start\":5,\"end\":5,\"duration\":0,\"response\":{"
        "\"statusCode\":1,\"result\":{\"error\":\"x\"}},\"logs\":[],\"version\":\"0.0.1\","
        "\"publish\":false,\"annotations\":[{\"key\":\"path\",\"value\":\"guest/gone\"},{\"key\":"
        "\"kind\",\"value\":\"unknown\"}],\"updated\":6}");
}

static void result_is_written_byte_for_byte(void **state)
{
    struct cw_activation_record r = FALLBACK;
    struct cw_tx tx = cw_tx_named("t", 1);
    cw_auto_str struct cw_str s;

    (void)state;
    r.result = CW_SLICE("{\"a\" :1e400,\"b\":0.10}");
    cw_str_init(&s, 10000);
    cw_ack_result_encode(&r, &tx, &s);
    assert_non_null(strstr(s.p, "\"result\":{\"a\" :1e400,\"b\":0.10}"));
    assert_non_null(strstr(s.p, "\"transid\":[\"t\",1]")); /* an id of our own */
}

static void ack_over_the_maximum_fails(void **state)
{
    struct cw_tx tx = cw_tx_named("t", 1);
    cw_auto_str struct cw_str s;

    (void)state;
    cw_str_init(&s, 100);
    cw_ack_combined_encode(&FALLBACK, &tx, CW_SLICE("{}"), &s);
    assert_true(s.failed);
    cw_str_reset(&s);
    cw_ack_combined_shrunk_encode("id", &tx, true, CW_SLICE("{}"), &s);
    assert_false(s.failed);
    assert_json_text(cw_str_slice(&s), "{\"transid\":[\"t\",1],\"response\":\"id\","
                                       "\"isSystemError\":true,\"instance\":{}}");
    cw_str_reset(&s);
    cw_ack_result_shrunk_encode("id", &tx, &s);
    assert_json_text(cw_str_slice(&s), "{\"transid\":[\"t\",1],\"response\":\"id\"}");
}

static void only_whisk_errors_are_system_errors(void **state)
{
    struct cw_activation_record r = FALLBACK;
    struct cw_tx tx = cw_tx_named("t", 1);
    cw_auto_str struct cw_str s;

    (void)state;
    cw_str_init(&s, 10000);
    for (int status = 0; status <= 3; status++) {
        r.status = (enum cw_status)status;
        cw_str_reset(&s);
        cw_ack_combined_encode(&r, &tx, CW_SLICE("{}"), &s);
        assert_true((strstr(s.p, "\"isSystemError\":true") != NULL) == (status == 3));
    }
}

static void events_carry_the_status_code_of_the_user(void **state)
{
    static const struct {
        const char *result, *code;
    } CASES[] = {
        {"{}", NULL},
        {"{\"statusCode\":404}", "404"},
        {"{\"statusCode\":404.9}", "404"},
        {"{\"statusCode\":4.04e2}", "404"},
        {"{\"statusCode\":\"404\"}", "404"},
        {"{\"statusCode\":\"+4\"}", "4"},
        {"{\"statusCode\":\"404 \"}", "400"},
        {"{\"statusCode\":\"\"}", "400"},
        {"{\"statusCode\":99999999999}", "1215752191"},
        {"{\"statusCode\":null}", "400"},
        {"{\"statusCode\":1e99}", "0"},
        {"{\"error\":{\"statusCode\":418},\"statusCode\":200}", "418"},
        {"{\"error\":{\"other\":1},\"statusCode\":200}", "200"},
        {"{\"error\":\"text\"}", NULL},
        {"[{\"statusCode\":200}]", NULL},
        {"", NULL},
    };
    struct cw_activation_record r = FALLBACK;
    cw_auto_str struct cw_str s;

    (void)state;
    cw_str_init(&s, 10000);
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        json_t *event, *code;
        cw_auto_free char *text = NULL;

        r.result = cw_slice_of(CASES[i].result);
        cw_str_reset(&s);
        cw_user_event_encode(&r, "invoker7", "uuid", 9, &s);
        event = json_of(cw_str_slice(&s));
        code = json_object_get(json_object_get(event, "body"), "userDefinedStatusCode");
        text = code ? dump_of(code) : NULL;
        if (!!text != !!CASES[i].code || (text && strcmp(text, CASES[i].code) != 0))
            fail_msg("%s gives %s", CASES[i].result, text ? text : "nothing");
        json_decref(event);
    }
}

static void event_without_a_run_has_zeros(void **state)
{
    cw_auto_str struct cw_str s;

    (void)state;
    cw_str_init(&s, 10000);
    cw_user_event_encode(&FALLBACK, "invoker7", "uuid", 9, &s);
    assert_json_text(
        cw_str_slice(&s),
        "{\"source\":\"invoker7\",\"body\":{\"name\":\"guest/gone\",\"activationId\":"
        "\"0123456789abcdef0123456789abcdef\",\"statusCode\":1,\"duration\":0,\"waitTime\":0,"
        "\"initTime\":0,\"kind\":\"unknown\",\"conductor\":false,\"memory\":0},\"subject\":"
        "\"alice\",\"namespace\":\"guest\",\"userId\":\"uuid\",\"eventType\":\"Activation\","
        "\"timestamp\":9}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_documents_are_reproduced),
        cmocka_unit_test(recorded_acks_are_reproduced),
        cmocka_unit_test(recorded_events_are_reproduced),
        cmocka_unit_test(record_without_a_run_has_two_annotations_and_a_version),
        cmocka_unit_test(result_is_written_byte_for_byte),
        cmocka_unit_test(ack_over_the_maximum_fails),
        cmocka_unit_test(only_whisk_errors_are_system_errors),
        cmocka_unit_test(events_carry_the_status_code_of_the_user),
        cmocka_unit_test(event_without_a_run_has_zeros),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
