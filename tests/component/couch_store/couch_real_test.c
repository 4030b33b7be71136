/* The store against a real server with CouchDB's API. CW_TEST_COUCH=http://127.0.0.1:PORT names it
 * (tests/testbed/couch-up), CW_TEST_COUCH_AUTH=USER:PASSWORD may; without the first all tests are
 * skipped. A database of its own is created for each test and deleted afterwards. */
#include "tests/support/cmocka_all.h"

#include <unistd.h>

#include "common/base/err.h"
#include "common/http/client.h"
#include "common/json/doc.h"
#include "common/loop/loop.h"
#include "common/store/couch_store.h"

enum { WAIT_MS = 30000 };

struct fixture {
    struct cw_loop *loop;
    struct cw_http *http;
    struct cw_docstore *store;
    const char *url;
    char host[64];
    char user[64], password[64];
    char db[64];
};

struct outcome {
    bool done;
    struct cw_err err;
    int status;
    char *body;
    size_t body_len;
    struct cw_docstore_put_result results[4];
    size_t count;
};

static bool is_done(void *arg)
{
    return ((struct outcome *)arg)->done;
}

static void wait_done(struct fixture *f, struct outcome *o)
{
    assert_true(cw_loop_run_until(f->loop, is_done, o, WAIT_MS));
}

static void keep(struct outcome *o, struct cw_slice body, const struct cw_err *err)
{
    free(o->body);
    *o = (struct outcome){.done = true};
    if (err) {
        o->err = *err;
        return;
    }
    o->body = cw_slice_dup(body);
    o->body_len = body.n;
}

static void on_http(void *arg, const struct cw_http_reply *reply, const struct cw_err *err)
{
    struct outcome *o = arg;

    keep(o, reply ? reply->body : cw_slice(NULL, 0), err);
    o->status = reply ? reply->status : 0;
}

static void on_body(void *arg, struct cw_slice body, const struct cw_err *err)
{
    keep(arg, body, err);
}

static void on_bulk(void *arg, const struct cw_docstore_put_result *results, size_t count,
                    const struct cw_err *err)
{
    struct outcome *o = arg;

    keep(o, cw_slice(NULL, 0), err);
    o->count = count;
    assert_true(count <= CW_ARRAY_LEN(o->results));
    if (results)
        memcpy(o->results, results, count * sizeof(*results));
}

/* What the store has no operation for: databases, attachments. */
static void direct(struct fixture *f, const char *method, const char *path, const char *type,
                   struct cw_slice body)
{
    const char *headers[] = {type, NULL};
    struct outcome o = {0};
    char url[512];

    (void)snprintf(url, sizeof(url), "%s/%s%s", f->url, f->db, path);
    (void)cw_http_send(f->http,
                       &(struct cw_http_request){.method = method,
                                                 .url = url,
                                                 .user = f->user[0] ? f->user : NULL,
                                                 .password = f->password,
                                                 .headers = headers,
                                                 .body = body,
                                                 .has_body = body.n > 0,
                                                 .timeout_ms = WAIT_MS},
                       on_http, &o);
    wait_done(f, &o);
    assert_int_equal(o.err.code, CW_OK);
    assert_in_range(o.status, 200, 202);
    free(o.body);
}

static void open_store(struct fixture *f)
{
    unsigned port;

    assert_int_equal(sscanf(f->url, "http://%63[^:/]:%u", f->host, &port), 2);
    assert_in_range(port, 1, 65535);
    f->store = cw_couch_store_new(f->loop, f->http,
                                  &(struct cw_couch_conf){.protocol = "http",
                                                          .host = f->host,
                                                          .port = (uint16_t)port,
                                                          .username = f->user,
                                                          .password = f->password},
                                  NULL);
    assert_non_null(f->store);
}

static int setup(void **state)
{
    const char *auth = getenv("CW_TEST_COUCH_AUTH");
    struct fixture *f = cw_alloc(sizeof(*f));

    *state = f;
    f->url = getenv("CW_TEST_COUCH");
    if (!f->url || !*f->url)
        return 0;
    if (auth)
        (void)sscanf(auth, "%63[^:]:%63s", f->user, f->password);
    f->loop = cw_loop_new(NULL, NULL);
    f->http = cw_http_new(f->loop, &(struct cw_http_conf){0}, NULL);
    assert_non_null(f->http);
    (void)snprintf(f->db, sizeof(f->db), "cw_test_%ld_%jd", (long)getpid(),
                   (intmax_t)cw_loop_mono_us(f->loop));
    open_store(f);
    direct(f, "PUT", "", NULL, cw_slice(NULL, 0));
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    if (f->store) {
        direct(f, "DELETE", "", NULL, cw_slice(NULL, 0));
        cw_docstore_free(f->store);
        cw_http_free(f->http);
        cw_loop_free(f->loop);
    }
    free(f);
    return 0;
}

static struct fixture *need_server(void **state)
{
    struct fixture *f = *state;

    if (!f->store) {
        print_message("skipped: CW_TEST_COUCH is not set\n");
        skip();
    }
    return f;
}

static void get(struct fixture *f, struct outcome *o, const char *id, const char *rev)
{
    o->done = false;
    (void)f->store->ops->get(f->store, f->db, id, rev, on_body, o);
    wait_done(f, o);
}

static void put(struct fixture *f, struct outcome *o, const char *id, const char *rev,
                const char *doc)
{
    o->done = false;
    (void)f->store->ops->put(f->store, f->db, id, rev, cw_slice_of(doc), on_body, o);
    wait_done(f, o);
}

/* A text member of a JSON body; free() it. */
static char *member(const struct outcome *o, const char *key)
{
    cw_auto_json json_t *doc =
        cw_json_parse(cw_slice(o->body, o->body_len), 1024 * 1024, "body", NULL);
    const char *text = NULL;

    assert_non_null(doc);
    assert_int_equal(cw_json_get_string(doc, "", key, true, &text, NULL), 0);
    return cw_strdup(text);
}

static void document_comes_back_with_its_revision(void **state)
{
    struct fixture *f = need_server(state);
    struct outcome o = {0};
    cw_auto_free char *rev = NULL, *rev_read = NULL, *name = NULL;

    put(f, &o, "my ns/an action", NULL, "{\"_id\":\"my ns/an action\",\"name\":\"\xc3\xa9\"}");
    assert_int_equal(o.err.code, CW_OK);
    rev = member(&o, "rev");
    get(f, &o, "my ns/an action", rev);
    assert_int_equal(o.err.code, CW_OK);
    rev_read = member(&o, "_rev");
    name = member(&o, "name");
    assert_string_equal(rev_read, rev);
    assert_string_equal(name, "\xc3\xa9");
    free(o.body);
}

static void absent_document_is_not_found(void **state)
{
    struct fixture *f = need_server(state);
    struct outcome o = {0};

    get(f, &o, "guest/none", NULL);
    assert_int_equal(o.err.code, CW_NOT_FOUND);
    assert_false(o.err.retriable);
    assert_non_null(strstr(o.err.msg, "guest/none: 404 not_found: missing"));
}

/* As stock does, an update has its revision in the header and in the document (PouchDB Server looks
 * at the document only). */
static void stale_revision_is_a_conflict(void **state)
{
    struct fixture *f = need_server(state);
    struct outcome o = {0};
    cw_auto_free char *first = NULL;
    char update[128];

    put(f, &o, "guest/c", NULL, "{\"_id\":\"guest/c\",\"n\":1}");
    first = member(&o, "rev");
    put(f, &o, "guest/c", NULL, "{\"_id\":\"guest/c\",\"n\":2}");
    assert_int_equal(o.err.code, CW_CONFLICT);
    (void)snprintf(update, sizeof(update), "{\"_id\":\"guest/c\",\"_rev\":\"%s\",\"n\":3}", first);
    put(f, &o, "guest/c", first, update);
    assert_int_equal(o.err.code, CW_OK);
    put(f, &o, "guest/c", first, update);
    assert_int_equal(o.err.code, CW_CONFLICT);
    free(o.body);
}

static void removed_document_is_gone(void **state)
{
    struct fixture *f = need_server(state);
    struct outcome o = {0};
    cw_auto_free char *rev = NULL;

    put(f, &o, "guest/d", NULL, "{\"_id\":\"guest/d\"}");
    rev = member(&o, "rev");
    o.done = false;
    (void)f->store->ops->remove(f->store, f->db, "guest/d", rev, on_body, &o);
    wait_done(f, &o);
    assert_int_equal(o.err.code, CW_OK);
    get(f, &o, "guest/d", NULL);
    assert_int_equal(o.err.code, CW_NOT_FOUND);
    free(o.body);
}

static void attachment_comes_back_byte_for_byte(void **state)
{
    struct fixture *f = need_server(state);
    struct outcome o = {0};
    cw_auto_free char *rev = NULL, *code = cw_alloc(100000);
    char path[256];

    for (size_t i = 0; i < 100000; i++)
        code[i] = (char)(i * 7 + i / 256);
    put(f, &o, "guest/zip", NULL, "{\"_id\":\"guest/zip\"}");
    rev = member(&o, "rev");
    (void)snprintf(path, sizeof(path), "/guest%%2Fzip/6c95590f?rev=%s", rev);
    direct(f, "PUT", path, "Content-Type: application/octet-stream", cw_slice(code, 100000));
    o.done = false;
    (void)f->store->ops->get_attachment(f->store, f->db, "guest/zip", NULL, "6c95590f", 100000,
                                        on_body, &o);
    wait_done(f, &o);
    assert_int_equal(o.err.code, CW_OK);
    assert_int_equal(o.body_len, 100000);
    assert_memory_equal(o.body, code, 100000);
    o.done = false;
    (void)f->store->ops->get_attachment(f->store, f->db, "guest/zip", NULL, "absent", 0, on_body,
                                        &o);
    wait_done(f, &o);
    assert_int_equal(o.err.code, CW_NOT_FOUND);
    free(o.body);
}

static void bulk_put_reports_the_one_conflict(void **state)
{
    const struct cw_slice docs[] = {
        CW_SLICE("{\"_id\":\"guest/a1\",\"start\":1}"),
        CW_SLICE("{\"_id\":\"guest/a2\",\"start\":2}"),
        CW_SLICE("{\"_id\":\"guest/a3\",\"start\":3}"),
    };
    struct fixture *f = need_server(state);
    struct outcome o = {0};

    put(f, &o, "guest/a2", NULL, "{\"_id\":\"guest/a2\"}");
    free(CW_STEAL(o.body));
    o.done = false;
    (void)f->store->ops->bulk_put(f->store, f->db, docs, 3, on_bulk, &o);
    wait_done(f, &o);
    assert_int_equal(o.err.code, CW_OK);
    assert_int_equal(o.count, 3);
    assert_int_equal(o.results[0].code, CW_PUT_OK);
    assert_int_equal(o.results[1].code, CW_PUT_CONFLICT);
    assert_int_equal(o.results[2].code, CW_PUT_OK);
    get(f, &o, "guest/a3", NULL);
    assert_int_equal(o.err.code, CW_OK);
    free(o.body);
}

static size_t view_rows(struct fixture *f, const struct cw_view_query *q, char *first_key,
                        size_t size)
{
    struct outcome o = {0};
    cw_auto_json json_t *answer = NULL;
    const json_t *rows = NULL;
    const char *key = "";

    (void)f->store->ops->view(f->store, f->db, q, on_body, &o);
    wait_done(f, &o);
    assert_int_equal(o.err.code, CW_OK);
    answer = cw_json_parse(cw_slice(o.body, o.body_len), 1024 * 1024, "view", NULL);
    assert_int_equal(cw_json_get_array(answer, "", "rows", true, &rows, NULL), 0);
    if (json_array_size(rows))
        assert_int_equal(
            cw_json_get_string(json_array_get(rows, 0), "rows[0]", "key", true, &key, NULL), 0);
    (void)snprintf(first_key, size, "%s", key);
    free(o.body);
    return json_array_size(rows);
}

static void view_gives_rows_in_order_and_range(void **state)
{
    static const char DESIGN[] =
        "{\"_id\":\"_design/namespaceThrottlings\",\"language\":\"javascript\",\"views\":{"
        "\"blockedNamespaces\":{\"map\":\"function (doc) { if (doc.blocked) emit(doc.ns, 1); }\","
        "\"reduce\":\"_sum\"}}}";
    struct fixture *f = need_server(state);
    struct outcome o = {0};
    char key[64];

    put(f, &o, "_design/namespaceThrottlings", NULL, DESIGN);
    assert_int_equal(o.err.code, CW_OK);
    put(f, &o, "s1", NULL, "{\"_id\":\"s1\",\"ns\":\"alpha\",\"blocked\":true}");
    put(f, &o, "s2", NULL, "{\"_id\":\"s2\",\"ns\":\"beta\"}");
    put(f, &o, "s3", NULL, "{\"_id\":\"s3\",\"ns\":\"gamma\",\"blocked\":true}");
    free(o.body);
    assert_int_equal(view_rows(f,
                               &(struct cw_view_query){.design = "namespaceThrottlings",
                                                       .view = "blockedNamespaces",
                                                       .descending = true},
                               key, sizeof(key)),
                     2);
    assert_string_equal(key, "gamma");
    assert_int_equal(view_rows(f,
                               &(struct cw_view_query){.design = "namespaceThrottlings",
                                                       .view = "blockedNamespaces",
                                                       .startkey = "\"a\"",
                                                       .endkey = "\"b\"",
                                                       .limit = 5},
                               key, sizeof(key)),
                     1);
    assert_string_equal(key, "alpha");
    o = (struct outcome){0};
    (void)f->store->ops->view(
        f->store, f->db, &(struct cw_view_query){.design = "namespaceThrottlings", .view = "none"},
        on_body, &o);
    wait_done(f, &o);
    assert_int_equal(o.err.code, CW_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(document_comes_back_with_its_revision), TEST(absent_document_is_not_found),
        TEST(stale_revision_is_a_conflict),          TEST(removed_document_is_gone),
        TEST(attachment_comes_back_byte_for_byte),   TEST(bulk_put_reports_the_one_conflict),
        TEST(view_gives_rows_in_order_and_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
