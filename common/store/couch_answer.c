#include "common/store/couch_answer.h"

#include <stdio.h>

#include "common/base/err.h"
#include "common/base/utf8.h"
#include "common/json/doc.h"

enum {
    MAX_REFUSAL = 64 * 1024, /* bytes of an error answer looked at */
    MAX_REASON = 80,         /* bytes of "error: reason" shown */
    MAX_ROW = 16 * 1024,     /* bytes that one row of a bulk answer may take on average */
};

/* Copies what fits in whole UTF-8 sequences and without control characters. */
static void copy_text(char *to, size_t size, const char *text)
{
    size_t left = strlen(text), used = 0;

    while (left) {
        size_t n = cw_utf8_seq(text, left);
        bool odd = n == 0 || (unsigned char)*text < 0x20 || *text == 0x7f;

        n = n ? n : 1;
        if (used + n >= size)
            break;
        memcpy(to + used, odd ? "?" : text, n);
        used += n;
        text += n;
        left -= n;
    }
    to[used] = '\0';
}

/* "conflict: Document update conflict." from CouchDB's {"error":…,"reason":…}; "" when it says
 * nothing. PouchDB Server has the kind in "name" where "error" is true. */
static void copy_reason(char *to, size_t size, const json_t *answer)
{
    const char *kind = NULL, *reason = NULL;
    char text[512];

    to[0] = '\0';
    if (!json_is_object(answer))
        return;
    if (cw_json_get_string(answer, "", "error", true, &kind, NULL) != 0)
        (void)!cw_json_get_string(answer, "", "name", false, &kind, NULL);
    (void)!cw_json_get_string(answer, "", "reason", false, &reason, NULL);
    if (!kind && !reason)
        return;
    (void)snprintf(text, sizeof(text), "%s%s%s", kind ? kind : "", kind && reason ? ": " : "",
                   reason ? reason : "");
    copy_text(to, size, text);
}

static enum cw_code code_of_status(int status)
{
    if (status == 404)
        return CW_NOT_FOUND;
    if (status == 409 || status == 412)
        return CW_CONFLICT;
    if (status == 413)
        return CW_TOO_LARGE;
    if (status >= 500 || status == 408 || status == 429)
        return CW_UNAVAILABLE;
    return status >= 400 ? CW_INVALID : CW_INTERNAL;
}

/* A locked account and a redirect to somewhere else are repaired by people; what was to be stored
 * meanwhile is as good as ever and must not be given up. */
static bool says_nothing_of_the_document(int status)
{
    return code_of_status(status) == CW_UNAVAILABLE || status == 401 || status == 403 ||
           status < 400;
}

int cw_couch_refused(const char *label, int status, struct cw_slice body, struct cw_err *err)
{
    bool login = status == 401 || status == 403;
    cw_auto_json json_t *answer = NULL;
    char reason[MAX_REASON] = "";

    if (body.n <= MAX_REFUSAL)
        answer = cw_json_parse(body, MAX_REFUSAL, "answer", NULL);
    copy_reason(reason, sizeof(reason), answer);
    (void)cw_fail(err, code_of_status(status), "%s: %d%s%s%s", label, status, reason[0] ? " " : "",
                  reason, login ? " (check the configured username and password)" : "");
    if (err)
        err->retriable = says_nothing_of_the_document(status);
    return -1;
}

/* A cluster that could not write one of the documents says so in its row; that is no refusal of the
 * document. */
static bool is_server_trouble(const char *reason)
{
    static const char *const KINDS[] = {"error", "internal_server_error", "service_unavailable",
                                        "timeout", "unknown_error"};
    size_t n = strcspn(reason, ":");

    for (size_t i = 0; i < CW_ARRAY_LEN(KINDS); i++)
        if (strlen(KINDS[i]) == n && memcmp(KINDS[i], reason, n) == 0)
            return true;
    return false;
}

static int parse_row(const json_t *row, size_t i, const char *id,
                     struct cw_docstore_put_result *result, struct cw_err *err)
{
    const char *answered = NULL, *rev = NULL;
    bool failed;

    if (!json_is_object(row))
        return cw_fail_retriable(err, CW_INTERNAL, "_bulk_docs answer: row %zu is no object", i);
    (void)!cw_json_get_string(row, "", "id", false, &answered, NULL);
    if (id && answered && strcmp(id, answered) != 0)
        return cw_fail_retriable(err, CW_INTERNAL,
                                 "_bulk_docs answer: row %zu is about %.64s, not %.64s", i,
                                 answered, id);
    failed = json_object_get(row, "error") != NULL;
    (void)!cw_json_get_string(row, "", "rev", false, &rev, NULL);
    if (!failed && !rev && !json_is_true(json_object_get(row, "ok")))
        return cw_fail_retriable(err, CW_INTERNAL,
                                 "_bulk_docs answer: row %zu has neither rev nor error", i);
    *result = (struct cw_docstore_put_result){.code = CW_PUT_OK};
    if (!failed)
        return 0;
    copy_reason(result->reason, sizeof(result->reason), row);
    if (is_server_trouble(result->reason))
        return cw_fail_retriable(err, CW_UNAVAILABLE, "_bulk_docs answer: row %zu: %s", i,
                                 result->reason);
    result->code = strncmp(result->reason, "conflict", strlen("conflict")) == 0 ? CW_PUT_CONFLICT
                                                                                : CW_PUT_REFUSED;
    return 0;
}

int cw_couch_bulk_parse(struct cw_slice body, const char *const *ids, size_t count,
                        struct cw_docstore_put_result *results, struct cw_err *err)
{
    size_t max = count < SIZE_MAX / MAX_ROW - 1 ? (count + 1) * MAX_ROW : SIZE_MAX;
    cw_auto_json json_t *answer = cw_json_parse(body, max, "_bulk_docs answer", err);

    if (!answer) {
        if (err) {
            err->code = CW_INTERNAL;
            err->retriable = true;
        }
        return -1;
    }
    if (!json_is_array(answer) || json_array_size(answer) != count)
        return cw_fail_retriable(
            err, CW_INTERNAL, "_bulk_docs answer: not an array of %zu rows but %s of %zu", count,
            json_is_array(answer) ? "one" : "something else", json_array_size(answer));
    for (size_t i = 0; i < count; i++)
        if (parse_row(json_array_get(answer, i), i, ids[i], &results[i], err) != 0)
            return -1;
    return 0;
}
