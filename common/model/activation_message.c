/* The envelope is checked once as a whole and then cut into slices; strings that the domain
 * compares or prints are unescaped into the message's arena, everything of the user's stays raw. */
#include "common/model/activation_message.h"

#include "common/base/err.h"
#include "common/json/raw.h"
#include "common/model/entity_name.h"
#include "common/model/transid.h"

struct wire {
    struct cw_slice transid, action, activation_id, user, controller, content, init_args,
        locked_args, cause, trace_context;
    const char *revision;
    bool blocking;
};

#define AT(member) offsetof(struct wire, member)
static const struct cw_field FIELDS[] = {
    {"transid", CW_FIELD_RAW, CW_FIELD_REQUIRED, AT(transid), 0, 0, 0},
    {"action", CW_FIELD_RAW, CW_FIELD_REQUIRED, AT(action), 0, 0, 0},
    {"revision", CW_FIELD_STRING, CW_FIELD_REQUIRED | CW_FIELD_NULLABLE, AT(revision), 0, 0, 256},
    {"user", CW_FIELD_OBJECT, CW_FIELD_REQUIRED, AT(user), 0, 0, 0},
    {"activationId", CW_FIELD_RAW, CW_FIELD_REQUIRED, AT(activation_id), 0, 0, 0},
    {"rootControllerIndex", CW_FIELD_OBJECT, CW_FIELD_REQUIRED, AT(controller), 0, 0, 0},
    {"blocking", CW_FIELD_BOOL, CW_FIELD_REQUIRED, AT(blocking), 0, 0, 0},
    {"content", CW_FIELD_RAW, CW_FIELD_NULLABLE, AT(content), 0, 0, 0},
    {"initArgs", CW_FIELD_ARRAY, 0, AT(init_args), 0, 0, 0},
    {"lockedArgs", CW_FIELD_OBJECT, 0, AT(locked_args), 0, 0, 0},
    {"cause", CW_FIELD_RAW, CW_FIELD_NULLABLE, AT(cause), 0, 0, 0},
    {"traceContext", CW_FIELD_OBJECT, CW_FIELD_NULLABLE, AT(trace_context), 0, 0, 0},
};
#undef AT

struct wire_controller {
    const char *as_string, *instance_type;
};

static const struct cw_field CONTROLLER_FIELDS[] = {
    {"asString", CW_FIELD_STRING, CW_FIELD_REQUIRED, offsetof(struct wire_controller, as_string), 0,
     1, 128},
    {"instanceType", CW_FIELD_STRING, 0, offsetof(struct wire_controller, instance_type), 0, 0, 64},
};

struct wire_name {
    char *path, *binding; /* normalized in place */
    const char *name, *version;
};

static const struct cw_field NAME_FIELDS[] = {
    {"path", CW_FIELD_STRING, CW_FIELD_REQUIRED, offsetof(struct wire_name, path), 0, 1, 1024},
    {"name", CW_FIELD_STRING, CW_FIELD_REQUIRED, offsetof(struct wire_name, name), 0, 1, 256},
    {"version", CW_FIELD_STRING, CW_FIELD_NULLABLE, offsetof(struct wire_name, version), 0, 1, 64},
    {"binding", CW_FIELD_STRING, CW_FIELD_NULLABLE, offsetof(struct wire_name, binding), 0, 1,
     1024},
};

static int check_name(struct wire_name *w, struct cw_arena *arena, const char *path,
                      struct cw_err *err)
{
    char version[CW_VERSION_MAX];

    if (!cw_entity_path_normalize(w->path))
        return cw_fail(err, CW_INVALID, "%s.path: \"%.80s\" is not a path of names", path, w->path);
    if (!cw_entity_name_ok(cw_slice_of(w->name)))
        return cw_fail(err, CW_INVALID, "%s.name: \"%.80s\" is not a name", path, w->name);
    if (w->binding && !cw_entity_path_normalize(w->binding))
        return cw_fail(err, CW_INVALID, "%s.binding: \"%.80s\" is not a path of names", path,
                       w->binding);
    if (!w->version)
        return 0;
    if (!cw_version_normalize(cw_slice_of(w->version), version))
        return cw_fail(err, CW_INVALID, "%s.version: \"%.80s\" is not major.minor.patch", path,
                       w->version);
    w->version = cw_arena_dup(arena, cw_slice_of(version));
    return 0;
}

/* "guest/utils/hello", with or without a leading slash. */
static int split_name(struct cw_slice quoted, const char *path, struct cw_arena *arena,
                      struct wire_name *ret, struct cw_err *err)
{
    size_t n;
    char *text = cw_raw_string(quoted, arena, &n);
    char *slash;

    if (strlen(text) != n || !cw_entity_path_normalize(text) || !(slash = strrchr(text, '/')))
        return cw_fail(err, CW_INVALID, "%s: \"%.80s\" is not namespace/name", path, text);
    *slash = '\0';
    *ret = (struct wire_name){.path = text, .name = slash + 1};
    return 0;
}

int cw_action_name_decode(struct cw_slice value, const char *path, struct cw_arena *arena,
                          struct cw_action_name *ret, struct cw_err *err)
{
    struct wire_name w = {0};
    size_t path_n, name_n;
    char *full;

    if (cw_raw_type(value) == CW_RAW_STRING) {
        if (split_name(value, path, arena, &w, err))
            return -1;
    } else if (cw_raw_type(value) != CW_RAW_OBJECT) {
        return cw_fail(err, CW_INVALID, "%s: expected object or string", path);
    } else if (cw_raw_decode(value, NAME_FIELDS, CW_ARRAY_LEN(NAME_FIELDS), &w, arena, path, err)) {
        return -1;
    }
    if (check_name(&w, arena, path, err))
        return -1;
    path_n = strlen(w.path);
    name_n = strlen(w.name);
    full = cw_arena_alloc(arena, path_n + 1 + name_n + 1);
    memcpy(full, w.path, path_n);
    full[path_n] = '/';
    memcpy(full + path_n + 1, w.name, name_n);
    *ret = (struct cw_action_name){w.path, w.name, w.version, w.binding, full};
    return 0;
}

/* A JSON number is accepted too, as stock does: an id may happen to have decimal digits only. */
static int read_id(struct cw_slice value, const char *what, struct cw_arena *arena,
                   const char **ret, struct cw_err *err)
{
    const char *text = value.n && cw_raw_type(value) == CW_RAW_STRING
                           ? cw_raw_string(value, arena, NULL)
                           : cw_arena_dup(arena, value);

    if (!cw_activation_id_ok(cw_slice_of(text)) ||
        (cw_raw_type(value) == CW_RAW_NUMBER && strspn(text, "0123456789") != value.n))
        return cw_fail(err, CW_INVALID, "%s: expected %d lower-case hexadecimal digits", what,
                       CW_ACTIVATION_ID_LEN);
    *ret = text;
    return 0;
}

static int read_controller(struct cw_slice object, struct cw_activation_message *m,
                           struct cw_err *err)
{
    struct wire_controller w = {0};

    if (cw_raw_decode(object, CONTROLLER_FIELDS, CW_ARRAY_LEN(CONTROLLER_FIELDS), &w, &m->arena,
                      "rootControllerIndex", err))
        return -1;
    if (w.instance_type && strcmp(w.instance_type, "controller") != 0)
        return cw_fail(err, CW_INVALID,
                       "rootControllerIndex.instanceType: \"%.40s\", accepted: controller",
                       w.instance_type);
    if (!cw_controller_id_ok(cw_slice_of(w.as_string)))
        return cw_fail(err, CW_INVALID,
                       "rootControllerIndex.asString: \"%.80s\", accepted: letters, digits, . _ -",
                       w.as_string);
    m->controller = w.as_string;
    return 0;
}

static int read_content(struct cw_slice content, struct cw_activation_message *m,
                        struct cw_err *err)
{
    if (!content.n)
        return 0;
    m->content_is_array = cw_raw_type(content) == CW_RAW_ARRAY;
    if (!m->content_is_array && cw_raw_type(content) != CW_RAW_OBJECT)
        return cw_fail(err, CW_INVALID, "content: expected object or array");
    m->content = content;
    return 0;
}

static int read_init_args(struct cw_slice array, struct cw_activation_message *m,
                          struct cw_err *err)
{
    struct cw_raw_iter it;
    struct cw_slice v;
    size_t i = 0;

    if (!array.n)
        return 0;
    for (it = cw_raw_iter(array); cw_raw_next_element(&it, &v); i++)
        if (cw_raw_type(v) != CW_RAW_STRING)
            return cw_fail(err, CW_INVALID, "initArgs[%zu]: expected string", i);
    if (i)
        m->init_args = array;
    return 0;
}

static int read_locked_args(struct cw_slice object, struct cw_activation_message *m,
                            struct cw_err *err)
{
    struct cw_slice key, v;
    struct cw_raw_iter it;
    size_t i = 0;

    if (!object.n)
        return 0;
    for (it = cw_raw_iter(object); cw_raw_next_member(&it, &key, &v); i++)
        if (cw_raw_type(v) != CW_RAW_STRING)
            return cw_fail(err, CW_INVALID, "lockedArgs.%.*s: expected string",
                           (int)(key.n > 80 ? 80 : key.n - 2), key.p + 1);
    if (i)
        m->locked_args = object;
    return 0;
}

static int check_trace(struct cw_slice object, struct cw_err *err)
{
    struct cw_slice key, v;
    struct cw_raw_iter it;

    if (!object.n)
        return 0;
    for (it = cw_raw_iter(object); cw_raw_next_member(&it, &key, &v);)
        if (cw_raw_type(v) != CW_RAW_STRING)
            return cw_fail(err, CW_INVALID, "traceContext.%.*s: expected string",
                           (int)(key.n > 80 ? 80 : key.n - 2), key.p + 1);
    return 0;
}

static int read_ids(const struct wire *w, struct cw_activation_message *m, struct cw_err *err)
{
    const char *id;

    if (read_id(w->activation_id, "activationId", &m->arena, &id, err) ||
        (w->cause.n && read_id(w->cause, "cause", &m->arena, &m->cause, err)))
        return -1;
    memcpy(m->activation_id, id, sizeof(m->activation_id));
    return 0;
}

/* Since 2.0 controllers default to the FPC path and put other messages on this topic. Looked at
 * only when decoding failed, so that good messages are not searched for it; *err is what failed. */
static int explain(struct cw_slice root, struct cw_err *err)
{
    struct cw_slice v;

    if (!cw_raw_get(root, "creationId", &v) && !cw_raw_get(root, "whiskActionMetaData", &v))
        return -1;
    return cw_fail(err, CW_CONFLICT,
                   "message of the FPC path; on the controllers set whisk.spi.LoadBalancerProvider "
                   "(ShardingContainerPoolBalancer) and whisk.spi.EntitlementSpiProvider "
                   "(LocalEntitlementProvider)");
}

static int decode(struct cw_activation_message *m, int64_t now_ms, struct cw_err *err)
{
    struct cw_slice root;
    struct wire w = {0};

    if (cw_raw_check(m->text, CW_RAW_MAX_DEPTH, &root, err))
        return -1;
    if (cw_raw_type(root) != CW_RAW_OBJECT)
        return cw_fail(err, CW_INVALID, "expected object");
    if (cw_raw_decode(root, FIELDS, CW_ARRAY_LEN(FIELDS), &w, &m->arena, "", err))
        return explain(root, err);
    if (cw_action_name_decode(w.action, "action", &m->arena, &m->action, err) ||
        cw_identity_decode(w.user, "user", &m->arena, &m->user, err) || read_ids(&w, m, err) ||
        read_controller(w.controller, m, err) || read_content(w.content, m, err) ||
        read_init_args(w.init_args, m, err) || read_locked_args(w.locked_args, m, err) ||
        check_trace(w.trace_context, err))
        return -1;
    cw_transid_decode(w.transid, now_ms, &m->arena, &m->tx);
    m->revision = w.revision && *w.revision ? w.revision : NULL;
    m->blocking = w.blocking;
    m->trace_context = w.trace_context;
    return 0;
}

/* A copy, with what is no character replaced as Java does it when it reads and writes: stock runs
 * such messages. */
static struct cw_slice take_text(struct cw_arena *arena, struct cw_slice payload)
{
    cw_auto_str struct cw_str repaired, mended;

    cw_str_init(&repaired, payload.n * 3 + 1);
    cw_str_init(&mended, payload.n * 3 + 1);
    if (cw_utf8_repair(payload, &repaired))
        payload = cw_str_slice(&repaired);
    if (cw_raw_mend_surrogates(payload, &mended))
        payload = cw_str_slice(&mended);
    return cw_slice(cw_arena_dup(arena, payload), payload.n);
}

struct cw_activation_message *cw_activation_message_decode(struct cw_slice payload, int64_t now_ms,
                                                           struct cw_err *err)
{
    struct cw_activation_message *m = cw_alloc(sizeof(*m));

    cw_arena_init(&m->arena);
    m->text = take_text(&m->arena, payload);
    if (decode(m, now_ms, err)) {
        cw_activation_message_free(m);
        return NULL;
    }
    return m;
}

void cw_activation_message_free(struct cw_activation_message *m)
{
    if (!m)
        return;
    cw_arena_done(&m->arena);
    free(m);
}
