/* The document is checked once as a whole; what has to be compared or printed is unescaped into the
 * arena, the rest stays where it is in the text. */
#include "common/model/action_doc.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/json/raw.h"
#include "common/model/action_doc_priv.h"
#include "common/model/content_hash.h"
#include "common/model/entity_name.h"

struct wire {
    const char *id, *rev, *name, *version;
    char *namespace_path; /* normalized in place */
    struct cw_slice exec, parameters, limits, annotations, attachments, binding, updated;
    bool publish;
};

#define AT(member) offsetof(struct wire, member)
static const struct cw_field FIELDS[] = {
    {"_id", CW_FIELD_STRING, 0, AT(id), 0, 1, 2048},
    {"_rev", CW_FIELD_STRING, 0, AT(rev), 0, 1, 256},
    {"namespace", CW_FIELD_STRING, CW_FIELD_REQUIRED, AT(namespace_path), 0, 1, 1024},
    {"name", CW_FIELD_STRING, CW_FIELD_REQUIRED, AT(name), 0, 1, 256},
    {"version", CW_FIELD_STRING, CW_FIELD_REQUIRED, AT(version), 0, 1, 64},
    {"publish", CW_FIELD_BOOL, CW_FIELD_REQUIRED, AT(publish), 0, 0, 0},
    {"updated", CW_FIELD_NUMBER, CW_FIELD_REQUIRED, AT(updated), 0, 0, 0},
    {"exec", CW_FIELD_OBJECT, CW_FIELD_REQUIRED, AT(exec), 0, 0, 0},
    {"parameters", CW_FIELD_ARRAY, CW_FIELD_REQUIRED, AT(parameters), 0, 0, 0},
    {"limits", CW_FIELD_OBJECT, CW_FIELD_REQUIRED, AT(limits), 0, 0, 0},
    {"annotations", CW_FIELD_ARRAY, CW_FIELD_REQUIRED, AT(annotations), 0, 0, 0},
    {"_attachments", CW_FIELD_OBJECT, 0, AT(attachments), 0, 0, 0},
    {"binding", CW_FIELD_RAW, CW_FIELD_NULLABLE, AT(binding), 0, 0, 0},
};
#undef AT

#define AT(member) offsetof(struct cw_action_limits, member)
static const struct cw_field LIMIT_FIELDS[] = {
    {"timeout", CW_FIELD_WHOLE, CW_FIELD_REQUIRED, AT(timeout_ms), 0, INT32_MIN, INT32_MAX},
    {"memory", CW_FIELD_WHOLE, CW_FIELD_REQUIRED, AT(memory_mb), 0, 0, INT32_MAX},
    {"logs", CW_FIELD_WHOLE, 0, AT(logs_mb), 0, 0, INT32_MAX},
    {"concurrency", CW_FIELD_WHOLE, 0, AT(concurrency), 0, INT32_MIN, INT32_MAX},
};
#undef AT

static const struct cw_field INSTANCES_FIELDS[] = {
    {"instances", CW_FIELD_WHOLE, 0, 0, 0, 0, INT32_MAX},
};

static struct action_doc *private_of(struct cw_action *a)
{
    return CW_CONTAINER_OF(a, struct action_doc, pub);
}

static bool is_nonzero(struct cw_slice number)
{
    for (size_t i = 0; i < number.n && number.p[i] != 'e' && number.p[i] != 'E'; i++)
        if (number.p[i] >= '1' && number.p[i] <= '9')
            return true;
    return false;
}

static bool is_truthy(struct cw_slice value)
{
    switch (cw_raw_type(value)) {
    case CW_RAW_NULL:
        return false;
    case CW_RAW_BOOL:
        return cw_raw_is_true(value);
    case CW_RAW_NUMBER:
        return is_nonzero(value);
    case CW_RAW_STRING:
        return value.n > 2;
    default:
        return true;
    }
}

/* The combinations of members that stock's reader knows. */
static bool is_parameter(struct cw_slice element)
{
    struct cw_slice key, value, init = {0}, encryption;

    if (!cw_raw_get(element, "key", &key) || cw_raw_type(key) != CW_RAW_STRING ||
        !cw_raw_get(element, "value", &value))
        return false;
    if (cw_raw_get(element, "init", &init) && cw_raw_type(init) != CW_RAW_BOOL)
        return false;
    if (!cw_raw_get(element, "encryption", &encryption))
        return true;
    return cw_raw_type(encryption) == CW_RAW_STRING ||
           (init.n && cw_raw_type(encryption) == CW_RAW_NULL);
}

static int check_parameters(struct cw_slice array, const char *path, struct cw_err *err)
{
    struct cw_raw_iter it = cw_raw_iter(array);
    struct cw_slice element;

    for (size_t i = 0; cw_raw_next_element(&it, &element); i++)
        if (!is_parameter(element))
            return cw_fail(err, CW_INVALID, "%s[%zu]: expected object with key and value", path, i);
    return 0;
}

/* Of equal keys the last one counts, as in the map that stock builds. */
static bool find_annotation(struct cw_slice annotations, const char *name,
                            struct cw_slice *ret_value)
{
    struct cw_raw_iter it = cw_raw_iter(annotations);
    struct cw_slice element, key;
    bool found = false;

    while (cw_raw_next_element(&it, &element))
        if (cw_raw_get(element, "key", &key) && cw_raw_string_is(key, name) &&
            cw_raw_get(element, "value", ret_value))
            found = true;
    return found;
}

static bool annotated(struct cw_slice annotations, const char *name, bool missing)
{
    struct cw_slice value;

    return find_annotation(annotations, name, &value) ? is_truthy(value) : missing;
}

static int read_limits(struct action_doc *a, struct cw_slice object,
                       const struct cw_limit_defaults *defaults, struct cw_err *err)
{
    struct cw_action_limits *l = &a->pub.limits;
    char text[192];
    int n;

    *l = (struct cw_action_limits){.logs_mb = defaults->logs_mb,
                                   .concurrency = defaults->concurrency};
    a->instances = -1;
    if (cw_raw_decode(object, LIMIT_FIELDS, CW_ARRAY_LEN(LIMIT_FIELDS), l, &a->pub.arena, "limits",
                      err) ||
        cw_raw_decode(object, INSTANCES_FIELDS, CW_ARRAY_LEN(INSTANCES_FIELDS), &a->instances,
                      &a->pub.arena, "limits", err))
        return -1;
    n = snprintf(text, sizeof(text),
                 "{\"concurrency\":%" PRId64 ",\"logs\":%" PRId64 ",\"memory\":%" PRId64
                 ",\"timeout\":%" PRId64,
                 l->concurrency, l->logs_mb, l->memory_mb, l->timeout_ms);
    n += a->instances < 0 ? snprintf(text + n, sizeof(text) - (size_t)n, "}")
                          : snprintf(text + n, sizeof(text) - (size_t)n,
                                     ",\"instances\":%" PRId64 "}", a->instances);
    a->pub.limits_raw = cw_slice(cw_arena_dup(&a->pub.arena, cw_slice(text, (size_t)n)), (size_t)n);
    return 0;
}

static int read_names(struct wire *w, struct cw_arena *arena, struct cw_err *err)
{
    char version[CW_VERSION_MAX];

    if (!cw_entity_path_normalize(w->namespace_path))
        return cw_fail(err, CW_INVALID, "namespace: \"%.80s\" is not a path of names",
                       w->namespace_path);
    if (!cw_entity_name_ok(cw_slice_of(w->name)))
        return cw_fail(err, CW_INVALID, "name: \"%.80s\" is not a name", w->name);
    if (!cw_version_normalize(cw_slice_of(w->version), version))
        return cw_fail(err, CW_INVALID, "version: \"%.80s\" is not major.minor.patch", w->version);
    w->version = cw_arena_dup(arena, cw_slice_of(version));
    return 0;
}

/* Looked at only when decoding failed, as stock does it: a trigger fails on its missing exec. */
static int explain(struct cw_slice root, struct cw_err *err)
{
    struct cw_slice type;

    if (!cw_raw_get(root, "entityType", &type) || cw_raw_type(type) != CW_RAW_STRING ||
        cw_raw_string_is(type, "action"))
        return -1;
    return cw_fail(err, CW_CONFLICT, "entityType: %.*s, accepted: \"action\"",
                   (int)(type.n > 60 ? 60 : type.n), type.p);
}

static const char *join(struct cw_arena *arena, const char *path, const char *name)
{
    size_t n = strlen(path) + 1 + strlen(name) + 1;
    char *joined = cw_arena_alloc(arena, n);

    (void)snprintf(joined, n, "%s/%s", path, name);
    return joined;
}

static void compute_hash(struct action_doc *a)
{
    const struct cw_action *p = &a->pub;
    struct cw_content_hash *h = cw_content_hash_new();

    cw_content_hash_text(h, p->namespace_path);
    cw_content_hash_text(h, p->name);
    if (!a->warm_limits)
        cw_content_hash_text(h, p->version);
    cw_content_hash_int(h, a->publish);
    cw_content_hash_text(h, p->kind);
    cw_content_hash_text(h, p->image);
    cw_content_hash_text(h, p->main);
    cw_content_hash_int(h, p->binary);
    cw_content_hash_json(h, p->code_quoted);
    if (strcmp(p->kind, "sequence") == 0)
        cw_content_hash_json(h, a->exec);
    cw_content_hash_parameters(h, a->parameters);
    if (a->warm_limits) {
        cw_content_hash_parameters_but(h, p->annotations, "cwhisk.");
    } else {
        cw_content_hash_parameters(h, p->annotations);
        cw_content_hash_int(h, p->limits.timeout_ms);
        cw_content_hash_int(h, p->limits.memory_mb);
        cw_content_hash_int(h, p->limits.logs_mb);
    }
    cw_content_hash_int(h, p->limits.concurrency);
    cw_content_hash_int(h, a->instances);
    cw_content_hash_json(h, a->binding);
    cw_content_hash_end(h, a->pub.hash);
    cw_content_hash_free(h);
}

static int decode(struct action_doc *a, const struct cw_manifest *manifest,
                  const struct cw_limit_defaults *defaults, struct cw_err *err)
{
    struct cw_slice root;
    struct wire w = {0};

    if (cw_raw_check(a->pub.text, CW_RAW_MAX_DEPTH, &root, err))
        return -1;
    if (cw_raw_type(root) != CW_RAW_OBJECT)
        return cw_fail(err, CW_INVALID, "expected object");
    if (cw_raw_decode(root, FIELDS, CW_ARRAY_LEN(FIELDS), &w, &a->pub.arena, "", err) ||
        read_names(&w, &a->pub.arena, err) || check_parameters(w.parameters, "parameters", err) ||
        check_parameters(w.annotations, "annotations", err) ||
        read_limits(a, w.limits, defaults, err) ||
        action_read_exec(a, w.exec, w.attachments, manifest, err))
        return explain(root, err);
    a->pub.path = join(&a->pub.arena, w.namespace_path, w.name);
    a->pub.id = w.id ? w.id : a->pub.path;
    a->pub.rev = w.rev;
    a->pub.namespace_path = w.namespace_path;
    a->pub.name = w.name;
    a->pub.version = w.version;
    a->pub.annotations = w.annotations;
    a->pub.provide_api_key = annotated(w.annotations, "provide-api-key", true);
    a->pub.retry_on_crash = annotated(w.annotations, "cwhisk.retry-on-crash", false);
    a->parameters = w.parameters;
    a->exec = w.exec;
    a->binding = w.binding;
    a->publish = w.publish;
    a->warm_limits = defaults->warm_limits;
    return 0;
}

struct cw_action *cw_action_decode(struct cw_slice text, const struct cw_manifest *manifest,
                                   const struct cw_limit_defaults *defaults, struct cw_err *err)
{
    struct action_doc *a = cw_alloc(sizeof(*a));

    a->pub.refs = 1;
    cw_arena_init(&a->pub.arena);
    cw_str_init(&a->code, 0);
    a->pub.text = cw_slice(cw_arena_dup(&a->pub.arena, text), text.n);
    if (decode(a, manifest, defaults, err)) {
        cw_action_unref(&a->pub);
        return NULL;
    }
    if (a->pub.code_place != CW_CODE_ATTACHED)
        compute_hash(a);
    return &a->pub;
}

int cw_action_set_code(struct cw_action *a, struct cw_slice bytes, struct cw_err *err)
{
    struct action_doc *p = private_of(a);

    if (a->code_place != CW_CODE_ATTACHED)
        return cw_fail(err, CW_INTERNAL, "action %s: has its code already", a->id);
    if (p->attached_bytes >= 0 && bytes.n != (size_t)p->attached_bytes)
        return cw_fail(err, CW_INTERNAL, "attachment %.80s: %zu bytes instead of %" PRId64,
                       a->attachment, bytes.n, p->attached_bytes);
    if (action_quote_code(p, bytes, err))
        return -1;
    compute_hash(p);
    return 0;
}

struct cw_action *cw_action_ref(struct cw_action *a)
{
    a->refs++;
    return a;
}

void cw_action_unref(struct cw_action *a)
{
    struct action_doc *p;

    if (!a || --a->refs)
        return;
    p = private_of(a);
    cw_str_done(&p->code);
    cw_arena_done(&a->arena);
    free(p);
}

bool cw_action_annotation(const struct cw_action *a, const char *name, struct cw_slice *ret_value)
{
    return find_annotation(a->annotations, name, ret_value);
}

size_t cw_action_bytes(const struct cw_action *a)
{
    enum { PIECES = 4096 }; /* unescaped names, two blocks of the arena */
    const struct action_doc *p = CW_CONTAINER_OF(a, const struct action_doc, pub);

    return sizeof(*p) + PIECES + a->text.n + p->code.cap;
}
