#include "tests/support/cmocka_all.h"

#include "common/base/base64.h"
#include "common/base/err.h"
#include "common/model/action_doc.h"
#include "common/model/manifest.h"
#include "tests/unit/model/samples.h"

static const struct cw_limit_defaults DEFAULTS = {.logs_mb = 10, .concurrency = 1};

/* A document whose members of exec are `exec`, followed by the members `more`. */
static void document(struct cw_str *s, const char *exec, const char *more)
{
    cw_str_init(s, 1 << 20);
    cw_str_addf(s,
                "{\"_id\":\"guest/hello\",\"_rev\":\"1-a\",\"entityType\":\"action\","
                "\"namespace\":\"guest\",\"name\":\"hello\",\"version\":\"0.0.1\",\"publish\":"
                "false,\"updated\":1,\"exec\":{%s},\"parameters\":[],\"limits\":{\"timeout\":"
                "60000,\"memory\":256},\"annotations\":[]%s}",
                exec, more);
}

static struct cw_action *with_exec(const struct cw_manifest *m, const char *exec)
{
    cw_auto_str struct cw_str s;

    document(&s, exec, "");
    return test_action(m, s.p);
}

static bool is_kind(const json_t *doc, const char *type)
{
    const char *have = string_at(doc, "entityType");

    return have && strcmp(have, type) == 0;
}

static void check_sample(const struct cw_manifest *m, const json_t *doc)
{
    cw_auto_free char *text = dump_of(doc);
    const json_t *exec = json_object_get(doc, "exec");
    const json_t *code = json_object_get(exec, "code");
    const char *attachment = string_at(code, "attachmentName");
    struct cw_action *a = test_action(m, text);
    json_t *limits = json_of(a->limits_raw);

    assert_string_equal(a->id, string_at(doc, "_id"));
    assert_string_equal(a->rev, string_at(doc, "_rev"));
    assert_string_equal(a->name, string_at(doc, "name"));
    assert_string_equal(a->namespace_path, string_at(doc, "namespace"));
    assert_string_equal(a->version, string_at(doc, "version"));
    assert_string_equal(a->kind, string_at(exec, "kind"));
    assert_json(limits, json_object_get(doc, "limits"));
    if (attachment) {
        bool is_mem = strncmp(attachment, "mem:", 4) == 0;

        assert_int_equal(a->binary, json_is_true(json_object_get(exec, "binary")));
        assert_int_equal(a->code_place, is_mem ? CW_CODE_INLINE : CW_CODE_ATTACHED);
    }
    json_decref(limits);
    cw_action_unref(a);
}

static void every_recorded_action_is_decoded(void **state)
{
    json_t *docs = sample_documents("couch-whisks.json"), *doc;
    struct cw_manifest *m = test_manifest();
    size_t i, actions = 0;

    (void)state;
    json_array_foreach(docs, i, doc) if (is_kind(doc, "action"))
    {
        check_sample(m, doc);
        actions++;
    }
    assert_true(actions > 20);
    json_decref(docs);
    cw_manifest_free(m);
}

static void other_recorded_entities_are_a_conflict(void **state)
{
    json_t *docs = sample_documents("couch-whisks.json"), *doc;
    struct cw_manifest *m = test_manifest();
    size_t i, others = 0;

    (void)state;
    json_array_foreach(docs, i, doc)
    {
        cw_auto_free char *text = dump_of(doc);
        struct cw_err err = {0};

        if (!string_at(doc, "entityType") || is_kind(doc, "action"))
            continue;
        assert_null(cw_action_decode(cw_slice_of(text), m, &DEFAULTS, &err));
        assert_int_equal(err.code, CW_CONFLICT);
        others++;
    }
    assert_true(others > 2);
    json_decref(docs);
    cw_manifest_free(m);
}

static void mem_attachments_become_code_at_once(void **state)
{
    struct cw_manifest *m = test_manifest();
    struct cw_action *a;

    (void)state;
    a = with_exec(m, "\"kind\":\"nodejs:20\",\"code\":{\"attachmentName\":\"mem:"
                     "ZnVuY3Rpb24gbWFpbihhKXtyZXR1cm4gWzEsMix7dGhyZWU6M31dfQo=\","
                     "\"attachmentType\":\"text/plain; charset=UTF-8\"},\"binary\":false");
    assert_int_equal(a->code_place, CW_CODE_INLINE);
    assert_true(cw_slice_is(a->code_quoted, "\"function main(a){return [1,2,{three:3}]}\\n\""));
    assert_null(a->main);
    cw_action_unref(a);
    /* bytes fb ff bf: url-safe in the name, standard alphabet in /init */
    a = with_exec(m, "\"kind\":\"nodejs:20\",\"main\":\"m\",\"code\":{\"attachmentName\":"
                     "\"mem:-_-_\",\"attachmentType\":\"application/octet-stream\"},"
                     "\"binary\":true");
    assert_true(cw_slice_is(a->code_quoted, "\"+/+/\""));
    assert_string_equal(a->main, "m");
    cw_action_unref(a);
    /* the same bytes as text are no UTF-8 */
    a = with_exec(m, "\"kind\":\"nodejs:20\",\"code\":{\"attachmentName\":\"mem:-_-_\","
                     "\"attachmentType\":\"text/plain\"},\"binary\":false");
    assert_true(cw_slice_is(a->code_quoted, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""));
    cw_action_unref(a);
    cw_manifest_free(m);
}

static void attached_code_is_given_later(void **state)
{
    static const char EXEC[] = "\"kind\":\"nodejs:20\",\"code\":{\"attachmentName\":\"couch:5f1c\","
                               "\"attachmentType\":\"text/plain\"},\"binary\":";
    static const unsigned char NONE[CW_ACTION_HASH_LEN];
    struct cw_manifest *m = test_manifest();
    cw_auto_str struct cw_str exec;
    struct cw_err err = {0};
    struct cw_action *a;

    (void)state;
    cw_str_init(&exec, 1000);
    cw_str_addf(&exec, "%sfalse", EXEC);
    a = with_exec(m, exec.p);
    assert_int_equal(a->code_place, CW_CODE_ATTACHED);
    assert_string_equal(a->attachment, "5f1c");
    assert_memory_equal(a->hash, NONE, sizeof(NONE));
    assert_int_equal(cw_action_set_code(a, CW_SLICE("a \"b\"\n\xff"), &err), 0);
    assert_int_equal(a->code_place, CW_CODE_INLINE);
    assert_true(cw_slice_is(a->code_quoted, "\"a \\\"b\\\"\\n\xef\xbf\xbd\""));
    assert_memory_not_equal(a->hash, NONE, sizeof(NONE));
    assert_int_equal(cw_action_set_code(a, CW_SLICE("again"), &err), -1);
    cw_action_unref(a);

    cw_str_reset(&exec);
    cw_str_addf(&exec, "%strue", EXEC);
    a = with_exec(m, exec.p);
    assert_int_equal(cw_action_set_code(a, CW_SLICE("PK\x03\x04"), &err), 0);
    assert_true(cw_slice_is(a->code_quoted, "\"UEsDBA==\""));
    cw_action_unref(a);
    cw_manifest_free(m);
}

static void legacy_names_without_scheme_are_attachments(void **state)
{
    struct cw_manifest *m = test_manifest();
    struct cw_action *a;

    (void)state;
    a = with_exec(m, "\"kind\":\"nodejs:20\",\"code\":{\"attachmentName\":\"codefile\","
                     "\"attachmentType\":\"text/plain\"}");
    assert_int_equal(a->code_place, CW_CODE_ATTACHED);
    assert_string_equal(a->attachment, "codefile");
    assert_false(a->binary);
    cw_action_unref(a);
    a = with_exec(m, "\"kind\":\"java:8\",\"main\":\"Hello\",\"jar\":{\"attachmentName\":"
                     "\"jarfile\",\"attachmentType\":\"application/java-archive\"}");
    assert_string_equal(a->attachment, "jarfile");
    assert_true(a->binary);
    cw_action_unref(a);
    a = with_exec(m, "\"kind\":\"java:8\",\"main\":\"Hello\",\"binary\":false,\"jar\":{"
                     "\"attachmentName\":\"jarfile\",\"attachmentType\":\"text/plain\"}");
    assert_false(a->binary); /* the flag, where there is one */
    cw_action_unref(a);
    a = with_exec(m, "\"kind\":\"java:8\",\"main\":\"Hello\",\"jar\":\"UEsDBA==\"");
    assert_true(cw_slice_is(a->code_quoted, "\"UEsDBA==\""));
    assert_true(a->binary);
    cw_action_unref(a);
    cw_manifest_free(m);
}

static void inline_code_stays_as_stored_and_tells_whether_it_is_binary(void **state)
{
    static const struct {
        const char *code;
        bool binary;
    } CASES[] = {
        {"\"function main(){}\"", false},
        {"\"UEsDBA==\"", true},
        {"\"UEsDBAo=\"", true},
        {"\"main\"", true},
        {"\" \\n\\tUEsDBA==\\u000a\\r \"", true},
        {"\"UEsD\\/BA=\"", true},
        {"\"UE\\u0073DBA==\"", true},
        {"\"UEsDBA=\"", false},
        {"\"UEsDBA===\"", false},
        {"\"UEs=BA==\"", false},
        {"\"UEsD BA==\"", false},
        {"\"UEsDBA\\\\=\"", false},
        {"\"UEs-BA==\"", false},
        {"\"UEs\\u2028BA==\"", false},
        {"\"====\"", false},
        {"\"\"", false},
        {"\"  \"", false},
    };
    struct cw_manifest *m = test_manifest();
    cw_auto_str struct cw_str exec;

    (void)state;
    cw_str_init(&exec, 1000);
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct cw_action *a;

        cw_str_reset(&exec);
        /* the stored flag says the opposite and is ignored */
        cw_str_addf(&exec, "\"kind\":\"plain:1\",\"binary\":%s,\"code\":%s",
                    CASES[i].binary ? "false" : "true", CASES[i].code);
        a = with_exec(m, exec.p);
        assert_true(cw_slice_is(a->code_quoted, CASES[i].code));
        assert_true(a->code_quoted.p > a->text.p &&
                    a->code_quoted.p < a->text.p + a->text.n); /* not a copy */
        if (a->binary != CASES[i].binary)
            fail_msg("%s: %d", CASES[i].code, a->binary);
        cw_action_unref(a);
    }
    cw_manifest_free(m);
}

static void kinds_are_resolved_with_the_manifest(void **state)
{
    struct cw_manifest *m = test_manifest();
    struct cw_action *a;

    (void)state;
    a = with_exec(m, "\"kind\":\" NodeJS:default \",\"code\":\"x\"");
    assert_string_equal(a->kind, "nodejs:20");
    assert_true(a->sentinelled_logs);
    cw_action_unref(a);
    a = with_exec(m, "\"kind\":\"python:3.11\",\"code\":\"x\"");
    assert_false(a->sentinelled_logs);
    cw_action_unref(a);
    a = with_exec(m, "\"kind\":\"sequence\",\"components\":[\"/guest/a\"]");
    assert_string_equal(a->kind, "sequence");
    assert_int_equal(a->code_place, CW_CODE_NONE);
    cw_action_unref(a);
    cw_manifest_free(m);
}

static void blackboxes_may_lack_code_and_sentinels(void **state)
{
    struct cw_manifest *m = test_manifest();
    struct cw_action *a;

    (void)state;
    a = with_exec(m, "\"kind\":\"BlackBox\",\"image\":\"alice/tool:2\",\"binary\":true");
    assert_string_equal(a->kind, "blackbox");
    assert_string_equal(a->image, "alice/tool:2");
    assert_int_equal(a->code_place, CW_CODE_NONE);
    assert_false(a->sentinelled_logs);
    cw_action_unref(a);
    a = with_exec(m, "\"kind\":\"blackbox\",\"image\":\"alice/tool\",\"code\":\" \\n\"");
    assert_int_equal(a->code_place, CW_CODE_NONE);
    cw_action_unref(a);
    a = with_exec(m, "\"kind\":\"blackbox\",\"image\":\"openwhisk/dockerskeleton:nightly\","
                     "\"code\":\"echo\\n hi\"");
    assert_int_equal(a->code_place, CW_CODE_INLINE);
    assert_true(a->sentinelled_logs);
    cw_action_unref(a);
    a = with_exec(m, "\"kind\":\"blackbox\",\"image\":\"alice/tool\",\"code\":{\"attachmentName\":"
                     "\"mem:UEsDBA==\",\"attachmentType\":\"application/octet-stream\"},"
                     "\"binary\":true");
    assert_true(cw_slice_is(a->code_quoted, "\"UEsDBA==\""));
    assert_true(a->binary);
    cw_action_unref(a);
    cw_manifest_free(m);
}

static void limits_have_defaults_and_are_written_back(void **state)
{
    static const struct cw_limit_defaults OTHER = {.logs_mb = 7, .concurrency = 3};
    struct cw_manifest *m = test_manifest();
    cw_auto_str struct cw_str s;
    struct cw_err err = {0};
    struct cw_action *a;
    json_t *doc;

    (void)state;
    document(&s, "\"kind\":\"nodejs:20\",\"code\":\"x\"", "");
    a = cw_action_decode(cw_str_slice(&s), m, &OTHER, &err);
    assert_int_equal(a->limits.timeout_ms, 60000);
    assert_int_equal(a->limits.memory_mb, 256);
    assert_int_equal(a->limits.logs_mb, 7);
    assert_int_equal(a->limits.concurrency, 3);
    assert_json_text(a->limits_raw,
                     "{\"timeout\":60000,\"memory\":256,\"logs\":7,\"concurrency\":3}");
    cw_action_unref(a);

    doc = json_of(cw_str_slice(&s));
    assert_int_equal(
        json_object_set_new(doc, "limits",
                            json_of(CW_SLICE("{\"timeout\":1,\"memory\":2,\"logs\":0,"
                                             "\"concurrency\":5,\"instances\":0,\"odd\":1}"))),
        0);
    cw_str_reset(&s);
    {
        cw_auto_free char *text = dump_of(doc);

        a = test_action(m, text);
    }
    assert_json_text(a->limits_raw, "{\"timeout\":1,\"memory\":2,\"logs\":0,\"concurrency\":5,"
                                    "\"instances\":0}");
    cw_action_unref(a);
    json_decref(doc);
    cw_manifest_free(m);
}

/* A minimal document with the member at `key` ("exec.code" goes one level down) set to `value`, or
 * removed. */
static char *changed(const char *key, const char *value)
{
    cw_auto_str struct cw_str s;
    const char *dot = strchr(key, '.');
    json_t *doc, *obj;
    char *text;

    document(&s, "\"kind\":\"nodejs:20\",\"code\":\"x\"", "");
    doc = obj = json_of(cw_str_slice(&s));
    if (dot) {
        cw_auto_free char *outer = cw_memdup(key, (size_t)(dot - key));

        obj = json_object_get(doc, outer);
        key = dot + 1;
    }
    if (value)
        assert_int_equal(json_object_set_new(obj, key, json_of(cw_slice_of(value))), 0);
    else
        assert_int_equal(json_object_del(obj, key), 0);
    text = dump_of(doc);
    json_decref(doc);
    return text;
}

static void api_key_is_provided_unless_annotated_otherwise(void **state)
{
    static const struct {
        const char *annotations;
        bool provide;
    } CASES[] = {
        {"[]", true},
        {"[{\"key\":\"other\",\"value\":false}]", true},
        {"[{\"key\":\"provide-api-key\",\"value\":true}]", true},
        {"[{\"key\":\"provide-api-key\",\"value\":false}]", false},
        {"[{\"key\":\"provide-api-key\",\"value\":null}]", false},
        {"[{\"key\":\"provide-api-key\",\"value\":0}]", false},
        {"[{\"key\":\"provide-api-key\",\"value\":-0.0e5}]", false},
        {"[{\"key\":\"provide-api-key\",\"value\":0.5}]", true},
        {"[{\"key\":\"provide-api-key\",\"value\":\"\"}]", false},
        {"[{\"key\":\"provide-api-key\",\"value\":\"false\"}]", true},
        {"[{\"key\":\"provide-api-key\",\"value\":[]}]", true},
        {"[{\"key\":\"provide-api-key\",\"value\":{}}]", true},
        {"[{\"key\":\"provide-api-key\",\"value\":false},{\"key\":\"provide-api-key\",\"value\":1}"
         "]",
         true},
    };
    struct cw_manifest *m = test_manifest();

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        cw_auto_free char *text = changed("annotations", CASES[i].annotations);
        struct cw_action *a = test_action(m, text);

        if (a->provide_api_key != CASES[i].provide)
            fail_msg("%s", CASES[i].annotations);
        cw_action_unref(a);
    }
    cw_manifest_free(m);
}

static void versions_and_paths_are_read_as_leniently_as_stock_reads_them(void **state)
{
    cw_auto_free char *path = changed("namespace", "\"/a//b/\""),
                      *version = changed("version", "\"1.+02.3.4\""),
                      *type = changed("entityType", "\"trigger\"");
    struct cw_manifest *m = test_manifest();
    struct cw_action *a = test_action(m, path);

    (void)state;
    assert_string_equal(a->namespace_path, "a/b");
    assert_string_equal(a->path, "a/b/hello");
    cw_action_unref(a);
    a = test_action(m, version);
    assert_string_equal(a->version, "1.2.3");
    cw_action_unref(a);
    cw_action_unref(test_action(m, type));
    cw_manifest_free(m);
}

static void unreadable_documents_name_the_member(void **state)
{
#define ATTACHED_AS(name, more)                                                                    \
    "{\"kind\":\"nodejs:20\",\"code\":{\"attachmentName\":\"" name "\"" more "}}"
#define ATTACHED(name) ATTACHED_AS(name, ",\"attachmentType\":\"text/plain\"")
#define UUID "6c95590f-ee9a-47e3-9559-0fee9a17e399"
#define STUB(name, length)                                                                         \
    "\"" name                                                                                      \
    "\":{\"content_type\":\"text/plain\",\"revpos\":2,\"digest\":\"md5-x\",\"length\":" length     \
    ",\"stub\":true}"
    static const struct {
        const char *key, *value, *named;
    } CASES[] = {
        {"namespace", NULL, "namespace"},
        {"namespace", "\"a/ b\"", "namespace"},
        {"namespace", "\"/\"", "namespace"},
        {"name", NULL, "name"},
        {"name", "\"a/b\"", "name"},
        {"version", NULL, "version"},
        {"version", "\"1.x.3\"", "version"},
        {"version", "\"0.0.0\"", "version"},
        {"publish", NULL, "publish"},
        {"updated", NULL, "updated"},
        {"updated", "\"1\"", "updated"},
        {"parameters", NULL, "parameters"},
        {"parameters", "[{\"key\":\"a\"}]", "parameters[0]"},
        {"parameters", "[{\"key\":\"a\",\"value\":1},{\"value\":1}]", "parameters[1]"},
        {"parameters", "[{\"key\":1,\"value\":1}]", "parameters[0]"},
        {"parameters", "[7]", "parameters[0]"},
        {"annotations", NULL, "annotations"},
        {"annotations", "[{\"value\":1}]", "annotations[0]"},
        {"parameters", "[{\"key\":\"a\",\"value\":1,\"encryption\":null}]", "parameters[0]"},
        {"limits", NULL, "limits"},
        {"limits.timeout", NULL, "limits.timeout"},
        {"limits.memory", NULL, "limits.memory"},
        {"limits.memory", "-1", "limits.memory"},
        {"limits.memory", "128.5", "limits.memory"},
        {"limits.timeout", "\"1\"", "limits.timeout"},
        {"limits.instances", "-1", "limits.instances"},
        {"exec", NULL, "exec"},
        {"exec", "{}", "exec.kind"},
        {"exec.kind", "\"nodejs:6\"", "exec.kind"},
        {"exec.kind", "\"\"", "exec.kind"},
        {"exec.code", NULL, "exec.code"},
        {"exec.code", "7", "exec.code"},
        {"exec.code", "{}", "exec.code.attachmentName"},
        {"exec.kind", "\"java:8\"", "exec.main"},
        {"exec.main", "7", "exec.main"},
        {"exec", "{\"kind\":\"plain:1\",\"code\":{\"attachmentName\":\"couch:1\"}}", "exec.code"},
        {"exec", "{\"kind\":\"blackbox\"}", "exec.image"},
        {"exec", "{\"kind\":\"blackbox\",\"image\":\"A B\"}", "exec"},
        {"exec", "{\"kind\":\"sequence\"}", "exec.components"},
        {"exec", ATTACHED_AS("couch:1", ""), "exec.code.attachmentType"},
        {"exec", ATTACHED_AS("couch:1", ",\"attachmentType\":\"text\""),
         "exec.code.attachmentType"},
        {"exec", ATTACHED_AS("couch:1", ",\"attachmentType\":\"a/b\",\"length\":\"7\""),
         "exec.code.length"},
        {"exec", ATTACHED_AS("couch:1", ",\"attachmentType\":\"a/b\",\"digest\":7"),
         "exec.code.digest"},
        {"exec", "{\"kind\":\"plain:1\",\"jar\":\"x\"}", "exec.code"},
        {"exec", "{\"kind\":\"nodejs:20\",\"code\":null,\"jar\":\"x\"}", "exec.code"},
        {"exec", "{\"kind\":\"blackbox\",\"image\":\"a\",\"code\":null}", "exec.code"},
        {"exec", "{\"kind\":\"blackbox\",\"image\":7}", "exec.image"},
        {"exec", "{\"kind\":\"sequence\",\"components\":{}}", "exec.components"},
        {"exec", "{\"kind\":\"sequence\",\"components\":[7]}", "exec.components"},
        {"exec",
         "{\"kind\":\"nodejs:20\",\"code\":{\"attachmentName\":\"couch:1\",\"attachmentType\":"
         "\"a/b\"},\"binary\":\"yes\"}",
         "exec.binary"},
        {"exec.main", "null", "exec.main"},
        {"limits.logs", "null", "limits.logs"},
        {"limits.concurrency", "null", "limits.concurrency"},
        {"parameters", "[{\"key\":\"a\",\"value\":1,\"init\":1}]", "parameters[0]"},
        {"parameters", "[{\"key\":\"a\",\"value\":1,\"encryption\":1}]", "parameters[0]"},
        {"_attachments", "{" STUB("a", "1") "," STUB("b", "1") "}", "_attachments"},
        {"_attachments", "{}", "_attachments"},
        {"_attachments", "{\"a\":{\"stub\":true}}", "_attachments.content_type"},
        {"_attachments", "{\"a\":{\"content_type\":\"a/b\",\"digest\":\"d\"}}",
         "_attachments.length"},
    };
    struct cw_manifest *m = test_manifest();
    struct cw_err err;

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        cw_auto_free char *text = changed(CASES[i].key, CASES[i].value);
        size_t n = strlen(CASES[i].named);

        err = (struct cw_err){0};
        if (cw_action_decode(cw_slice_of(text), m, &DEFAULTS, &err))
            fail_msg("accepted: %s", text);
        assert_int_equal(err.code, CW_INVALID);
        if (strncmp(err.msg, CASES[i].named, n) != 0 || err.msg[n] != ':')
            fail_msg("%s: %s", CASES[i].named, err.msg);
    }
    cw_manifest_free(m);
}

/* The document can be read, its code cannot be had. */
static void check_no_code(const struct cw_manifest *m, const char *exec, const char *attachments,
                          const char *why)
{
    cw_auto_str struct cw_str s;
    struct cw_err err = {0};

    cw_str_init(&s, 1 << 20);
    cw_str_addf(&s,
                "{\"namespace\":\"guest\",\"name\":\"hello\",\"version\":\"0.0.1\",\"publish\":"
                "false,\"updated\":1,\"exec\":%s,\"parameters\":[],\"limits\":{\"timeout\":60000,"
                "\"memory\":256},\"annotations\":[]%s}",
                exec, attachments);
    if (cw_action_decode(cw_str_slice(&s), m, &DEFAULTS, &err))
        fail_msg("accepted: %s", s.p);
    if (err.code != CW_INTERNAL || !strstr(err.msg, why))
        fail_msg("%s: %s", cw_code_name(err.code), err.msg);
}

static void code_in_another_store_is_named(void **state)
{
    struct cw_manifest *m = test_manifest();

    (void)state;
    check_no_code(m, ATTACHED("s3:" UUID), "", "\"s3\" is not supported");
    check_no_code(m, ATTACHED("az:" UUID), "", "\"az\" is not supported");
    check_no_code(m, ATTACHED("mems:abc"), "", "\"mems\" is not supported");
    check_no_code(m, ATTACHED("cosmos:abc"), "", "\"cosmos\" is not supported");
    check_no_code(m, ATTACHED("mongodb:abc"), "", "\"mongodb\" is not supported");
    cw_manifest_free(m);
}

static void attachment_name_that_makes_no_sense_is_no_code(void **state)
{
    struct cw_manifest *m = test_manifest();

    (void)state;
    check_no_code(m, ATTACHED("mem:%%%"), "", "base64");
    check_no_code(m, ATTACHED("couch:"), "", "1..256 bytes");
    check_no_code(m, ATTACHED(""), "", "1..256 bytes");
    cw_manifest_free(m);
}

static void stub_must_be_the_attachment_of_the_code(void **state)
{
    static const char *const GOOD[][2] = {
        {ATTACHED("couch:" UUID), UUID},
        {ATTACHED("codefile"), "codefile"},
    };
    struct cw_manifest *m = test_manifest();

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(GOOD); i++) {
        cw_auto_str struct cw_str s;
        struct cw_action *a;

        cw_str_init(&s, 1 << 20);
        cw_str_addf(&s,
                    "{\"namespace\":\"guest\",\"name\":\"hello\",\"version\":\"0.0.1\",\"publish\":"
                    "false,\"updated\":1,\"exec\":%s,\"parameters\":[],\"limits\":{\"timeout\":"
                    "60000,\"memory\":256},\"annotations\":[],\"_attachments\":{\"%s\":{"
                    "\"content_type\":\"text/plain\",\"digest\":\"md5-x\",\"length\":3}}}",
                    GOOD[i][0], GOOD[i][1]);
        a = test_action(m, s.p);
        assert_string_equal(a->attachment, GOOD[i][1]);
        cw_action_unref(a);
    }
    check_no_code(m, ATTACHED("couch:" UUID), ",\"_attachments\":{" STUB("codefile", "3") "}",
                  "codefile is not what");
    check_no_code(m, ATTACHED("couch:codefile"), ",\"_attachments\":{" STUB("codefile", "3") "}",
                  "codefile is not what"); /* only a UUID has the scheme of the store */
    check_no_code(m, ATTACHED(UUID), ",\"_attachments\":{" STUB(UUID, "3") "}", "is not what");
    check_no_code(m, ATTACHED("codefile"), ",\"_attachments\":{" STUB("jarfile", "3") "}",
                  "jarfile is not what");
    check_no_code(m, ATTACHED("mem:eA=="), ",\"_attachments\":{" STUB(UUID, "3") "}",
                  "is not what");
    cw_manifest_free(m);
}

static void inline_code_does_not_mind_a_stub(void **state)
{
    struct cw_manifest *m = test_manifest();
    cw_auto_str struct cw_str s;
    struct cw_action *a;

    (void)state;
    document(&s, "\"kind\":\"nodejs:20\",\"code\":\"x\",\"binary\":7",
             ",\"_attachments\":{" STUB(UUID, "3") "}");
    a = test_action(m, s.p);
    assert_true(cw_slice_is(a->code_quoted, "\"x\""));
    cw_action_unref(a);
    cw_manifest_free(m);
}

static void attachment_must_be_as_long_as_its_stub_says(void **state)
{
    struct cw_manifest *m = test_manifest();
    struct cw_err err = {0};
    cw_auto_str struct cw_str s;
    struct cw_action *a;

    (void)state;
    document(&s,
             "\"kind\":\"nodejs:20\",\"code\":{\"attachmentName\":\"couch:" UUID
             "\",\"attachmentType\":\"text/plain\",\"length\":99}",
             ",\"_attachments\":{" STUB(UUID, "3") "}");
    a = test_action(m, s.p);
    assert_int_equal(cw_action_set_code(a, CW_SLICE("ab"), &err), -1);
    assert_int_equal(err.code, CW_INTERNAL);
    assert_int_equal(cw_action_set_code(a, CW_SLICE("abc"), &err), 0);
    cw_action_unref(a);
    cw_manifest_free(m);
}

static void empty_main_is_a_main(void **state)
{
    struct cw_manifest *m = test_manifest();
    struct cw_action *a = with_exec(m, "\"kind\":\"java:8\",\"main\":\"\",\"code\":\"x\"");

    (void)state;
    assert_string_equal(a->main, "");
    cw_action_unref(a);
    cw_manifest_free(m);
}

static void id_is_made_up_when_the_document_has_none(void **state)
{
    cw_auto_free char *text = changed("_id", NULL);
    struct cw_manifest *m = test_manifest();
    struct cw_action *a = test_action(m, text);

    (void)state;
    assert_string_equal(a->id, "guest/hello");
    cw_action_unref(a);
    cw_manifest_free(m);
}

static bool same_hash(const struct cw_manifest *m, const char *a_text, const char *b_text)
{
    struct cw_action *a = test_action(m, a_text), *b = test_action(m, b_text);
    bool same = memcmp(a->hash, b->hash, sizeof(a->hash)) == 0;

    cw_action_unref(a);
    cw_action_unref(b);
    return same;
}

static void identical_content_has_the_same_hash(void **state)
{
    static const struct {
        const char *key, *value;
    } CASES[] = {
        {"_id", "\"elsewhere\""},
        {"_rev", "\"9-z\""},
        {"updated", "99"},
        {"entityType", NULL},
        {"limits.logs", "10"},
        {"exec.binary", "true"}, /* recomputed */
        {"exec.kind", "\"nodejs:default\""},
        {"exec", ATTACHED("mem:eA==")},
    };
    cw_auto_free char *plain = changed("updated", "1");
    struct cw_manifest *m = test_manifest();

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        cw_auto_free char *text = changed(CASES[i].key, CASES[i].value);

        if (!same_hash(m, plain, text))
            fail_msg("differs: %s", text);
    }
    cw_manifest_free(m);
}

static void different_content_has_a_different_hash(void **state)
{
    static const struct {
        const char *key, *value;
    } CASES[] = {
        {"namespace", "\"bob\""},
        {"name", "\"hallo\""},
        {"version", "\"0.0.2\""},
        {"publish", "true"},
        {"exec.code", "\"y\""},
        {"exec.kind", "\"nodejs:18\""},
        {"exec.main", "\"main\""},
        {"limits.memory", "512"},
        {"limits.timeout", "1"},
        {"limits.logs", "0"},
        {"limits.concurrency", "2"},
        {"limits.instances", "2"},
        {"parameters", "[{\"key\":\"a\",\"value\":1}]"},
        {"annotations", "[{\"key\":\"a\",\"value\":1}]"},
        {"binding", "{\"namespace\":\"a\",\"name\":\"b\"}"},
        {"exec", "{\"kind\":\"blackbox\",\"image\":\"a\",\"code\":\"x\"}"},
    };
    cw_auto_free char *plain = changed("updated", "1");
    struct cw_manifest *m = test_manifest();

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        cw_auto_free char *text = changed(CASES[i].key, CASES[i].value);

        if (same_hash(m, plain, text))
            fail_msg("equal: %s", text);
    }
    cw_manifest_free(m);
}

static struct cw_action *warm_action(const struct cw_manifest *m, const char *key,
                                     const char *value)
{
    const struct cw_limit_defaults defaults = {
        .logs_mb = 10, .concurrency = 1, .warm_limits = true};
    cw_auto_free char *text = changed(key, value);
    struct cw_err err = {0};
    struct cw_action *a = cw_action_decode(cw_slice_of(text), m, &defaults, &err);

    if (!a)
        fail_msg("%s", err.msg);
    return a;
}

static bool stays_warm(const struct cw_manifest *m, const char *key, const char *value)
{
    struct cw_action *a = warm_action(m, "updated", "1"), *b = warm_action(m, key, value);
    bool same = memcmp(a->hash, b->hash, sizeof(a->hash)) == 0;

    cw_action_unref(a);
    cw_action_unref(b);
    return same;
}

static void with_warm_limits_what_a_live_container_can_be_given_is_not_in_the_hash(void **state)
{
    static const struct {
        const char *key, *value;
        bool warm;
    } CASES[] = {
        {"version", "\"0.0.2\"", true},
        {"limits.timeout", "1", true},
        {"limits.logs", "0", true},
        {"limits.memory", "512", true},
        {"annotations", "[{\"key\":\"cwhisk.cpu-guarantee\",\"value\":0.5}]", true},
        {"annotations", "[{\"key\":\"cwhisk\\u002ecpus\",\"value\":1}]", true},
        {"annotations", "[{\"key\":\"cwhisk\",\"value\":1}]", false},
        {"annotations", "[{\"key\":\"a\",\"value\":1}]", false},
        {"publish", "true", false},
        {"limits.concurrency", "2", false},
        {"parameters", "[{\"key\":\"cwhisk.a\",\"value\":1}]", false},
        {"exec.code", "\"y\"", false},
    };
    struct cw_manifest *m = test_manifest();

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++)
        if (stays_warm(m, CASES[i].key, CASES[i].value) != CASES[i].warm)
            fail_msg("%s %s", CASES[i].key, CASES[i].value);
    cw_manifest_free(m);
}

static void annotation_is_found_by_its_name_the_last_of_equals(void **state)
{
    struct cw_manifest *m = test_manifest();
    struct cw_action *a = warm_action(m, "annotations",
                                      "[{\"key\":\"a\",\"value\":1},{\"key\":\"b\",\"value\":2},"
                                      "{\"key\":\"a\",\"value\":[3]}]");
    struct cw_slice value;

    (void)state;
    assert_true(cw_action_annotation(a, "a", &value));
    assert_true(cw_slice_is(value, "[3]"));
    assert_true(cw_action_annotation(a, "b", &value));
    assert_false(cw_action_annotation(a, "c", &value));
    cw_action_unref(a);
    cw_manifest_free(m);
}

static void fetched_code_counts_in_the_hash_and_its_name_does_not(void **state)
{
    cw_auto_free char *first = changed("exec", ATTACHED("couch:1")),
                      *second = changed("exec", ATTACHED("couch:2")),
                      *plain = changed("updated", "1");
    struct cw_manifest *m = test_manifest();
    struct cw_action *a = test_action(m, first), *b = test_action(m, second),
                     *c = test_action(m, plain);
    struct cw_err err = {0};

    (void)state;
    assert_int_equal(cw_action_set_code(a, CW_SLICE("x"), &err), 0);
    assert_int_equal(cw_action_set_code(b, CW_SLICE("x"), &err), 0);
    assert_memory_equal(a->hash, b->hash, sizeof(a->hash));
    assert_memory_equal(a->hash, c->hash, sizeof(a->hash)); /* inline code "x" */
    cw_action_unref(b);
    b = test_action(m, second);
    assert_int_equal(cw_action_set_code(b, CW_SLICE("y"), &err), 0);
    assert_memory_not_equal(a->hash, b->hash, sizeof(a->hash));
    cw_action_unref(a);
    cw_action_unref(b);
    cw_action_unref(c);
    cw_manifest_free(m);
}

static void recreated_sample_reuses_its_identity(void **state)
{
    cw_auto_free char *text = sample_document("couch-whisks.json", "guest/hello");
    struct cw_manifest *m = test_manifest();
    json_t *doc = json_of(cw_slice_of(text));
    cw_auto_free char *again = NULL;

    (void)state;
    json_object_set_new(doc, "_rev", json_string("7-00"));
    json_object_set_new(doc, "updated", json_integer(5));
    again = json_dumps(doc, JSON_INDENT(2) | JSON_SORT_KEYS);
    assert_true(same_hash(m, text, again));
    json_decref(doc);
    cw_manifest_free(m);
}

static void references_are_counted_and_bytes_known(void **state)
{
    struct cw_manifest *m = test_manifest();
    struct cw_action *a = with_exec(m, "\"kind\":\"nodejs:20\",\"code\":\"x\"");

    (void)state;
    assert_ptr_equal(cw_action_ref(a), a);
    cw_action_unref(a);
    assert_true(cw_action_bytes(a) > a->text.n);
    assert_true(cw_action_bytes(a) < a->text.n + 16384);
    cw_action_unref(a);
    cw_action_unref(NULL);
    cw_manifest_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_recorded_action_is_decoded),
        cmocka_unit_test(other_recorded_entities_are_a_conflict),
        cmocka_unit_test(mem_attachments_become_code_at_once),
        cmocka_unit_test(attached_code_is_given_later),
        cmocka_unit_test(legacy_names_without_scheme_are_attachments),
        cmocka_unit_test(inline_code_stays_as_stored_and_tells_whether_it_is_binary),
        cmocka_unit_test(kinds_are_resolved_with_the_manifest),
        cmocka_unit_test(blackboxes_may_lack_code_and_sentinels),
        cmocka_unit_test(limits_have_defaults_and_are_written_back),
        cmocka_unit_test(api_key_is_provided_unless_annotated_otherwise),
        cmocka_unit_test(versions_and_paths_are_read_as_leniently_as_stock_reads_them),
        cmocka_unit_test(unreadable_documents_name_the_member),
        cmocka_unit_test(code_in_another_store_is_named),
        cmocka_unit_test(attachment_name_that_makes_no_sense_is_no_code),
        cmocka_unit_test(inline_code_does_not_mind_a_stub),
        cmocka_unit_test(attachment_must_be_as_long_as_its_stub_says),
        cmocka_unit_test(empty_main_is_a_main),
        cmocka_unit_test(stub_must_be_the_attachment_of_the_code),
        cmocka_unit_test(id_is_made_up_when_the_document_has_none),
        cmocka_unit_test(identical_content_has_the_same_hash),
        cmocka_unit_test(different_content_has_a_different_hash),
        cmocka_unit_test(with_warm_limits_what_a_live_container_can_be_given_is_not_in_the_hash),
        cmocka_unit_test(annotation_is_found_by_its_name_the_last_of_equals),
        cmocka_unit_test(fetched_code_counts_in_the_hash_and_its_name_does_not),
        cmocka_unit_test(recreated_sample_reuses_its_identity),
        cmocka_unit_test(references_are_counted_and_bytes_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
