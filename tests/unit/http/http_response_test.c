#include "tests/support/cmocka_all.h"

#include "common/http/http_response.h"

static void feed_split(struct cw_http_response *r, const char *text, size_t n, size_t step)
{
    for (size_t i = 0; i < n; i += step)
        (void)cw_http_response_feed(r, text + i, n - i < step ? n - i : step);
}

/* All ways of splitting must agree with the expectation, so each test runs a few. */
static const size_t STEPS[] = {1, 2, 3, 7, 1 << 20};

struct expected {
    int status;
    int64_t content_length;
    const char *body;
    bool keep_alive, truncated;
};

static void parses_limited(const char *text, size_t max_body, size_t truncate_to, struct expected e)
{
    for (size_t i = 0; i < CW_ARRAY_LEN(STEPS); i++) {
        struct cw_http_response r;

        cw_http_response_init(&r);
        cw_http_response_begin(&r, max_body, truncate_to);
        feed_split(&r, text, strlen(text), STEPS[i]);
        assert_int_equal(r.state, CW_HTTP_DONE);
        assert_null(r.why);
        assert_int_equal(r.status, e.status);
        assert_int_equal(r.content_length, e.content_length);
        assert_int_equal(r.body_read, e.content_length);
        assert_string_equal(r.body.p, e.body);
        assert_int_equal(r.body.n, strlen(e.body));
        assert_int_equal(r.keep_alive, e.keep_alive);
        assert_int_equal(r.truncated, e.truncated);
        cw_http_response_done(&r);
    }
}

static void parses(const char *text, int status, const char *body, bool keep_alive)
{
    struct expected e = {status, (int64_t)strlen(body), body, keep_alive, false};

    parses_limited(text, 1000, 10, e);
}

static void is_bad(const char *text, const char *why)
{
    for (size_t i = 0; i < CW_ARRAY_LEN(STEPS); i++) {
        struct cw_http_response r;

        cw_http_response_init(&r);
        cw_http_response_begin(&r, 1000, 10);
        feed_split(&r, text, strlen(text), STEPS[i]);
        assert_int_equal(r.state, CW_HTTP_BAD);
        assert_string_equal(r.why, why);
        cw_http_response_done(&r);
    }
}

static void plain_answers(void **state)
{
    (void)state;
    parses("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, "{}", true);
    parses("HTTP/1.1 502 Bad Gateway\r\ncontent-LENGTH:  3 \r\nServer: x\r\n\r\n[1]", 502, "[1]",
           true);
    parses("HTTP/1.1 200\r\nContent-Length:0\r\n\r\n", 200, "", true);
    parses("HTTP/1.1 200 \r\nContent-Length: 00\r\n\r\n", 200, "", true);
}

static void bare_line_feeds_are_line_ends(void **state)
{
    (void)state;
    parses("HTTP/1.1 200 OK\nContent-Length: 2\n\n{}", 200, "{}", true);
}

static void connection_use_follows_version_and_header(void **state)
{
    (void)state;
    parses("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, "{}", false);
    parses("HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\n{}", 200, "{}", false);
    parses("HTTP/1.1 200 OK\r\nConnection: te , close\r\nContent-Length: 2\r\n\r\n{}", 200, "{}",
           false);
    parses("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}", 200, "{}",
           true);
    parses("HTTP/1.1 200 OK\r\nConnection: closed\r\nContent-Length: 2\r\n\r\n{}", 200, "{}", true);
}

static void equal_lengths_may_repeat(void **state)
{
    (void)state;
    parses("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 200, "{}", true);
    parses("HTTP/1.1 200 OK\r\nContent-Length: 2, 2,2\r\n\r\n{}", 200, "{}", true);
}

static void interim_answers_do_not_leak_into_the_final_one(void **state)
{
    (void)state;
    parses("HTTP/1.1 100 Continue\r\nContent-Length: 9\r\nConnection: close\r\n"
           "Transfer-Encoding: chunked\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
           200, "{}", true);
}

static void folded_lines_of_other_headers_are_skipped(void **state)
{
    (void)state;
    parses("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\tc\r\nContent-Length: 2\r\n\r\n{}", 200, "{}", true);
}

static void body_over_the_limit_is_cut(void **state)
{
    const char *text = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789";

    (void)state;
    parses_limited(text, 9, 3, (struct expected){200, 9, "123456789", true, false});
    parses_limited(text, 8, 3, (struct expected){200, 9, "123", true, true});
    parses_limited(text, 8, 0, (struct expected){200, 9, "", true, true});
    parses_limited(text, 8, 100, (struct expected){200, 9, "123456789", true, true});
    parses_limited(text, 0, 1, (struct expected){200, 9, "1", true, true});
}

static void what_is_not_an_answer_is_named(void **state)
{
    (void)state;
    is_bad("hello\r\n", "not an HTTP/1 status line");
    is_bad("\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "not an HTTP/1 status line");
    is_bad("HTTP/2 200\r\n", "not an HTTP/1 status line");
    is_bad("HTTP/0.9 200 OK\r\n", "not an HTTP/1 status line");
    is_bad("http/1.1 200 OK\r\n", "not an HTTP/1 status line");
    is_bad("HTTP/1.1 20\r\n", "not an HTTP/1 status line");
    is_bad("HTTP/1.1 099 OK\r\n", "not an HTTP status code");
    is_bad("HTTP/1.1 2000 OK\r\n", "not an HTTP status code");
    is_bad("HTTP/1.1  200 OK\r\n", "not an HTTP status code");
    is_bad("HTTP/1.1 200 O\001K\r\n", "control character in the header block");
    is_bad("HTTP/1.1 200 OK\r\r\n", "control character in the header block");
    is_bad("HTTP/1.1 200 OK\r\nContent-Length\r\n", "not an HTTP header line");
    is_bad("HTTP/1.1 200 OK\r\n: 1\r\n", "not an HTTP header line");
    is_bad("HTTP/1.1 200 OK\r\nContent-Length : 1\r\n", "not an HTTP header line");
    is_bad("HTTP/1.1 200 OK\r\n folded\r\n", "folded header line");
    is_bad("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 2\r\n", "folded header line");
    is_bad("HTTP/1.1 101 Switch\r\n\r\n", "protocol switched without being asked");
    is_bad("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
           "status without a body (204 or 304)");
    is_bad("HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n{}",
           "status without a body (204 or 304)");
    is_bad("HTTP/1.1 200 OK\r\n\r\n", "no Content-Length");
    is_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
           "Transfer-Encoding instead of Content-Length");
}

static void length_must_be_one_number(void **state)
{
    static const char *const RANGE = "Content-Length is not a number in range";
    static const char *const TWICE = "Content-Length given twice with different values";

    (void)state;
    is_bad("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", RANGE);
    is_bad("HTTP/1.1 200 OK\r\nContent-Length: -0\r\n\r\n", RANGE);
    is_bad("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", RANGE);
    is_bad("HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\n", RANGE);
    is_bad("HTTP/1.1 200 OK\r\nContent-Length: 1.0\r\n\r\n", RANGE);
    is_bad("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", RANGE);
    is_bad("HTTP/1.1 200 OK\r\nContent-Length: 2,\r\n\r\n", RANGE);
    is_bad("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n", RANGE);
    is_bad("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\n", RANGE);
    is_bad("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", TWICE);
    is_bad("HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n", TWICE);
}

static void a_huge_length_reserves_no_memory_for_it(void **state)
{
    static const char TEXT[] = "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\nab";
    struct cw_http_response r;

    (void)state;
    cw_http_response_init(&r);
    cw_http_response_begin(&r, INT64_MAX, 10);
    (void)cw_http_response_feed(&r, TEXT, sizeof(TEXT) - 1);
    assert_int_equal(r.state, CW_HTTP_BODY);
    assert_int_equal(r.body_read, 2);
    assert_true(r.body.cap <= 2 << 20);
    cw_http_response_done(&r);
}

static void repeat(struct cw_str *s, const char *text, unsigned times)
{
    while (times-- > 0)
        cw_str_addz(s, text);
}

static void interim_answers_are_counted(void **state)
{
    struct cw_str s;

    (void)state;
    cw_str_init(&s, 1 << 20);
    repeat(&s, "HTTP/1.1 100 Continue\r\n\r\n", CW_HTTP_MAX_INTERIM);
    cw_str_addz(&s, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    parses(s.p, 200, "{}", true);
    cw_str_reset(&s);
    repeat(&s, "HTTP/1.1 100 Continue\r\n\r\n", CW_HTTP_MAX_INTERIM + 1);
    is_bad(s.p, "more than 10 interim answers");
    cw_str_done(&s);
}

static void headers_are_counted(void **state)
{
    struct cw_str s;

    (void)state;
    cw_str_init(&s, 1 << 20);
    cw_str_addz(&s, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    repeat(&s, "a: b\r\n", CW_HTTP_MAX_HEADERS - 1);
    cw_str_addz(&s, "\r\n");
    parses(s.p, 200, "", true);
    cw_str_reset(&s);
    cw_str_addz(&s, "HTTP/1.1 200 OK\r\n");
    repeat(&s, "a: b\r\n", CW_HTTP_MAX_HEADERS + 1);
    is_bad(s.p, "more than 100 headers");
    cw_str_done(&s);
}

/* A header block of exactly n bytes. */
static void head_of(struct cw_str *s, size_t n)
{
    cw_str_reset(s);
    cw_str_addz(s, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ");
    repeat(s, "x", (unsigned)(n - s->n - 4));
    cw_str_addz(s, "\r\n\r\n");
    assert_int_equal(s->n, n);
}

static void header_block_is_limited(void **state)
{
    struct cw_str s;

    (void)state;
    cw_str_init(&s, 1 << 20);
    head_of(&s, CW_HTTP_MAX_HEAD);
    parses(s.p, 200, "", true);
    head_of(&s, CW_HTTP_MAX_HEAD + 1);
    is_bad(s.p, "header block over 64 KiB");
    cw_str_reset(&s);
    repeat(&s, "no line end ", 10000);
    is_bad(s.p, "header block over 64 KiB");
    cw_str_done(&s);
}

static void bytes_behind_the_answer_are_left(void **state)
{
    static const char TEXT[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}more";
    struct cw_http_response r;

    (void)state;
    cw_http_response_init(&r);
    cw_http_response_begin(&r, 100, 10);
    assert_int_equal(cw_http_response_feed(&r, TEXT, sizeof(TEXT) - 1), sizeof(TEXT) - 5);
    assert_int_equal(r.state, CW_HTTP_DONE);
    assert_int_equal(cw_http_response_feed(&r, "more", 4), 0);
    cw_http_response_done(&r);
}

static void a_parser_can_be_used_again_at_any_point(void **state)
{
    static const char TEXT[] =
        "HTTP/1.1 500 No\r\nConnection: close\r\nContent-Length: 4\r\n\r\nnull";
    struct cw_http_response r;

    (void)state;
    cw_http_response_init(&r);
    for (size_t cut = 0; cut < sizeof(TEXT); cut++) {
        cw_http_response_begin(&r, 1, 2);
        feed_split(&r, TEXT, cut, 5);
        cw_http_response_begin(&r, 100, 10);
        feed_split(&r, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 40, 40);
        assert_int_equal(r.state, CW_HTTP_DONE);
        assert_int_equal(r.status, 200);
        assert_true(r.keep_alive);
        assert_false(r.truncated);
        assert_string_equal(r.body.p, "{}");
    }
    cw_http_response_done(&r);
}

static void memory_of_a_long_line_is_not_kept(void **state)
{
    struct cw_http_response r;
    struct cw_str s;

    (void)state;
    cw_str_init(&s, 1 << 20);
    head_of(&s, 20000);
    cw_http_response_init(&r);
    cw_http_response_begin(&r, 100, 10);
    feed_split(&r, s.p, s.n, 100);
    assert_int_equal(r.state, CW_HTTP_DONE);
    assert_true(r.line.cap >= 19000);
    cw_http_response_begin(&r, 100, 10);
    assert_int_equal(r.line.cap, 0);
    cw_http_response_done(&r);
    cw_str_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_answers),
        cmocka_unit_test(bare_line_feeds_are_line_ends),
        cmocka_unit_test(connection_use_follows_version_and_header),
        cmocka_unit_test(equal_lengths_may_repeat),
        cmocka_unit_test(interim_answers_do_not_leak_into_the_final_one),
        cmocka_unit_test(folded_lines_of_other_headers_are_skipped),
        cmocka_unit_test(body_over_the_limit_is_cut),
        cmocka_unit_test(what_is_not_an_answer_is_named),
        cmocka_unit_test(length_must_be_one_number),
        cmocka_unit_test(a_huge_length_reserves_no_memory_for_it),
        cmocka_unit_test(interim_answers_are_counted),
        cmocka_unit_test(headers_are_counted),
        cmocka_unit_test(header_block_is_limited),
        cmocka_unit_test(bytes_behind_the_answer_are_left),
        cmocka_unit_test(memory_of_a_long_line_is_not_kept),
        cmocka_unit_test(a_parser_can_be_used_again_at_any_point),
    };

    return cmocka_run_group_tests_name("http_response", tests, NULL, NULL);
}
