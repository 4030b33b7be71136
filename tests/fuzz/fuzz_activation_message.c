/* The input is a message. Whatever is accepted must give valid JSON for the container, for the acks
 * and for the event. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/json/raw.h"
#include "common/model/action_call.h"
#include "common/model/action_doc.h"
#include "common/model/activation_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 64 << 20 };

static void must_be_json(struct cw_slice text)
{
    /* a level more than what came in: arguments stand inside "value" */
    if (cw_raw_check(text, CW_RAW_MAX_DEPTH, NULL, NULL))
        abort();
}

static void check_body(const struct cw_call_body *b)
{
    cw_auto_str struct cw_str s;

    cw_str_init(&s, OUT_MAX);
    for (unsigned i = 0; i < b->piece_count; i++)
        cw_str_adds(&s, b->pieces[i]);
    must_be_json(cw_str_slice(&s));
}

static void check_calls(const struct cw_activation_message *m)
{
    const struct cw_action a = {.id = "guest/a",
                                .code_place = CW_CODE_INLINE,
                                .code_quoted = CW_SLICE("\"code\""),
                                .provide_api_key = true};
    struct cw_call_body b;
    struct cw_err err;

    cw_call_body_init(&b, OUT_MAX);
    if (cw_init_body(m, &a, m->content, 1, &b, &err))
        abort();
    check_body(&b);
    if (cw_run_body(m, &a, m->content, 1, &b, &err))
        abort();
    check_body(&b);
    cw_call_body_done(&b);
}

static void check_record(const struct cw_activation_message *m)
{
    const struct cw_activation_record r = {
        .namespace_name = m->user.namespace_name,
        .name = m->action.name,
        .subject = m->user.subject,
        .activation_id = m->activation_id,
        .cause = m->cause,
        .version = m->action.version,
        .result = CW_SLICE("{\"error\":\"x\"}"),
        .path = m->action.full,
        .kind = "unknown",
        .binding = m->action.binding,
        .init_ms = -1,
    };
    cw_auto_str struct cw_str s;

    cw_str_init(&s, OUT_MAX);
    cw_ack_combined_encode(&r, &m->tx, CW_SLICE("{}"), &s);
    must_be_json(cw_str_slice(&s));
    cw_str_reset(&s);
    cw_activation_record_encode(&r, CW_SLICE("[]"), &s);
    must_be_json(cw_str_slice(&s));
    cw_str_reset(&s);
    cw_user_event_encode(&r, "invoker0", m->user.namespace_uuid, 1, &s);
    must_be_json(cw_str_slice(&s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cw_err err = {0};
    struct cw_activation_message *m =
        cw_activation_message_decode(cw_slice((const char *)data, size), 1, &err);

    if (!m) {
        if (err.code != CW_INVALID && err.code != CW_CONFLICT)
            abort();
        return 0;
    }
    check_calls(m);
    check_record(m);
    cw_activation_message_free(m);
    return 0;
}
