/* The tables of openwhisk container.md 2.1 to 2.3, row by row. Texts are what users of stock see,
 * word for word. */
#include <inttypes.h>

#include "common/json/raw.h"
#include "common/json/writer.h"
#include "common/model/action_call.h"

/* Controllers refuse what is nested deeper than CW_RAW_MAX_DEPTH as a whole, and the result stands
 * inside response.response.result of an ack. */
enum { RESULT_MAX_DEPTH = CW_RAW_MAX_DEPTH - 8 };

static const char ABNORMAL_INIT[] = "The action did not initialize and exited unexpectedly.";
static const char ABNORMAL_RUN[] =
    "The action did not produce a valid response and exited unexpectedly.";
static const char OUT_OF_MEMORY[] = "The action exhausted its memory and was aborted.";
#define INVALID_INIT "The action failed during initialization"
#define INVALID_RUN "The action did not produce a valid JSON or JSON Array response"

static void end_with(struct cw_call_result *ret, enum cw_status status, const char *text)
{
    ret->status = status;
    ret->size = -1;
    cw_error_result(&ret->result, text);
}

static void write_error(struct cw_str *out, struct cw_slice text)
{
    cw_auto_str struct cw_str repaired;
    struct cw_json_writer w;

    cw_str_init(&repaired, text.n * 3 + 1);
    if (cw_utf8_repair(text, &repaired))
        text = cw_str_slice(&repaired);
    cw_json_begin(&w, out);
    cw_json_object(&w);
    cw_json_key(&w, "error");
    cw_json_string_slice(&w, text);
    cw_json_object_end(&w);
}

void cw_error_result(struct cw_str *out, const char *text)
{
    write_error(out, cw_slice_of(text));
}

/* {"error":"<head><body>"}; when the escaped body does not fit, {"error":"<without>"}. */
static void quote_body(struct cw_call_result *ret, const char *head, struct cw_slice body,
                       const char *without)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, strlen(head) + body.n);
    cw_str_addz(&text, head);
    cw_str_adds(&text, body);
    write_error(&ret->result, cw_str_slice(&text));
    if (!ret->result.failed)
        return;
    cw_str_reset(&ret->result);
    write_error(&ret->result, cw_slice_of(without));
}

static void timed_out(struct cw_call_result *ret, int64_t timeout_ms, const char *when)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, 256);
    cw_str_addf(&text, "The action exceeded its time limits of %" PRId64 " milliseconds%s.",
                timeout_ms, when);
    end_with(ret, CW_STATUS_DEVELOPER_ERROR, text.p);
}

static void truncated(struct cw_call_result *ret, enum cw_status status,
                      const struct cw_call_answer *a, struct cw_slice body)
{
    cw_auto_str struct cw_str head;

    cw_str_init(&head, 256);
    cw_str_addf(&head,
                "The action produced a response that exceeded the allowed length: %" PRId64
                " > %" PRId64 " bytes. The truncated response was: ",
                a->content_length, a->max_response);
    ret->status = status;
    ret->size = a->content_length;
    quote_body(ret, head.p, body, head.p);
}

/* The value when body is a JSON object or array, empty otherwise. */
static struct cw_slice parse(struct cw_slice body)
{
    struct cw_slice value;

    if (!body.n || cw_raw_check(body, RESULT_MAX_DEPTH, &value, NULL) ||
        (cw_raw_type(value) != CW_RAW_OBJECT && cw_raw_type(value) != CW_RAW_ARRAY))
        return (struct cw_slice){0};
    return value;
}

static bool error_of(struct cw_slice value, struct cw_slice *ret)
{
    return value.n && cw_raw_type(value) == CW_RAW_OBJECT && cw_raw_get(value, "error", ret);
}

/* All other members of the object are dropped. */
static void keep_error(struct cw_call_result *ret, enum cw_status status, struct cw_slice error)
{
    cw_auto_str struct cw_str mended;
    struct cw_json_writer w;

    cw_str_init(&mended, error.n);
    if (cw_raw_mend_surrogates(error, &mended))
        error = cw_str_slice(&mended);
    ret->status = status;
    cw_json_begin(&w, &ret->result);
    cw_json_object(&w);
    cw_json_kv_raw(&w, "error", error);
    cw_json_object_end(&w);
}

static void init_answered(const struct cw_call_answer *a, struct cw_slice body,
                          struct cw_call_result *ret)
{
    struct cw_slice error;

    if (a->truncated) {
        truncated(ret, CW_STATUS_DEVELOPER_ERROR, a, body);
        return;
    }
    ret->size = (int64_t)cw_utf16_units(body);
    if (a->status == 200) {
        ret->status = CW_STATUS_SUCCESS;
    } else if (error_of(parse(body), &error)) {
        keep_error(ret, CW_STATUS_DEVELOPER_ERROR, error);
    } else {
        ret->status = CW_STATUS_DEVELOPER_ERROR;
        quote_body(ret, body.n ? INVALID_INIT ": " : INVALID_INIT ".", body, INVALID_INIT ".");
    }
}

static void run_answered(const struct cw_call_answer *a, struct cw_slice body,
                         struct cw_call_result *ret)
{
    struct cw_slice value, error;
    bool ok = a->status == 200;

    if (a->truncated) {
        truncated(ret, CW_STATUS_APPLICATION_ERROR, a, body);
        return;
    }
    ret->size = (int64_t)cw_utf16_units(body);
    value = parse(body);
    if (error_of(value, &error)) {
        keep_error(ret, ok ? CW_STATUS_APPLICATION_ERROR : CW_STATUS_DEVELOPER_ERROR, error);
    } else if (ok && value.n) {
        ret->status = CW_STATUS_SUCCESS;
        if (!cw_raw_mend_surrogates(value, &ret->result))
            cw_str_adds(&ret->result, value);
    } else {
        ret->status = CW_STATUS_DEVELOPER_ERROR;
        quote_body(ret, body.n ? INVALID_RUN ": " : INVALID_RUN ".", body, INVALID_RUN ".");
    }
}

typedef void answered_fn(const struct cw_call_answer *a, struct cw_slice body,
                         struct cw_call_result *ret);

static void interpret(const struct cw_call_answer *a, answered_fn *answered, const char *when,
                      const char *abnormal, struct cw_call_result *ret)
{
    cw_auto_str struct cw_str repaired;
    struct cw_slice body = a->body;

    cw_str_init(&repaired, body.n * 3 + 1);
    cw_str_reset(&ret->result);
    switch (a->end) {
    case CW_CALL_ANSWERED:
        if (cw_utf8_repair(body, &repaired))
            body = cw_str_slice(&repaired);
        answered(a, body, ret);
        return;
    case CW_CALL_TIMED_OUT:
        timed_out(ret, a->timeout_ms, when);
        return;
    case CW_CALL_OUT_OF_MEMORY:
        end_with(ret, CW_STATUS_DEVELOPER_ERROR, OUT_OF_MEMORY);
        return;
    case CW_CALL_NO_ANSWER:
        end_with(ret, CW_STATUS_DEVELOPER_ERROR, abnormal);
        return;
    case CW_CALL_PLATFORM_FAULT:
        break;
    }
    end_with(ret, CW_STATUS_WHISK_ERROR, ABNORMAL_RUN);
}

void cw_init_interpret(const struct cw_call_answer *a, struct cw_call_result *ret)
{
    interpret(a, init_answered, " during initialization", ABNORMAL_INIT, ret);
}

void cw_run_interpret(const struct cw_call_answer *a, struct cw_call_result *ret)
{
    interpret(a, run_answered, "", ABNORMAL_RUN, ret);
}
