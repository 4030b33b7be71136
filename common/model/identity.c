#include "common/model/identity.h"

#include <stdio.h>
#include <strings.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/quantity.h"
#include "common/json/raw.h"
#include "common/model/entity_name.h"

enum { MAX_PATH = 160, MIN_SUBJECT = 5 };

/* What the tables decode into before it takes its final form. */
struct wire {
    const char *subject;
    struct cw_slice namespace_object, authkey, rights, limits;
};
struct wire_limits {
    struct cw_user_limits limits;
    const char *max_payload, *truncation;
    /* not ours to keep to, but stock drops a message where one of them is of a wrong type */
    const char *max_parameter, *keeping_timeout;
    struct cw_slice allowed_kinds, other;
};
struct wire_namespace {
    const char *name, *uuid;
};

static const struct cw_field FIELDS[] = {
    {"subject", CW_FIELD_STRING, CW_FIELD_REQUIRED, offsetof(struct wire, subject), 0, 1, 0},
    {"namespace", CW_FIELD_OBJECT, CW_FIELD_REQUIRED, offsetof(struct wire, namespace_object), 0, 0,
     0},
    {"authkey", CW_FIELD_OBJECT, CW_FIELD_REQUIRED, offsetof(struct wire, authkey), 0, 0, 0},
    {"rights", CW_FIELD_ARRAY, 0, offsetof(struct wire, rights), 0, 0, 0},
    {"limits", CW_FIELD_OBJECT, 0, offsetof(struct wire, limits), 0, 0, 0},
};

static const struct cw_field NAMESPACE_FIELDS[] = {
    {"name", CW_FIELD_STRING, CW_FIELD_REQUIRED, offsetof(struct wire_namespace, name), 0, 1, 1024},
    {"uuid", CW_FIELD_STRING, CW_FIELD_REQUIRED, offsetof(struct wire_namespace, uuid), 0, 0, 1024},
};

#define LIMIT(key, member, min)                                                                    \
    {                                                                                              \
        key, CW_FIELD_WHOLE, CW_FIELD_NULLABLE, offsetof(struct wire_limits, limits.member.value), \
            offsetof(struct wire_limits, limits.member.set), min, INT32_MAX                        \
    }
#define TEXT(key, member)                                                                          \
    {                                                                                              \
        key, CW_FIELD_STRING, CW_FIELD_NULLABLE, offsetof(struct wire_limits, member), 0, 0, 64    \
    }
#define OTHER(key)                                                                                 \
    {                                                                                              \
        key, CW_FIELD_NUMBER, CW_FIELD_NULLABLE, offsetof(struct wire_limits, other), 0, 0, 0      \
    }
static const struct cw_field LIMIT_FIELDS[] = {
    LIMIT("minActionMemory", min_memory_mb, 0),
    LIMIT("maxActionMemory", max_memory_mb, 0),
    LIMIT("minActionLogs", min_logs_mb, 0),
    LIMIT("maxActionLogs", max_logs_mb, 0),
    LIMIT("minActionTimeout", min_timeout_ms, INT32_MIN),
    LIMIT("maxActionTimeout", max_timeout_ms, INT32_MIN),
    LIMIT("minActionConcurrency", min_concurrency, INT32_MIN),
    LIMIT("maxActionConcurrency", max_concurrency, INT32_MIN),
    TEXT("maxPayloadSize", max_payload),
    TEXT("truncationSize", truncation),
    TEXT("maxParameterSize", max_parameter),
    TEXT("warmedContainerKeepingTimeout", keeping_timeout),
    OTHER("invocationsPerMinute"),
    OTHER("concurrentInvocations"),
    OTHER("firesPerMinute"),
    OTHER("warmedContainerKeepingCount"),
    OTHER("maxActionInstances"),
    {"allowedKinds", CW_FIELD_ARRAY, CW_FIELD_NULLABLE, offsetof(struct wire_limits, allowed_kinds),
     0, 0, 0},
    {"storeActivations", CW_FIELD_BOOL, CW_FIELD_NULLABLE,
     offsetof(struct wire_limits, limits.store_activations), 0, 0, 0},
};

static int check_strings(struct cw_slice array, const char *path, const char *key,
                         struct cw_err *err)
{
    struct cw_raw_iter it = cw_raw_iter(array);
    struct cw_slice v;

    while (cw_raw_next_element(&it, &v))
        if (cw_raw_type(v) != CW_RAW_STRING)
            return cw_fail(err, CW_INVALID, "%s.%s: expected array of strings", path, key);
    return 0;
}

/* As Java trims: everything up to the space. */
static struct cw_slice trim(struct cw_slice s)
{
    while (s.n && (unsigned char)s.p[0] <= ' ')
        s = cw_slice(s.p + 1, s.n - 1);
    while (s.n && (unsigned char)s.p[s.n - 1] <= ' ')
        s.n--;
    return s;
}

static bool is_right(struct cw_slice value, struct cw_arena *arena)
{
    static const char *const RIGHTS[] = {"READ", "PUT", "DELETE", "ACTIVATE", "REJECT"};
    struct cw_slice name;

    if (cw_raw_type(value) != CW_RAW_STRING)
        return false;
    name = trim(cw_slice_of(cw_raw_string(value, arena, NULL)));
    for (size_t i = 0; i < CW_ARRAY_LEN(RIGHTS); i++)
        if (name.n == strlen(RIGHTS[i]) && strncasecmp(name.p, RIGHTS[i], name.n) == 0)
            return true;
    return false;
}

static int check_rights(struct cw_slice array, const char *path, struct cw_arena *arena,
                        struct cw_err *err)
{
    struct cw_raw_iter it = cw_raw_iter(array);
    struct cw_slice v;

    while (cw_raw_next_element(&it, &v))
        if (!is_right(v, arena))
            return cw_fail(err, CW_INVALID, "%s.rights: %.*s is no right", path,
                           (int)(v.n > 40 ? 40 : v.n), v.p);
    return 0;
}

static int read_size(const char *text, const char *path, const char *key, struct cw_opt_int *ret,
                     struct cw_err *err)
{
    if (!text)
        return 0;
    if (cw_parse_size(cw_slice_of(text), CW_SIZE_JSON, &ret->value, err))
        return cw_err_wrap(err, "%s.%s", path, key);
    ret->set = true;
    return 0;
}

static int read_limits(struct cw_slice object, const char *path, struct cw_arena *arena,
                       struct cw_user_limits *ret, struct cw_err *err)
{
    struct wire_limits w = {.limits.store_activations = true};
    struct cw_opt_int ignored;
    char sub[MAX_PATH];

    (void)snprintf(sub, sizeof(sub), "%s.limits", path);
    if ((object.n &&
         cw_raw_decode(object, LIMIT_FIELDS, CW_ARRAY_LEN(LIMIT_FIELDS), &w, arena, sub, err)) ||
        read_size(w.max_payload, sub, "maxPayloadSize", &w.limits.max_payload_bytes, err) ||
        read_size(w.truncation, sub, "truncationSize", &w.limits.truncation_bytes, err) ||
        read_size(w.max_parameter, sub, "maxParameterSize", &ignored, err) ||
        check_strings(w.allowed_kinds, sub, "allowedKinds", err))
        return -1;
    *ret = w.limits;
    return 0;
}

int cw_identity_decode(struct cw_slice object, const char *path, struct cw_arena *arena,
                       struct cw_identity *ret, struct cw_err *err)
{
    struct wire_namespace ns = {0};
    struct wire w = {0};
    struct cw_slice subject;
    char sub[MAX_PATH];

    (void)snprintf(sub, sizeof(sub), "%s.namespace", path);
    if (cw_raw_decode(object, FIELDS, CW_ARRAY_LEN(FIELDS), &w, arena, path, err) ||
        cw_raw_decode(w.namespace_object, NAMESPACE_FIELDS, CW_ARRAY_LEN(NAMESPACE_FIELDS), &ns,
                      arena, sub, err) ||
        check_rights(w.rights, path, arena, err) ||
        read_limits(w.limits, path, arena, &ret->limits, err))
        return -1;
    if (!cw_entity_name_ok(cw_slice_of(ns.name)))
        return cw_fail(err, CW_INVALID, "%s.name: \"%.80s\" is not a name", sub, ns.name);
    subject = trim(cw_slice_of(w.subject));
    if (cw_utf16_units(subject) < MIN_SUBJECT)
        return cw_fail(err, CW_INVALID, "%s.subject: shorter than %d characters", path,
                       MIN_SUBJECT);
    ret->subject = cw_arena_dup(arena, subject);
    ret->namespace_name = ns.name;
    ret->namespace_uuid = ns.uuid;
    ret->authkey = w.authkey;
    return 0;
}
