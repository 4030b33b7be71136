#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "common/model/action_call.h"
#include "common/model/action_doc.h"
#include "common/model/activation_message.h"
#include "common/model/manifest.h"
#include "tests/unit/model/samples.h"

#define ID "0123456789abcdef0123456789abcdef"

struct fixture {
    struct cw_manifest *manifest;
    struct cw_activation_message *m;
    struct cw_action *a;
    struct cw_call_body body;
    struct cw_err err;
};

/* authkey, the optional members of the message ("" or ,"content":…), annotations and exec. */
static void set_up(struct fixture *f, const char *authkey, const char *members,
                   const char *annotations, const char *exec)
{
    cw_auto_str struct cw_str s;

    *f = (struct fixture){.manifest = test_manifest()};
    cw_str_init(&s, 1 << 20);
    cw_str_addf(&s,
                "{\"transid\":[\"tid\",5],\"action\":{\"path\":\"guest/utils\",\"name\":\"hello\","
                "\"version\":\"0.0.2\"},\"revision\":null,\"user\":{\"subject\":\"alice\","
                "\"namespace\":{\"name\":\"alice_ns\",\"uuid\":\"u\"},\"authkey\":%s},"
                "\"activationId\":\"" ID "\",\"rootControllerIndex\":{\"asString\":\"0\"},"
                "\"blocking\":false%s}",
                authkey, members);
    f->m = test_message(s.p);
    cw_str_reset(&s);
    cw_str_addf(&s,
                "{\"namespace\":\"guest/utils\",\"name\":\"hello\",\"version\":\"0.0.2\","
                "\"publish\":false,\"updated\":1,\"exec\":{%s},\"parameters\":[],\"limits\":{"
                "\"timeout\":60000,\"memory\":256},\"annotations\":%s}",
                exec, annotations);
    f->a = test_action(f->manifest, s.p);
    cw_call_body_init(&f->body, 1 << 20);
}

static void tear_down(struct fixture *f)
{
    cw_call_body_done(&f->body);
    cw_action_unref(f->a);
    cw_activation_message_free(f->m);
    cw_manifest_free(f->manifest);
}

static char *joined(const struct cw_call_body *b)
{
    cw_auto_str struct cw_str s;

    cw_str_init(&s, 1 << 24);
    for (unsigned i = 0; i < b->piece_count; i++)
        cw_str_adds(&s, b->pieces[i]);
    return cw_str_steal(&s);
}

static void check_init(struct fixture *f, const char *want)
{
    cw_auto_free char *have = NULL;

    if (cw_init_body(f->m, f->a, f->m->content, 1700000060130, &f->body, &f->err))
        fail_msg("%s", f->err.msg);
    have = joined(&f->body);
    assert_json_text(cw_slice_of(have), want);
}

static void check_run(struct fixture *f, const char *want)
{
    cw_auto_free char *have = NULL;

    if (cw_run_body(f->m, f->a, f->m->content, 1700000060172, &f->body, &f->err))
        fail_msg("%s", f->err.msg);
    have = joined(&f->body);
    assert_json_text(cw_slice_of(have), want);
}

#define NODE "\"kind\":\"nodejs:20\",\"code\":\"f\\u0028)\""
#define CONTEXT                                                                                    \
    "\"__OW_NAMESPACE\":\"alice_ns\",\"__OW_ACTION_NAME\":\"/guest/utils/hello\","                 \
    "\"__OW_ACTION_VERSION\":\"0.0.2\",\"__OW_ACTIVATION_ID\":\"" ID "\","                         \
    "\"__OW_TRANSACTION_ID\":\"tid\",\"__OW_DEADLINE\":\"1700000060130\""
#define RUN_CONTEXT                                                                                \
    "\"namespace\":\"alice_ns\",\"action_name\":\"/guest/utils/hello\","                           \
    "\"action_version\":\"0.0.2\",\"activation_id\":\"" ID "\",\"transaction_id\":\"tid\","        \
    "\"deadline\":\"1700000060172\""

static void init_carries_code_and_context(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, "{\"api_key\":\"k:s\"}", "", "[]", NODE ",\"main\":\"entry\"");
    check_init(&f, "{\"value\":{\"name\":\"hello\",\"binary\":false,\"main\":\"entry\",\"code\":"
                   "\"f()\",\"env\":{\"__OW_API_KEY\":\"k:s\"," CONTEXT "}}}");
    tear_down(&f);
}

static void code_is_borrowed_never_copied(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, "{}", "", "[]", NODE);
    assert_int_equal(cw_init_body(f.m, f.a, f.m->content, 1, &f.body, &f.err), 0);
    assert_int_equal(f.body.piece_count, 3);
    assert_ptr_equal(f.body.pieces[1].p, f.a->code_quoted.p);
    assert_null(strstr(f.body.before.p, "u0028"));
    tear_down(&f);
}

static void init_without_code_leaves_the_member_out(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, "{}", "", "[]", "\"kind\":\"blackbox\",\"image\":\"a/b\",\"binary\":true");
    check_init(&f, /* no code is not binary, whatever the document says */
               "{\"value\":{\"name\":\"hello\",\"binary\":false,\"main\":\"main\",\"env\":{" CONTEXT
               "}}}");
    tear_down(&f);
}

static void code_still_to_be_fetched_is_an_error(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, "{}", "", "[]",
           "\"kind\":\"nodejs:20\",\"code\":{\"attachmentName\":\"couch:1\","
           "\"attachmentType\":\"text/plain\"}");
    assert_int_equal(cw_init_body(f.m, f.a, f.m->content, 1, &f.body, &f.err), -1);
    assert_int_equal(f.err.code, CW_INTERNAL);
    tear_down(&f);
}

static void all_members_of_the_key_are_provided_unless_declined(void **state)
{
    static const char KEY[] = "{\"api_key\":\"k\",\"other_thing\":{\"a\": 1}}";
    struct fixture f;

    (void)state;
    set_up(&f, KEY, "", "[{\"key\":\"provide-api-key\",\"value\":true}]", NODE);
    check_init(
        &f,
        "{\"value\":{\"name\":\"hello\",\"binary\":false,\"main\":\"main\",\"code\":"
        "\"f()\",\"env\":{\"__OW_API_KEY\":\"k\",\"__OW_OTHER_THING\":\"{\\\"a\\\":1}\"," CONTEXT
        "}}}");
    check_run(&f, "{\"value\":{},\"api_key\":\"k\",\"other_thing\":{\"a\":1}," RUN_CONTEXT "}");
    tear_down(&f);
    set_up(&f, KEY, "", "[{\"key\":\"provide-api-key\",\"value\":false}]", NODE);
    check_init(&f, "{\"value\":{\"name\":\"hello\",\"binary\":false,\"main\":\"main\",\"code\":"
                   "\"f()\",\"env\":{" CONTEXT "}}}");
    check_run(&f, "{\"value\":{}," RUN_CONTEXT "}");
    tear_down(&f);
}

static void init_arguments_become_strings_and_context_wins(void **state)
{
    struct fixture f;

    (void)state;
    set_up(
        &f, "{}",
        ",\"content\":{\"S\":\"a\\n\\u00e9\",\"N\":1.50,\"B\":true,\"Z\":null,\"L\":[1, \"a  b\"],"
        "\"O\":{ \"k\" : \"\\\" \" },\"__OW_NAMESPACE\":\"forged\",\"D\":1,\"D\":2,\"rest\":0},"
        "\"initArgs\":[\"S\",\"N\",\"B\",\"Z\",\"L\",\"\\u004f\",\"__OW_NAMESPACE\",\"D\","
        "\"absent\"]",
        "[]", NODE);
    check_init(&f,
               "{\"value\":{\"name\":\"hello\",\"binary\":false,\"main\":\"main\",\"code\":\"f()\","
               "\"env\":{\"S\":\"a\\n\\u00e9\",\"N\":\"1.50\",\"B\":\"true\",\"Z\":\"\",\"L\":"
               "\"[1,\\\"a  b\\\"]\",\"O\":\"{\\\"k\\\":\\\"\\\\\\\" \\\"}\",\"D\":\"2\"," CONTEXT
               "}}}");
    check_run(&f, "{\"value\":{\"rest\":0}," RUN_CONTEXT "}");
    tear_down(&f);
}

static void other_arguments_keep_their_bytes(void **state)
{
    static const char START[] = "{\"value\":{\"a\":1e400,\"b\":{\"x\" :0.10},"
                                "\"c\":12345678901234567890},";
    cw_auto_free char *body = NULL;
    struct fixture f;

    (void)state;
    set_up(&f, "{}",
           ",\"content\":{\"a\" : 1e400, \"I\":1,\"b\":{\"x\" :0.10},\"c\":12345678901234567890},"
           "\"initArgs\":[\"I\"]",
           "[]", NODE);
    assert_int_equal(cw_run_body(f.m, f.a, f.m->content, 1, &f.body, &f.err), 0);
    body = joined(&f.body);
    assert_memory_equal(body, START, sizeof(START) - 1);
    tear_down(&f);
}

static void arguments_without_init_args_are_borrowed(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, "{}", ",\"content\":{\"a\" : 1e400}", "[]", NODE);
    assert_int_equal(cw_run_body(f.m, f.a, f.m->content, 1, &f.body, &f.err), 0);
    assert_int_equal(f.body.piece_count, 3);
    assert_ptr_equal(f.body.pieces[1].p, f.m->content.p);
    tear_down(&f);
}

static void array_goes_out_as_it_is(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, "{}", ",\"content\":[1,{\"I\":2}],\"initArgs\":[\"I\"]", "[]", NODE);
    check_run(&f, "{\"value\":[1,{\"I\":2}]," RUN_CONTEXT "}");
    check_init(&f, "{\"value\":{\"name\":\"hello\",\"binary\":false,\"main\":\"main\",\"code\":"
                   "\"f()\",\"env\":{" CONTEXT "}}}");
    tear_down(&f);
}

static void missing_version_is_null_or_empty(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, "{}", "", "[]", NODE);
    f.m->action.version = NULL;
    check_run(&f, "{\"value\":{},\"namespace\":\"alice_ns\",\"action_name\":\"/guest/utils/hello\","
                  "\"action_version\":null,\"activation_id\":\"" ID
                  "\",\"transaction_id\":\"tid\",\"deadline\":\"1700000060172\"}");
    check_init(&f,
               "{\"value\":{\"name\":\"hello\",\"binary\":false,\"main\":\"main\",\"code\":"
               "\"f()\",\"env\":{\"__OW_NAMESPACE\":\"alice_ns\",\"__OW_ACTION_NAME\":"
               "\"/guest/utils/hello\",\"__OW_ACTION_VERSION\":\"\",\"__OW_ACTIVATION_ID\":\"" ID
               "\",\"__OW_TRANSACTION_ID\":\"tid\",\"__OW_DEADLINE\":\"1700000060130\"}}}");
    tear_down(&f);
}

static void members_of_the_key_cannot_replace_context_or_arguments(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, "{\"value\":1,\"namespace\":\"forged\",\"deadline\":0}", "", "[]", NODE);
    check_run(&f, "{\"value\":{}," RUN_CONTEXT "}");
    check_init(&f, "{\"value\":{\"name\":\"hello\",\"binary\":false,\"main\":\"main\",\"code\":"
                   "\"f()\",\"env\":{\"__OW_VALUE\":\"1\"," CONTEXT "}}}");
    tear_down(&f);
}

static void what_is_built_is_bounded(void **state)
{
    struct fixture f;
    struct cw_call_body small;

    (void)state;
    set_up(&f, "{}", "", "[]", NODE);
    cw_call_body_init(&small, 100);
    assert_int_equal(cw_init_body(f.m, f.a, f.m->content, 1, &small, &f.err), -1);
    assert_int_equal(f.err.code, CW_TOO_LARGE);
    assert_int_equal(cw_run_body(f.m, f.a, f.m->content, 1, &small, &f.err), -1);
    assert_int_equal(f.err.code, CW_TOO_LARGE);
    cw_call_body_done(&small);
    tear_down(&f);
}

static void body_can_be_built_again(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, "{}", "", "[]", NODE);
    check_run(&f, "{\"value\":{}," RUN_CONTEXT "}");
    check_run(&f, "{\"value\":{}," RUN_CONTEXT "}");
    tear_down(&f);
}

/* Names are looked up in a table: many of them must not cost their product. */
static void many_init_arguments_are_separated_quickly(void **state)
{
    enum { COUNT = 20000 };
    cw_auto_str struct cw_str s;
    struct fixture f;

    (void)state;
    cw_str_init(&s, 1 << 24);
    cw_str_addz(&s, ",\"content\":{\"rest\":1");
    for (int i = 0; i < COUNT; i++)
        cw_str_addf(&s, ",\"arg%d\":%d", i, i);
    cw_str_addz(&s, "},\"initArgs\":[\"arg0\"");
    for (int i = 1; i < COUNT; i++)
        cw_str_addf(&s, ",\"arg%d\"", i);
    cw_str_addc(&s, ']');
    set_up(&f, "{}", s.p, "[]", NODE);
    check_run(&f, "{\"value\":{\"rest\":1}," RUN_CONTEXT "}");
    assert_int_equal(cw_init_body(f.m, f.a, f.m->content, 1, &f.body, &f.err), 0);
    assert_non_null(strstr(f.body.after.p, "\"arg19999\":\"19999\""));
    tear_down(&f);
}

/* ---- what the stock invoker sent to its containers ---- */

/* The body of the n-th request to `path` of http-containers.txt that was recorded in one piece. */
static json_t *recorded_body(const char *path, const char *action)
{
    cw_auto_free char *text = sample_text("http-containers.txt");
    char request[64];
    json_t *found = NULL;

    (void)snprintf(request, sizeof(request), "POST %s HTTP/1.1", path);
    for (char *p = strstr(text, request); p && !found; p = strstr(p + 1, request)) {
        char *body = strstr(p, "\n\n") + 2;
        json_t *v = json_loadb(body, strcspn(body, "\n"), 0, NULL);
        const char *name = string_at(json_object_get(v, "value"), "name");

        if (v && path[1] == 'r')
            name = strrchr(string_at(v, "action_name"), '/') + 1;
        if (v && name && strcmp(name, action) == 0)
            found = v;
        else
            json_decref(v);
    }
    if (!found)
        fail_msg("no %s of %s", path, action);
    return found;
}

static struct cw_activation_message *message_of(const json_t *run)
{
    const char *name = string_at(run, "action_name");
    const char *key = string_at(run, "api_key");
    json_t *m = json_pack(
        "{s:[s,i], s:s, s:n, s:{s:s, s:{s:s,s:s}, s:{s:s}}, s:s, s:{s:s}, s:b, s:O, s:[]}",
        "transid", string_at(run, "transaction_id"), 1, "action", name, "revision", "user",
        "subject", "guest", "namespace", "name", string_at(run, "namespace"), "uuid", "u",
        "authkey", "api_key", key ? key : "hidden", "activationId", string_at(run, "activation_id"),
        "rootControllerIndex", "asString", "0", "blocking", 1, "content",
        json_object_get(run, "value"), "initArgs");
    cw_auto_free char *text = dump_of(m);
    struct cw_activation_message *decoded;

    assert_non_null(m);
    decoded = test_message(text);
    decoded->action.version = string_at(run, "action_version");
    json_decref(m);
    return decoded;
}

static void same_body(const struct cw_call_body *b, const json_t *want)
{
    cw_auto_free char *text = joined(b);
    json_t *have = json_of(cw_slice_of(text));

    assert_json(have, want);
    json_decref(have);
}

static int64_t number_of(const char *text)
{
    struct cw_err err = {0};
    int64_t v = 0;

    assert_int_equal(cw_parse_i64(cw_slice_of(text), "deadline", 0, INT64_MAX, &v, &err), 0);
    return v;
}

static void check_recorded(const struct cw_manifest *manifest, const char *name)
{
    json_t *init = recorded_body("/init", name), *run = recorded_body("/run", name);
    const json_t *env = json_object_get(json_object_get(init, "value"), "env");
    struct cw_activation_message *m = message_of(run);
    char id[64];
    cw_auto_free char *text = NULL;
    struct cw_call_body body;
    struct cw_err err = {0};
    struct cw_action *a;

    (void)snprintf(id, sizeof(id), "guest/%s", name);
    text = sample_document("couch-whisks.json", id);
    a = test_action(manifest, text);
    cw_call_body_init(&body, 1 << 20);
    assert_int_equal(
        cw_init_body(m, a, m->content, number_of(string_at(env, "__OW_DEADLINE")), &body, &err), 0);
    same_body(&body, init);
    assert_int_equal(
        cw_run_body(m, a, m->content, number_of(string_at(run, "deadline")), &body, &err), 0);
    same_body(&body, run);
    cw_call_body_done(&body);
    cw_action_unref(a);
    cw_activation_message_free(m);
    json_decref(init);
    json_decref(run);
}

static void recorded_bodies_are_reproduced(void **state)
{
    struct cw_manifest *manifest = test_manifest();

    (void)state;
    check_recorded(manifest, "fr1"); /* source, no key */
    check_recorded(manifest, "fr2"); /* python, with key */
    check_recorded(manifest, "fr4"); /* zip */
    cw_manifest_free(manifest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_carries_code_and_context),
        cmocka_unit_test(code_is_borrowed_never_copied),
        cmocka_unit_test(init_without_code_leaves_the_member_out),
        cmocka_unit_test(code_still_to_be_fetched_is_an_error),
        cmocka_unit_test(all_members_of_the_key_are_provided_unless_declined),
        cmocka_unit_test(init_arguments_become_strings_and_context_wins),
        cmocka_unit_test(other_arguments_keep_their_bytes),
        cmocka_unit_test(arguments_without_init_args_are_borrowed),
        cmocka_unit_test(array_goes_out_as_it_is),
        cmocka_unit_test(missing_version_is_null_or_empty),
        cmocka_unit_test(members_of_the_key_cannot_replace_context_or_arguments),
        cmocka_unit_test(what_is_built_is_bounded),
        cmocka_unit_test(body_can_be_built_again),
        cmocka_unit_test(many_init_arguments_are_separated_quickly),
        cmocka_unit_test(recorded_bodies_are_reproduced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
