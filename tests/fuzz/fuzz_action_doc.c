/* The input is a document of the whisks database. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/json/raw.h"
#include "common/model/action_doc.h"
#include "common/model/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char MANIFEST[] =
    "{\"runtimes\":{\"nodejs\":[{\"kind\":\"nodejs:20\",\"image\":{\"name\":\"n\"},\"attached\":"
    "{\"attachmentName\":\"c\",\"attachmentType\":\"t\"}}"
    "],"
    "\"java\":[{\"kind\":\"java:8\",\"image\":{\"name\":\"j\"},\"requireMain\":true}]},"
    "\"blackboxes\":[{\"name\":\"native\"}]}";

static void must_be_json(struct cw_slice text, enum cw_raw_type type)
{
    struct cw_slice value;

    if (cw_raw_check(text, CW_RAW_MAX_DEPTH, &value, NULL) || cw_raw_type(value) != type)
        abort();
}

static void check(struct cw_action *a)
{
    struct cw_err err = {0};

    if (a->code_place == CW_CODE_ATTACHED &&
        cw_action_set_code(a, CW_SLICE("\xff\"\\\n\x01 code"), &err) && err.code != CW_INTERNAL)
        abort(); /* CW_INTERNAL: another length was announced */
    if (a->code_place == CW_CODE_INLINE)
        must_be_json(a->code_quoted, CW_RAW_STRING);
    must_be_json(a->limits_raw, CW_RAW_OBJECT);
    must_be_json(a->annotations, CW_RAW_ARRAY);
    if (!a->id || !a->kind || !a->name || cw_action_bytes(a) < a->text.n)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct cw_limit_defaults DEFAULTS = {.logs_mb = 10, .concurrency = 1};
    struct cw_err err = {0};
    struct cw_manifest *m = cw_manifest_parse(cw_slice_of(MANIFEST), &err);
    struct cw_action *a;

    if (!m)
        abort();
    a = cw_action_decode(cw_slice((const char *)data, size), m, &DEFAULTS, &err);
    if (a)
        check(a);
    else if (err.code != CW_INVALID && err.code != CW_CONFLICT && err.code != CW_INTERNAL)
        abort();
    cw_action_unref(a);
    cw_manifest_free(m);
    return 0;
}
