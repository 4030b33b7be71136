#include "tests/unit/model/samples.h"

#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "common/model/action_doc.h"
#include "common/model/activation_message.h"
#include "common/model/manifest.h"

char *sample_text(const char *file)
{
    char path[512], *text;
    FILE *f;
    long n;

    (void)snprintf(path, sizeof(path), CW_TEST_DATA "/samples/%s", file);
    f = fopen(path, "r");
    if (!f)
        fail_msg("%s cannot be read", path);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    n = ftell(f);
    rewind(f);
    text = cw_alloc((size_t)n + 1);
    assert_int_equal(fread(text, 1, (size_t)n, f), n);
    (void)fclose(f);
    return text;
}

size_t sample_lines(const char *file, void (*fn)(struct cw_slice line))
{
    cw_auto_free char *text = sample_text(file);
    size_t count = 0;
    char *end;

    for (char *p = text; *p; p = end) {
        end = strchrnul(p, '\n');
        if (end > p) {
            fn(cw_slice(p, (size_t)(end - p)));
            count++;
        }
        end += *end == '\n';
    }
    return count;
}

json_t *sample_documents(const char *file)
{
    cw_auto_free char *text = sample_text(file);
    json_t *docs = json_loads(text, 0, NULL);

    assert_true(json_is_array(docs));
    return docs;
}

char *sample_document(const char *file, const char *id)
{
    json_t *docs = sample_documents(file), *doc;
    char *text = NULL;
    size_t i;

    json_array_foreach(docs, i, doc) if (strcmp(string_at(doc, "_id"), id) == 0) text =
        dump_of(doc);
    json_decref(docs);
    if (!text)
        fail_msg("%s has no %s", file, id);
    return text;
}

struct cw_manifest *test_manifest(void)
{
    static const char TEXT[] =
        "{\"runtimes\":{"
        "\"nodejs\":[{\"kind\":\"nodejs:18\",\"image\":{\"prefix\":\"openwhisk\",\"name\":\"action-"
        "nodejs-v18\",\"tag\":\"nightly\"},\"attached\":{\"attachmentName\":\"codefile\","
        "\"attachmentType\":\"text/plain\"}},"
        "{\"kind\":\"nodejs:20\",\"default\":true,\"image\":{\"prefix\":\"whisk\",\"name\":"
        "\"action-nodejs-v20\"},\"attached\":{\"attachmentName\":\"codefile\",\"attachmentType\":"
        "\"text/plain\"},\"stemCells\":[{\"initialCount\":2,\"memory\":\"256 MB\"}]}],"
        "\"python\":[{\"kind\":\"python:3.11\",\"image\":{\"name\":\"action-python\"},\"attached\":"
        "{\"attachmentName\":\"codefile\",\"attachmentType\":\"text/plain\"},\"sentinelledLogs\":"
        "false}],"
        "\"java\":[{\"kind\":\"java:8\",\"image\":{\"name\":\"java8action\"},\"attached\":"
        "{\"attachmentName\":\"jarfile\",\"attachmentType\":\"application/java-archive\"},"
        "\"requireMain\":true}],"
        "\"plain\":[{\"kind\":\"plain:1\",\"image\":{\"name\":\"plain\"}}]},"
        "\"blackboxes\":[{\"prefix\":\"openwhisk\",\"name\":\"dockerskeleton\",\"tag\":\"nightly\"}"
        "]}";
    struct cw_err err = {0};
    struct cw_manifest *m = cw_manifest_parse(cw_slice_of(TEXT), &err);

    if (!m)
        fail_msg("manifest: %s", err.msg);
    return m;
}

struct cw_activation_message *test_message(const char *text)
{
    struct cw_err err = {0};
    struct cw_activation_message *m = cw_activation_message_decode(cw_slice_of(text), 1, &err);

    if (!m)
        fail_msg("message: %s", err.msg);
    return m;
}

struct cw_action *test_action(const struct cw_manifest *manifest, const char *text)
{
    static const struct cw_limit_defaults DEFAULTS = {.logs_mb = 10, .concurrency = 1};
    struct cw_err err = {0};
    struct cw_action *a = cw_action_decode(cw_slice_of(text), manifest, &DEFAULTS, &err);

    if (!a)
        fail_msg("action: %s", err.msg);
    return a;
}

json_t *json_of(struct cw_slice text)
{
    json_error_t error;
    json_t *v = json_loadb(text.p, text.n,
                           JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);

    if (!v)
        fail_msg("%s in %.*s", error.text, (int)text.n, text.p);
    return v;
}

void assert_json(const json_t *have, const json_t *want)
{
    cw_auto_free char *have_text = NULL, *want_text = NULL;

    if (json_equal(have, want))
        return;
    have_text = json_dumps(have, JSON_SORT_KEYS | JSON_ENCODE_ANY);
    want_text = json_dumps(want, JSON_SORT_KEYS | JSON_ENCODE_ANY);
    fail_msg("have %s\nwant %s", have_text, want_text);
}

void assert_json_text(struct cw_slice have, const char *want)
{
    json_t *a = json_of(have), *b = json_of(cw_slice_of(want));

    assert_json(a, b);
    json_decref(a);
    json_decref(b);
}

const char *string_at(const json_t *obj, const char *key)
{
    return json_string_value(json_object_get(obj, key));
}

char *dump_of(const json_t *value)
{
    return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}
