#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "common/store/couch_answer.h"

static const char *const IDS[] = {"guest/a", "guest/b", NULL};

static void expect_status(int status, enum cw_code code, bool retriable)
{
    struct cw_err err = {0};

    assert_int_equal(cw_couch_refused("couch: GET whisks/guest/a", status,
                                      CW_SLICE("{\"error\":\"kind\",\"reason\":\"why\"}"), &err),
                     -1);
    assert_int_equal(err.code, code);
    assert_int_equal(err.retriable, retriable);
    assert_non_null(strstr(err.msg, "couch: GET whisks/guest/a: "));
    assert_non_null(strstr(err.msg, "kind: why"));
}

static void statuses_become_codes(void **state)
{
    (void)state;
    expect_status(404, CW_NOT_FOUND, false);
    expect_status(409, CW_CONFLICT, false);
    expect_status(412, CW_CONFLICT, false);
    expect_status(413, CW_TOO_LARGE, false);
    expect_status(401, CW_INVALID, true);
    expect_status(403, CW_INVALID, true);
    expect_status(400, CW_INVALID, false);
    expect_status(406, CW_INVALID, false);
    expect_status(408, CW_UNAVAILABLE, true);
    expect_status(429, CW_UNAVAILABLE, true);
    expect_status(500, CW_UNAVAILABLE, true);
    expect_status(503, CW_UNAVAILABLE, true);
    expect_status(302, CW_INTERNAL, true);
}

static void refused_login_says_what_to_check(void **state)
{
    struct cw_err err;

    (void)state;
    (void)cw_couch_refused("couch: GET a/b", 401,
                           CW_SLICE("{\"error\":\"unauthorized\",\"reason\":\"Name or password is "
                                    "incorrect.\"}"),
                           &err);
    assert_string_equal(err.msg, "couch: GET a/b: 401 unauthorized: Name or password is incorrect. "
                                 "(check the configured username and password)");
}

static void unreadable_reason_is_left_out(void **state)
{
    static const char *const BODIES[] = {
        "", "<html>Bad Gateway</html>", "[1]", "\"x\"", "{\"error\":7}", "{\"error\":\"a"};
    struct cw_err err;

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(BODIES); i++) {
        (void)cw_couch_refused("couch: GET a/b", 502, cw_slice_of(BODIES[i]), &err);
        assert_string_equal(err.msg, "couch: GET a/b: 502");
    }
}

static void long_reason_is_cut_between_characters(void **state)
{
    struct cw_str body;
    struct cw_err err;

    (void)state;
    cw_str_init(&body, 4096);
    cw_str_addz(&body, "{\"error\":\"e\",\"reason\":\"a\\n");
    for (int i = 0; i < 200; i++)
        cw_str_addz(&body, "\xc3\xa9");
    cw_str_addz(&body, "\"}");
    (void)cw_couch_refused("couch: GET a/b", 500, cw_str_slice(&body), &err);
    assert_non_null(strstr(err.msg, "500 e: a?\xc3\xa9\xc3\xa9"));
    assert_true(strlen(err.msg) < 120);
    assert_int_equal((unsigned char)err.msg[strlen(err.msg) - 1], 0xa9);
    cw_str_done(&body);
}

static void rows_are_matched_by_position(void **state)
{
    struct cw_docstore_put_result r[3];
    struct cw_err err;

    (void)state;
    assert_int_equal(
        cw_couch_bulk_parse(
            CW_SLICE("[{\"ok\":true,\"id\":\"guest/a\",\"rev\":\"1-a\"},"
                     "{\"id\":\"guest/b\",\"error\":\"conflict\",\"reason\":\"Document update "
                     "conflict.\"},{\"id\":\"whatever\",\"error\":\"forbidden\",\"reason\":\"not "
                     "yours\"}]"),
            IDS, 3, r, &err),
        0);
    assert_int_equal(r[0].code, CW_PUT_OK);
    assert_string_equal(r[0].reason, "");
    assert_int_equal(r[1].code, CW_PUT_CONFLICT);
    assert_int_equal(r[2].code, CW_PUT_REFUSED);
    assert_string_equal(r[2].reason, "forbidden: not yours");
}

static void row_of_pouchdb_server_is_understood(void **state)
{
    struct cw_docstore_put_result r[1];

    (void)state;
    assert_int_equal(
        cw_couch_bulk_parse(CW_SLICE("[{\"status\":409,\"name\":\"conflict\",\"message\":"
                                     "\"Document update conflict\",\"error\":true}]"),
                            IDS, 1, r, NULL),
        0);
    assert_int_equal(r[0].code, CW_PUT_CONFLICT);
}

static void nothing_sent_needs_an_empty_answer(void **state)
{
    (void)state;
    assert_int_equal(cw_couch_bulk_parse(CW_SLICE("[]\n"), NULL, 0, NULL, NULL), 0);
}

static void answer_that_does_not_fit_is_internal_and_retriable(void **state)
{
    static const char *const ANSWERS[] = {
        "",
        "[",
        "{}",
        "{\"ok\":true}",
        "[]",
        "[{\"ok\":true,\"id\":\"guest/a\",\"rev\":\"1-a\"}]",
        "[{\"id\":\"guest/a\",\"rev\":\"1\"},{\"id\":\"guest/b\",\"rev\":\"1\"},{\"rev\":\"1\"}]",
        "[{\"id\":\"guest/b\",\"rev\":\"1\"},{\"id\":\"guest/a\",\"rev\":\"1\"}]",
        "[{\"id\":\"guest/a\",\"rev\":\"1\"},{\"id\":\"guest/b\"}]",
        "[{\"id\":\"guest/a\",\"rev\":\"1\"},{\"id\":\"guest/b\",\"ok\":false}]",
        "[{\"id\":\"guest/a\",\"rev\":\"1\"},null]",
        "[{\"id\":\"guest/a\",\"rev\":\"1\"},\"conflict\"]",
    };
    struct cw_docstore_put_result r[2];

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(ANSWERS); i++) {
        struct cw_err err = {0};

        assert_int_equal(cw_couch_bulk_parse(cw_slice_of(ANSWERS[i]), IDS, 2, r, &err), -1);
        assert_int_equal(err.code, CW_INTERNAL);
        assert_true(err.retriable);
    }
}

static void trouble_in_the_server_is_no_refusal_of_a_document(void **state)
{
    static const char *const KINDS[] = {"error", "internal_server_error", "service_unavailable",
                                        "timeout", "unknown_error"};
    struct cw_docstore_put_result r[2];
    char answer[256];

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(KINDS); i++) {
        struct cw_err err = {0};

        (void)snprintf(answer, sizeof(answer),
                       "[{\"id\":\"guest/a\",\"rev\":\"1\"},"
                       "{\"id\":\"guest/b\",\"error\":\"%s\",\"reason\":\"w of n\"}]",
                       KINDS[i]);
        assert_int_equal(cw_couch_bulk_parse(cw_slice_of(answer), IDS, 2, r, &err), -1);
        assert_int_equal(err.code, CW_UNAVAILABLE);
        assert_true(err.retriable);
        assert_non_null(strstr(err.msg, "row 1: "));
        assert_non_null(strstr(err.msg, KINDS[i]));
    }
    assert_int_equal(
        cw_couch_bulk_parse(CW_SLICE("[{\"error\":\"error_of_mine\"}]"), IDS, 1, r, NULL), 0);
    assert_int_equal(r[0].code, CW_PUT_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_become_codes),
        cmocka_unit_test(refused_login_says_what_to_check),
        cmocka_unit_test(unreadable_reason_is_left_out),
        cmocka_unit_test(long_reason_is_cut_between_characters),
        cmocka_unit_test(rows_are_matched_by_position),
        cmocka_unit_test(row_of_pouchdb_server_is_understood),
        cmocka_unit_test(trouble_in_the_server_is_no_refusal_of_a_document),
        cmocka_unit_test(nothing_sent_needs_an_empty_answer),
        cmocka_unit_test(answer_that_does_not_fit_is_internal_and_retriable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
