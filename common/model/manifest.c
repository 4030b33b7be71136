/* The parsed document stays alive as long as the manifest: all strings are borrowed from it. */
#include "common/model/manifest.h"

#include <stdio.h>
#include <strings.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/quantity.h"
#include "common/json/doc.h"

enum {
    MAX_BYTES = 4 << 20,
    MAX_PATH = 192,
    MAX_KIND = 128,
    MAX_COUNT = 100000, /* containers, thresholds, increments */
};

struct cw_manifest {
    json_t *root;
    struct cw_arena arena;
    struct cw_runtime *runtimes; /* families one after the other, in the order of the document */
    size_t count;
    struct cw_image *blackboxes;
    size_t blackbox_count;
};

/* Paths in errors may be cut; they are for people. */
static void print_path(char ret[MAX_PATH], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void print_path(char ret[MAX_PATH], const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(ret, MAX_PATH, fmt, ap);
    va_end(ap);
}

static bool image_text_ok(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || *text == 0x7f)
            return false;
    return true;
}

static int read_image_part(const json_t *obj, const char *path, const char *key, bool required,
                           const char **ret, struct cw_err *err)
{
    *ret = "";
    if (cw_json_get_string(obj, path, key, required, ret, err))
        return -1;
    if (!image_text_ok(*ret) || (required && !**ret))
        return cw_fail(err, CW_INVALID, "%s.%s: \"%.60s\" cannot be part of an image name", path,
                       key, *ret);
    return 0;
}

static int read_image(const json_t *obj, const char *path, struct cw_image *ret, struct cw_err *err)
{
    return read_image_part(obj, path, "registry", false, &ret->registry, err) ||
                   read_image_part(obj, path, "prefix", false, &ret->prefix, err) ||
                   read_image_part(obj, path, "name", true, &ret->name, err) ||
                   read_image_part(obj, path, "tag", false, &ret->tag, err)
               ? -1
               : 0;
}

static int read_memory(const json_t *obj, const char *path, int64_t *ret_mb, struct cw_err *err)
{
    const char *text;
    int64_t bytes;

    if (cw_json_get_string(obj, path, "memory", true, &text, err))
        return -1;
    if (cw_parse_size(cw_slice_of(text), CW_SIZE_JSON, &bytes, err))
        return cw_err_wrap(err, "%s.memory", path);
    *ret_mb = bytes >> 20;
    if (*ret_mb < 1 || *ret_mb > INT32_MAX)
        return cw_fail(err, CW_INVALID, "%s.memory: \"%.40s\", accepted: 1 MB..%d MB", path, text,
                       INT32_MAX);
    return 0;
}

static int read_ttl(const json_t *obj, const char *path, int64_t *ret_ms, struct cw_err *err)
{
    const char *text;

    if (cw_json_get_string(obj, path, "ttl", true, &text, err))
        return -1;
    if (cw_parse_duration(cw_slice_of(text), ret_ms, err))
        return cw_err_wrap(err, "%s.ttl", path);
    if (*ret_ms < 1 || *ret_ms == INT64_MAX)
        return cw_fail(err, CW_INVALID, "%s.ttl: \"%.40s\", accepted: a finite time above 0", path,
                       text);
    return 0;
}

static int read_reactive(const json_t *obj, const char *path, struct cw_stem_cell *ret,
                         struct cw_err *err)
{
    if (cw_json_get_int(obj, path, "minCount", true, 0, MAX_COUNT, &ret->min_count, err) ||
        cw_json_get_int(obj, path, "maxCount", true, 1, MAX_COUNT, &ret->max_count, err) ||
        read_ttl(obj, path, &ret->ttl_ms, err) ||
        cw_json_get_int(obj, path, "threshold", true, 1, MAX_COUNT, &ret->threshold, err) ||
        cw_json_get_int(obj, path, "increment", true, 1, ret->max_count, &ret->increment, err))
        return -1;
    if (ret->min_count > ret->max_count)
        return cw_fail(err, CW_INVALID, "%s.minCount: above maxCount", path);
    ret->reactive = true;
    return 0;
}

static int read_stem_cell(const json_t *obj, const char *path, struct cw_stem_cell *ret,
                          struct cw_err *err)
{
    const char *count_key = json_object_get(obj, "initialCount") ? "initialCount" : "count";
    const json_t *reactive = NULL;
    char sub[MAX_PATH];

    if (!json_object_get(obj, count_key))
        count_key = "initialCount"; /* the error shall name the current spelling */
    if (cw_json_get_int(obj, path, count_key, true, 1, MAX_COUNT, &ret->initial_count, err) ||
        read_memory(obj, path, &ret->memory_mb, err) ||
        cw_json_get_object(obj, path, "reactive", false, &reactive, err))
        return -1;
    print_path(sub, "%s.reactive", path);
    return reactive ? read_reactive(reactive, sub, ret, err) : 0;
}

static int read_stem_cells(struct cw_manifest *m, const json_t *obj, const char *path,
                           struct cw_runtime *ret, struct cw_err *err)
{
    const json_t *array = NULL;
    struct cw_stem_cell *cells;
    char sub[MAX_PATH];
    size_t n;

    if (cw_json_get_array(obj, path, "stemCells", false, &array, err))
        return -1;
    n = json_array_size(array);
    ret->stem_cells = cells = cw_arena_alloc(&m->arena, n * sizeof(*cells));
    ret->stem_cell_count = n;
    for (size_t i = 0; i < n; i++) {
        const json_t *cell = json_array_get(array, i);

        print_path(sub, "%s.stemCells[%zu]", path, i);
        if (!json_is_object(cell))
            return cw_fail(err, CW_INVALID, "%s: expected object", sub);
        if (read_stem_cell(cell, sub, &cells[i], err))
            return -1;
    }
    return 0;
}

/* Kinds are looked up trimmed and without regard to case. */
static int check_kind(const struct cw_manifest *m, const char *path, const char *kind,
                      struct cw_err *err)
{
    size_t n = strlen(kind);

    if (n == 0 || n > MAX_KIND || !image_text_ok(kind))
        return cw_fail(err, CW_INVALID, "%s.kind: \"%.60s\", accepted: 1..%d characters", path,
                       kind, MAX_KIND);
    if (strcmp(kind, "blackbox") == 0 || strcmp(kind, "sequence") == 0)
        return cw_fail(err, CW_INVALID, "%s.kind: \"%s\" is reserved", path, kind);
    for (size_t i = 0; i < m->count; i++)
        if (strcasecmp(m->runtimes[i].kind, kind) == 0)
            return cw_fail(err, CW_INVALID, "%s.kind: \"%s\" is there twice", path, kind);
    return 0;
}

/* Its presence switches the kind; the two names are for those who write attachments. */
static int read_attached(const json_t *obj, const char *path, bool *ret, struct cw_err *err)
{
    const json_t *attached = NULL;
    const char *text;
    char sub[MAX_PATH];

    if (cw_json_get_object(obj, path, "attached", false, &attached, err))
        return -1;
    *ret = attached != NULL;
    print_path(sub, "%s.attached", path);
    return attached && (cw_json_get_string(attached, sub, "attachmentName", true, &text, err) ||
                        cw_json_get_string(attached, sub, "attachmentType", true, &text, err))
               ? -1
               : 0;
}

static int read_runtime(struct cw_manifest *m, const json_t *obj, const char *path,
                        struct cw_runtime *ret, struct cw_err *err)
{
    const json_t *image;
    char sub[MAX_PATH];

    ret->sentinelled_logs = true;
    if (cw_json_get_string(obj, path, "kind", true, &ret->kind, err) ||
        check_kind(m, path, ret->kind, err) ||
        cw_json_get_bool(obj, path, "default", false, &ret->is_default, err) ||
        cw_json_get_bool(obj, path, "deprecated", false, &ret->deprecated, err) ||
        cw_json_get_bool(obj, path, "requireMain", false, &ret->require_main, err) ||
        cw_json_get_bool(obj, path, "sentinelledLogs", false, &ret->sentinelled_logs, err) ||
        read_attached(obj, path, &ret->attached, err) ||
        cw_json_get_object(obj, path, "image", true, &image, err))
        return -1;
    print_path(sub, "%s.image", path);
    return read_image(image, sub, &ret->image, err) || read_stem_cells(m, obj, path, ret, err) ? -1
                                                                                               : 0;
}

static int check_default(struct cw_runtime *family, size_t n, const char *path, struct cw_err *err)
{
    size_t defaults = 0;

    for (size_t i = 0; i < n; i++)
        defaults += family[i].is_default;
    if (n == 1)
        family[0].is_default = true;
    else if (defaults != 1)
        return cw_fail(err, CW_INVALID, "%s: %zu kinds are marked as default, accepted: exactly 1",
                       path, defaults);
    return 0;
}

static int read_family(struct cw_manifest *m, const char *name, const json_t *array,
                       struct cw_err *err)
{
    struct cw_runtime *family = m->runtimes + m->count;
    char path[MAX_PATH], sub[MAX_PATH];
    size_t n = json_array_size(array);

    print_path(path, "runtimes.%.60s", name);
    if (!json_is_array(array) || n == 0)
        return cw_fail(err, CW_INVALID, "%s: expected array with at least one kind", path);
    for (size_t i = 0; i < n; i++) {
        const json_t *obj = json_array_get(array, i);

        print_path(sub, "runtimes.%.60s[%zu]", name, i);
        if (!json_is_object(obj))
            return cw_fail(err, CW_INVALID, "%s: expected object", sub);
        family[i].family = name;
        if (read_runtime(m, obj, sub, &family[i], err))
            return -1;
        m->count++;
    }
    return check_default(family, n, path, err);
}

static int read_runtimes(struct cw_manifest *m, struct cw_err *err)
{
    const json_t *families, *array;
    const char *name;
    size_t total = 0;

    if (cw_json_get_object(m->root, "", "runtimes", true, &families, err))
        return -1;
    json_object_foreach((json_t *)families, name, array) total += json_array_size(array);
    m->runtimes = cw_arena_alloc(&m->arena, total * sizeof(*m->runtimes));
    json_object_foreach((json_t *)families, name,
                        array) if (read_family(m, name, array, err)) return -1;
    return 0;
}

static int read_blackboxes(struct cw_manifest *m, struct cw_err *err)
{
    const json_t *array = NULL;
    char path[MAX_PATH];
    size_t n;

    if (cw_json_get_array(m->root, "", "blackboxes", false, &array, err))
        return -1;
    n = json_array_size(array);
    m->blackboxes = cw_arena_alloc(&m->arena, n * sizeof(*m->blackboxes));
    m->blackbox_count = n;
    for (size_t i = 0; i < n; i++) {
        const json_t *obj = json_array_get(array, i);

        print_path(path, "blackboxes[%zu]", i);
        if (!json_is_object(obj))
            return cw_fail(err, CW_INVALID, "%s: expected object", path);
        if (read_image(obj, path, &m->blackboxes[i], err))
            return -1;
    }
    return 0;
}

struct cw_manifest *cw_manifest_parse(struct cw_slice json, struct cw_err *err)
{
    struct cw_manifest *m = cw_alloc(sizeof(*m));

    cw_arena_init(&m->arena);
    m->root = cw_json_parse(json, MAX_BYTES, "runtimes manifest", err);
    if (!m->root)
        goto bad;
    if (!json_is_object(m->root)) {
        (void)cw_fail(err, CW_INVALID, "runtimes manifest: expected object");
        goto bad;
    }
    if (read_runtimes(m, err) || read_blackboxes(m, err))
        goto bad;
    return m;
bad:
    cw_manifest_free(m);
    return NULL;
}

void cw_manifest_free(struct cw_manifest *m)
{
    if (!m)
        return;
    json_decref(m->root);
    cw_arena_done(&m->arena);
    free(m);
}

static bool is_default_of(const struct cw_runtime *r, struct cw_slice family)
{
    return r->is_default && strlen(r->family) == family.n &&
           strncasecmp(r->family, family.p, family.n) == 0;
}

const struct cw_runtime *cw_manifest_kind(const struct cw_manifest *m, struct cw_slice kind)
{
    static const struct cw_slice SUFFIX = {":default", sizeof(":default") - 1};
    struct cw_slice name = cw_slice_trim(kind), family = {0};

    if (name.n == 0)
        return NULL;
    if (name.n > SUFFIX.n && strncasecmp(name.p + name.n - SUFFIX.n, SUFFIX.p, SUFFIX.n) == 0)
        family = cw_slice(name.p, name.n - SUFFIX.n);
    for (size_t i = 0; i < m->count; i++) {
        const struct cw_runtime *r = &m->runtimes[i];

        if ((strlen(r->kind) == name.n && strncasecmp(r->kind, name.p, name.n) == 0) ||
            (family.n && is_default_of(r, family)))
            return r;
    }
    return NULL;
}

size_t cw_manifest_count(const struct cw_manifest *m)
{
    return m->count;
}

const struct cw_runtime *cw_manifest_at(const struct cw_manifest *m, size_t i)
{
    return &m->runtimes[i];
}

static bool same_tag(struct cw_slice a, const char *b)
{
    return cw_slice_is(a.n ? a : CW_SLICE("latest"), *b ? b : "latest");
}

bool cw_manifest_is_native_blackbox(const struct cw_manifest *m, const char *image)
{
    struct cw_image_ref ref;

    if (cw_image_split(cw_slice_of(image), &ref, NULL))
        return false;
    for (size_t i = 0; i < m->blackbox_count; i++) {
        const struct cw_image *b = &m->blackboxes[i];

        if (cw_slice_is(ref.registry, b->registry) && cw_slice_is(ref.prefix, b->prefix) &&
            cw_slice_is(ref.name, b->name) && same_tag(ref.tag, b->tag))
            return true;
    }
    return false;
}
