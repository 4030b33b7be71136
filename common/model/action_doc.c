/* The document is checked once as a whole; what has to be compared or printed is unescaped into the
 * arena, code written inline stays where it is in the text. Code of an attachment is turned into
 * its JSON form once, here, so that /init only has to borrow it. */
#include "common/model/action_doc.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/base64.h"
#include "common/base/err.h"
#include "common/json/raw.h"
#include "common/json/writer.h"
#include "common/model/content_hash.h"
#include "common/model/entity_name.h"
#include "common/model/manifest.h"

struct action {
    struct cw_action pub; /* first: the public pointer is ours */
    struct cw_str code;   /* JSON form of attached code */
    struct cw_slice parameters, exec, binding;
    bool publish;
    int64_t instances; /* -1: absent */
};

struct wire {
    const char *id, *rev, *namespace_path, *name, *version;
    struct cw_slice exec, parameters, limits, annotations, attachments, binding;
    bool publish;
    int64_t updated;
};

#define AT(member) offsetof(struct wire, member)
static const struct cw_field FIELDS[] = {
    {"_id", CW_FIELD_STRING, 0, AT(id), 0, 1, 2048},
    {"_rev", CW_FIELD_STRING, 0, AT(rev), 0, 1, 256},
    {"namespace", CW_FIELD_STRING, CW_FIELD_REQUIRED, AT(namespace_path), 0, 1, 1024},
    {"name", CW_FIELD_STRING, CW_FIELD_REQUIRED, AT(name), 0, 1, 256},
    {"version", CW_FIELD_STRING, CW_FIELD_REQUIRED, AT(version), 0, 1, 64},
    {"publish", CW_FIELD_BOOL, CW_FIELD_REQUIRED, AT(publish), 0, 0, 0},
    {"updated", CW_FIELD_INT, CW_FIELD_REQUIRED, AT(updated), 0, 0, INT64_MAX},
    {"exec", CW_FIELD_OBJECT, CW_FIELD_REQUIRED, AT(exec), 0, 0, 0},
    {"parameters", CW_FIELD_ARRAY, CW_FIELD_REQUIRED, AT(parameters), 0, 0, 0},
    {"limits", CW_FIELD_OBJECT, CW_FIELD_REQUIRED, AT(limits), 0, 0, 0},
    {"annotations", CW_FIELD_ARRAY, CW_FIELD_REQUIRED, AT(annotations), 0, 0, 0},
    {"_attachments", CW_FIELD_OBJECT, CW_FIELD_NULLABLE, AT(attachments), 0, 0, 0},
    {"binding", CW_FIELD_RAW, CW_FIELD_NULLABLE, AT(binding), 0, 0, 0},
};
#undef AT

#define AT(member) offsetof(struct cw_action_limits, member)
static const struct cw_field LIMIT_FIELDS[] = {
    {"timeout", CW_FIELD_INT, CW_FIELD_REQUIRED, AT(timeout_ms), 0, 1, INT32_MAX},
    {"memory", CW_FIELD_INT, CW_FIELD_REQUIRED, AT(memory_mb), 0, 1, INT32_MAX},
    {"logs", CW_FIELD_INT, CW_FIELD_NULLABLE, AT(logs_mb), 0, 0, INT32_MAX},
    {"concurrency", CW_FIELD_INT, CW_FIELD_NULLABLE, AT(concurrency), 0, 1, INT32_MAX},
};
#undef AT

static const struct cw_field INSTANCES_FIELDS[] = {
    {"instances", CW_FIELD_INT, CW_FIELD_NULLABLE, 0, 0, 0, INT32_MAX},
};

struct wire_exec {
    const char *kind, *main, *image;
    struct cw_slice code, jar, components;
    bool binary;
};

#define AT(member) offsetof(struct wire_exec, member)
static const struct cw_field EXEC_FIELDS[] = {
    {"kind", CW_FIELD_STRING, CW_FIELD_REQUIRED, AT(kind), 0, 1, 128},
    {"main", CW_FIELD_STRING, CW_FIELD_NULLABLE, AT(main), 0, 0, 4096},
    {"image", CW_FIELD_STRING, CW_FIELD_NULLABLE, AT(image), 0, 1, 512},
    {"code", CW_FIELD_RAW, CW_FIELD_NULLABLE, AT(code), 0, 0, 0},
    {"jar", CW_FIELD_RAW, CW_FIELD_NULLABLE, AT(jar), 0, 0, 0},
    {"components", CW_FIELD_ARRAY, CW_FIELD_NULLABLE, AT(components), 0, 0, 0},
    {"binary", CW_FIELD_BOOL, CW_FIELD_NULLABLE, AT(binary), 0, 0, 0},
};
#undef AT

static struct action *private_of(struct cw_action *a)
{
    return CW_CONTAINER_OF(a, struct action, pub);
}

/* ---- what is in the code ---- */

/* The unescaped ASCII character at *p, which moves on; '\x7f' for anything beyond base64. */
static char next_char(const char **p)
{
    char c = *(*p)++;
    unsigned v = 0;

    if (c != '\\')
        return c;
    c = *(*p)++;
    if (c == '/')
        return c;
    if (c != 'u') /* \n \t \r \b \f are blank, \" and \\ are not base64 */
        return c == '"' || c == '\\' ? '\x7f' : ' ';
    for (int i = 0; i < 4; i++) {
        c = *(*p)++;
        v = v << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return v < 0x7f ? (char)v : '\x7f';
}

static bool is_base64(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

/* Stock's guess whether inline code is binary: the text, trimmed of characters up to the space, is
 * base64 with padding. Works on the quoted form, since code is not copied. */
static bool looks_binary(struct cw_slice quoted)
{
    const char *p = quoted.p + 1, *end = quoted.p + quoted.n - 1;
    size_t characters = 0, padding = 0;
    bool trailing = false;

    while (p < end) {
        char c = next_char(&p);

        if ((unsigned char)c <= ' ') {
            trailing = characters + padding > 0;
        } else if (trailing) {
            return false;
        } else if (c == '=') {
            padding++;
        } else if (padding || !is_base64(c)) {
            return false;
        } else {
            characters++;
        }
    }
    return characters && padding <= 2 && (characters + padding) % 4 == 0;
}

static bool is_blank(struct cw_slice quoted)
{
    const char *p = quoted.p + 1, *end = quoted.p + quoted.n - 1;

    while (p < end)
        if ((unsigned char)next_char(&p) > ' ')
            return false;
    return true;
}

/* Fills a->code and points code_quoted at it. */
static int quote_code(struct action *a, struct cw_slice bytes, struct cw_err *err)
{
    cw_auto_str struct cw_str repaired;
    struct cw_json_writer w;

    cw_str_init(&repaired, bytes.n * 3 + 1);
    cw_str_init(&a->code, bytes.n * 6 + 16); /* \u001f is the longest form of one byte */
    if (a->pub.binary) {
        cw_str_addc(&a->code, '"');
        cw_base64_encode(bytes, &a->code);
        cw_str_addc(&a->code, '"');
    } else {
        if (cw_utf8_repair(bytes, &repaired)) {
            bytes = cw_str_slice(&repaired);
            a->code.max = bytes.n * 6 + 16;
        }
        cw_json_begin(&w, &a->code);
        cw_json_string_slice(&w, bytes);
    }
    if (a->code.failed)
        return cw_fail(err, CW_INTERNAL, "exec.code: cannot be written as JSON");
    a->pub.code_quoted = cw_str_slice(&a->code);
    a->pub.code_place = CW_CODE_INLINE;
    return 0;
}

/* ---- attachments ---- */

static int decode_mem(struct action *a, const char *text, struct cw_err *err)
{
    cw_auto_str struct cw_str bytes;
    size_t n = strlen(text);

    cw_str_init(&bytes, n + 1);
    if (cw_base64_decode(cw_slice(text, n), CW_BASE64_URL, &bytes, err))
        return cw_err_wrap(err, "exec.code.attachmentName: mem:");
    return quote_code(a, cw_str_slice(&bytes), err);
}

/* A stub tells the attachment that the document really has; there can be only one, and stock takes
 * its name for the one of the code. */
static int check_stub(struct action *a, struct cw_slice stubs, const char *name, struct cw_err *err)
{
    struct cw_slice key, value;
    struct cw_raw_iter it;
    size_t n = 0;

    if (!stubs.n)
        return 0;
    for (it = cw_raw_iter(stubs); cw_raw_next_member(&it, &key, &value); n++) {
        if (n)
            return cw_fail(err, CW_INVALID, "_attachments: more than one");
        if (name && strcmp(cw_raw_string(key, &a->pub.arena, NULL), name) != 0)
            return cw_fail(err, CW_INVALID,
                           "_attachments: %.80s is not what exec.code.attachmentName says",
                           cw_raw_string(key, &a->pub.arena, NULL));
    }
    return 0;
}

static bool has_scheme(const char *name)
{
    size_t n = strcspn(name, ":");

    return name[n] == ':' && n > 0 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789") == n;
}

static int read_attachment(struct action *a, struct cw_slice reference, struct cw_slice stubs,
                           struct cw_err *err)
{
    static const struct cw_field NAME[] = {
        {"attachmentName", CW_FIELD_STRING, CW_FIELD_REQUIRED, 0, 0, 1, 64 << 20}};
    const char *name = NULL;

    if (cw_raw_decode(reference, NAME, 1, &name, &a->pub.arena, "exec.code", err))
        return -1;
    if (strncmp(name, "mem:", 4) == 0)
        return check_stub(a, stubs, name, err) || decode_mem(a, name + 4, err) ? -1 : 0;
    if (strncmp(name, "couch:", 6) == 0)
        name += 6;
    else if (has_scheme(name))
        return cw_fail(
            err, CW_INVALID,
            "exec.code.attachmentName: store \"%.*s\" is not supported, accepted: couch, mem",
            (int)strcspn(name, ":"), name);
    if (!*name || strlen(name) > 256)
        return cw_fail(err, CW_INVALID,
                       "exec.code.attachmentName: accepted: 1..256 bytes behind the scheme");
    a->pub.attachment = name;
    a->pub.code_place = CW_CODE_ATTACHED;
    return check_stub(a, stubs, name, err);
}

/* ---- exec ---- */

static int read_code(struct action *a, const struct wire_exec *w, struct cw_slice stubs,
                     bool may_attach, struct cw_err *err)
{
    struct cw_slice code = w->code;
    enum cw_raw_type type = cw_raw_type(code);

    a->pub.binary = w->binary;
    if (type == CW_RAW_OBJECT && may_attach)
        return read_attachment(a, code, stubs, err);
    if (type != CW_RAW_STRING)
        return cw_fail(err, CW_INVALID, "exec.code: expected string%s",
                       may_attach ? " or attachment"
                                  : "; the manifest marks this kind without \"attached\"");
    a->pub.binary = looks_binary(code);
    a->pub.code_quoted = code;
    a->pub.code_place = CW_CODE_INLINE;
    return check_stub(a, stubs, NULL, err);
}

static int read_blackbox(struct action *a, const struct wire_exec *w, struct cw_slice stubs,
                         const struct cw_manifest *manifest, struct cw_err *err)
{
    struct cw_image_ref ref;

    if (!w->image)
        return cw_fail(err, CW_INVALID, "exec.image: missing");
    if (cw_image_split(cw_slice_of(w->image), &ref, err))
        return cw_err_wrap(err, "exec");
    a->pub.kind = "blackbox";
    a->pub.image = w->image;
    a->pub.sentinelled_logs = cw_manifest_is_native_blackbox(manifest, w->image);
    if (!w->code.n || (cw_raw_type(w->code) == CW_RAW_STRING && is_blank(w->code))) {
        a->pub.binary = w->binary;
        return check_stub(a, stubs, NULL, err);
    }
    return read_code(a, w, stubs, true, err);
}

static int read_managed(struct action *a, const struct wire_exec *w, struct cw_slice stubs,
                        const struct cw_manifest *manifest, struct cw_err *err)
{
    const struct cw_runtime *r = cw_manifest_kind(manifest, cw_slice_of(w->kind));
    struct wire_exec legacy = *w;

    if (!r)
        return cw_fail(err, CW_INVALID, "exec.kind: \"%.80s\" is not in the runtimes manifest",
                       w->kind);
    if (r->require_main && (!w->main || !*w->main))
        return cw_fail(err, CW_INVALID, "exec.main: missing, kind %s needs it", r->kind);
    if (!w->code.n) {
        legacy.code = w->jar;
        legacy.binary = true; /* these documents are older than the flag */
    }
    if (!legacy.code.n)
        return cw_fail(err, CW_INVALID, "exec.code: missing");
    a->pub.kind = cw_arena_dup(&a->pub.arena, cw_slice_of(r->kind));
    a->pub.sentinelled_logs = r->sentinelled_logs;
    return read_code(a, &legacy, stubs, r->attached, err);
}

static int read_exec(struct action *a, const struct wire *doc, const struct cw_manifest *manifest,
                     struct cw_err *err)
{
    struct wire_exec w = {0};
    struct cw_slice kind;

    if (cw_raw_decode(doc->exec, EXEC_FIELDS, CW_ARRAY_LEN(EXEC_FIELDS), &w, &a->pub.arena, "exec",
                      err))
        return -1;
    kind = cw_slice_trim(cw_slice_of(w.kind));
    a->pub.main = w.main;
    if (kind.n == 8 && strncasecmp(kind.p, "blackbox", 8) == 0)
        return read_blackbox(a, &w, doc->attachments, manifest, err);
    if (kind.n != 8 || strncasecmp(kind.p, "sequence", 8) != 0)
        return read_managed(a, &w, doc->attachments, manifest, err);
    if (!w.components.n)
        return cw_fail(err, CW_INVALID, "exec.components: missing");
    a->pub.kind = "sequence";
    return 0;
}

/* ---- the rest of the document ---- */

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

static int check_parameters(struct cw_slice array, const char *path, struct cw_err *err)
{
    struct cw_raw_iter it = cw_raw_iter(array);
    struct cw_slice element, key, value;

    for (size_t i = 0; cw_raw_next_element(&it, &element); i++)
        if (!cw_raw_get(element, "key", &key) || cw_raw_type(key) != CW_RAW_STRING || key.n <= 2 ||
            !cw_raw_get(element, "value", &value))
            return cw_fail(err, CW_INVALID, "%s[%zu]: expected object with key and value", path, i);
    return 0;
}

/* Of equal keys the last one counts, as in the map that stock builds. */
static bool provides_api_key(struct cw_slice annotations)
{
    struct cw_raw_iter it = cw_raw_iter(annotations);
    struct cw_slice element, key, value;
    bool provide = true;

    while (cw_raw_next_element(&it, &element))
        if (cw_raw_get(element, "key", &key) && cw_raw_string_is(key, "provide-api-key") &&
            cw_raw_get(element, "value", &value))
            provide = is_truthy(value);
    return provide;
}

static int read_limits(struct action *a, struct cw_slice object,
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

static int check_names(const struct wire *w, struct cw_err *err)
{
    if (!cw_entity_path_ok(cw_slice_of(w->namespace_path)))
        return cw_fail(err, CW_INVALID, "namespace: \"%.80s\" is not a path of names",
                       w->namespace_path);
    if (!cw_entity_name_ok(cw_slice_of(w->name)))
        return cw_fail(err, CW_INVALID, "name: \"%.80s\" is not a name", w->name);
    if (!cw_version_ok(cw_slice_of(w->version)))
        return cw_fail(err, CW_INVALID, "version: \"%.80s\" is not major.minor.patch", w->version);
    return 0;
}

/* Before anything else: a trigger or package would fail on its missing exec otherwise. */
static int check_entity_type(struct cw_slice root, struct cw_err *err)
{
    struct cw_slice type;

    if (!cw_raw_get(root, "entityType", &type) || cw_raw_type(type) == CW_RAW_NULL)
        return 0;
    if (cw_raw_type(type) != CW_RAW_STRING)
        return cw_fail(err, CW_INVALID, "entityType: expected string");
    if (!cw_raw_string_is(type, "action"))
        return cw_fail(err, CW_CONFLICT, "entityType: %.*s, accepted: \"action\"",
                       (int)(type.n > 60 ? 60 : type.n), type.p);
    return 0;
}

static const char *id_of(struct cw_arena *arena, const struct wire *w)
{
    size_t n = strlen(w->namespace_path) + 1 + strlen(w->name) + 1;
    char *id;

    if (w->id)
        return w->id;
    id = cw_arena_alloc(arena, n);
    (void)snprintf(id, n, "%s/%s", w->namespace_path, w->name);
    return id;
}

static void compute_hash(struct action *a)
{
    const struct cw_action *p = &a->pub;
    struct cw_content_hash *h = cw_content_hash_new();

    cw_content_hash_text(h, p->namespace_path);
    cw_content_hash_text(h, p->name);
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
    cw_content_hash_parameters(h, p->annotations);
    cw_content_hash_int(h, p->limits.timeout_ms);
    cw_content_hash_int(h, p->limits.memory_mb);
    cw_content_hash_int(h, p->limits.logs_mb);
    cw_content_hash_int(h, p->limits.concurrency);
    cw_content_hash_int(h, a->instances);
    cw_content_hash_json(h, a->binding);
    cw_content_hash_end(h, a->pub.hash);
    cw_content_hash_free(h);
}

static int decode(struct action *a, const struct cw_manifest *manifest,
                  const struct cw_limit_defaults *defaults, struct cw_err *err)
{
    struct cw_slice root;
    struct wire w = {0};

    if (cw_raw_check(a->pub.text, CW_RAW_MAX_DEPTH, &root, err))
        return -1;
    if (cw_raw_type(root) != CW_RAW_OBJECT)
        return cw_fail(err, CW_INVALID, "expected object");
    if (check_entity_type(root, err) ||
        cw_raw_decode(root, FIELDS, CW_ARRAY_LEN(FIELDS), &w, &a->pub.arena, "", err) ||
        check_names(&w, err) || check_parameters(w.parameters, "parameters", err) ||
        check_parameters(w.annotations, "annotations", err) ||
        read_limits(a, w.limits, defaults, err) || read_exec(a, &w, manifest, err))
        return -1;
    a->pub.id = id_of(&a->pub.arena, &w);
    a->pub.rev = w.rev;
    a->pub.namespace_path = w.namespace_path;
    a->pub.name = w.name;
    a->pub.version = w.version;
    a->pub.annotations = w.annotations;
    a->pub.provide_api_key = provides_api_key(w.annotations);
    a->parameters = w.parameters;
    a->exec = w.exec;
    a->binding = w.binding;
    a->publish = w.publish;
    return 0;
}

struct cw_action *cw_action_decode(struct cw_slice text, const struct cw_manifest *manifest,
                                   const struct cw_limit_defaults *defaults, struct cw_err *err)
{
    struct action *a = cw_alloc(sizeof(*a));

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
    struct action *p = private_of(a);

    if (a->code_place != CW_CODE_ATTACHED)
        return cw_fail(err, CW_INTERNAL, "action %s: has its code already", a->id);
    if (quote_code(p, bytes, err))
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
    struct action *p;

    if (!a || --a->refs)
        return;
    p = private_of(a);
    cw_str_done(&p->code);
    cw_arena_done(&a->arena);
    free(p);
}

size_t cw_action_bytes(const struct cw_action *a)
{
    enum { PIECES = 4096 }; /* unescaped names, two blocks of the arena */
    const struct action *p = CW_CONTAINER_OF(a, const struct action, pub);

    return sizeof(*p) + PIECES + a->text.n + p->code.cap;
}
