/* common/model/activation_record.h -- what is stored and sent back about one activation (openwhisk
 * couchdb.md 6, kafka.md 6, kafka.md 8). The struct borrows everything. Thread: any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_action_limits;
struct cw_tx;

enum cw_status {
    CW_STATUS_SUCCESS = 0,
    CW_STATUS_APPLICATION_ERROR = 1,
    CW_STATUS_DEVELOPER_ERROR = 2,
    CW_STATUS_WHISK_ERROR = 3,
};

struct cw_activation_record {
    const char *namespace_name; /* invoking */
    const char *name;           /* action name without path */
    const char *subject;
    const char *activation_id;
    const char *cause; /* NULL: left out; otherwise adds annotation causedBy = sequence */
    const char *version;
    int64_t start_ms, end_ms, duration_ms;
    enum cw_status status;
    bool excused;           /* status 3 that must not count against the invoker's health */
    struct cw_slice result; /* raw JSON; n == 0: left out */
    int64_t size;           /* response.size; < 0: left out */
    /* annotations */
    const char *path;    /* ns[/pkg]/name */
    const char *kind;    /* "unknown" when the action was not fetched */
    const char *binding; /* NULL: left out */
    bool is_run;         /* limits, timeout and waitTime annotations are written */
    struct cw_slice limits_raw;
    bool timeout;
    int64_t wait_ms;
    int64_t init_ms;    /* < 0: this activation performed no /init */
    int64_t memory_mb;  /* of the limits; user event */
    int64_t updated_ms; /* stored document only */
};

/* Appends the stored document ({"_id":…,"entityType":"activation",…}). logs: a raw JSON array. */
void cw_activation_record_encode(const struct cw_activation_record *r, struct cw_slice logs,
                                 struct cw_str *out);

/* Appends the record as acks carry it ({"namespace":…}, logs [] ) with "namespaceId" behind it, as
 * the log file store writes it (openwhisk container.md 3). */
void cw_activation_record_encode_plain(const struct cw_activation_record *r,
                                       const char *namespace_uuid, struct cw_str *out);

/* Acks. Each appends one message; instance: what cw_instance_id_encode wrote. A result that makes
 * the message longer than out->max sets out->failed; the caller then sends the shrunk form. */
void cw_ack_result_encode(const struct cw_activation_record *r, const struct cw_tx *tx,
                          struct cw_str *out);
void cw_ack_combined_encode(const struct cw_activation_record *r, const struct cw_tx *tx,
                            struct cw_slice instance, struct cw_str *out);
/* response is only the activation id. */
void cw_ack_result_shrunk_encode(const char *activation_id, const struct cw_tx *tx,
                                 struct cw_str *out);
void cw_ack_combined_shrunk_encode(const char *activation_id, const struct cw_tx *tx,
                                   bool is_system_error, struct cw_slice instance,
                                   struct cw_str *out);
void cw_ack_completion_encode(const char *activation_id, const struct cw_tx *tx,
                              bool is_system_error, struct cw_slice instance, struct cw_str *out);

/* User event (kafka.md 8). source: "invoker0". */
void cw_user_event_encode(const struct cw_activation_record *r, const char *source,
                          const char *namespace_uuid, int64_t now_ms, struct cw_str *out);
