#include "tests/support/fake_store.h"

#include <stdio.h>

#include "common/loop/loop.h"

struct cw_docstore_call {
    struct cw_link link;
    struct fake_store *s;
    struct cw_defer defer;
    cw_docstore_body_fn *body_fn;
    cw_docstore_bulk_fn *bulk_fn;
    void *arg;
    const struct cw_err *err; /* which of the store's; NULL: a bulk put */
    const char *const *text;
    char **docs;
    size_t count;
};

static void drop(struct cw_docstore_call *call)
{
    cw_defer_cancel(&call->defer);
    cw_list_remove(&call->s->calls, &call->link);
    for (size_t i = 0; i < call->count; i++)
        free(call->docs[i]);
    free(call->docs);
    free(call);
}

static void answer_body(struct cw_docstore_call *call)
{
    const struct cw_err *err = call->err;
    const char *text = *call->text;
    cw_docstore_body_fn *fn = call->body_fn;
    void *arg = call->arg;

    drop(call);
    fn(arg, err->code ? cw_slice(NULL, 0) : cw_slice_of(text), err->code ? err : NULL);
}

static bool has_poison(const struct fake_store *s, const struct cw_docstore_call *call)
{
    for (size_t i = 0; s->poison && i < call->count; i++)
        if (strstr(call->docs[i], s->poison))
            return true;
    return !s->poison;
}

static bool fails_whole(struct fake_store *s, const struct cw_docstore_call *call)
{
    if (s->bulk_err.code == CW_OK || call->count <= s->fail_over || s->failures == 0 ||
        !has_poison(s, call))
        return false;
    s->failures--;
    return true;
}

static void answer_bulk(struct cw_docstore_call *call)
{
    struct fake_store *s = call->s;
    struct cw_docstore_put_result *results = cw_calloc(call->count, sizeof(*results));
    size_t count = call->count;
    cw_docstore_bulk_fn *fn = call->bulk_fn;
    void *arg = call->arg;
    bool whole = fails_whole(s, call);

    for (size_t i = 0; i < count && !whole; i++) {
        results[i].code = s->put ? s->put(s, call->docs[i], count) : CW_PUT_OK;
        (void)snprintf(results[i].reason, sizeof(results[i].reason), "fake refusal");
        if (results[i].code == CW_PUT_OK) {
            cw_str_addf(&s->stored, "%s\n", call->docs[i]);
            s->stored_count++;
        }
    }
    drop(call);
    fn(arg, whole ? NULL : results, count, whole ? &s->bulk_err : NULL);
    free(results);
}

static void complete(void *arg)
{
    struct cw_docstore_call *call = arg;

    if (call->bulk_fn)
        answer_bulk(call);
    else
        answer_body(call);
}

static struct cw_docstore_call *begin(struct cw_docstore *base, void *arg)
{
    struct cw_docstore_call *call = cw_alloc(sizeof(*call));

    call->s = (struct fake_store *)base;
    call->arg = arg;
    cw_defer_init(&call->defer, call->s->loop, complete, call);
    cw_list_push_back(&call->s->calls, &call->link);
    if (!call->s->hold)
        cw_defer_post(&call->defer);
    return call;
}

static struct cw_docstore_call *fake_get(struct cw_docstore *base, const char *db, const char *id,
                                         const char *rev, cw_docstore_body_fn *fn, void *arg)
{
    struct cw_docstore_call *call = begin(base, arg);

    (void)db, (void)id;
    call->body_fn = fn;
    call->err = &call->s->get_err;
    call->text = &call->s->document;
    call->s->gets++;
    (void)snprintf(call->s->last_rev, sizeof(call->s->last_rev), "%s", rev ? rev : "null");
    return call;
}

static struct cw_docstore_call *fake_get_attachment(struct cw_docstore *base, const char *db,
                                                    const char *id, const char *rev,
                                                    const char *name, size_t max_bytes,
                                                    cw_docstore_body_fn *fn, void *arg)
{
    struct cw_docstore_call *call = begin(base, arg);

    (void)db, (void)id, (void)rev, (void)max_bytes;
    call->body_fn = fn;
    call->err = &call->s->attachment_err;
    call->text = &call->s->attachment;
    call->s->attachment_gets++;
    (void)snprintf(call->s->last_attachment, sizeof(call->s->last_attachment), "%s", name);
    return call;
}

static struct cw_docstore_call *fake_bulk_put(struct cw_docstore *base, const char *db,
                                              const struct cw_slice *docs, size_t count,
                                              cw_docstore_bulk_fn *fn, void *arg)
{
    struct cw_docstore_call *call = begin(base, arg);

    (void)db;
    call->bulk_fn = fn;
    call->count = count;
    call->docs = cw_calloc(count, sizeof(*call->docs));
    for (size_t i = 0; i < count; i++)
        call->docs[i] = cw_slice_dup(docs[i]);
    call->s->bulks++;
    if (count > call->s->largest_batch)
        call->s->largest_batch = count;
    return call;
}

static struct cw_docstore_call *fake_view(struct cw_docstore *base, const char *db,
                                          const struct cw_view_query *q, cw_docstore_body_fn *fn,
                                          void *arg)
{
    struct cw_docstore_call *call = begin(base, arg);

    call->body_fn = fn;
    call->err = &call->s->view_err;
    call->text = &call->s->rows;
    call->s->views++;
    (void)snprintf(call->s->last_view, sizeof(call->s->last_view), "%s %s/%s%s%s%s", db, q->design,
                   q->view, q->descending ? " descending" : "", q->stale_ok ? " stale" : "",
                   q->limit ? " limit" : "");
    return call;
}

static struct cw_docstore_call *fake_check(struct cw_docstore *base, const char *db,
                                           cw_docstore_body_fn *fn, void *arg)
{
    static const char *const NOTHING = "{}";
    struct cw_docstore_call *call = begin(base, arg);
    size_t n = strlen(call->s->checked);

    call->body_fn = fn;
    call->err = &call->s->check_err;
    call->text = &NOTHING;
    call->s->checks++;
    (void)snprintf(call->s->checked + n, sizeof(call->s->checked) - n, "%s ", db);
    return call;
}

static void fake_cancel(struct cw_docstore *base, struct cw_docstore_call *call)
{
    (void)base;
    drop(call);
}

void fake_store_init(struct fake_store *s, struct cw_loop *loop)
{
    static const struct cw_docstore_ops OPS = {
        .name = "fake",
        .get = fake_get,
        .get_attachment = fake_get_attachment,
        .bulk_put = fake_bulk_put,
        .view = fake_view,
        .check = fake_check,
        .cancel = fake_cancel,
    };

    *s = (struct fake_store){.base = {.ops = &OPS}, .loop = loop};
    cw_list_init(&s->calls);
    cw_str_init(&s->stored, 64 << 20);
}

void fake_store_done(struct fake_store *s)
{
    struct cw_link *n;

    while ((n = cw_list_first(&s->calls)))
        drop(CW_LIST_ENTRY(n, struct cw_docstore_call, link));
    cw_str_done(&s->stored);
}

void fake_store_release(struct fake_store *s)
{
    s->hold = false;
    CW_LIST_EACH (&s->calls, n) {
        cw_defer_post(&CW_LIST_ENTRY(n, struct cw_docstore_call, link)->defer);
    }
}
