/* common/model/action_doc.h -- an action as stored in the whisks database (openwhisk couchdb.md 4).
 * Thread: any, except the reference count: one thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"

struct cw_err;
struct cw_manifest;

enum cw_code_place {
    CW_CODE_NONE,     /* blackbox without code */
    CW_CODE_INLINE,   /* code_quoted is ready */
    CW_CODE_ATTACHED, /* bytes of attachment `attachment` of this document are still to be fetched
                       */
};

struct cw_action_limits {
    int64_t timeout_ms, memory_mb, logs_mb, concurrency;
};

enum { CW_ACTION_HASH_LEN = 32 };

struct cw_action {
    unsigned refs;
    struct cw_arena arena;      /* owns everything below */
    struct cw_slice text;       /* the document */
    const char *id, *rev;       /* _id, _rev */
    const char *namespace_path; /* "guest/utils" */
    const char *name, *version;
    const char *path;  /* namespace_path + "/" + name */
    const char *kind;  /* resolved: "nodejs:20", "blackbox", "sequence" */
    const char *image; /* blackbox only, as the user wrote it */
    const char *main;  /* NULL when absent */
    bool binary;
    enum cw_code_place code_place;
    struct cw_slice code_quoted; /* JSON string with quotes, ready for /init, as stored (or base64
                                    of binary code) */
    const char *attachment;      /* name inside the document, scheme removed */
    struct cw_action_limits limits;
    struct cw_slice
        limits_raw;        /* limits object with defaults filled in, for the record's annotation */
    bool provide_api_key;  /* annotation provide-api-key: truthy or missing */
    bool retry_on_crash;   /* annotation cwhisk.retry-on-crash: truthy */
    bool sentinelled_logs; /* from the manifest; blackbox: whether the image counts as native */
    struct cw_slice annotations;            /* raw array */
    unsigned char hash[CW_ACTION_HASH_LEN]; /* SHA-256 of the content: equal for structurally equal
                                               actions, whatever _id, _rev, updated, attachment
                                               name; set once the code is present */
};

/* Defaults for limits that a document leaves out. */
struct cw_limit_defaults {
    int64_t logs_mb, concurrency;
    /* The hash leaves out what a container can be given while it lives (design 7): version,
     * annotations cwhisk.*, limits.timeout, limits.logs and limits.memory. */
    bool warm_limits;
};

/* text is copied. mem: attachments are decoded at once. Returns a reference. err codes: CW_INVALID
 * (unreadable; stock's "not compatible"), CW_CONFLICT (entityType is not action), CW_INTERNAL (the
 * document is fine but its code cannot be had: another store, a name that makes no sense, a stub of
 * something else; stock's "could not be fetched"). A sequence is returned as kind "sequence". */
struct cw_action *cw_action_decode(struct cw_slice text, const struct cw_manifest *manifest,
                                   const struct cw_limit_defaults *defaults,
                                   struct cw_err *err) CW_MUST_CHECK;
/* Gives the fetched attachment (copied; base64-encoded when action->binary) and computes the hash.
 * CW_INTERNAL when it is not as long as the document says. */
int cw_action_set_code(struct cw_action *a, struct cw_slice bytes,
                       struct cw_err *err) CW_MUST_CHECK;
struct cw_action *cw_action_ref(struct cw_action *a);
/* Accepts NULL. */
void cw_action_unref(struct cw_action *a);
/* The annotation's value; of equal keys the last one. false: there is none. */
bool cw_action_annotation(const struct cw_action *a, const char *name, struct cw_slice *ret_value);
/* Bytes held, for the cache's bound. */
size_t cw_action_bytes(const struct cw_action *a);
