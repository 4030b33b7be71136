#include "common/model/peer_message.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/boot.h"
#include "common/base/err.h"
#include "common/json/raw.h"
#include "common/json/writer.h"
#include "common/model/entity_name.h"

#define MEMBER "cwhisk"

enum { VERSION = 1 };

static const char *const PURPOSES[] = {
    [CW_PEER_FORWARD] = "forward",
    [CW_PEER_ENDED] = "ended",
    [CW_PEER_RETURNED] = "returned",
};

struct wire {
    int64_t v;
    const char *purpose, *to, *reply;
    struct cw_slice instance, ids;
};

#define AT(member) offsetof(struct wire, member)
static const struct cw_field FIELDS[] = {
    {"v", CW_FIELD_INT, CW_FIELD_REQUIRED, AT(v), 0, VERSION, VERSION},
    {"purpose", CW_FIELD_STRING, CW_FIELD_REQUIRED, AT(purpose), 0, 1, 32},
    {"to", CW_FIELD_STRING, 0, AT(to), 0, CW_PEER_BOOT_LEN, CW_PEER_BOOT_LEN},
    {"reply", CW_FIELD_STRING, 0, AT(reply), 0, 1, CW_PEER_TOPIC_MAX},
    {"instance", CW_FIELD_OBJECT, 0, AT(instance), 0, 0, 0},
    {"ids", CW_FIELD_ARRAY, 0, AT(ids), 0, 0, 0},
};
#undef AT

static int read_purpose(const char *text, enum cw_peer_purpose *ret, struct cw_err *err)
{
    for (size_t i = 0; i < CW_ARRAY_LEN(PURPOSES); i++)
        if (strcmp(text, PURPOSES[i]) == 0) {
            *ret = (enum cw_peer_purpose)i;
            return 0;
        }
    return cw_fail(err, CW_INVALID,
                   MEMBER ".purpose: \"%.32s\", accepted: forward, ended, returned", text);
}

/* More digits than a process of ours has are somebody else's. */
static uint64_t read_boot(const char *digits)
{
    const char *end = digits + CW_PEER_BOOT_LEN - CW_BOOT_TEXT;

    return strspn(digits, "0") >= CW_PEER_BOOT_LEN - CW_BOOT_TEXT ? strtoull(end, NULL, 16) : 0;
}

static int read_forward(const struct wire *w, struct cw_peer_message *ret, struct cw_err *err)
{
    if (!w->to || strspn(w->to, "0123456789abcdef") != CW_PEER_BOOT_LEN)
        return cw_fail(err, CW_INVALID, MEMBER ".to: expected %d lower-case hexadecimal digits",
                       CW_PEER_BOOT_LEN);
    if (!w->reply || !cw_controller_id_ok(cw_slice_of(w->reply)))
        return cw_fail(err, CW_INVALID, MEMBER ".reply: expected the name of a topic");
    if (!w->instance.n)
        return cw_fail(err, CW_INVALID, MEMBER ".instance: expected object");
    ret->to_boot = read_boot(w->to);
    ret->reply_topic = w->reply;
    ret->instance = w->instance;
    return 0;
}

static size_t count_elements(struct cw_slice array)
{
    struct cw_raw_iter it = cw_raw_iter(array);
    struct cw_slice v;
    size_t n = 0;

    while (n <= CW_PEER_IDS_MAX && cw_raw_next_element(&it, &v))
        n++;
    return n;
}

static int read_ids(struct cw_slice array, struct cw_arena *arena, struct cw_peer_message *ret,
                    struct cw_err *err)
{
    size_t n = array.n ? count_elements(array) : 0;
    char(*ids)[CW_ACTIVATION_ID_LEN + 1];
    struct cw_raw_iter it;
    struct cw_slice v;

    if (n < 1 || n > CW_PEER_IDS_MAX)
        return cw_fail(err, CW_INVALID, MEMBER ".ids: expected 1 to %d ids", CW_PEER_IDS_MAX);
    ids = cw_arena_alloc(arena, n * sizeof(*ids));
    it = cw_raw_iter(array);
    for (size_t i = 0; i < n && cw_raw_next_element(&it, &v); i++) {
        struct cw_slice id = v.n >= 2 ? cw_slice(v.p + 1, v.n - 2) : v;

        if (cw_raw_type(v) != CW_RAW_STRING || !cw_activation_id_ok(id))
            return cw_fail(err, CW_INVALID,
                           MEMBER ".ids[%zu]: expected %d lower-case hexadecimal digits", i,
                           CW_ACTIVATION_ID_LEN);
        memcpy(ids[i], id.p, CW_ACTIVATION_ID_LEN);
    }
    ret->ids = (const char(*)[CW_ACTIVATION_ID_LEN + 1]) ids;
    ret->id_count = n;
    return 0;
}

int cw_peer_message_decode(struct cw_slice payload, struct cw_arena *arena,
                           struct cw_peer_message *ret, struct cw_err *err)
{
    struct cw_slice root, envelope;
    struct wire w = {0};

    *ret = (struct cw_peer_message){0};
    payload = cw_slice(cw_arena_dup(arena, payload), payload.n);
    if (cw_raw_check(payload, CW_RAW_MAX_DEPTH, &root, err))
        return -1;
    if (!cw_raw_get(root, MEMBER, &envelope) || cw_raw_type(envelope) != CW_RAW_OBJECT)
        return cw_fail(err, CW_INVALID, MEMBER ": expected object");
    if (cw_raw_decode(envelope, FIELDS, CW_ARRAY_LEN(FIELDS), &w, arena, MEMBER, err) ||
        read_purpose(w.purpose, &ret->purpose, err))
        return -1;
    return ret->purpose == CW_PEER_FORWARD ? read_forward(&w, ret, err)
                                           : read_ids(w.ids, arena, ret, err);
}

static void begin(struct cw_json_writer *w, enum cw_peer_purpose purpose, struct cw_str *out)
{
    cw_json_begin(w, out);
    cw_json_object(w);
    cw_json_key(w, MEMBER);
    cw_json_object(w);
    cw_json_kv_int(w, "v", VERSION);
    cw_json_kv_string(w, "purpose", PURPOSES[purpose]);
}

bool cw_peer_looks_forwarded(struct cw_slice payload)
{
    static const char TEXT[] = "{\"" MEMBER "\":{\"v\":1,\"purpose\":\"forward\",";

    return payload.n >= sizeof(TEXT) && memcmp(payload.p, TEXT, sizeof(TEXT) - 1) == 0;
}

bool cw_peer_forward_encode(const struct cw_peer_message *forward, struct cw_slice message,
                            struct cw_str *out)
{
    struct cw_slice rest = cw_slice_trim(message), present;
    char to[CW_PEER_BOOT_LEN + 1];
    struct cw_json_writer w;

    if (cw_raw_get(rest, MEMBER, &present))
        return false;
    (void)snprintf(to, sizeof(to), "%0*" PRIx64, CW_PEER_BOOT_LEN, forward->to_boot);
    begin(&w, CW_PEER_FORWARD, out);
    cw_json_kv_string(&w, "to", to);
    cw_json_kv_string(&w, "reply", forward->reply_topic);
    cw_json_kv_raw(&w, "instance", forward->instance);
    cw_json_object_end(&w);
    cw_str_addc(out, ',');
    cw_str_add(out, rest.p + 1, rest.n - 1); /* behind its brace: a message has members */
    return true;
}

void cw_peer_report_encode(enum cw_peer_purpose purpose,
                           const char (*ids)[CW_ACTIVATION_ID_LEN + 1], size_t count,
                           struct cw_str *out)
{
    struct cw_json_writer w;

    begin(&w, purpose, out);
    cw_json_key(&w, "ids");
    cw_json_array(&w);
    for (size_t i = 0; i < count; i++)
        cw_json_string(&w, ids[i]);
    cw_json_array_end(&w);
    cw_json_object_end(&w);
    cw_json_object_end(&w);
}
