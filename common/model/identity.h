/* common/model/identity.h -- who invokes, and with which limits (openwhisk kafka.md 4.4). Thread:
 * any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_arena;
struct cw_err;

/* A limit that may be absent. */
struct cw_opt_int {
    int64_t value;
    bool set;
};

struct cw_user_limits {
    struct cw_opt_int min_memory_mb, max_memory_mb, min_logs_mb, max_logs_mb, min_timeout_ms,
        max_timeout_ms;
    struct cw_opt_int min_concurrency, max_concurrency;
    struct cw_opt_int max_payload_bytes,
        truncation_bytes;   /* maxPayloadSize, truncationSize ("1 MB") */
    bool store_activations; /* true unless the document says false */
};

struct cw_identity {
    const char *subject;
    const char *namespace_name, *namespace_uuid;
    struct cw_slice authkey; /* opaque object; all its members go to the action */
    struct cw_user_limits limits;
};

/* object: checked; must outlive *ret. path: for errors, e.g. "user". */
int cw_identity_decode(struct cw_slice object, const char *path, struct cw_arena *arena,
                       struct cw_identity *ret, struct cw_err *err) CW_MUST_CHECK;
