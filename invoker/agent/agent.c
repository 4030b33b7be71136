/* A scan marks what it finds; what was known and is not marked has ended. */
#include "invoker/agent/agent.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/boot.h"
#include "common/base/err.h"
#include "common/base/map.h"
#include "common/http/server.h"
#include "common/kv/kv.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/agent/agent_settings.h"
#include "invoker/agent/scan.h"
#include "invoker/monitor/monitor.h"

#define COMPONENT "Agent"

enum {
    TELL_MS = 1000,
    EXPIRE_MS = 5000,
    MAX_CONTAINERS = 4096,
    METRICS_MAX_BYTES = 4 << 20,
    KEY_MAX_BYTES = 256,
    FIELDS = 12,
    NUMBER_LEN = 24,
};

struct known {
    struct cw_map_node node; /* key: id */
    char id[INV_SCAN_ID_LEN + 1];
    unsigned scan;               /* the last that has seen it */
    struct inv_watched *watched; /* NULL: of another name, or one too many */
};

struct inv_agent {
    const struct inv_agent_settings *s;
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    struct cw_gauge *containers;
    struct cw_counter *scans;
    struct inv_monitor *monitor;
    struct cw_http_server *server;
    struct cw_kv *kv; /* NULL: none */
    struct cw_kv_watch kv_watch;
    struct cw_map known;
    struct cw_timer scan_timer, tell_timer;
    unsigned scan;
    size_t watched;
    uint64_t boot, told;         /* which together differ from telling to telling */
    bool unseen, full, nameless; /* said */
};

/* ---- containers ---- */

static bool is_wanted(const struct inv_agent *a, const char *name)
{
    return strncmp(name, a->s->name_prefix, strlen(a->s->name_prefix)) == 0;
}

/* Who asks for a prefix would otherwise see nothing, and not know why. */
static void tell_nameless(struct inv_agent *a, const char *id)
{
    if (a->nameless)
        return;
    a->nameless = true;
    cw_log(CW_LOG_WARN, NULL, COMPONENT,
           "cwhisk.agent.containers-dir %s: the name of container %.12s cannot be read there (nor "
           "those of others, perhaps), so it does not begin with cwhisk.agent.name-prefix \"%s\" "
           "and is not watched",
           a->s->containers_dir, id, a->s->name_prefix);
}

static void begin_to_watch(struct inv_agent *a, struct known *k)
{
    struct inv_scan_facts facts;

    if (a->watched >= MAX_CONTAINERS) {
        if (!a->full)
            cw_log(CW_LOG_WARN, NULL, COMPONENT,
                   "more than %d containers: further ones are not watched", MAX_CONTAINERS);
        a->full = true;
        return;
    }
    inv_scan_facts(a->s->containers_dir, k->id, &facts);
    if (!is_wanted(a, facts.name)) {
        if (!facts.named)
            tell_nameless(a, k->id);
        return;
    }
    k->watched = inv_monitor_watch(a->monitor, k->id, facts.name, facts.memory_bytes);
    a->watched++;
}

static void on_found(void *arg, const char *id, bool paused)
{
    struct inv_agent *a = arg;
    struct cw_map_node *node = cw_map_get(&a->known, cw_slice_of(id));
    struct known *k;

    if (!node) {
        k = cw_alloc(sizeof(*k));
        (void)snprintf(k->id, sizeof(k->id), "%s", id);
        cw_map_put(&a->known, &k->node, cw_slice_of(k->id));
        begin_to_watch(a, k);
    } else {
        k = CW_CONTAINER_OF(node, struct known, node);
    }
    k->scan = a->scan;
    if (k->watched)
        inv_monitor_state(k->watched, paused ? "paused" : "running", false); /* still looked at */
}

static void forget(struct inv_agent *a, struct known *k)
{
    cw_map_remove(&a->known, &k->node);
    a->watched -= k->watched != NULL;
    inv_monitor_forget(k->watched);
    free(k);
}

static void forget_if_gone(void *arg, struct cw_map_node *node)
{
    struct inv_agent *a = arg;
    struct known *k = CW_CONTAINER_OF(node, struct known, node);

    if (k->scan != a->scan)
        forget(a, k);
}

static void on_scan(void *arg)
{
    struct inv_agent *a = arg;
    bool seen;

    a->scan++;
    seen = inv_scan_groups(a->s->cgroup_root, on_found, a);
    if (!seen && !a->unseen)
        cw_log(CW_LOG_ERROR, NULL, COMPONENT,
               "cwhisk.cgroup-root %s: there are no control groups to be seen", a->s->cgroup_root);
    a->unseen = !seen;
    cw_map_each(&a->known, forget_if_gone, a);
    cw_counter_add(a->scans, 1);
    cw_gauge_set(a->containers, (double)a->watched);
    cw_timer_set_ms(&a->scan_timer, a->s->scan_ms);
}

/* ---- what is told through kv ---- */

struct telling {
    struct cw_kv_field fields[FIELDS];
    char text[FIELDS][NUMBER_LEN];
    size_t count;
};

static void tell_number(struct telling *t, const char *name, uint64_t value)
{
    size_t n = (size_t)snprintf(t->text[t->count], NUMBER_LEN, "%" PRIu64, value);

    t->fields[t->count] = (struct cw_kv_field){cw_slice_of(name), cw_slice(t->text[t->count], n)};
    t->count++;
}

static void on_told(void *arg, const struct cw_err *err)
{
    (void)arg;
    if (err)
        cw_log(CW_LOG_DEBUG, NULL, COMPONENT, "%s", err->msg); /* the watch tells when it is down */
}

static void on_tell(void *arg)
{
    struct inv_agent *a = arg;
    const struct inv_host_usage *host = inv_monitor_host(a->monitor);
    struct telling t = {.count = 0};
    char key[KEY_MAX_BYTES];

    tell_number(&t, "v", 1);
    tell_number(&t, "boot", a->boot);
    tell_number(&t, "seq", ++a->told);
    tell_number(&t, "cores", host->now.cores);
    tell_number(&t, "cpu_millis", host->cpu_millis);
    tell_number(&t, "memory_total", host->now.memory_total_bytes);
    tell_number(&t, "memory_available", host->now.memory_available_bytes);
    tell_number(&t, "containers", a->watched);
    if (host->now.have & CW_HOST_PRESSURE_CPU)
        tell_number(&t, "pressure_cpu", host->now.cpu.some_avg10);
    if (host->now.have & CW_HOST_PRESSURE_MEMORY)
        tell_number(&t, "pressure_memory", host->now.memory.some_avg10);
    if (host->now.have & CW_HOST_PRESSURE_IO)
        tell_number(&t, "pressure_io", host->now.io.some_avg10);
    (void)snprintf(key, sizeof(key), "agent:%s", a->s->name);
    cw_kv_put(a->kv,
              &(struct cw_kv_put){.key = key,
                                  .index = "agents",
                                  .fields = t.fields,
                                  .count = t.count,
                                  .expire_ms = EXPIRE_MS},
              on_told, a, NULL);
    cw_timer_set_ms(&a->tell_timer, TELL_MS);
}

static void on_kv(void *arg, bool up, const char *why)
{
    (void)arg;
    if (up)
        cw_log(CW_LOG_INFO, NULL, COMPONENT, "Redis answers");
    else
        cw_log(CW_LOG_WARN, NULL, COMPONENT, "the host's state is not told: %s", why);
}

static int make_kv(struct inv_agent *a, struct cw_err *err)
{
    const struct inv_agent_settings *s = a->s;

    if (inv_redis_open(a->loop, &s->redis, s->cluster, a->boot, &a->kv, err) != 0)
        return -1;
    if (!a->kv)
        return 0;
    cw_kv_watch(a->kv, &a->kv_watch, on_kv, a);
    cw_timer_set_ms(&a->tell_timer, TELL_MS);
    return 0;
}

/* ---- HTTP ---- */

static void answer_metrics(struct inv_agent *a, struct cw_http_exchange *ex)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, METRICS_MAX_BYTES);
    inv_monitor_refresh(a->monitor);
    cw_metrics_render(a->metrics, &text);
    cw_http_answer(ex, 200, "text/plain; version=0.0.4; charset=UTF-8", cw_str_slice(&text));
}

static void answer_containers(struct inv_agent *a, struct cw_http_exchange *ex)
{
    if (*a->s->user && !cw_http_basic_auth_ok(ex, a->s->user, a->s->password)) {
        cw_http_add_header(ex, "WWW-Authenticate", "Basic realm=\"cwhisk agent\"");
        cw_http_answer(ex, 401, NULL, CW_SLICE("Credentials are missing or wrong.\n"));
        return;
    }
    inv_monitor_answer(a->monitor, ex);
}

static void answer_ping(struct inv_agent *a, struct cw_http_exchange *ex)
{
    (void)a;
    cw_http_answer(ex, 200, NULL, CW_SLICE("pong"));
}

static void on_request(void *arg, struct cw_http_exchange *ex)
{
    static const struct {
        const char *path;
        void (*answer)(struct inv_agent *a, struct cw_http_exchange *ex);
    } ROUTES[] = {
        {"/metrics", answer_metrics}, {"/containers", answer_containers}, {"/ping", answer_ping}};

    for (size_t i = 0; i < CW_ARRAY_LEN(ROUTES); i++) {
        if (strcmp(cw_http_path(ex), ROUTES[i].path) != 0)
            continue;
        if (strcmp(cw_http_method(ex), "GET") == 0) {
            ROUTES[i].answer(arg, ex);
            return;
        }
        cw_http_add_header(ex, "Allow", "GET");
        cw_http_answer(ex, 405, NULL, CW_SLICE("GET only.\n"));
        return;
    }
    cw_http_answer(ex, 404, NULL, CW_SLICE("There are /metrics, /containers and /ping.\n"));
}

/* ---- life ---- */

static int make_server(struct inv_agent *a, struct cw_err *err)
{
    a->server = cw_http_server_new(
        a->loop,
        &(struct cw_http_server_conf){.address = a->s->address, .port = (uint16_t)a->s->port},
        on_request, a, err);
    return a->server ? 0 : -1;
}

struct inv_agent *inv_agent_new(struct cw_loop *loop, const struct inv_agent_settings *s,
                                struct cw_err *err)
{
    struct inv_agent *a = cw_alloc(sizeof(*a));

    a->loop = loop;
    a->s = s;
    cw_map_init(&a->known);
    cw_timer_init(&a->scan_timer, loop, on_scan, a);
    cw_timer_init(&a->tell_timer, loop, on_tell, a);
    a->boot = cw_boot_draw();
    a->metrics = cw_metrics_new();
    a->containers = cw_metrics_gauge(a->metrics, "cwhisk_agent_containers", NULL,
                                     "Containers that the agent watches.");
    a->scans = cw_metrics_counter(a->metrics, "cwhisk_agent_scans_total", NULL,
                                  "Looks for new containers.");
    a->monitor = inv_monitor_new(&(struct inv_monitor_conf){.loop = loop,
                                                            .metrics = a->metrics,
                                                            .cgroup_root = s->cgroup_root,
                                                            .proc = "/proc",
                                                            .interval_ms = s->interval_ms,
                                                            .kind_otherwise = "unknown"});
    if (make_server(a, err) != 0 || make_kv(a, err) != 0) {
        inv_agent_free(a);
        return NULL;
    }
    cw_timer_set_ms(&a->scan_timer, 0);
    cw_log(CW_LOG_INFO, NULL, COMPONENT, "agent %s watches the containers below %s, port %u",
           s->name, s->cgroup_root, (unsigned)inv_agent_port(a));
    return a;
}

static void forget_one(void *arg, struct cw_map_node *node)
{
    forget(arg, CW_CONTAINER_OF(node, struct known, node));
}

void inv_agent_free(struct inv_agent *a)
{
    if (!a)
        return;
    cw_http_server_free(a->server);
    if (a->kv)
        cw_kv_unwatch(&a->kv_watch);
    cw_kv_free(a->kv);
    cw_map_each(&a->known, forget_one, a);
    cw_map_done(&a->known);
    cw_timer_done(&a->scan_timer);
    cw_timer_done(&a->tell_timer);
    inv_monitor_free(a->monitor);
    cw_metrics_free(a->metrics);
    free(a);
}

uint16_t inv_agent_port(const struct inv_agent *a)
{
    return cw_http_server_port(a->server);
}
