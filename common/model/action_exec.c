/* `exec` and what belongs to it. Code written inline stays where it is in the text; that of an
 * attachment is turned into its JSON form once, here. What stock finds out only when it fetches the
 * code (another store, a broken name, a stub that is not the code's) is CW_INTERNAL here. */
#include <string.h>
#include <strings.h>

#include "common/base/base64.h"
#include "common/base/err.h"
#include "common/json/raw.h"
#include "common/json/writer.h"
#include "common/model/action_doc_priv.h"
#include "common/model/activation_message.h"
#include "common/model/manifest.h"

struct wire_exec {
    const char *kind, *main;
    struct cw_slice code, jar, components, image, binary;
};

#define AT(member) offsetof(struct wire_exec, member)
static const struct cw_field EXEC_FIELDS[] = {
    {"kind", CW_FIELD_STRING, CW_FIELD_REQUIRED, AT(kind), 0, 1, 128},
    {"main", CW_FIELD_STRING, 0, AT(main), 0, 0, 4096},
    /* of some kinds only */
    {"image", CW_FIELD_RAW, 0, AT(image), 0, 0, 0},
    {"code", CW_FIELD_RAW, 0, AT(code), 0, 0, 0},
    {"jar", CW_FIELD_RAW, 0, AT(jar), 0, 0, 0},
    {"components", CW_FIELD_RAW, 0, AT(components), 0, 0, 0},
    {"binary", CW_FIELD_RAW, 0, AT(binary), 0, 0, 0},
};
#undef AT

struct wire_attached {
    const char *name, *type, *digest;
    int64_t length;
};

#define AT(member) offsetof(struct wire_attached, member)
static const struct cw_field ATTACHED_FIELDS[] = {
    {"attachmentName", CW_FIELD_STRING, CW_FIELD_REQUIRED, AT(name), 0, 0, 64 << 20},
    {"attachmentType", CW_FIELD_STRING, CW_FIELD_REQUIRED, AT(type), 0, 1, 1024},
    {"length", CW_FIELD_INT, CW_FIELD_NULLABLE, AT(length), 0, 0, INT64_MAX},
    {"digest", CW_FIELD_STRING, CW_FIELD_NULLABLE, AT(digest), 0, 0, 1024},
};
static const struct cw_field STUB_FIELDS[] = {
    {"content_type", CW_FIELD_STRING, CW_FIELD_REQUIRED, AT(type), 0, 0, 1024},
    {"length", CW_FIELD_INT, CW_FIELD_REQUIRED, AT(length), 0, 0, INT64_MAX},
    {"digest", CW_FIELD_STRING, CW_FIELD_REQUIRED, AT(digest), 0, 0, 1024},
};
#undef AT

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
int action_quote_code(struct action_doc *a, struct cw_slice bytes, struct cw_err *err)
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

static bool is_uuid(struct cw_slice s)
{
    size_t dashes = 0, digits = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '-' && digits) {
            dashes++;
            digits = 0;
        } else if (strchr("0123456789abcdefABCDEF", s.p[i]) && s.p[i]) {
            digits++;
        } else {
            return false;
        }
    }
    return dashes == 4 && digits && s.n <= 36;
}

/* A stub tells of the attachment that the document really has. There can be only one, and it must
 * be the code's: name is the code's attachmentName, NULL for inline code. */
static int check_stub(struct action_doc *a, struct cw_slice stubs, const char *name,
                      struct cw_err *err)
{
    struct cw_raw_iter it = cw_raw_iter(stubs);
    struct wire_attached stub = {0};
    struct cw_slice key, value, text;
    size_t scheme = 0;

    if (!stubs.n)
        return 0;
    if (!cw_raw_next_member(&it, &key, &value) ||
        cw_raw_next_member(&it, &(struct cw_slice){0}, &(struct cw_slice){0}))
        return cw_fail(err, CW_INVALID, "_attachments: none, or more than one");
    if (cw_raw_decode(value, STUB_FIELDS, CW_ARRAY_LEN(STUB_FIELDS), &stub, &a->pub.arena,
                      "_attachments", err))
        return -1;
    if (!name)
        return 0;
    text.p = cw_raw_string(key, &a->pub.arena, &text.n);
    if (is_uuid(text) && strncmp(name, "couch:", 6) == 0)
        scheme = 6;
    if (is_uuid(text) == (scheme == 0) || !cw_slice_is(text, name + scheme))
        return cw_fail(err, CW_INTERNAL,
                       "_attachments: %.80s is not what exec.code.attachmentName says", text.p);
    a->attached_bytes = stub.length;
    return 0;
}

static int decode_mem(struct action_doc *a, const char *text, struct cw_err *err)
{
    cw_auto_str struct cw_str bytes;
    size_t n = strlen(text);

    cw_str_init(&bytes, n + 1);
    if (cw_base64_decode(cw_slice(text, n), CW_BASE64_URL, &bytes, err)) {
        if (err)
            err->code = CW_INTERNAL;
        return cw_err_wrap(err, "exec.code.attachmentName: mem:");
    }
    return action_quote_code(a, cw_str_slice(&bytes), err);
}

static bool has_scheme(const char *name)
{
    size_t n = strcspn(name, ":");

    return name[n] == ':' && n > 0 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789") == n;
}

static bool is_content_type(const char *text)
{
    const char *slash = strchr(text, '/');

    return slash && slash > text && slash[1];
}

static int find_code(struct action_doc *a, const char *name, struct cw_err *err)
{
    if (strncmp(name, "mem:", 4) == 0)
        return decode_mem(a, name + 4, err);
    if (strncmp(name, "couch:", 6) == 0)
        name += 6;
    else if (has_scheme(name))
        return cw_fail(
            err, CW_INTERNAL,
            "exec.code.attachmentName: store \"%.*s\" is not supported, accepted: couch, mem",
            (int)strcspn(name, ":"), name);
    if (!*name || strlen(name) > 256)
        return cw_fail(err, CW_INTERNAL,
                       "exec.code.attachmentName: accepted: 1..256 bytes behind the scheme");
    a->pub.attachment = name;
    a->pub.code_place = CW_CODE_ATTACHED;
    return 0;
}

static int read_attachment(struct action_doc *a, struct cw_slice reference, struct cw_slice stubs,
                           struct cw_err *err)
{
    struct wire_attached w = {0};

    if (cw_raw_decode(reference, ATTACHED_FIELDS, CW_ARRAY_LEN(ATTACHED_FIELDS), &w, &a->pub.arena,
                      "exec.code", err))
        return -1;
    if (!is_content_type(w.type))
        return cw_fail(err, CW_INVALID, "exec.code.attachmentType: \"%.60s\" is no content type",
                       w.type);
    return check_stub(a, stubs, w.name, err) || find_code(a, w.name, err) ? -1 : 0;
}

/* ---- exec ---- */

/* The stored flag counts for attachments only. */
static int read_binary(struct action_doc *a, struct cw_slice binary, bool missing,
                       struct cw_err *err)
{
    if (binary.n && cw_raw_type(binary) != CW_RAW_BOOL)
        return cw_fail(err, CW_INVALID, "exec.binary: expected boolean");
    a->pub.binary = binary.n ? cw_raw_is_true(binary) : missing;
    return 0;
}

static int read_code(struct action_doc *a, const struct wire_exec *w, struct cw_slice stubs,
                     bool may_attach, struct cw_err *err)
{
    bool legacy = !w->code.n; /* these documents are older than the flag */
    struct cw_slice code = legacy ? w->jar : w->code;
    enum cw_raw_type type = cw_raw_type(code);

    if (type == CW_RAW_OBJECT && may_attach)
        return read_binary(a, w->binary, legacy, err) || read_attachment(a, code, stubs, err) ? -1
                                                                                              : 0;
    if (type != CW_RAW_STRING)
        return cw_fail(err, CW_INVALID, "exec.code: expected string%s",
                       may_attach ? " or attachment"
                                  : "; the manifest marks this kind without \"attached\"");
    a->pub.binary = looks_binary(code);
    a->pub.code_quoted = code;
    a->pub.code_place = CW_CODE_INLINE;
    return check_stub(a, stubs, NULL, err);
}

static int read_blackbox(struct action_doc *a, const struct wire_exec *w, struct cw_slice stubs,
                         const struct cw_manifest *manifest, struct cw_err *err)
{
    struct cw_image_ref ref;

    if (!w->image.n || cw_raw_type(w->image) != CW_RAW_STRING)
        return cw_fail(err, CW_INVALID, "exec.image: expected string");
    a->pub.kind = "blackbox";
    a->pub.image = cw_raw_string(w->image, &a->pub.arena, NULL);
    if (cw_image_split(cw_slice_of(a->pub.image), &ref, err))
        return cw_err_wrap(err, "exec");
    a->pub.sentinelled_logs = cw_manifest_is_native_blackbox(manifest, a->pub.image);
    if (!w->code.n || (cw_raw_type(w->code) == CW_RAW_STRING && is_blank(w->code)))
        return check_stub(a, stubs, NULL, err);
    return read_code(a, w, stubs, true, err);
}

static int read_managed(struct action_doc *a, const struct wire_exec *w, struct cw_slice stubs,
                        const struct cw_manifest *manifest, struct cw_err *err)
{
    const struct cw_runtime *r = cw_manifest_kind(manifest, cw_slice_of(w->kind));

    if (!r)
        return cw_fail(err, CW_INVALID, "exec.kind: \"%.80s\" is not in the runtimes manifest",
                       w->kind);
    if (r->require_main && !w->main)
        return cw_fail(err, CW_INVALID, "exec.main: missing, kind %s needs it", r->kind);
    if (!w->code.n && !(r->attached && w->jar.n))
        return cw_fail(err, CW_INVALID, "exec.code: missing");
    a->pub.kind = cw_arena_dup(&a->pub.arena, cw_slice_of(r->kind));
    a->pub.sentinelled_logs = r->sentinelled_logs;
    return read_code(a, w, stubs, r->attached, err);
}

static bool is_kind(struct cw_slice kind, const char *name)
{
    return kind.n == strlen(name) && strncasecmp(kind.p, name, kind.n) == 0;
}

/* Only whether they are names: a sequence is not run here. */
static int check_components(struct cw_slice array, struct cw_arena *arena, struct cw_err *err)
{
    struct cw_action_name ignored;
    struct cw_slice element;
    struct cw_raw_iter it;

    if (!array.n || cw_raw_type(array) != CW_RAW_ARRAY)
        return cw_fail(err, CW_INVALID, "exec.components: expected array");
    for (it = cw_raw_iter(array); cw_raw_next_element(&it, &element);)
        if (cw_action_name_decode(element, "exec.components", arena, &ignored, err))
            return -1;
    return 0;
}

int action_read_exec(struct action_doc *a, struct cw_slice exec, struct cw_slice stubs,
                     const struct cw_manifest *manifest, struct cw_err *err)
{
    struct wire_exec w = {0};
    struct cw_slice kind;

    a->attached_bytes = -1;
    if (cw_raw_decode(exec, EXEC_FIELDS, CW_ARRAY_LEN(EXEC_FIELDS), &w, &a->pub.arena, "exec", err))
        return -1;
    kind = cw_slice_trim(cw_slice_of(w.kind));
    a->pub.main = w.main;
    if (is_kind(kind, "blackbox"))
        return read_blackbox(a, &w, stubs, manifest, err);
    if (!is_kind(kind, "sequence"))
        return read_managed(a, &w, stubs, manifest, err);
    a->pub.kind = "sequence";
    return check_components(w.components, &a->pub.arena, err);
}
