#include "tests/bench/load_wire.h"

#include <stdio.h>
#include <sys/random.h>

#include "common/base/err.h"
#include "common/json/raw.h"
#include "common/json/writer.h"

static const char USER[] =
    "{\"subject\":\"bench\",\"namespace\":{\"name\":\"guest\",\"uuid\":\"23bc46b1-71f6-4ed5-8c54-"
    "816aa4f8c502\"},\"authkey\":{\"api_key\":\"23bc46b1-71f6-4ed5-8c54-816aa4f8c502:"
    "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqr\"},\"rights\":[\"READ\","
    "\"PUT\",\"DELETE\",\"ACTIVATE\"],\"limits\":{}}";

void load_series_init(struct load_series *s, const char *space, const char *action)
{
    unsigned char bytes[LOAD_PREFIX_LEN / 2];

    memset(s, 0, sizeof(*s));
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        abort();
    for (size_t i = 0; i < sizeof(bytes); i++)
        (void)snprintf(s->prefix + 2 * i, 3, "%02x", bytes[i]);
    s->space = space;
    s->action = action;
    s->controller = "0";
    s->blocking = true;
}

static void write_transid(struct cw_json_writer *w, const char *name, int64_t now_ms)
{
    cw_json_key(w, "transid");
    cw_json_array(w);
    cw_json_string(w, name);
    cw_json_int(w, now_ms);
    cw_json_array_end(w);
}

static void write_action(struct cw_json_writer *w, const struct load_series *s)
{
    cw_json_key(w, "action");
    cw_json_object(w);
    cw_json_kv_string(w, "path", s->space);
    cw_json_kv_string(w, "name", s->action);
    cw_json_kv_string(w, "version", "0.0.1");
    cw_json_object_end(w);
    cw_json_key(w, "revision");
    cw_json_string(w, s->revision);
}

void load_write_activation(const struct load_series *s, uint32_t number, int64_t now_ms,
                           struct cw_str *out)
{
    char id[LOAD_ID_LEN + 1];
    struct cw_json_writer w;

    (void)snprintf(id, sizeof(id), "%s%08x", s->prefix, number);
    cw_str_reset(out);
    cw_json_begin(&w, out);
    cw_json_object(&w);
    write_transid(&w, s->transid ? s->transid : id, now_ms);
    write_action(&w, s);
    cw_json_kv_raw(&w, "user", cw_slice(USER, sizeof(USER) - 1));
    cw_json_kv_string(&w, "activationId", id);
    cw_json_key(&w, "rootControllerIndex");
    cw_json_object(&w);
    cw_json_kv_string(&w, "asString", s->controller);
    cw_json_kv_string(&w, "instanceType", "controller");
    cw_json_object_end(&w);
    cw_json_kv_bool(&w, "blocking", s->blocking);
    cw_json_kv_raw(&w, "content", CW_SLICE("{\"name\":\"Ann\"}"));
    cw_json_kv_raw(&w, "initArgs", CW_SLICE("[]"));
    cw_json_kv_raw(&w, "lockedArgs", CW_SLICE("{}"));
    cw_json_object_end(&w);
}

/* ---- acks ---- */

/* Is the quoted id one of the series? Then its number. */
static bool number_of(const struct load_series *s, struct cw_slice quoted, uint32_t *ret)
{
    char digits[LOAD_ID_LEN - LOAD_PREFIX_LEN + 1] = {0};
    char *end;

    if (quoted.n != LOAD_ID_LEN + 2 || memcmp(quoted.p + 1, s->prefix, LOAD_PREFIX_LEN) != 0)
        return false;
    memcpy(digits, quoted.p + 1 + LOAD_PREFIX_LEN, sizeof(digits) - 1);
    *ret = (uint32_t)strtoul(digits, &end, 16);
    return *end == '\0';
}

static bool is_success(struct cw_slice record)
{
    struct cw_slice response, status;

    return cw_raw_get(record, "response", &response) &&
           cw_raw_get(response, "statusCode", &status) && cw_slice_is(status, "0");
}

int load_read_ack(const struct load_series *s, struct cw_slice text, struct load_ack *ret,
                  struct cw_err *err)
{
    struct cw_slice ack, response, instance, id, flag;
    bool has_response, has_instance, whole;

    if (cw_raw_check(text, CW_RAW_MAX_DEPTH, &ack, err) != 0)
        return cw_err_wrap(err, "ack");
    has_response = cw_raw_get(ack, "response", &response);
    has_instance = cw_raw_get(ack, "instance", &instance);
    whole = has_response && cw_raw_type(response) == CW_RAW_OBJECT;
    if (has_response && !whole)
        id = response; /* a record too large for an ack: only its id */
    else if (!cw_raw_get(whole ? response : ack, "activationId", &id))
        return cw_fail(err, CW_INVALID, "ack without activationId: %.100s", text.p);
    ret->kind = !has_response   ? LOAD_ACK_COMPLETION
                : !has_instance ? LOAD_ACK_RESULT
                                : LOAD_ACK_COMBINED;
    ret->ours = cw_raw_type(id) == CW_RAW_STRING && number_of(s, id, &ret->number);
    ret->success = (!whole || is_success(response)) &&
                   !(cw_raw_get(ack, "isSystemError", &flag) && cw_raw_is_true(flag));
    return 0;
}

int load_read_ping(struct cw_slice text, bool *ret_enabled, struct cw_err *err)
{
    struct cw_slice ping, name, flag;

    if (cw_raw_check(text, CW_RAW_MAX_DEPTH, &ping, err) != 0)
        return cw_err_wrap(err, "ping");
    if (!cw_raw_get(ping, "name", &name) || cw_raw_type(name) != CW_RAW_OBJECT)
        return cw_fail(err, CW_INVALID, "ping without name");
    *ret_enabled = !cw_raw_get(ping, "isEnabled", &flag) || cw_raw_is_true(flag);
    return 0;
}
