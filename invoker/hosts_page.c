/* GET /hosts. */
#include "common/http/server.h"
#include "common/json/writer.h"
#include "common/kv/kv.h"
#include "common/loop/loop.h"
#include "invoker/hosts_priv.h"

enum { PAGE_MAX_BYTES = 16 << 20 };

static const char *state_of(const struct inv_host_view *v)
{
    if (v->dead)
        return "dead";
    if (v->draining)
        return "draining";
    if (v->alone)
        return "alone";
    return v->unheard ? "new" : "up";
}

static void write_host(struct cw_json_writer *w, const struct inv_host_view *v)
{
    static const char *const SETS[] = {"any", "managed", "blackbox"};

    cw_json_object(w);
    cw_json_kv_int(w, "invoker", (int64_t)v->id);
    cw_json_kv_string(w, "state", state_of(v));
    cw_json_kv_bool(w, "self", v->self);
    cw_json_kv_string(w, "set", SETS[v->set]);
    cw_json_kv_int(w, "cores", (v->cpu_total_millis + 999) / 1000);
    cw_json_kv_int(w, "cpuTotal", v->cpu_total_millis);
    cw_json_kv_int(w, "cpuUsed", v->cpu_used_millis);
    cw_json_kv_int(w, "cpuReserved", v->cpu_reserved_millis);
    cw_json_kv_int(w, "memoryTotal", v->memory_total_bytes);
    cw_json_kv_int(w, "memoryUsed", v->memory_used_bytes);
    cw_json_kv_int(w, "memoryReserved", v->memory_reserved_bytes);
    cw_json_kv_int(w, "memoryIdle", v->memory_idle_bytes);
    cw_json_kv_int(w, "running", v->running);
    cw_json_kv_int(w, "starting", v->starting);
    cw_json_kv_int(w, "idle", v->idle);
    cw_json_kv_int(w, "queued", v->queued);
    cw_json_kv_int(w, "lag", (int64_t)v->lag);
    cw_json_kv_int(w, "meanRunUs", v->mean_run_us);
}

void inv_hosts_render(struct inv_hosts *h, struct cw_str *out)
{
    struct peers *peers = hosts_peers(h);
    const struct cw_kv *kv = hosts_kv(h);
    size_t max = peers->known.count + 1, n;
    struct inv_host_view *views = cw_calloc(max, sizeof(*views));
    struct cw_json_writer w;

    n = inv_hosts_view(h, 0, views, max);
    cw_json_begin(&w, out);
    cw_json_object(&w);
    cw_json_key(&w, "hosts");
    cw_json_array(&w);
    for (size_t i = 0; i < n; i++) {
        const struct peer *p = i ? peers_find(peers, views[i].id) : NULL;

        write_host(&w, &views[i]);
        if (p) {
            cw_json_kv_int(&w, "ageMs", hosts_age_us(h, p) / 1000);
            cw_json_kv_int(&w, "warmPairs", (int64_t)p->warm_count);
            cw_json_kv_string(&w, "topic", p->state.topic);
        }
        cw_json_object_end(&w);
    }
    cw_json_array_end(&w);
    cw_json_kv_int(&w, "members", (int64_t)peers->member_count + 1);
    cw_json_kv_string(&w, "kv", kv ? cw_kv_name(kv) : "none");
    cw_json_kv_bool(&w, "up", kv && cw_kv_up(kv));
    cw_json_object_end(&w);
    free(views);
}

void inv_hosts_answer(void *h, struct cw_http_exchange *ex)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, PAGE_MAX_BYTES);
    inv_hosts_render(h, &text);
    cw_http_answer(ex, 200, "application/json", cw_str_slice(&text));
}
