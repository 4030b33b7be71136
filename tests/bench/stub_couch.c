#include "tests/bench/stub_couch.h"

#include "common/base/err.h"
#include "common/json/raw.h"
#include "common/json/writer.h"

#define REVISION "1-00000000000000000000000000000001"

static void refuse(struct stub_reply *reply, int status, const char *error)
{
    reply->status = status;
    cw_str_addf(&reply->body, "{\"error\":\"%s\",\"reason\":\"the benchmark's CouchDB\"}", error);
}

static struct cw_slice exec_of(struct cw_slice name)
{
    static const char SUFFIX[] = "-python";
    size_t n = sizeof(SUFFIX) - 1;

    if (name.n > n && memcmp(name.p + name.n - n, SUFFIX, n) == 0)
        return CW_SLICE("{\"kind\":\"python:3.11\",\"binary\":false,"
                        "\"code\":\"def main(args):\\n    print('one line of the action')\\n"
                        "    return {'ok': True}\\n\"}");
    return CW_SLICE("{\"kind\":\"nodejs:20\",\"binary\":false,"
                    "\"code\":\"function main(args) { console.log('one line of the action'); "
                    "return {ok: true} }\"}");
}

static void write_action(struct cw_slice space, struct cw_slice name, struct cw_str *out)
{
    struct cw_json_writer w;
    cw_auto_str struct cw_str id;

    cw_str_init(&id, 4096);
    cw_str_adds(&id, space);
    cw_str_addc(&id, '/');
    cw_str_adds(&id, name);
    cw_json_begin(&w, out);
    cw_json_object(&w);
    cw_json_key(&w, "_id");
    cw_json_string_slice(&w, cw_str_slice(&id));
    cw_json_kv_string(&w, "_rev", REVISION);
    cw_json_key(&w, "namespace");
    cw_json_string_slice(&w, space);
    cw_json_key(&w, "name");
    cw_json_string_slice(&w, name);
    cw_json_kv_raw(&w, "exec", exec_of(name));
    cw_json_kv_raw(&w, "limits",
                   CW_SLICE("{\"timeout\":60000,\"memory\":256,\"logs\":10,\"concurrency\":1}"));
    cw_json_kv_raw(&w, "annotations",
                   CW_SLICE("[{\"key\":\"provide-api-key\",\"value\":false},"
                            "{\"key\":\"exec\",\"value\":\"nodejs:20\"}]"));
    cw_json_kv_raw(&w, "parameters", CW_SLICE("[]"));
    cw_json_kv_string(&w, "entityType", "action");
    cw_json_kv_string(&w, "version", "0.0.1");
    cw_json_kv_bool(&w, "publish", false);
    cw_json_kv_int(&w, "updated", 1700000000000);
    cw_json_object_end(&w);
}

static void do_read(struct stub_couch *c, struct cw_slice id, struct stub_reply *reply)
{
    const char *sep = memmem(id.p, id.n, "%2F", 3);
    size_t n = sep ? (size_t)(sep - id.p) : 0;

    c->reads++;
    if (!sep || memchr(sep + 3, '%', id.n - n - 3)) {
        refuse(reply, 404, "not_found");
        return;
    }
    write_action(cw_slice(id.p, n), cw_slice(sep + 3, id.n - n - 3), &reply->body);
}

static int write_rows(struct stub_couch *c, struct cw_slice docs, struct cw_str *out)
{
    struct cw_raw_iter it = cw_raw_iter(docs);
    struct cw_slice doc, id;
    struct cw_json_writer w;

    cw_json_begin(&w, out);
    cw_json_array(&w);
    while (cw_raw_next_element(&it, &doc)) {
        if (!cw_raw_get(doc, "_id", &id))
            return -1;
        c->records++;
        cw_json_object(&w);
        cw_json_kv_bool(&w, "ok", true);
        cw_json_kv_raw(&w, "id", id);
        cw_json_kv_string(&w, "rev", REVISION);
        cw_json_object_end(&w);
    }
    cw_json_array_end(&w);
    return 0;
}

static void do_bulk(struct stub_couch *c, struct cw_slice body, struct stub_reply *reply)
{
    struct cw_slice doc, docs;

    c->batches++;
    if (cw_raw_check(body, CW_RAW_MAX_DEPTH, &doc, NULL) != 0 || !cw_raw_get(doc, "docs", &docs) ||
        cw_raw_type(docs) != CW_RAW_ARRAY || write_rows(c, docs, &reply->body) != 0) {
        cw_str_reset(&reply->body);
        refuse(reply, 400, "bad_request");
        return;
    }
    reply->status = 201;
}

void stub_couch_handle(void *arg, const struct stub_request *req, struct stub_reply *reply)
{
    struct stub_couch *c = arg;
    struct cw_slice target = req->target;
    const char *slash = target.n ? memchr(target.p + 1, '/', target.n - 1) : NULL;
    struct cw_slice id =
        slash ? cw_slice(slash + 1, target.n - (size_t)(slash + 1 - target.p)) : cw_slice(NULL, 0);

    if (cw_slice_is(req->method, "GET") && id.n)
        do_read(c, id, reply);
    else if (cw_slice_is(req->method, "POST") && cw_slice_is(id, "_bulk_docs"))
        do_bulk(c, req->body, reply);
    else
        refuse(reply, 404, "not_found");
}
