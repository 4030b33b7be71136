/* What GET /profile answers. What others have counted is read from kv first. */
#include <stdio.h>

#include "common/base/err.h"
#include "common/http/server.h"
#include "common/json/writer.h"
#include "invoker/admin.h"
#include "invoker/profiles_priv.h"

enum { PAGE_MAX_BYTES = 64 << 10, PARTS = 3, ASKS_MAX = 64, REFUSAL_MAX_BYTES = 512 };

struct profile_ask {
    struct cw_link link;
    struct inv_profiles *p;
    struct cw_kv_call *call;
    struct cw_http_exchange *ex;
    const char *why_unknown; /* static */
    char name[PROFILE_KEY_MAX + 1];
    char keys[PARTS][PROFILE_KEY_MAX + 1]; /* action, image, kind */
    size_t count;
};

/* ---- the answer ---- */

static void write_row(struct cw_json_writer *w, const char *of, const char *name, double runs,
                      uint64_t cpu_millis, uint64_t memory_bytes, const char *why)
{
    cw_json_object(w);
    cw_json_kv_string(w, "of", of);
    cw_json_kv_string(w, "name", name);
    cw_json_key(w, "runs");
    cw_json_int(w, (int64_t)(runs + 0.5));
    cw_json_kv_int(w, "cpuMillis", (int64_t)cpu_millis);
    cw_json_kv_int(w, "memoryBytes", (int64_t)memory_bytes);
    cw_json_kv_string(w, "why", why);
    cw_json_object_end(w);
}

static void write_declared(const struct inv_profiles *p, struct cw_json_writer *w, const char *name,
                           const struct profile_action *seen)
{
    struct inv_need_input in;

    profiles_declared(p, seen->memory_mb, &in);
    write_row(w, "limit", name, 0, in.share_millis, in.declared_bytes,
              in.limit_millis ? "declared; CPU: what its shares buy on a full host, under a quota"
                              : "declared; CPU: what its shares buy on a full host");
}

static void write_need(const struct inv_profiles *p, struct cw_json_writer *w, const char *of,
                       const char *name, const struct profile_entry *action, enum inv_trust trust)
{
    const struct profile_action *seen = action->action;
    struct inv_need need;
    char why[INV_NEED_WHY_MAX];

    profiles_infer(p, action, profiles_find(p, seen->image), profiles_find(p, seen->kind),
                   seen->memory_mb, trust, &need);
    inv_need_why(&need, why);
    write_row(w, of, name, (double)need.n_action, need.cpu_millis, need.memory_bytes, why);
}

static void write_evidence(const struct inv_profiles *p, struct cw_json_writer *w, const char *of,
                           const struct profile_entry *e, enum inv_trust trust)
{
    const double percentile =
        p->conf.model.percentile > 0 ? p->conf.model.percentile : INV_NEED_PERCENTILE;
    struct inv_hist cpu, memory;
    uint32_t epochs;
    char why[PROFILE_KEY_MAX + 96];
    const char *name;

    if (!e)
        return;
    name = strchr(strchr(e->key, ':') + 1, ':') + 1;
    epochs = profiles_observe(p, e, trust, &cpu, &memory);
    if (trust == INV_TRUST_TOLD && epochs == 0)
        return;
    if (epochs == 0)
        (void)snprintf(why, sizeof(why), "%s: no run was measured of late", name);
    else
        (void)snprintf(why, sizeof(why), "%s: p%.0f of %u epoch%s; means %.0f millicores, %.1f MiB",
                       name, percentile, epochs, epochs == 1 ? "" : "s", inv_hist_mean(&cpu),
                       inv_hist_mean(&memory));
    write_row(w, of, name, inv_hist_total(&memory), inv_hist_percentile(&cpu, percentile),
              inv_hist_percentile(&memory, percentile) << 20, why);
}

/* Does what is known of it rest on what containers told? */
static bool is_told(const struct inv_profiles *p, const struct profile_entry *e)
{
    struct inv_hist cpu, memory;

    return profiles_observe(p, e, INV_TRUST_TOLD, &cpu, &memory) > 0;
}

static void refuse_unknown(struct cw_http_exchange *ex, const char *why)
{
    char text[REFUSAL_MAX_BYTES];

    (void)snprintf(text, sizeof(text),
                   "nothing is known of this action: none of its runs was measured of late%s%s "
                   "Accepted: namespace/name, namespace/package/name",
                   why ? ". " : ".", why ? why : "");
    inv_admin_refuse(ex, 404, text);
}

static void answer(const struct inv_profiles *p, struct cw_http_exchange *ex, const char *name,
                   const char *why_unknown)
{
    char key[PROFILE_KEY_MAX + 16];
    const struct profile_entry *e;
    struct cw_json_writer w;
    cw_auto_str struct cw_str body;

    cw_str_init(&body, PAGE_MAX_BYTES);
    (void)snprintf(key, sizeof(key), "profile:action:%s", name);
    e = profiles_find(p, key);
    if (!e || (e->profile.count == 0 && !e->action)) {
        refuse_unknown(ex, why_unknown);
        return;
    }
    cw_json_begin(&w, &body);
    cw_json_object(&w);
    cw_json_kv_string(&w, "action", name);
    cw_json_key(&w, "profile");
    cw_json_array(&w);
    if (e->action) {
        write_declared(p, &w, name, e->action);
        write_need(p, &w, "need", name, e, INV_TRUST_ALL);
        if (is_told(p, e))
            write_need(p, &w, "charge", name, e, INV_TRUST_KERNEL);
    }
    write_evidence(p, &w, "action", e, INV_TRUST_KERNEL);
    write_evidence(p, &w, "told", e, INV_TRUST_TOLD);
    if (e->action) {
        write_evidence(p, &w, "image", profiles_find(p, e->action->image), INV_TRUST_KERNEL);
        write_evidence(p, &w, "kind", profiles_find(p, e->action->kind), INV_TRUST_KERNEL);
    }
    cw_json_array_end(&w);
    cw_json_object_end(&w);
    cw_http_answer(ex, 200, "application/json", cw_str_slice(&body));
}

/* ---- reading first ---- */

static void free_ask(struct profile_ask *a)
{
    cw_list_remove(&a->p->asks, &a->link);
    free(a);
}

void profiles_forget_asks(struct inv_profiles *p)
{
    CW_LIST_EACH (&p->asks, n) {
        struct profile_ask *a = CW_LIST_ENTRY(n, struct profile_ask, link);

        cw_kv_cancel(a->call);
        free_ask(a);
    }
}

static void on_read(void *arg, const struct cw_kv_hash *hashes, size_t count,
                    const struct cw_err *err)
{
    struct profile_ask *a = arg;

    for (size_t i = 0; !err && i < count; i++) {
        if (hashes[i].found)
            profiles_take(a->p, profiles_entry(a->p, a->keys[i]), &hashes[i]);
    }
    answer(a->p, a->ex, a->name, a->why_unknown);
    free_ask(a);
}

static void add_key(struct profile_ask *a, const char *key)
{
    (void)snprintf(a->keys[a->count++], sizeof(a->keys[0]), "%s", key);
}

static void read_first(struct inv_profiles *p, struct cw_http_exchange *ex, const char *name,
                       const char *why_unknown)
{
    struct profile_ask *a = cw_alloc(sizeof(*a));
    const struct profile_entry *known;
    const char *keys[PARTS];

    a->p = p;
    a->ex = ex;
    a->why_unknown = why_unknown;
    (void)snprintf(a->name, sizeof(a->name), "%s", name);
    (void)snprintf(a->keys[0], sizeof(a->keys[0]), "profile:action:%.*s",
                   (int)(PROFILE_KEY_MAX - sizeof("profile:action:")), name);
    a->count = 1;
    known = profiles_find(p, a->keys[0]);
    if (known && known->action) {
        add_key(a, known->action->image);
        add_key(a, known->action->kind);
    }
    for (size_t i = 0; i < a->count; i++)
        keys[i] = a->keys[i];
    cw_list_push_back(&p->asks, &a->link);
    cw_kv_get(p->conf.kv, keys, a->count, on_read, a, &a->call);
}

void inv_profiles_answer(struct inv_profiles *p, struct cw_http_exchange *ex, const char *name,
                         const char *why_unknown)
{
    if (p->conf.kv && cw_kv_up(p->conf.kv) && p->asks.count < ASKS_MAX)
        read_first(p, ex, name, why_unknown);
    else
        answer(p, ex, name, why_unknown);
}
