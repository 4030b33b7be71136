#include "common/model/identity.h"

#include <stdio.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/quantity.h"
#include "common/json/raw.h"
#include "common/model/entity_name.h"

enum { MAX_PATH = 160 };

/* What the tables decode into before it takes its final form. */
struct wire {
    const char *subject;
    struct cw_slice namespace_object, authkey, limits;
};
struct wire_limits {
    struct cw_user_limits limits;
    const char *max_payload, *truncation;
};
struct wire_namespace {
    const char *name, *uuid;
};

static const struct cw_field FIELDS[] = {
    {"subject", CW_FIELD_STRING, CW_FIELD_REQUIRED, offsetof(struct wire, subject), 0, 1, 0},
    {"namespace", CW_FIELD_OBJECT, CW_FIELD_REQUIRED, offsetof(struct wire, namespace_object), 0, 0,
     0},
    {"authkey", CW_FIELD_OBJECT, CW_FIELD_REQUIRED, offsetof(struct wire, authkey), 0, 0, 0},
    {"limits", CW_FIELD_OBJECT, CW_FIELD_NULLABLE, offsetof(struct wire, limits), 0, 0, 0},
};

static const struct cw_field NAMESPACE_FIELDS[] = {
    {"name", CW_FIELD_STRING, CW_FIELD_REQUIRED, offsetof(struct wire_namespace, name), 0, 1, 1024},
    {"uuid", CW_FIELD_STRING, CW_FIELD_REQUIRED, offsetof(struct wire_namespace, uuid), 0, 1, 1024},
};

#define LIMIT(key, member)                                                                         \
    {                                                                                              \
        key, CW_FIELD_INT, CW_FIELD_NULLABLE, offsetof(struct wire_limits, limits.member.value),   \
            offsetof(struct wire_limits, limits.member.set), 0, INT32_MAX                          \
    }
static const struct cw_field LIMIT_FIELDS[] = {
    LIMIT("minActionMemory", min_memory_mb),
    LIMIT("maxActionMemory", max_memory_mb),
    LIMIT("minActionLogs", min_logs_mb),
    LIMIT("maxActionLogs", max_logs_mb),
    LIMIT("minActionTimeout", min_timeout_ms),
    LIMIT("maxActionTimeout", max_timeout_ms),
    LIMIT("minActionConcurrency", min_concurrency),
    LIMIT("maxActionConcurrency", max_concurrency),
    {"maxPayloadSize", CW_FIELD_STRING, CW_FIELD_NULLABLE,
     offsetof(struct wire_limits, max_payload), 0, 1, 64},
    {"truncationSize", CW_FIELD_STRING, CW_FIELD_NULLABLE, offsetof(struct wire_limits, truncation),
     0, 1, 64},
    {"storeActivations", CW_FIELD_BOOL, CW_FIELD_NULLABLE,
     offsetof(struct wire_limits, limits.store_activations), 0, 0, 0},
};

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
    char sub[MAX_PATH];

    (void)snprintf(sub, sizeof(sub), "%s.limits", path);
    if ((object.n &&
         cw_raw_decode(object, LIMIT_FIELDS, CW_ARRAY_LEN(LIMIT_FIELDS), &w, arena, sub, err)) ||
        read_size(w.max_payload, sub, "maxPayloadSize", &w.limits.max_payload_bytes, err) ||
        read_size(w.truncation, sub, "truncationSize", &w.limits.truncation_bytes, err))
        return -1;
    *ret = w.limits;
    return 0;
}

int cw_identity_decode(struct cw_slice object, const char *path, struct cw_arena *arena,
                       struct cw_identity *ret, struct cw_err *err)
{
    struct wire_namespace ns = {0};
    struct wire w = {0};
    char sub[MAX_PATH];

    (void)snprintf(sub, sizeof(sub), "%s.namespace", path);
    if (cw_raw_decode(object, FIELDS, CW_ARRAY_LEN(FIELDS), &w, arena, path, err) ||
        cw_raw_decode(w.namespace_object, NAMESPACE_FIELDS, CW_ARRAY_LEN(NAMESPACE_FIELDS), &ns,
                      arena, sub, err) ||
        read_limits(w.limits, path, arena, &ret->limits, err))
        return -1;
    if (!cw_entity_name_ok(cw_slice_of(ns.name)))
        return cw_fail(err, CW_INVALID, "%s.name: \"%.80s\" is not a name", sub, ns.name);
    ret->subject = w.subject;
    ret->namespace_name = ns.name;
    ret->namespace_uuid = ns.uuid;
    ret->authkey = w.authkey;
    return 0;
}
