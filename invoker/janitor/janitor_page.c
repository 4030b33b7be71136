#include "common/base/err.h"
#include "common/base/str.h"
#include "common/http/server.h"
#include "common/json/writer.h"
#include "invoker/admin.h"
#include "invoker/janitor/janitor_priv.h"

enum { ASKS_MAX = 8, ANSWER_MAX_BYTES = 16 << 20, ROUND_MS = 100000 };

static void write_item(struct cw_json_writer *w, const struct inv_janitor_item *item)
{
    cw_json_object(w);
    cw_json_kv_string(w, "name", item->name);
    cw_json_kv_string(w, "id", item->id);
    cw_json_kv_string(w, "reason", inv_reason_name(item->reason));
    cw_json_kv_string(w, "state", item->state);
    cw_json_kv_string(w, "action", item->action);
    if (item->age_ms >= 0)
        cw_json_kv_int(w, "ageMs", item->age_ms);
    cw_json_kv_int(w, "memoryBytes", (int64_t)item->memory_bytes);
    cw_json_kv_string(w, "result", item->result[0] ? item->result : "under way");
    cw_json_object_end(w);
}

static void write_round(const struct inv_janitor *j, struct cw_str *body)
{
    struct cw_json_writer w;
    uint64_t freed = 0;

    cw_json_begin(&w, body);
    cw_json_object(&w);
    cw_json_kv_bool(&w, "dryRun", j->dry_run);
    cw_json_kv_int(&w, "seen", (int64_t)j->seen);
    cw_json_key(&w, "containers");
    cw_json_array(&w);
    for (size_t i = 0; i < j->item_count; i++) {
        write_item(&w, &j->items[i]);
        freed += j->items[i].memory_bytes;
    }
    cw_json_array_end(&w);
    cw_json_kv_int(&w, "freedBytes", (int64_t)freed);
    cw_json_object_end(&w);
}

void inv_janitor_answer_ask(struct inv_janitor *j, struct inv_janitor_ask *ask,
                            const struct cw_err *err)
{
    cw_auto_str struct cw_str body;

    cw_str_init(&body, ANSWER_MAX_BYTES);
    if (!ask)
        return;
    if (err) {
        inv_admin_refuse(ask->ex, 503, err->msg);
    } else {
        write_round(j, &body);
        cw_http_answer(ask->ex, 200, "application/json", cw_str_slice(&body));
    }
    free(ask);
}

struct inv_janitor_ask *inv_janitor_next_ask(struct inv_janitor *j)
{
    struct cw_link *n = cw_list_pop_front(&j->asks);

    return n ? CW_LIST_ENTRY(n, struct inv_janitor_ask, link) : NULL;
}

void inv_janitor_answer(void *janitor, struct cw_http_exchange *ex)
{
    struct inv_janitor *j = janitor;
    struct inv_janitor_ask *ask;
    char ignored[8];

    if (j->begun || !j->last_us) {
        inv_admin_refuse(ex, 503, "the invoker is starting or stopping: it has not looked yet");
        return;
    }
    if (j->asks.count == ASKS_MAX) {
        inv_admin_refuse(ex, 503, "others are waiting for their clean-up: try again");
        return;
    }
    ask = cw_alloc(sizeof(*ask));
    ask->ex = ex;
    ask->dry_run = strcmp(cw_http_method(ex), "POST") != 0 ||
                   cw_http_query(ex, "dry-run", ignored, sizeof(ignored));
    if (j->round)
        cw_list_push_back(&j->asks, &ask->link);
    else
        inv_janitor_round(j, ask, ROUND_MS);
}
