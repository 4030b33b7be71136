#include "common/model/activation_record.h"

#include "common/base/txid.h"
#include "common/json/raw.h"
#include "common/json/writer.h"

enum { BAD_STATUS_CODE = 400 }; /* what stock reports for a statusCode that is no number */

static void annotation(struct cw_json_writer *w, const char *key)
{
    cw_json_object(w);
    cw_json_kv_string(w, "key", key);
    cw_json_key(w, "value");
}

static void annotation_string(struct cw_json_writer *w, const char *key, const char *value)
{
    if (!value)
        return;
    annotation(w, key);
    cw_json_string(w, value);
    cw_json_object_end(w);
}

static void annotation_int(struct cw_json_writer *w, const char *key, int64_t value)
{
    annotation(w, key);
    cw_json_int(w, value);
    cw_json_object_end(w);
}

static void write_run_annotations(struct cw_json_writer *w, const struct cw_activation_record *r)
{
    annotation(w, "limits");
    cw_json_raw(w, r->limits_raw);
    cw_json_object_end(w);
    annotation(w, "timeout");
    cw_json_bool(w, r->timeout);
    cw_json_object_end(w);
    annotation_int(w, "waitTime", r->wait_ms);
    if (r->init_ms >= 0)
        annotation_int(w, "initTime", r->init_ms);
}

static void write_annotations(struct cw_json_writer *w, const struct cw_activation_record *r)
{
    cw_json_key(w, "annotations");
    cw_json_array(w);
    annotation_string(w, "path", r->path);
    annotation_string(w, "kind", r->kind);
    if (r->is_run)
        write_run_annotations(w, r);
    annotation_string(w, "causedBy", r->cause ? "sequence" : NULL);
    annotation_string(w, "binding", r->binding);
    cw_json_array_end(w);
}

static void write_response(struct cw_json_writer *w, const struct cw_activation_record *r)
{
    cw_json_key(w, "response");
    cw_json_object(w);
    cw_json_kv_int(w, "statusCode", r->status);
    if (r->result.n)
        cw_json_kv_raw(w, "result", r->result);
    if (r->size >= 0)
        cw_json_kv_int(w, "size", r->size);
    cw_json_object_end(w);
}

/* The members that stored documents and acks share. */
static void write_members(struct cw_json_writer *w, const struct cw_activation_record *r,
                          struct cw_slice logs)
{
    cw_json_kv_string(w, "namespace", r->namespace_name);
    cw_json_kv_string(w, "name", r->name);
    cw_json_kv_string(w, "subject", r->subject);
    cw_json_kv_string(w, "activationId", r->activation_id);
    cw_json_kv_int(w, "start", r->start_ms);
    cw_json_kv_int(w, "end", r->end_ms);
    cw_json_kv_int(w, "duration", r->duration_ms);
    cw_json_kv_string(w, "cause", r->cause);
    write_response(w, r);
    cw_json_kv_raw(w, "logs", logs);
    cw_json_kv_string(w, "version", r->version ? r->version : "0.0.1");
    cw_json_kv_bool(w, "publish", false);
    write_annotations(w, r);
}

void cw_activation_record_encode(const struct cw_activation_record *r, struct cw_slice logs,
                                 struct cw_str *out)
{
    cw_auto_str struct cw_str id;
    struct cw_json_writer w;

    cw_str_init(&id, out->max);
    cw_str_addf(&id, "%s/%s", r->namespace_name, r->activation_id);
    cw_json_begin(&w, out);
    cw_json_object(&w);
    cw_json_kv_string(&w, "_id", id.p);
    cw_json_kv_string(&w, "entityType", "activation");
    write_members(&w, r, logs);
    cw_json_kv_int(&w, "updated", r->updated_ms);
    cw_json_object_end(&w);
}

void cw_activation_record_encode_plain(const struct cw_activation_record *r,
                                       const char *namespace_uuid, struct cw_str *out)
{
    struct cw_json_writer w;

    cw_json_begin(&w, out);
    cw_json_object(&w);
    write_members(&w, r, CW_SLICE("[]"));
    cw_json_kv_string(&w, "namespaceId", namespace_uuid);
    cw_json_object_end(&w);
}

/* ---- acks ---- */

/* What arrived is echoed byte for byte; ids of our own have no bytes yet. */
static void write_transid(struct cw_json_writer *w, const struct cw_tx *tx)
{
    cw_json_key(w, "transid");
    if (tx->raw.n) {
        cw_json_raw(w, tx->raw);
        return;
    }
    cw_json_array(w);
    cw_json_string(w, tx->id);
    cw_json_int(w, tx->start_ms);
    cw_json_array_end(w);
}

static void begin_ack(struct cw_json_writer *w, const struct cw_tx *tx, struct cw_str *out)
{
    cw_json_begin(w, out);
    cw_json_object(w);
    write_transid(w, tx);
}

/* `instance` tells the controller that the slot is free again, so only the last ack has it. */
static void end_last_ack(struct cw_json_writer *w, bool is_system_error, struct cw_slice instance)
{
    cw_json_kv_bool(w, "isSystemError", is_system_error);
    cw_json_kv_raw(w, "instance", instance);
    cw_json_object_end(w);
}

static void write_record(struct cw_json_writer *w, const struct cw_activation_record *r)
{
    cw_json_key(w, "response");
    cw_json_object(w);
    write_members(w, r, CW_SLICE("[]"));
    cw_json_object_end(w);
}

void cw_ack_result_encode(const struct cw_activation_record *r, const struct cw_tx *tx,
                          struct cw_str *out)
{
    struct cw_json_writer w;

    begin_ack(&w, tx, out);
    write_record(&w, r);
    cw_json_object_end(&w);
}

void cw_ack_combined_encode(const struct cw_activation_record *r, const struct cw_tx *tx,
                            struct cw_slice instance, struct cw_str *out)
{
    struct cw_json_writer w;

    begin_ack(&w, tx, out);
    write_record(&w, r);
    end_last_ack(&w, r->status == CW_STATUS_WHISK_ERROR && !r->excused, instance);
}

void cw_ack_result_shrunk_encode(const char *activation_id, const struct cw_tx *tx,
                                 struct cw_str *out)
{
    struct cw_json_writer w;

    begin_ack(&w, tx, out);
    cw_json_kv_string(&w, "response", activation_id);
    cw_json_object_end(&w);
}

void cw_ack_combined_shrunk_encode(const char *activation_id, const struct cw_tx *tx,
                                   bool is_system_error, struct cw_slice instance,
                                   struct cw_str *out)
{
    struct cw_json_writer w;

    begin_ack(&w, tx, out);
    cw_json_kv_string(&w, "response", activation_id);
    end_last_ack(&w, is_system_error, instance);
}

void cw_ack_completion_encode(const char *activation_id, const struct cw_tx *tx,
                              bool is_system_error, struct cw_slice instance, struct cw_str *out)
{
    struct cw_json_writer w;

    begin_ack(&w, tx, out);
    cw_json_kv_string(&w, "activationId", activation_id);
    end_last_ack(&w, is_system_error, instance);
}

/* ---- user events ---- */

/* As Java reads an integer of any size, of which the low 32 bits count. */
static bool integer_of(struct cw_slice value, int64_t *ret)
{
    if (cw_raw_type(value) == CW_RAW_STRING) {
        value = cw_slice(value.p + 1, value.n - 2);
        if (value.n > 1 && value.p[0] == '+')
            value = cw_slice(value.p + 1, value.n - 1);
        for (size_t i = value.n > 1 && value.p[0] == '-'; i < value.n; i++)
            if (value.p[i] < '0' || value.p[i] > '9')
                return false;
    } else if (cw_raw_type(value) != CW_RAW_NUMBER) {
        return false;
    }
    *ret = (int32_t)(uint32_t)(uint64_t)cw_raw_long(value);
    return value.n > 0;
}

/* Anything else that is there counts as 400. */
static int64_t status_code_of(struct cw_slice value)
{
    int64_t code;

    return integer_of(value, &code) ? code : BAD_STATUS_CODE;
}

static bool user_status_code(struct cw_slice result, int64_t *ret)
{
    struct cw_slice error, value;

    if (!result.n || cw_raw_type(result) != CW_RAW_OBJECT)
        return false;
    if (!(cw_raw_get(result, "error", &error) && cw_raw_get(error, "statusCode", &value)) &&
        !cw_raw_get(result, "statusCode", &value))
        return false;
    *ret = status_code_of(value);
    return true;
}

static void write_event_body(struct cw_json_writer *w, const struct cw_activation_record *r)
{
    int64_t code;

    cw_json_key(w, "body");
    cw_json_object(w);
    cw_json_kv_string(w, "name", r->path);
    cw_json_kv_string(w, "activationId", r->activation_id);
    cw_json_kv_int(w, "statusCode", r->status);
    cw_json_kv_int(w, "duration", r->duration_ms);
    cw_json_kv_int(w, "waitTime", r->is_run ? r->wait_ms : 0);
    cw_json_kv_int(w, "initTime", r->is_run && r->init_ms > 0 ? r->init_ms : 0);
    cw_json_kv_string(w, "kind", r->kind);
    cw_json_kv_bool(w, "conductor", false); /* controllers run those themselves */
    cw_json_kv_int(w, "memory", r->is_run ? r->memory_mb : 0);
    cw_json_kv_string(w, "causedBy", r->cause ? "sequence" : NULL);
    if (r->size >= 0)
        cw_json_kv_int(w, "size", r->size);
    if (user_status_code(r->result, &code))
        cw_json_kv_int(w, "userDefinedStatusCode", code);
    cw_json_object_end(w);
}

void cw_user_event_encode(const struct cw_activation_record *r, const char *source,
                          const char *namespace_uuid, int64_t now_ms, struct cw_str *out)
{
    struct cw_json_writer w;

    cw_json_begin(&w, out);
    cw_json_object(&w);
    cw_json_kv_string(&w, "source", source);
    write_event_body(&w, r);
    cw_json_kv_string(&w, "subject", r->subject);
    cw_json_kv_string(&w, "namespace", r->namespace_name);
    cw_json_kv_string(&w, "userId", namespace_uuid);
    cw_json_kv_string(&w, "eventType", "Activation");
    cw_json_kv_int(&w, "timestamp", now_ms);
    cw_json_object_end(&w);
}
