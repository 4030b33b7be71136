#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "common/model/activation_message.h"
#include "tests/unit/model/samples.h"

#define ID "0123456789abcdef0123456789abcdef"
#define USER                                                                                       \
    "{\"subject\":\"alice-01\",\"namespace\":{\"name\":\"guest\",\"uuid\":\"u\"},\"authkey\":"     \
    "{\"api_key\":\"k\"},\"rights\":[],\"limits\":{}}"

static const char FULL[] =
    "{\"transid\":[\"Wq3\",1700000000123],"
    "\"action\":{\"path\":\"guest/utils\",\"name\":\"hello\",\"version\":\"0.0.3\",\"binding\":"
    "\"bob/my\"},\"revision\":\"1-5b2c\",\"user\":" USER ",\"activationId\":\"" ID "\","
    "\"rootControllerIndex\":{\"asString\":\"0\",\"instanceType\":\"controller\"},"
    "\"blocking\":true,\"content\":{\"n\":1e400, \"big\":12345678901234567890},"
    "\"initArgs\":[\"DB_URL\"],\"lockedArgs\":{\"secret\":\"aes-256\"},"
    "\"cause\":\"fedcba98765432100123456789abcdef\",\"traceContext\":{\"X-B3-TraceId\":\"t\"}}";

static void full_message_is_decoded(void **state)
{
    struct cw_activation_message *m = test_message(FULL);

    (void)state;
    assert_string_equal(m->tx.id, "Wq3");
    assert_int_equal(m->tx.start_ms, 1700000000123);
    assert_string_equal(m->action.path, "guest/utils");
    assert_string_equal(m->action.name, "hello");
    assert_string_equal(m->action.full, "guest/utils/hello");
    assert_string_equal(m->action.version, "0.0.3");
    assert_string_equal(m->action.binding, "bob/my");
    assert_string_equal(m->revision, "1-5b2c");
    assert_string_equal(m->user.subject, "alice-01");
    assert_string_equal(m->user.namespace_name, "guest");
    assert_string_equal(m->user.namespace_uuid, "u");
    assert_true(m->user.limits.store_activations);
    assert_string_equal(m->activation_id, ID);
    assert_string_equal(m->controller, "0");
    assert_true(m->blocking);
    assert_true(cw_slice_is(m->content, "{\"n\":1e400, \"big\":12345678901234567890}"));
    assert_false(m->content_is_array);
    assert_true(cw_slice_is(m->init_args, "[\"DB_URL\"]"));
    assert_true(cw_slice_is(m->locked_args, "{\"secret\":\"aes-256\"}"));
    assert_string_equal(m->cause, "fedcba98765432100123456789abcdef");
    assert_true(cw_slice_is(m->trace_context, "{\"X-B3-TraceId\":\"t\"}"));
    cw_activation_message_free(m);
}

static void decode_line(struct cw_slice line)
{
    struct cw_err err = {0};
    struct cw_activation_message *m = cw_activation_message_decode(line, 1, &err);
    json_t *want = json_of(line), *transid;

    if (!m)
        fail_msg("%s: %.*s", err.msg, (int)line.n, line.p);
    assert_string_equal(m->activation_id, string_at(want, "activationId"));
    assert_string_equal(m->action.name, string_at(json_object_get(want, "action"), "name"));
    assert_true((m->cause != NULL) == (json_object_get(want, "cause") != NULL));
    assert_true((m->revision == NULL) == json_is_null(json_object_get(want, "revision")));
    transid = json_of(m->tx.raw);
    assert_json(transid, json_object_get(want, "transid"));
    if (json_object_get(want, "content")) {
        json_t *content = json_of(m->content);

        assert_json(content, json_object_get(want, "content"));
        json_decref(content);
    } else {
        assert_int_equal(m->content.n, 0);
    }
    json_decref(transid);
    json_decref(want);
    cw_activation_message_free(m);
}

static void every_recorded_message_is_decoded(void **state)
{
    (void)state;
    assert_int_equal(sample_lines("kafka-invoker0.ndjson", decode_line), 23);
}

/* A minimal message with the member `key` replaced by `value` (NULL: removed). */
static char *changed(const char *key, const char *value)
{
    json_t *doc =
        json_loads("{\"transid\":[\"t\",1],\"action\":{\"path\":\"guest\",\"name\":\"hello\"},"
                   "\"revision\":null,\"user\":" USER ",\"activationId\":\"" ID "\","
                   "\"rootControllerIndex\":{\"asString\":\"0\"},\"blocking\":false}",
                   0, NULL);
    char *text;

    assert_non_null(doc);
    if (value)
        assert_int_equal(json_object_set_new(doc, key, json_of(cw_slice_of(value))), 0);
    else
        assert_int_equal(json_object_del(doc, key), 0);
    text = dump_of(doc);
    json_decref(doc);
    return text;
}

static void optional_members_may_be_missing_or_null(void **state)
{
    static const char *const OPTIONAL[] = {"content", "cause", "traceContext", NULL};
    struct cw_activation_message *m;

    (void)state;
    for (const char *const *key = OPTIONAL; *key; key++) {
        cw_auto_free char *text = changed(*key, "null");

        m = test_message(text);
        assert_int_equal(m->content.n + m->init_args.n + m->locked_args.n + m->trace_context.n, 0);
        assert_null(m->cause);
        assert_null(m->revision);
        assert_null(m->action.version);
        assert_null(m->action.binding);
        cw_activation_message_free(m);
    }
}

static void empty_lists_count_as_absent(void **state)
{
    cw_auto_free char *init = changed("initArgs", "[ ]"), *locked = changed("lockedArgs", "{}"),
                      *revision = changed("revision", "\"\"");
    struct cw_activation_message *m = test_message(init);

    (void)state;
    assert_int_equal(m->init_args.n, 0);
    cw_activation_message_free(m);
    m = test_message(locked);
    assert_int_equal(m->locked_args.n, 0);
    cw_activation_message_free(m);
    m = test_message(revision);
    assert_null(m->revision);
    cw_activation_message_free(m);
}

static void content_may_be_an_array(void **state)
{
    cw_auto_free char *text = changed("content", "[1,{\"a\":2}]");
    struct cw_activation_message *m = test_message(text);

    (void)state;
    assert_true(m->content_is_array);
    assert_true(cw_slice_is(m->content, "[1,{\"a\":2}]"));
    cw_activation_message_free(m);
}

static void action_name_may_be_a_plain_string(void **state)
{
    cw_auto_free char *text = changed("action", "\"guest/utils/hello\"");
    struct cw_activation_message *m = test_message(text);

    (void)state;
    assert_string_equal(m->action.path, "guest/utils");
    assert_string_equal(m->action.name, "hello");
    assert_string_equal(m->action.full, "guest/utils/hello");
    assert_null(m->action.version);
    cw_activation_message_free(m);
}

static void activation_id_may_be_a_number(void **state)
{
    static const char TEXT[] =
        "{\"transid\":[\"t\",1],\"action\":\"guest/hello\",\"revision\":null,\"user\":" USER
        ",\"activationId\":12345678901234567890123456789012,"
        "\"rootControllerIndex\":{\"asString\":\"c-1.x_Y\"},\"blocking\":false}";
    struct cw_activation_message *m = test_message(TEXT);

    (void)state;
    assert_string_equal(m->activation_id, "12345678901234567890123456789012");
    assert_string_equal(m->controller, "c-1.x_Y");
    cw_activation_message_free(m);
}

static void unreadable_transid_is_not_fatal(void **state)
{
    cw_auto_free char *text = changed("transid", "{\"odd\":1}");
    struct cw_activation_message *m = test_message(text);

    (void)state;
    assert_string_equal(m->tx.id, "sid_unknown");
    assert_int_equal(m->tx.start_ms, 1);
    assert_true(cw_slice_is(m->tx.raw, "[\"sid_unknown\",1]"));
    cw_activation_message_free(m);
}

#define IDENTITY(more)                                                                             \
    "{\"subject\":\"alice\",\"namespace\":{\"name\":\"n\",\"uuid\":\"u\"},\"authkey\":{}," more "}"

static void what_is_no_character_is_replaced_as_java_does_it(void **state)
{
    cw_auto_free char *text = changed("content", "{\"s\":\"@@\",\"t\":\"##\"}");
    struct cw_activation_message *m;

    (void)state;
    memcpy(strstr(text, "@@"), "\xff\xfe", 2);
    m = test_message(text);
    assert_true(cw_slice_is(m->content, "{\"s\":\"\xef\xbf\xbd\xef\xbf\xbd\",\"t\":\"##\"}"));
    cw_activation_message_free(m);
}

static void odd_numbers_count_as_in_java(void **state)
{
    cw_auto_free char *text = changed(
        "user",
        IDENTITY("\"rights\":[\"READ\",\" put\"],\"limits\":{\"maxActionMemory\":4294967297,"
                 "\"maxActionTimeout\":-5,\"maxActionLogs\":1e1,\"firesPerMinute\":1.5}"));
    struct cw_activation_message *m = test_message(text);

    (void)state;
    assert_int_equal(m->user.limits.max_memory_mb.value, 1);
    assert_int_equal(m->user.limits.max_timeout_ms.value, -5);
    assert_int_equal(m->user.limits.max_logs_mb.value, 10);
    cw_activation_message_free(m);
}

static void limits_of_the_namespace_are_read(void **state)
{
    cw_auto_free char *text = changed(
        "user",
        "{\"subject\":\"alice\",\"namespace\":{\"name\":\"n\",\"uuid\":\"u\"},\"authkey\":{},"
        "\"limits\":{\"invocationsPerMinute\":3,\"storeActivations\":false,"
        "\"maxActionMemory\":512,\"minActionTimeout\":100,\"maxPayloadSize\":\"1 MB\","
        "\"truncationSize\":\"512 B\",\"maxActionLogs\":null,\"allowedKinds\":[]}}");
    struct cw_activation_message *m = test_message(text);
    const struct cw_user_limits *l = &m->user.limits;

    (void)state;
    assert_false(l->store_activations);
    assert_true(l->max_memory_mb.set);
    assert_int_equal(l->max_memory_mb.value, 512);
    assert_int_equal(l->min_timeout_ms.value, 100);
    assert_true(l->max_payload_bytes.set);
    assert_int_equal(l->max_payload_bytes.value, 1 << 20);
    assert_int_equal(l->truncation_bytes.value, 512);
    assert_false(l->max_logs_mb.set);
    assert_false(l->min_memory_mb.set);
    assert_false(l->max_concurrency.set);
    cw_activation_message_free(m);
}

struct bad_case {
    const char *key, *value, *named;
};

static void malformed_members_are_named(void **state)
{
    static const struct bad_case CASES[] = {
        {"transid", NULL, "transid"},
        {"action", NULL, "action"},
        {"action", "7", "action"},
        {"action", "{\"path\":\"guest\"}", "action.name"},
        {"action", "{\"path\":\"../x\",\"name\":\"a\"}", "action.path"},
        {"action", "{\"path\":\"/\",\"name\":\"a\"}", "action.path"},
        {"action", "{\"path\":\"guest\",\"name\":\"a/b\"}", "action.name"},
        {"action", "{\"path\":\"guest\",\"name\":\"a \"}", "action.name"},
        {"action", "{\"path\":\"guest\",\"name\":\"a\",\"version\":\"x\"}", "action.version"},
        {"action", "{\"path\":\"guest\",\"name\":\"a\",\"binding\":\"/\"}", "action.binding"},
        {"action", "\"hello\"", "action"},
        {"action", "\"guest/\"", "action"},
        {"revision", NULL, "revision"},
        {"revision", "5", "revision"},
        {"user", NULL, "user"},
        {"user", "{}", "user.subject"},
        {"user", "{\"subject\":\"alice\",\"namespace\":{\"name\":\"n\"},\"authkey\":{}}",
         "user.namespace.uuid"},
        {"user",
         "{\"subject\":\"alice\",\"namespace\":{\"name\":\"a/b\",\"uuid\":\"u\"},\"authkey\":{}}",
         "user.namespace.name"},
        {"user", "{\"subject\":\"alice\",\"namespace\":{\"name\":\"n\",\"uuid\":\"u\"}}",
         "user.authkey"},
        {"user",
         "{\"subject\":\"alice\",\"namespace\":{\"name\":\"n\",\"uuid\":\"u\"},\"authkey\":{},"
         "\"limits\":{\"maxActionMemory\":\"512\"}}",
         "user.limits.maxActionMemory"},
        {"user",
         "{\"subject\":\"alice\",\"namespace\":{\"name\":\"n\",\"uuid\":\"u\"},\"authkey\":{},"
         "\"limits\":{\"maxPayloadSize\":\"much\"}}",
         "user.limits.maxPayloadSize"},
        {"activationId", NULL, "activationId"},
        {"activationId", "\"0123\"", "activationId"},
        {"activationId", "\"0123456789ABCDEF0123456789ABCDEF\"", "activationId"},
        {"activationId", "12", "activationId"},
        {"rootControllerIndex", NULL, "rootControllerIndex"},
        {"rootControllerIndex", "{\"asString\":\"a/b\"}", "rootControllerIndex.asString"},
        {"rootControllerIndex", "{\"asString\":\"\"}", "rootControllerIndex.asString"},
        {"rootControllerIndex", "{\"asString\":\"0\",\"instanceType\":\"invoker\"}",
         "rootControllerIndex.instanceType"},
        {"blocking", NULL, "blocking"},
        {"blocking", "\"true\"", "blocking"},
        {"content", "\"text\"", "content"},
        {"initArgs", "[\"a\",1]", "initArgs[1]"},
        {"initArgs", "{}", "initArgs"},
        {"lockedArgs", "{\"a\":1}", "lockedArgs.a"},
        {"cause", "\"xyz\"", "cause"},
        {"cause", "{}", "cause"},
        {"initArgs", "null", "initArgs"},
        {"lockedArgs", "null", "lockedArgs"},
        {"traceContext", "{\"a\":1}", "traceContext.a"},
        {"traceContext", "[]", "traceContext"},
        {"rootControllerIndex", "{\"asString\":\"0\",\"instanceType\":null}",
         "rootControllerIndex.instanceType"},
        {"user", IDENTITY("\"rights\":[\"FLY\"]"), "user.rights"},
        {"user", IDENTITY("\"rights\":{}"), "user.rights"},
        {"user", IDENTITY("\"limits\":null"), "user.limits"},
        {"user", IDENTITY("\"limits\":{\"allowedKinds\":[1]}"), "user.limits.allowedKinds"},
        {"user", IDENTITY("\"limits\":{\"firesPerMinute\":\"x\"}"), "user.limits.firesPerMinute"},
        {"user", IDENTITY("\"limits\":{\"maxActionMemory\":128.5}"), "user.limits.maxActionMemory"},
        {"user", IDENTITY("\"limits\":{\"maxPayloadSize\":\"1.5 MB\"}"),
         "user.limits.maxPayloadSize"},
        {"user",
         "{\"subject\":\" abcd \",\"namespace\":{\"name\":\"n\",\"uuid\":\"u\"},\"authkey\":{}}",
         "user.subject"},
    };
    struct cw_err err;

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        cw_auto_free char *text = changed(CASES[i].key, CASES[i].value);
        size_t n = strlen(CASES[i].named);

        err = (struct cw_err){0};
        assert_null(cw_activation_message_decode(cw_slice_of(text), 1, &err));
        assert_int_equal(err.code, CW_INVALID);
        if (strncmp(err.msg, CASES[i].named, n) != 0 || err.msg[n] != ':')
            fail_msg("%s: %s", CASES[i].named, err.msg);
    }
}

static void texts_that_are_no_object_are_refused(void **state)
{
    static const char *const BAD[] = {"", "{", "[]", "null", "\xff", "{}x", "{\"a\":01}", NULL};
    struct cw_err err;

    (void)state;
    for (const char *const *p = BAD; *p; p++) {
        err = (struct cw_err){0};
        assert_null(cw_activation_message_decode(cw_slice_of(*p), 1, &err));
        assert_int_equal(err.code, CW_INVALID);
    }
}

static void bottomless_nesting_is_refused(void **state)
{
    cw_auto_str struct cw_str s;
    struct cw_err err = {0};

    (void)state;
    cw_str_init(&s, 1 << 20);
    cw_str_addz(&s, "{\"content\":");
    for (int i = 0; i < 100000; i++)
        cw_str_addc(&s, '[');
    assert_null(cw_activation_message_decode(cw_str_slice(&s), 1, &err));
    assert_int_equal(err.code, CW_INVALID);
}

static void messages_of_the_other_scheduler_name_the_settings(void **state)
{
    static const char *const OTHER[] = {
        "{\"transid\":[\"t\",1],\"invocationNamespace\":\"guest\",\"action\":{\"path\":\"guest\","
        "\"name\":\"hello\"},\"revision\":\"1-a\",\"whiskActionMetaData\":{},\"creationId\":\"" ID
        "\",\"rootSchedulerIndex\":{\"asString\":\"0\"},\"schedulerHost\":\"h\",\"rpcPort\":1,"
        "\"retryCount\":0}",
        "{\"transid\":[\"t\",1],\"invocationNamespace\":\"guest\",\"action\":{\"path\":\"guest\","
        "\"name\":\"hello\"},\"revision\":\"1-a\",\"whiskActionMetaData\":{}}",
        NULL};
    struct cw_err err;

    (void)state;
    for (const char *const *p = OTHER; *p; p++) {
        err = (struct cw_err){0};
        assert_null(cw_activation_message_decode(cw_slice_of(*p), 1, &err));
        assert_int_equal(err.code, CW_CONFLICT);
        assert_non_null(strstr(err.msg, "whisk.spi.LoadBalancerProvider"));
        assert_non_null(strstr(err.msg, "whisk.spi.EntitlementSpiProvider"));
        assert_int_equal(err.msg[strlen(err.msg) - 1], ')'); /* not cut */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_message_is_decoded),
        cmocka_unit_test(every_recorded_message_is_decoded),
        cmocka_unit_test(optional_members_may_be_missing_or_null),
        cmocka_unit_test(empty_lists_count_as_absent),
        cmocka_unit_test(content_may_be_an_array),
        cmocka_unit_test(action_name_may_be_a_plain_string),
        cmocka_unit_test(activation_id_may_be_a_number),
        cmocka_unit_test(unreadable_transid_is_not_fatal),
        cmocka_unit_test(limits_of_the_namespace_are_read),
        cmocka_unit_test(what_is_no_character_is_replaced_as_java_does_it),
        cmocka_unit_test(odd_numbers_count_as_in_java),
        cmocka_unit_test(malformed_members_are_named),
        cmocka_unit_test(texts_that_are_no_object_are_refused),
        cmocka_unit_test(bottomless_nesting_is_refused),
        cmocka_unit_test(messages_of_the_other_scheduler_name_the_settings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
