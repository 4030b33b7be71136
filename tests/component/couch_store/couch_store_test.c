#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "common/http/client.h"
#include "common/loop/loop.h"
#include "common/store/couch_store.h"
#include "tests/support/scripted_http.h"

enum { WAIT_MS = 20000 };

struct fixture {
    struct cw_loop *loop;
    struct scripted_http *peer;
    struct cw_http *http;
    struct cw_docstore *store;
};

struct outcome {
    unsigned done;
    struct cw_err err; /* CW_OK when there was none */
    char *body;
    size_t body_len;
    struct cw_docstore_put_result results[4];
    size_t count;
    /* What the callback does. */
    struct cw_docstore *cancel_in;
    struct cw_docstore_call *cancel;
    struct fixture *free_store;
};

static void open_store(struct fixture *f, struct cw_couch_conf conf)
{
    struct cw_err err = {0};

    conf.protocol = "http";
    conf.host = "127.0.0.1";
    conf.port = scripted_http_port(f->peer);
    f->store = cw_couch_store_new(f->loop, f->http, &conf, &err);
    assert_non_null(f->store);
}

static int setup(void **state)
{
    struct fixture *f = cw_alloc(sizeof(*f));

    f->loop = cw_loop_new(NULL, NULL);
    f->peer = scripted_http_new(f->loop, SCRIPTED_TCP);
    f->http = cw_http_new(f->loop, &(struct cw_http_conf){0}, NULL);
    assert_non_null(f->http);
    open_store(f, (struct cw_couch_conf){.username = "whisk_admin", .password = "some_passw0rd"});
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(scripted_http_unexpected(f->peer), 0);
    cw_docstore_free(f->store);
    cw_http_free(f->http);
    scripted_http_free(f->peer);
    cw_loop_free(f->loop);
    free(f);
    return 0;
}

static void outcome_done(struct outcome *o)
{
    free(o->body);
}

static void react(struct outcome *o)
{
    if (o->cancel)
        o->cancel_in->ops->cancel(o->cancel_in, o->cancel);
    if (o->free_store)
        cw_docstore_free(CW_STEAL(o->free_store->store));
}

static void on_body(void *arg, struct cw_slice body, const struct cw_err *err)
{
    struct outcome *o = arg;

    react(o); /* what is borrowed must survive it */
    o->done++;
    if (err) {
        assert_int_not_equal(err->code, CW_OK);
        assert_int_equal(body.n, 0);
        o->err = *err;
        return;
    }
    o->body = cw_slice_dup(body);
    o->body_len = body.n;
}

static void on_bulk(void *arg, const struct cw_docstore_put_result *results, size_t count,
                    const struct cw_err *err)
{
    struct outcome *o = arg;

    react(o);
    o->done++;
    assert_true((results == NULL) == (err != NULL));
    assert_true(count <= CW_ARRAY_LEN(o->results));
    if (err)
        o->err = *err;
    else
        memcpy(o->results, results, count * sizeof(*results));
    o->count = count;
}

static bool is_done(void *arg)
{
    return ((struct outcome *)arg)->done > 0;
}

static void wait_done(struct fixture *f, struct outcome *o)
{
    assert_int_equal(o->done, 0); /* never inside the call */
    assert_true(cw_loop_run_until(f->loop, is_done, o, WAIT_MS));
    assert_int_equal(o->done, 1);
}

static void assert_header(const struct scripted_request *req, const char *name, const char *value)
{
    char text[256];
    const char *seen = scripted_http_header(req, name, text, sizeof(text));

    if (!value)
        assert_null(seen);
    else
        assert_string_equal(seen ? seen : "(absent)", value);
}

static const struct scripted_request *last_request(struct fixture *f)
{
    return scripted_http_request(f->peer, scripted_http_count(f->peer) - 1);
}

static void get(struct fixture *f, struct outcome *o, const char *id, const char *rev)
{
    (void)f->store->ops->get(f->store, "whisks", id, rev, on_body, o);
    wait_done(f, o);
}

/* ---- what goes over the wire ---- */

static void get_asks_as_stock_does_and_keeps_the_bytes(void **state)
{
    static const char DOC[] = "{\"_id\":\"guest/hello\", \"n\":1e400,\n\"n\":0.10}";
    struct fixture *f = *state;
    struct outcome o = {0};

    scripted_http_expect(
        f->peer,
        &(struct scripted_step){.method = "GET", .path = "/whisks/guest%2Fhello", .body = DOC});
    get(f, &o, "guest/hello", "1-a3c48cf125baaeb37aaabca4cf61f085");
    assert_int_equal(o.body_len, sizeof(DOC) - 1);
    assert_string_equal(o.body, DOC);
    assert_header(last_request(f), "Authorization", "Basic d2hpc2tfYWRtaW46c29tZV9wYXNzdzByZA==");
    assert_header(last_request(f), "Accept", "application/json");
    assert_header(last_request(f), "If-Match", "\"1-a3c48cf125baaeb37aaabca4cf61f085\"");
    outcome_done(&o);
}

static void get_without_revision_sends_no_match(void **state)
{
    struct fixture *f = *state;
    struct outcome null = {0}, empty = {0}, odd = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){.body = "{}", .repeat = true});
    get(f, &null, "guest/a", NULL);
    assert_header(last_request(f), "If-Match", NULL);
    get(f, &empty, "guest/a", "");
    assert_header(last_request(f), "If-Match", NULL);
    get(f, &odd, "guest/a", "1-x\r\nX: y"); /* no document has it: what is there will do */
    assert_header(last_request(f), "If-Match", NULL);
    assert_header(last_request(f), "X", NULL);
    outcome_done(&null);
    outcome_done(&empty);
    outcome_done(&odd);
}

static void every_id_is_one_path_segment(void **state)
{
    static const struct {
        const char *id, *path;
    } IDS[] = {
        {"guest/utils/hello", "/whisks/guest%2Futils%2Fhello"},
        {"my ns/an action", "/whisks/my%20ns%2Fan%20action"}, /* stock: '+', the same to CouchDB */
        {"a@b.c/p&q/r.s-t+u", "/whisks/a%40b.c%2Fp%26q%2Fr.s-t%2Bu"},
        {"a?b#c%2F", "/whisks/a%3Fb%23c%252F"},
        {"../../_users", "/whisks/..%2F..%2F_users"},
        {"\xc3\xa9", "/whisks/%C3%A9"},
        {"_design/whisks.v2.1.0", "/whisks/_design/whisks.v2.1.0"},
        {"_local/a/b", "/whisks/_local/a%2Fb"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < CW_ARRAY_LEN(IDS); i++) {
        struct outcome o = {0};

        scripted_http_expect(f->peer, &(struct scripted_step){.path = IDS[i].path, .body = "{}"});
        get(f, &o, IDS[i].id, NULL);
        assert_int_equal(o.err.code, CW_OK);
        outcome_done(&o);
    }
}

static void put_sends_the_document_as_it_is(void **state)
{
    static const char DOC[] = "{ \"_id\" : \"guest/x\",\"v\":12345678901234567890}";
    static const char ANSWER[] = "{\"ok\":true,\"id\":\"guest/x\",\"rev\":\"1-b\"}\n";
    struct fixture *f = *state;
    struct outcome created = {0}, updated = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){.method = "PUT",
                                                          .path = "/whisks/guest%2Fx",
                                                          .status = 201,
                                                          .body = ANSWER,
                                                          .repeat = true});
    (void)f->store->ops->put(f->store, "whisks", "guest/x", NULL, cw_slice_of(DOC), on_body,
                             &created);
    wait_done(f, &created);
    assert_string_equal(created.body, ANSWER);
    assert_string_equal(last_request(f)->body, DOC);
    assert_header(last_request(f), "Content-Type", "application/json");
    assert_header(last_request(f), "If-Match", NULL);
    (void)f->store->ops->put(f->store, "whisks", "guest/x", "1-b", cw_slice_of(DOC), on_body,
                             &updated);
    wait_done(f, &updated);
    assert_header(last_request(f), "If-Match", "\"1-b\"");
    outcome_done(&created);
    outcome_done(&updated);
}

static void remove_names_the_revision(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){.method = "DELETE",
                                                          .path = "/whisks/guest%2Fx",
                                                          .body = "{\"ok\":true}"});
    (void)f->store->ops->remove(f->store, "whisks", "guest/x", "2-c", on_body, &o);
    wait_done(f, &o);
    assert_int_equal(o.err.code, CW_OK);
    assert_header(last_request(f), "If-Match", "\"2-c\"");
    outcome_done(&o);
}

static void attachment_comes_as_raw_bytes_of_any_type(void **state)
{
    static const char BYTES[] = {'P', 'K', 3, 4, '\0', (char)0xff, '\n'};
    struct fixture *f = *state;
    struct outcome o = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){
                                      .method = "GET",
                                      .path = "/whisks/guest%2Fzip/6c95590f-ee9a-47e3",
                                      .headers = "Content-Type: application/octet-stream\r\n",
                                      .body = BYTES,
                                      .body_len = sizeof(BYTES),
                                      .chunked = true,
                                  });
    (void)f->store->ops->get_attachment(f->store, "whisks", "guest/zip", "2-d",
                                        "6c95590f-ee9a-47e3", 0, on_body, &o);
    wait_done(f, &o);
    assert_int_equal(o.body_len, sizeof(BYTES));
    assert_memory_equal(o.body, BYTES, sizeof(BYTES));
    assert_header(last_request(f), "Accept", "*/*");
    assert_header(last_request(f), "Accept-Encoding", NULL);
    assert_header(last_request(f), "If-Match", "\"2-d\"");
    outcome_done(&o);
}

static void view_query_leaves_out_what_is_not_asked(void **state)
{
    struct fixture *f = *state;
    struct outcome few = {0}, all = {0};

    scripted_http_expect(
        f->peer, &(struct scripted_step){
                     .path = "/subjects/_design/namespaceThrottlings/_view/blockedNamespaces"
                             "?reduce=false&stale=update_after&descending=true",
                     .body = "{\"total_rows\":0,\"offset\":0,\"rows\":[\n\n]}\n"});
    (void)f->store->ops->view(f->store, "subjects",
                              &(struct cw_view_query){.design = "namespaceThrottlings",
                                                      .view = "blockedNamespaces",
                                                      .descending = true,
                                                      .stale_ok = true},
                              on_body, &few);
    wait_done(f, &few);
    assert_string_equal(few.body, "{\"total_rows\":0,\"offset\":0,\"rows\":[\n\n]}\n");
    scripted_http_expect(
        f->peer, &(struct scripted_step){
                     .path = "/subjects/_design/subjects.v2.0.0/_view/identities?reduce=false"
                             "&startkey=%5B%22guest%22%2C0%5D&endkey=%5B%22guest%22%2C%7B%7D%5D"
                             "&skip=3&limit=20&include_docs=true",
                     .body = "{}"});
    (void)f->store->ops->view(f->store, "subjects",
                              &(struct cw_view_query){.design = "subjects.v2.0.0",
                                                      .view = "identities",
                                                      .startkey = "[\"guest\",0]",
                                                      .endkey = "[\"guest\",{}]",
                                                      .skip = 3,
                                                      .limit = 20,
                                                      .include_docs = true},
                              on_body, &all);
    wait_done(f, &all);
    assert_int_equal(all.err.code, CW_OK);
    outcome_done(&few);
    outcome_done(&all);
}

static void store_without_credentials_sends_none(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};

    cw_docstore_free(f->store);
    open_store(f, (struct cw_couch_conf){0});
    scripted_http_expect(f->peer, &(struct scripted_step){.body = "{}"});
    get(f, &o, "guest/a", NULL);
    assert_header(last_request(f), "Authorization", NULL);
    outcome_done(&o);
}

static void requests_share_a_connection(void **state)
{
    struct fixture *f = *state;

    scripted_http_expect(f->peer, &(struct scripted_step){.body = "{}", .repeat = true});
    for (int i = 0; i < 5; i++) {
        struct outcome o = {0};

        get(f, &o, "guest/a", NULL);
        outcome_done(&o);
    }
    assert_int_equal(scripted_http_accepted(f->peer), 1);
}

static void connection_that_the_server_closed_is_replaced(void **state)
{
    struct fixture *f = *state;

    scripted_http_expect(f->peer, &(struct scripted_step){.body = "{}", .repeat = true});
    for (int i = 0; i < 2; i++) {
        struct outcome o = {0};

        get(f, &o, "guest/a", NULL);
        assert_int_equal(o.err.code, CW_OK);
        outcome_done(&o);
        scripted_http_drop(f->peer);
    }
    assert_int_equal(scripted_http_accepted(f->peer), 2);
}

static void database_is_asked_for_itself(void **state)
{
    struct fixture *f = *state;
    struct outcome good = {0}, gone = {0}, bad = {0};

    scripted_http_expect(f->peer, &(struct scripted_step){.method = "GET",
                                                          .path = "/my%2Fwhisks",
                                                          .body = "{\"db_name\":\"my/whisks\"}"});
    (void)f->store->ops->check(f->store, "my/whisks", on_body, &good);
    wait_done(f, &good);
    assert_int_equal(good.err.code, CW_OK);
    scripted_http_expect(
        f->peer,
        &(struct scripted_step){.status = 404,
                                .body = "{\"error\":\"not_found\",\"reason\":\"Database does not "
                                        "exist.\"}"});
    (void)f->store->ops->check(f->store, "none", on_body, &gone);
    wait_done(f, &gone);
    assert_int_equal(gone.err.code, CW_NOT_FOUND);
    assert_non_null(
        strstr(gone.err.msg, "couch: GET none/: 404 not_found: Database does not exist"));
    (void)f->store->ops->check(f->store, "", on_body, &bad);
    wait_done(f, &bad);
    assert_int_equal(bad.err.code, CW_INVALID);
    outcome_done(&good);
}

/* ---- bulk put ---- */

#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static const struct cw_slice DOCS[] = {
    TEXT("{\"_id\":\"guest/1\",\"x\":0.10}"),
    TEXT("{\"_id\":\"guest\\/2\"}"),
    TEXT("{\"v\":1}"),
};

static void bulk(struct fixture *f, struct outcome *o, const char *answer)
{
    scripted_http_expect(f->peer, &(struct scripted_step){.method = "POST",
                                                          .path = "/activations/_bulk_docs",
                                                          .status = 201,
                                                          .body = answer});
    (void)f->store->ops->bulk_put(f->store, "activations", DOCS, CW_ARRAY_LEN(DOCS), on_bulk, o);
    wait_done(f, o);
}

static void bulk_put_tells_each_document_s_fate(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};

    bulk(f, &o,
         "[{\"ok\":true,\"id\":\"guest/1\",\"rev\":\"1-a\"},"
         "{\"id\":\"guest/2\",\"error\":\"conflict\",\"reason\":\"Document update conflict.\"},"
         "{\"id\":\"made-up\",\"error\":\"forbidden\",\"reason\":\"no\"}]");
    assert_int_equal(o.err.code, CW_OK);
    assert_int_equal(o.count, 3);
    assert_int_equal(o.results[0].code, CW_PUT_OK);
    assert_int_equal(o.results[1].code, CW_PUT_CONFLICT);
    assert_int_equal(o.results[2].code, CW_PUT_REFUSED);
    assert_string_equal(o.results[2].reason, "forbidden: no");
    assert_string_equal(
        last_request(f)->body,
        "{\"docs\":[{\"_id\":\"guest/1\",\"x\":0.10},{\"_id\":\"guest\\/2\"},{\"v\":1}]}");
    assert_header(last_request(f), "Content-Type", "application/json");
    outcome_done(&o);
}

static void bulk_answer_that_does_not_fit_can_be_tried_again(void **state)
{
    static const char *const ANSWERS[] = {
        "[]",
        "oops",
        "[{\"id\":\"guest/2\",\"rev\":\"1\"},{\"id\":\"guest/1\",\"rev\":\"1\"},{\"rev\":\"1\"}]",
    };

    for (size_t i = 0; i < CW_ARRAY_LEN(ANSWERS); i++) {
        struct outcome o = {0};

        bulk(*state, &o, ANSWERS[i]);
        assert_int_equal(o.err.code, CW_INTERNAL);
        assert_true(o.err.retriable);
        assert_int_equal(o.count, 0);
        assert_non_null(strstr(o.err.msg, "couch: POST activations/_bulk_docs: "));
        outcome_done(&o);
    }
}

static void bulk_put_refused_as_a_whole_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};

    scripted_http_expect(
        f->peer,
        &(struct scripted_step){
            .status = 413, .body = "{\"error\":\"document_too_large\",\"reason\":\"guest/1\"}"});
    (void)f->store->ops->bulk_put(f->store, "activations", DOCS, 2, on_bulk, &o);
    wait_done(f, &o);
    assert_int_equal(o.err.code, CW_TOO_LARGE);
    assert_non_null(strstr(o.err.msg, "document_too_large: guest/1"));
    outcome_done(&o);
}

/* What the releases answer to a document (or a whole request) that they do not take, by their
 * documentation: default.ini's limits, api/database/bulk-api. */
static void refused_bulk_put_is_told_apart_from_one_to_be_tried_again(void **state)
{
    static const struct {
        const char *release;
        int status;
        const char *body;
        enum cw_code code;
        bool retriable;
    } CASES[] = {
        {"2.3: max_document_size (4 GiB by default), 3.x: 8 MB by default", 413,
         "{\"error\":\"document_too_large\",\"reason\":\"guest/1\"}\n", CW_TOO_LARGE, false},
        {"2.3, 3.x: max_http_request_size", 413,
         "{\"error\":\"too_large\",\"reason\":\"the request entity is too large\"}\n", CW_TOO_LARGE,
         false},
        {"a proxy in front of it", 413, "<html>413 Request Entity Too Large</html>", CW_TOO_LARGE,
         false},
        {"2.3, 3.x: JSON that it does not like", 400,
         "{\"error\":\"bad_request\",\"reason\":\"invalid UTF-8 JSON\"}\n", CW_INVALID, false},
        {"2.3: a validation function", 417,
         "[{\"id\":\"guest/1\",\"error\":\"forbidden\",\"reason\":\"no\"}]\n", CW_INVALID, false},
        {"3.x: require_valid_user", 401,
         "{\"error\":\"unauthorized\",\"reason\":\"Authentication required.\"}\n", CW_INVALID,
         true},
        {"3.4: account locked", 403,
         "{\"error\":\"forbidden\",\"reason\":\"Account is temporarily locked due to multiple "
         "authentication failures\"}\n",
         CW_INVALID, true},
        {"2.3, 3.x: database deleted", 404,
         "{\"error\":\"not_found\",\"reason\":\"Database does not exist.\"}\n", CW_NOT_FOUND,
         false},
        {"2.3, 3.x: trouble", 500, "{\"error\":\"badmatch\",\"reason\":\"x\",\"ref\":123}\n",
         CW_UNAVAILABLE, true},
        {"Cloudant: over the rate", 429,
         "{\"error\":\"too_many_requests\",\"reason\":\"You've exceeded your rate limit\"}\n",
         CW_UNAVAILABLE, true},
        {"a proxy in front of it", 503, "", CW_UNAVAILABLE, true},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct outcome o = {0};

        scripted_http_expect(f->peer, &(struct scripted_step){.status = CASES[i].status,
                                                              .body = CASES[i].body,
                                                              .action = SCRIPTED_CLOSE});
        (void)f->store->ops->bulk_put(f->store, "activations", DOCS, 2, on_bulk, &o);
        wait_done(f, &o);
        if (o.err.code != CASES[i].code || o.err.retriable != CASES[i].retriable)
            fail_msg("%s: %s", CASES[i].release, o.err.msg);
        outcome_done(&o);
    }
}

/* 201 from one node, 202 when not all copies are written yet; rows of 2.3 to 3.5 and PouchDB. */
static void accepted_bulk_put_is_understood_of_every_release(void **state)
{
    static const struct {
        const char *release;
        int status;
        const char *body;
        enum cw_docstore_put_code codes[2];
    } CASES[] = {
        {"2.3, 3.x",
         201,
         "[{\"ok\":true,\"id\":\"guest/1\",\"rev\":\"1-967a00dff5e02add41819138abb3284d\"},{\"ok\":"
         "true,\"id\":\"guest/2\",\"rev\":\"1-2902191555\"}]\n",
         {CW_PUT_OK, CW_PUT_OK}},
        {"2.3, 3.x: quorum not met",
         202,
         "[{\"ok\":true,\"id\":\"guest/1\",\"rev\":\"1-a\"},{\"ok\":true,\"id\":\"guest/"
         "2\",\"rev\":"
         "\"1-b\"}]\n",
         {CW_PUT_OK, CW_PUT_OK}},
        {"2.3: accepted rows",
         202,
         "[{\"ok\":true,\"id\":\"guest/1\",\"rev\":\"1-a\",\"accepted\":true},{\"id\":\"guest/2\","
         "\"rev\":\"1-b\"}]\n",
         {CW_PUT_OK, CW_PUT_OK}},
        {"2.3, 3.x: there already",
         201,
         "[{\"id\":\"guest/1\",\"error\":\"conflict\",\"reason\":\"Document update conflict.\"},"
         "{\"ok\":true,\"id\":\"guest/2\",\"rev\":\"1-b\"}]\n",
         {CW_PUT_CONFLICT, CW_PUT_OK}},
        {"2.3, 3.x: a validation function",
         201,
         "[{\"ok\":true,\"id\":\"guest/1\",\"rev\":\"1-a\"},{\"id\":\"guest/2\",\"error\":"
         "\"forbidden\",\"reason\":\"no\"}]\n",
         {CW_PUT_OK, CW_PUT_REFUSED}},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct outcome o = {0};

        scripted_http_expect(
            f->peer, &(struct scripted_step){.status = CASES[i].status, .body = CASES[i].body});
        (void)f->store->ops->bulk_put(f->store, "activations", DOCS, 2, on_bulk, &o);
        wait_done(f, &o);
        if (o.err.code != CW_OK || o.results[0].code != CASES[i].codes[0] ||
            o.results[1].code != CASES[i].codes[1])
            fail_msg("%s: %s", CASES[i].release, o.err.msg);
        outcome_done(&o);
    }
}

static void bulk_put_names_the_document_that_is_not_json(void **state)
{
    static const struct cw_slice BAD[][2] = {
        {TEXT("{\"_id\":\"a\"}"), TEXT("{\"_id\":\"b\"}]}")},
        {TEXT("{\"_id\":\"a\"}"), TEXT("[1]")},
        {TEXT("{\"_id\":\"a\"}"), TEXT("")},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < CW_ARRAY_LEN(BAD); i++) {
        struct outcome o = {0};

        (void)f->store->ops->bulk_put(f->store, "activations", BAD[i], 2, on_bulk, &o);
        wait_done(f, &o);
        assert_int_equal(o.err.code, CW_INVALID);
        assert_non_null(strstr(o.err.msg, "document 1"));
        outcome_done(&o);
    }
    assert_int_equal(scripted_http_count(f->peer), 0);
}

static void empty_bulk_put_is_a_request_too(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {.count = 9};

    scripted_http_expect(f->peer, &(struct scripted_step){.status = 201, .body = "[]"});
    (void)f->store->ops->bulk_put(f->store, "activations", NULL, 0, on_bulk, &o);
    wait_done(f, &o);
    assert_int_equal(o.err.code, CW_OK);
    assert_int_equal(o.count, 0);
    assert_string_equal(last_request(f)->body, "{\"docs\":[]}");
    outcome_done(&o);
}

/* ---- failures ---- */

static void refusals_name_request_and_reason(void **state)
{
    static const struct {
        int status;
        enum cw_code code;
        bool retriable;
    } CASES[] = {
        {404, CW_NOT_FOUND, false},  {409, CW_CONFLICT, false},   {412, CW_CONFLICT, false},
        {413, CW_TOO_LARGE, false},  {401, CW_INVALID, true},     {400, CW_INVALID, false},
        {500, CW_UNAVAILABLE, true}, {429, CW_UNAVAILABLE, true},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        struct outcome o = {0};

        scripted_http_expect(
            f->peer, &(struct scripted_step){.status = CASES[i].status,
                                             .body = "{\"error\":\"e\",\"reason\":\"missing\"}"});
        get(f, &o, "guest/a", NULL);
        assert_int_equal(o.err.code, CASES[i].code);
        assert_int_equal(o.err.retriable, CASES[i].retriable);
        assert_non_null(strstr(o.err.msg, "couch: GET whisks/guest/a: "));
        assert_non_null(strstr(o.err.msg, "e: missing"));
        assert_null(strstr(o.err.msg, "some_passw0rd"));
        outcome_done(&o);
    }
}

static void expect_failure(struct fixture *f, const struct scripted_step *step, enum cw_code code,
                           bool retriable)
{
    struct outcome o = {0};

    scripted_http_expect(f->peer, step);
    get(f, &o, "guest/a", NULL);
    assert_int_equal(o.err.code, code);
    assert_int_equal(o.err.retriable, retriable);
    assert_non_null(strstr(o.err.msg, "couch: GET "));
    assert_non_null(strstr(o.err.msg, "guest%2Fa"));
    outcome_done(&o);
}

static void broken_exchanges_are_translated(void **state)
{
    struct fixture *f = *state;

    cw_docstore_free(f->store);
    open_store(f, (struct cw_couch_conf){.timeout_ms = 80, .max_document = 1000});
    expect_failure(f, &(struct scripted_step){.body = "{\"a\":1}", .action = SCRIPTED_HALF},
                   CW_UNAVAILABLE, true);
    expect_failure(f, &(struct scripted_step){.action = SCRIPTED_HANG}, CW_TIMEOUT, true);
    expect_failure(f, &(struct scripted_step){.raw = "garbage\r\n", .action = SCRIPTED_CLOSE},
                   CW_INTERNAL, true);
    expect_failure(f,
                   &(struct scripted_step){.headers = "Content-Length: 2000\r\n",
                                           .body = "{",
                                           .action = SCRIPTED_CLOSE},
                   CW_UNAVAILABLE, true);
}

static void documents_over_the_limit_are_too_large(void **state)
{
    struct fixture *f = *state;
    struct outcome doc = {0}, att = {0};
    char *big = cw_alloc(1002);

    memset(big, ' ', 1001);
    cw_docstore_free(f->store);
    open_store(f, (struct cw_couch_conf){.max_document = 1000});
    scripted_http_expect(f->peer, &(struct scripted_step){.body = big, .repeat = true});
    get(f, &doc, "guest/a", NULL);
    assert_int_equal(doc.err.code, CW_TOO_LARGE);
    (void)f->store->ops->get_attachment(f->store, "whisks", "guest/a", NULL, "code", 500, on_body,
                                        &att);
    wait_done(f, &att);
    assert_int_equal(att.err.code, CW_TOO_LARGE);
    free(big);
    outcome_done(&doc);
    outcome_done(&att);
}

static void ids_that_are_no_document_never_leave_the_house(void **state)
{
    static const struct {
        const char *db, *id, *rev;
    } BAD[] = {
        {"whisks", "", NULL},        {"whisks", NULL, NULL},     {"", "guest/a", NULL},
        {NULL, "guest/a", NULL},     {"whisks", "..", NULL},     {"whisks", ".", NULL},
        {"..", "guest/a", NULL},     {"whisks", "_all_docs", 0}, {"whisks", "_design/", NULL},
        {"whisks", "_design/..", 0},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < CW_ARRAY_LEN(BAD); i++) {
        struct outcome got = {0}, removed = {0};

        (void)f->store->ops->get(f->store, BAD[i].db, BAD[i].id, BAD[i].rev, on_body, &got);
        wait_done(f, &got);
        assert_int_equal(got.err.code, CW_INVALID);
        (void)f->store->ops->remove(f->store, BAD[i].db, BAD[i].id, BAD[i].rev, on_body, &removed);
        wait_done(f, &removed);
        assert_int_equal(removed.err.code, CW_INVALID);
        assert_non_null(strstr(removed.err.msg, "couch: DELETE "));
    }
    assert_int_equal(scripted_http_count(f->peer), 0);
}

static void attachment_and_view_need_names(void **state)
{
    struct fixture *f = *state;
    struct outcome att = {0}, view = {0}, design = {0}, id = {0};
    char *endless = cw_alloc(20001);

    (void)f->store->ops->get_attachment(f->store, "whisks", "guest/a", NULL, "", 0, on_body, &att);
    (void)f->store->ops->view(f->store, "whisks", &(struct cw_view_query){.design = "d"}, on_body,
                              &view);
    (void)f->store->ops->view(f->store, "whisks", &(struct cw_view_query){.view = "v"}, on_body,
                              &design);
    memset(endless, '/', 20000);
    (void)f->store->ops->get(f->store, "whisks", endless, NULL, on_body, &id);
    wait_done(f, &id);
    assert_int_equal(att.err.code, CW_INVALID);
    assert_int_equal(view.err.code, CW_INVALID);
    assert_int_equal(design.err.code, CW_INVALID);
    assert_int_equal(id.err.code, CW_INVALID);
    assert_int_equal(scripted_http_count(f->peer), 0);
    free(endless);
}

static void wrong_configuration_is_refused(void **state)
{
    static const struct cw_couch_conf BAD[] = {
        {.protocol = "ftp", .host = "h", .port = 1},
        {.protocol = NULL, .host = "h", .port = 1},
        {.protocol = "http", .host = "", .port = 1},
        {.protocol = "http", .host = NULL, .port = 1},
        {.protocol = "http", .host = "a/b", .port = 1},
        {.protocol = "http", .host = "u:p@h", .port = 1},
        {.protocol = "http", .host = "h", .port = 0},
        {.protocol = "http", .host = "h", .port = 1, .timeout_ms = -1},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < CW_ARRAY_LEN(BAD); i++) {
        struct cw_err err = {0};

        assert_null(cw_couch_store_new(f->loop, f->http, &BAD[i], &err));
        assert_int_equal(err.code, CW_INVALID);
    }
}

/* ---- cancelling ---- */

static bool peer_has_two(void *arg)
{
    return scripted_http_count(arg) >= 2;
}

static bool all_closed(void *arg)
{
    return scripted_http_open(arg) == 0;
}

static void cancelled_call_is_silent(void **state)
{
    struct fixture *f = *state;
    struct outcome sent = {0}, refused = {0}, left = {0};
    struct cw_docstore_call *a, *b;

    scripted_http_expect(f->peer, &(struct scripted_step){.action = SCRIPTED_HANG, .repeat = true});
    a = f->store->ops->get(f->store, "whisks", "guest/a", NULL, on_body, &sent);
    b = f->store->ops->get(f->store, "whisks", "", NULL, on_body, &refused);
    (void)f->store->ops->bulk_put(f->store, "activations", DOCS, 1, on_bulk, &left);
    f->store->ops->cancel(f->store, b);
    assert_true(cw_loop_run_until(f->loop, peer_has_two, f->peer, WAIT_MS));
    f->store->ops->cancel(f->store, a);
    cw_docstore_free(CW_STEAL(f->store));
    assert_true(cw_loop_run_until(f->loop, all_closed, f->peer, WAIT_MS));
    assert_int_equal(sent.done + refused.done + left.done, 0);
    assert_int_equal(cw_http_in_flight(f->http), 0);
}

static void call_may_be_cancelled_and_store_freed_in_the_callback(void **state)
{
    struct fixture *f = *state;
    struct outcome one = {.cancel_in = f->store}, two = {.free_store = f};

    scripted_http_expect(f->peer, &(struct scripted_step){.body = "{}", .repeat = true});
    one.cancel = f->store->ops->get(f->store, "whisks", "guest/a", NULL, on_body, &one);
    wait_done(f, &one);
    assert_string_equal(one.body, "{}");
    scripted_http_expect(f->peer, &(struct scripted_step){.body = "[]"});
    (void)f->store->ops->get(f->store, "whisks", "guest/a", NULL, on_body, &two);
    wait_done(f, &two);
    assert_string_equal(two.body, "{}");
    assert_null(f->store);
    outcome_done(&one);
    outcome_done(&two);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(requests_share_a_connection),
        TEST(connection_that_the_server_closed_is_replaced),
        TEST(database_is_asked_for_itself),
        TEST(refused_bulk_put_is_told_apart_from_one_to_be_tried_again),
        TEST(accepted_bulk_put_is_understood_of_every_release),
        TEST(get_asks_as_stock_does_and_keeps_the_bytes),
        TEST(get_without_revision_sends_no_match),
        TEST(every_id_is_one_path_segment),
        TEST(put_sends_the_document_as_it_is),
        TEST(remove_names_the_revision),
        TEST(attachment_comes_as_raw_bytes_of_any_type),
        TEST(view_query_leaves_out_what_is_not_asked),
        TEST(store_without_credentials_sends_none),
        TEST(bulk_put_tells_each_document_s_fate),
        TEST(bulk_answer_that_does_not_fit_can_be_tried_again),
        TEST(bulk_put_refused_as_a_whole_is_an_error),
        TEST(bulk_put_names_the_document_that_is_not_json),
        TEST(empty_bulk_put_is_a_request_too),
        TEST(refusals_name_request_and_reason),
        TEST(broken_exchanges_are_translated),
        TEST(documents_over_the_limit_are_too_large),
        TEST(ids_that_are_no_document_never_leave_the_house),
        TEST(attachment_and_view_need_names),
        TEST(wrong_configuration_is_refused),
        TEST(cancelled_call_is_silent),
        TEST(call_may_be_cancelled_and_store_freed_in_the_callback),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
