/* One HTTP request per operation. A call owns its HTTP call and forgets it when that has answered;
 * documents pass through as the bytes they are, only CouchDB's words about them are read
 * (couch_answer.c).
 *
 * Ids come from messages. Each becomes exactly one path segment, and those that would address
 * something else than a document ("", "..", "_all_docs") are refused here: DELETE /db/ with an
 * empty id would be the end of the database. */
#include "common/store/couch_store.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/list.h"
#include "common/http/client.h"
#include "common/json/raw.h"
#include "common/loop/loop.h"
#include "common/obs/token.h"
#include "common/store/couch_answer.h"

enum {
    DEFAULT_TIMEOUT_MS = 30000,
    DEFAULT_MAX_DOCUMENT = 64 * 1024 * 1024,
    MAX_HOST = 253,
    MAX_URL = 32 * 1024,
    MAX_REV = 200,
    MAX_LABEL = 100,
};

enum op { OP_GET, OP_ATTACHMENT, OP_PUT, OP_REMOVE, OP_BULK_PUT, OP_VIEW, OP_CHECK, OP_COUNT };

static const struct {
    const char *label; /* in messages */
    const char *token; /* of metrics: stock's (openwhisk invoker.md 6); NULL: not metered */
} OPERATIONS[OP_COUNT] = {
    [OP_GET] = {"GET", "getDocument"},
    [OP_ATTACHMENT] = {"GET attachment of", "getDocumentAttachment"},
    [OP_PUT] = {"PUT", "saveDocument"},
    [OP_REMOVE] = {"DELETE", "deleteDocument"},
    [OP_BULK_PUT] = {"POST", "saveDocumentBulk"},
    [OP_VIEW] = {"GET view", "queryView"},
    [OP_CHECK] = {"GET", NULL},
};

struct couch {
    struct cw_docstore base; /* first: the two are cast into each other */
    struct cw_loop *loop;
    struct cw_http *http;
    struct cw_list calls; /* struct cw_docstore_call */
    char *root;           /* "http://host:port" */
    char *username, *password;
    int64_t timeout_ms;
    size_t max_document;
    struct cw_timed meter[OP_COUNT];
    struct cw_histogram *batch_size; /* NULL without metrics */
};

struct cw_docstore_call {
    struct cw_link link;
    struct couch *couch;
    struct cw_http_call *http; /* NULL: could not start, or has answered */
    struct cw_defer refusal;   /* tells err, which kept it from starting */
    struct cw_err err;
    cw_docstore_body_fn *body_fn; /* this or bulk_fn */
    cw_docstore_bulk_fn *bulk_fn;
    void *arg;
    enum op op;
    int64_t begun_us;      /* 0: it was not sent */
    bool delivering;       /* the owner's function is on the stack */
    struct cw_arena arena; /* ids */
    const char **ids;      /* of a bulk put: one per document, NULL when it has none */
    size_t count;          /* of a bulk put: documents */
    char label[MAX_LABEL]; /* "couch: PUT whisks/guest/hello" */
};

/* An operation's request as it is put together. */
struct request {
    const char *method;
    struct cw_str url;
    const char *headers[4];
    char match[MAX_REV + 16];
    struct cw_slice body;
    bool has_body;
    size_t max_body;
};

static struct couch *couch_of(struct cw_docstore *s)
{
    return CW_CONTAINER_OF(s, struct couch, base);
}

/* ---- the end of a call ---- */

static void call_free(struct cw_docstore_call *call)
{
    if (call->http)
        cw_http_cancel(call->http);
    cw_defer_cancel(&call->refusal);
    cw_arena_done(&call->arena);
    free(call);
}

/* What is not there, or is there already, is an answer like any other, to stock as well. */
static void meter_end(const struct cw_docstore_call *call, const struct cw_err *err)
{
    const struct couch *couch = call->couch;
    bool ok = !err || err->code == CW_NOT_FOUND || err->code == CW_CONFLICT;

    if (call->begun_us)
        cw_timed_ended(&couch->meter[call->op], ok,
                       (double)(cw_loop_mono_us(couch->loop) - call->begun_us) / 1e6);
}

/* Off the list while the owner's function runs, so that nothing it does can free the call. */
static void deliver(struct cw_docstore_call *call, struct cw_slice body,
                    const struct cw_docstore_put_result *results, const struct cw_err *err)
{
    cw_list_remove(&call->couch->calls, &call->link);
    call->delivering = true;
    meter_end(call, err);
    assert(call->body_fn || call->bulk_fn);
    if (call->body_fn)
        call->body_fn(call->arg, err ? cw_slice(NULL, 0) : body, err);
    else
        call->bulk_fn(call->arg, results, results ? call->count : 0, err);
    call_free(call);
}

static void deliver_error(struct cw_docstore_call *call, const struct cw_err *err)
{
    deliver(call, cw_slice(NULL, 0), NULL, err);
}

static void on_refusal(void *arg)
{
    struct cw_docstore_call *call = arg;

    deliver_error(call, &call->err);
}

static void deliver_bulk(struct cw_docstore_call *call, struct cw_slice body)
{
    struct cw_docstore_put_result *results = cw_calloc(call->count, sizeof(*results));
    struct cw_err err;

    if (cw_couch_bulk_parse(body, call->ids, call->count, results, &err) != 0) {
        (void)cw_err_wrap(&err, "%s", call->label);
        deliver_error(call, &err);
    } else {
        deliver(call, body, results, NULL);
    }
    free(results);
}

static void on_reply(void *arg, const struct cw_http_reply *reply, const struct cw_err *http_err)
{
    struct cw_docstore_call *call = arg;
    struct cw_err err;

    call->http = NULL;
    if (http_err) {
        err = *http_err;
        err.retriable |= err.code == CW_INTERNAL; /* garbage this time */
        (void)cw_err_wrap(&err, "couch");
        deliver_error(call, &err);
    } else if (reply->status < 200 || reply->status > 299) {
        (void)cw_couch_refused(call->label, reply->status, reply->body, &err);
        deliver_error(call, &err);
    } else if (call->bulk_fn) {
        deliver_bulk(call, reply->body);
    } else {
        deliver(call, reply->body, NULL, NULL);
    }
}

/* ---- the beginning of a call ---- */

static struct cw_docstore_call *call_new(struct cw_docstore *s, enum op op, const char *db,
                                         const char *what, void *arg)
{
    struct cw_docstore_call *call = cw_alloc(sizeof(*call));

    call->couch = couch_of(s);
    call->op = op;
    call->arg = arg;
    cw_arena_init(&call->arena);
    cw_defer_init(&call->refusal, call->couch->loop, on_refusal, call);
    cw_list_push_back(&call->couch->calls, &call->link);
    (void)snprintf(call->label, sizeof(call->label), "couch: %s %s/%s", OPERATIONS[op].label,
                   db ? db : "", what ? what : "");
    return call;
}

static void request_init(struct request *r, const char *method, const struct couch *couch)
{
    memset(r, 0, sizeof(*r));
    r->method = method;
    r->max_body = couch->max_document;
    r->headers[0] = "Accept: application/json";
    cw_str_init(&r->url, MAX_URL);
    cw_str_addz(&r->url, couch->root);
}

static void add_header(struct request *r, const char *line)
{
    size_t n = 0;

    while (r->headers[n])
        n++;
    r->headers[n] = line;
}

static void set_body(struct request *r, struct cw_slice body)
{
    r->body = body;
    r->has_body = true;
    add_header(r, "Content-Type: application/json");
}

static int add_segment(struct request *r, const char *what, const char *text, struct cw_err *err)
{
    if (!text || !*text || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return cw_fail(err, CW_INVALID, "\"%s\" is no %s", text ? text : "", what);
    cw_str_addc(&r->url, '/');
    cw_url_encode(&r->url, cw_slice_of(text));
    return 0;
}

/* Ids with a leading underscore are CouchDB's own. Two kinds of them are documents, with a slash
 * that is not encoded; an encoded slash makes it a document again, though there is none. */
static int add_id(struct request *r, const char *id, struct cw_err *err)
{
    static const char *const KINDS[] = {"_design/", "_local/"};

    for (size_t i = 0; id && i < CW_ARRAY_LEN(KINDS); i++) {
        size_t n = strlen(KINDS[i]);

        if (strncmp(id, KINDS[i], n) != 0)
            continue;
        cw_str_addc(&r->url, '/');
        cw_str_add(&r->url, KINDS[i], n - 1);
        return add_segment(r, "document id", id + n, err);
    }
    if (id && id[0] == '_' && !strchr(id, '/'))
        return cw_fail(err, CW_INVALID, "\"%s\" is no document id", id);
    return add_segment(r, "document id", id, err);
}

static bool is_revision(const char *rev)
{
    return rev && *rev && strlen(rev) <= MAX_REV && !strpbrk(rev, "\"\\\r\n");
}

static int add_match(struct request *r, const char *rev, struct cw_err *err)
{
    if (!rev || !*rev)
        return 0;
    if (!is_revision(rev))
        return cw_fail(err, CW_INVALID, "\"%.64s\" is no revision", rev);
    (void)snprintf(r->match, sizeof(r->match), "If-Match: \"%s\"", rev);
    add_header(r, r->match);
    return 0;
}

static int set_document(struct request *r, const char *db, const char *id, const char *rev,
                        struct cw_err *err)
{
    if (add_segment(r, "database", db, err) != 0 || add_id(r, id, err) != 0)
        return -1;
    return add_match(r, rev, err);
}

/* Sends what was put together; `failed`: it could not be, call->err says why. */
static struct cw_docstore_call *launch(struct cw_docstore_call *call, struct request *r,
                                       bool failed)
{
    const struct couch *couch = call->couch;
    const struct cw_http_request http = {
        .method = r->method,
        .url = r->url.p,
        .user = couch->username,
        .password = couch->password,
        .headers = r->headers,
        .body = r->body,
        .has_body = r->has_body,
        .timeout_ms = couch->timeout_ms,
        .max_body = r->max_body,
    };

    if (!failed && r->url.failed) {
        (void)cw_fail(&call->err, CW_INVALID, "URL longer than %d bytes", MAX_URL);
        failed = true;
    }
    if (failed) {
        (void)cw_err_wrap(&call->err, "%s", call->label);
        cw_defer_post(&call->refusal);
    } else {
        call->begun_us = cw_loop_mono_us(couch->loop);
        cw_timed_begun(&couch->meter[call->op]);
        call->http = cw_http_send(couch->http, &http, on_reply, call);
    }
    cw_str_done(&r->url);
    return call;
}

/* ---- the operations ---- */

static struct cw_docstore_call *couch_get(struct cw_docstore *s, const char *db, const char *id,
                                          const char *rev, cw_docstore_body_fn *fn, void *arg)
{
    struct cw_docstore_call *call = call_new(s, OP_GET, db, id, arg);
    struct request r;

    call->body_fn = fn;
    request_init(&r, "GET", call->couch);
    if (!is_revision(rev)) /* nothing has it, and the caller looks at what the document says */
        rev = NULL;
    return launch(call, &r, set_document(&r, db, id, rev, &call->err) != 0);
}

static struct cw_docstore_call *couch_get_attachment(struct cw_docstore *s, const char *db,
                                                     const char *id, const char *rev,
                                                     const char *name, size_t max_bytes,
                                                     cw_docstore_body_fn *fn, void *arg)
{
    struct cw_docstore_call *call = call_new(s, OP_ATTACHMENT, db, id, arg);
    struct request r;
    bool failed;

    call->body_fn = fn;
    request_init(&r, "GET", call->couch);
    r.headers[0] = "Accept: */*"; /* with application/json CouchDB would refuse other types */
    if (max_bytes)
        r.max_body = max_bytes;
    failed = set_document(&r, db, id, rev, &call->err) != 0 ||
             add_segment(&r, "attachment name", name, &call->err) != 0;
    return launch(call, &r, failed);
}

static struct cw_docstore_call *couch_put(struct cw_docstore *s, const char *db, const char *id,
                                          const char *rev, struct cw_slice doc,
                                          cw_docstore_body_fn *fn, void *arg)
{
    struct cw_docstore_call *call = call_new(s, OP_PUT, db, id, arg);
    struct request r;

    call->body_fn = fn;
    request_init(&r, "PUT", call->couch);
    set_body(&r, doc);
    return launch(call, &r, set_document(&r, db, id, rev, &call->err) != 0);
}

static struct cw_docstore_call *couch_remove(struct cw_docstore *s, const char *db, const char *id,
                                             const char *rev, cw_docstore_body_fn *fn, void *arg)
{
    struct cw_docstore_call *call = call_new(s, OP_REMOVE, db, id, arg);
    struct request r;

    call->body_fn = fn;
    request_init(&r, "DELETE", call->couch);
    return launch(call, &r, set_document(&r, db, id, rev, &call->err) != 0);
}

/* Checks each document, since one that is not JSON would have the whole batch refused without a
 * word which one it was, and notes its id. */
static int take_ids(struct cw_docstore_call *call, const struct cw_slice *docs, struct cw_err *err)
{
    struct cw_slice doc, id;

    call->ids = cw_arena_alloc(&call->arena, (call->count + 1) * sizeof(*call->ids));
    for (size_t i = 0; i < call->count; i++) {
        if (cw_raw_check(docs[i], CW_RAW_MAX_DEPTH, &doc, err) != 0)
            return cw_err_wrap(err, "document %zu", i);
        if (cw_raw_type(doc) != CW_RAW_OBJECT)
            return cw_fail(err, CW_INVALID, "document %zu: expected object", i);
        if (cw_raw_get(doc, "_id", &id) && cw_raw_type(id) == CW_RAW_STRING)
            call->ids[i] = cw_raw_string(id, &call->arena, NULL);
    }
    return 0;
}

static void join_documents(struct cw_str *body, const struct cw_slice *docs, size_t count)
{
    size_t total = sizeof("{\"docs\":[]}") + count;

    for (size_t i = 0; i < count; i++)
        total += docs[i].n;
    cw_str_init(body, total);
    (void)cw_str_reserve(body, total); /* at once: a batch may be many megabytes */
    cw_str_addz(body, "{\"docs\":[");
    for (size_t i = 0; i < count; i++) {
        if (i)
            cw_str_addc(body, ',');
        cw_str_adds(body, docs[i]);
    }
    cw_str_addz(body, "]}");
}

static struct cw_docstore_call *couch_bulk_put(struct cw_docstore *s, const char *db,
                                               const struct cw_slice *docs, size_t count,
                                               cw_docstore_bulk_fn *fn, void *arg)
{
    struct cw_docstore_call *call = call_new(s, OP_BULK_PUT, db, "_bulk_docs", arg);
    cw_auto_str struct cw_str body = {0};
    struct request r;
    bool failed;

    call->bulk_fn = fn;
    call->count = count;
    request_init(&r, "POST", call->couch);
    failed =
        add_segment(&r, "database", db, &call->err) != 0 || take_ids(call, docs, &call->err) != 0;
    if (!failed) {
        cw_str_addz(&r.url, "/_bulk_docs");
        join_documents(&body, docs, count);
        set_body(&r, cw_str_slice(&body));
        if (call->couch->batch_size)
            cw_histogram_observe(call->couch->batch_size, (double)count);
    }
    return launch(call, &r, failed);
}

static void add_query(struct request *r, const struct cw_view_query *q)
{
    cw_str_addz(&r->url, "?reduce=false");
    if (q->startkey) {
        cw_str_addz(&r->url, "&startkey=");
        cw_url_encode(&r->url, cw_slice_of(q->startkey));
    }
    if (q->endkey) {
        cw_str_addz(&r->url, "&endkey=");
        cw_url_encode(&r->url, cw_slice_of(q->endkey));
    }
    if (q->skip > 0)
        cw_str_addf(&r->url, "&skip=%jd", (intmax_t)q->skip);
    if (q->limit > 0)
        cw_str_addf(&r->url, "&limit=%jd", (intmax_t)q->limit);
    if (q->stale_ok)
        cw_str_addz(&r->url, "&stale=update_after");
    if (q->include_docs)
        cw_str_addz(&r->url, "&include_docs=true");
    if (q->descending)
        cw_str_addz(&r->url, "&descending=true");
}

static int set_view(struct request *r, const char *db, const struct cw_view_query *q,
                    struct cw_err *err)
{
    if (add_segment(r, "database", db, err) != 0)
        return -1;
    cw_str_addz(&r->url, "/_design");
    if (add_segment(r, "design document", q->design, err) != 0)
        return -1;
    cw_str_addz(&r->url, "/_view");
    if (add_segment(r, "view", q->view, err) != 0)
        return -1;
    add_query(r, q);
    return 0;
}

static struct cw_docstore_call *couch_view(struct cw_docstore *s, const char *db,
                                           const struct cw_view_query *q, cw_docstore_body_fn *fn,
                                           void *arg)
{
    struct cw_docstore_call *call = call_new(s, OP_VIEW, db, q->view, arg);
    struct request r;

    call->body_fn = fn;
    request_init(&r, "GET", call->couch);
    return launch(call, &r, set_view(&r, db, q, &call->err) != 0);
}

static struct cw_docstore_call *couch_check(struct cw_docstore *s, const char *db,
                                            cw_docstore_body_fn *fn, void *arg)
{
    struct cw_docstore_call *call = call_new(s, OP_CHECK, db, "", arg);
    struct request r;

    call->body_fn = fn;
    request_init(&r, "GET", call->couch);
    return launch(call, &r, add_segment(&r, "database", db, &call->err) != 0);
}

static void couch_cancel(struct cw_docstore *s, struct cw_docstore_call *call)
{
    if (call->delivering)
        return;
    cw_list_remove(&couch_of(s)->calls, &call->link);
    call_free(call);
}

static void couch_free(struct cw_docstore *s)
{
    struct couch *couch = couch_of(s);
    struct cw_link *n;

    while ((n = cw_list_pop_front(&couch->calls)))
        call_free(CW_LIST_ENTRY(n, struct cw_docstore_call, link));
    free(couch->root);
    free(couch->username);
    free(couch->password);
    free(couch);
}

/* ---- construction ---- */

static const struct cw_docstore_ops OPS = {
    .name = "couch",
    .get = couch_get,
    .get_attachment = couch_get_attachment,
    .put = couch_put,
    .remove = couch_remove,
    .bulk_put = couch_bulk_put,
    .view = couch_view,
    .check = couch_check,
    .cancel = couch_cancel,
    .free = couch_free,
};

static int check_conf(const struct cw_couch_conf *conf, struct cw_err *err)
{
    static const char HOST_CHARS[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:[]";
    const char *protocol = conf->protocol ? conf->protocol : "";
    const char *host = conf->host ? conf->host : "";

    if (strcmp(protocol, "http") != 0 && strcmp(protocol, "https") != 0)
        return cw_fail(err, CW_INVALID, "couch: protocol \"%s\" is neither http nor https",
                       protocol);
    if (!*host || strlen(host) > MAX_HOST || host[strspn(host, HOST_CHARS)])
        return cw_fail(err, CW_INVALID, "couch: \"%s\" is no host name or address", host);
    if (conf->port == 0)
        return cw_fail(err, CW_INVALID, "couch: port 0 is not in 1..65535");
    if (conf->timeout_ms < 0)
        return cw_fail(err, CW_INVALID, "couch: negative timeout");
    return 0;
}

static char *root_url(const struct cw_couch_conf *conf)
{
    bool bare_ipv6 = strchr(conf->host, ':') && conf->host[0] != '[';
    struct cw_str url;

    cw_str_init(&url, MAX_HOST + 32);
    cw_str_addf(&url, "%s://%s%s%s:%u", conf->protocol, bare_ipv6 ? "[" : "", conf->host,
                bare_ipv6 ? "]" : "", (unsigned)conf->port);
    return cw_str_steal(&url);
}

static void make_meters(struct couch *couch, struct cw_metrics *m)
{
    for (int i = 0; i < OP_CHECK; i++)
        cw_timed_init(&couch->meter[i], m,
                      &(struct cw_token){.component = "database", .action = OPERATIONS[i].token},
                      "Requests to the database");
    if (m)
        couch->batch_size = cw_token_histogram_number(
            m,
            &(struct cw_token){.component = "database", .action = "batchSize", .state = "counter"},
            "Activation records in one request.");
}

struct cw_docstore *cw_couch_store_new(struct cw_loop *loop, struct cw_http *http,
                                       const struct cw_couch_conf *conf, struct cw_err *err)
{
    struct couch *couch;

    if (check_conf(conf, err) != 0)
        return NULL;
    couch = cw_alloc(sizeof(*couch));
    couch->base.ops = &OPS;
    couch->loop = loop;
    couch->http = http;
    cw_list_init(&couch->calls);
    couch->root = root_url(conf);
    make_meters(couch, conf->metrics);
    if (conf->username && *conf->username) {
        couch->username = cw_strdup(conf->username);
        couch->password = cw_strdup(conf->password);
    }
    couch->timeout_ms = conf->timeout_ms ? conf->timeout_ms : DEFAULT_TIMEOUT_MS;
    couch->max_document = conf->max_document ? conf->max_document : DEFAULT_MAX_DOCUMENT;
    return &couch->base;
}
