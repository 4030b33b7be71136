#include "invoker/admin.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <openssl/rand.h>

#include "common/base/str.h"
#include "common/http/server.h"
#include "common/json/writer.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "common/obs/token.h"
#include "invoker/trace.h"

enum {
    NEW_ID_LEN = 32,
    MAX_ID_LEN = 256,
    METRICS_MAX_BYTES = 16 << 20,
    TRACE_MAX_BYTES = 32 << 20,
    RESIZE_MAX_BYTES = 8 << 20,
    MAX_BODY = 16 << 10, /* no route wants one */
};

struct inv_admin {
    struct inv_admin_conf conf;
    struct cw_http_server *server;
    struct inv_admin_route *added;
    size_t added_count;
};

struct request {
    struct cw_http_exchange *ex;
    char id[MAX_ID_LEN + 1];
};

/* ---- transaction ids ---- */

/* 32 of A-Z a-z 0-9, as stock makes them. */
static void make_id(char id[NEW_ID_LEN + 1])
{
    static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    unsigned char random[NEW_ID_LEN];

    if (RAND_bytes(random, sizeof(random)) != 1)
        memset(random, 0, sizeof(random));
    for (int i = 0; i < NEW_ID_LEN; i++)
        id[i] = ALPHABET[random[i] % (sizeof(ALPHABET) - 1)];
    id[NEW_ID_LEN] = '\0';
}

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7e)
            return false;
    return true;
}

/* The caller's unless it pretends to be the system's, else a new one. Stock echoes anything. */
static void choose_id(const struct inv_admin *a, struct request *r)
{
    const char *given = cw_http_header(r->ex, a->conf.id_header);
    size_t n = given ? strlen(given) : 0;

    if (n == 0 || n > MAX_ID_LEN || strncmp(given, "sid_", 4) == 0 || !is_printable(given))
        make_id(r->id);
    else
        memcpy(r->id, given, n + 1);
}

/* ---- answers ---- */

/* Stock prints its own errors prettily and those of its HTTP library compactly. */
static void answer_error(struct request *r, int status, bool pretty, const char *text)
{
    cw_auto_str struct cw_str body;
    struct cw_json_writer w;

    cw_str_init(&body, 4096);
    cw_str_addz(&body, pretty ? "{\n  \"error\": " : "{\"error\":");
    cw_json_begin(&w, &body);
    cw_json_string(&w, text);
    cw_str_addz(&body, pretty ? ",\n  \"code\": " : ",\"code\":");
    cw_json_begin(&w, &body);
    cw_json_string(&w, r->id);
    cw_str_addz(&body, pretty ? "\n}" : "}");
    cw_http_answer(r->ex, status, "application/json", cw_str_slice(&body));
}

static void answer_ping(struct inv_admin *a, struct request *r)
{
    (void)a;
    cw_http_answer(r->ex, 200, NULL, CW_SLICE("pong"));
}

static void answer_live(struct inv_admin *a, struct request *r)
{
    (void)a;
    cw_http_answer(r->ex, 200, NULL, CW_SLICE("live"));
}

static void answer_ready(struct inv_admin *a, struct request *r)
{
    const char *missing = a->conf.missing ? a->conf.missing(a->conf.arg) : NULL;
    char text[512];

    if (a->conf.ready(a->conf.arg) && !missing) {
        cw_http_answer(r->ex, 200, NULL, CW_SLICE("ready"));
        return;
    }
    if (missing)
        (void)snprintf(text, sizeof(text), "not ready: database %s has not answered", missing);
    else
        (void)snprintf(text, sizeof(text), "not ready");
    cw_http_answer(r->ex, 503, NULL, cw_slice_of(text));
}

static void answer_metrics(struct inv_admin *a, struct request *r)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, METRICS_MAX_BYTES);
    a->conf.refresh(a->conf.arg);
    cw_metrics_render(a->conf.metrics, &text);
    cw_http_answer(r->ex, 200, "text/plain; version=0.0.4; charset=UTF-8", cw_str_slice(&text));
}

static void answer_switch(struct inv_admin *a, struct request *r, bool enabled)
{
    char text[1024];
    bool changed;

    if (!a->conf.ready(a->conf.arg)) {
        answer_error(r, 503, true, "The invoker is starting or stopping.");
        return;
    }
    changed = a->conf.enable(a->conf.arg, enabled);
    (void)snprintf(text, sizeof(text), "%s is %s %s.", a->conf.printed_id,
                   changed ? "now" : "already", enabled ? "enabled" : "disabled");
    cw_http_answer(r->ex, 200, NULL, cw_slice_of(text));
}

static void answer_enable(struct inv_admin *a, struct request *r)
{
    answer_switch(a, r, true);
}

static void answer_disable(struct inv_admin *a, struct request *r)
{
    answer_switch(a, r, false);
}

static void answer_is_enabled(struct inv_admin *a, struct request *r)
{
    cw_http_answer(r->ex, 200, NULL, /* stock says text/plain of this JSON, too */
                   a->conf.enabled(a->conf.arg) ? CW_SLICE("{\"enabled\":true}")
                                                : CW_SLICE("{\"enabled\":false}"));
}

static void answer_trace(struct inv_admin *a, struct request *r)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, TRACE_MAX_BYTES);
    inv_trace_render(a->conf.trace, &text);
    cw_http_answer(r->ex, 200, "text/csv; charset=UTF-8", cw_str_slice(&text));
}

static void answer_resize(struct inv_admin *a, struct request *r)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, RESIZE_MAX_BYTES);
    a->conf.resize(a->conf.arg, &text);
    cw_http_answer(r->ex, 200, "application/json", cw_str_slice(&text));
}

/* ---- routes ---- */

static const struct route {
    const char *path, *method;
    bool open; /* without credentials */
    void (*answer)(struct inv_admin *a, struct request *r);
} ROUTES[] = {
    {"/ping", "GET", true, answer_ping},
    {"/metrics", "GET", true, answer_metrics},
    {"/live", "GET", true, answer_live},
    {"/ready", "GET", true, answer_ready},
    {"/enable", "POST", false, answer_enable},
    {"/disable", "POST", false, answer_disable},
    {"/isEnabled", "GET", false, answer_is_enabled},
    {"/trace", "GET", false, answer_trace},
    {"/resize", "GET", false, answer_resize},
};

static bool serves(const struct inv_admin *a, const struct route *route)
{
    return (route->answer != answer_metrics || a->conf.metrics) &&
           (route->answer != answer_trace || a->conf.trace) &&
           (route->answer != answer_resize || a->conf.resize);
}

static const struct route *find_route(const struct inv_admin *a, const char *path)
{
    for (size_t i = 0; i < CW_ARRAY_LEN(ROUTES); i++)
        if (strcmp(ROUTES[i].path, path) == 0)
            return serves(a, &ROUTES[i]) ? &ROUTES[i] : NULL;
    return NULL;
}

static void refuse_method(struct request *r, const char *method)
{
    char text[80];

    (void)snprintf(text, sizeof(text), "HTTP method not allowed, supported methods: %s", method);
    cw_http_add_header(r->ex, "Allow", method);
    answer_error(r, 405, false, text);
}

/* Pages of other parts. */
static void handle_added(struct inv_admin *a, struct request *r)
{
    const struct inv_admin_route *same_path = NULL;

    for (size_t i = 0; i < a->added_count; i++) {
        const struct inv_admin_route *route = &a->added[i];

        if (strcmp(route->path, cw_http_path(r->ex)) != 0)
            continue;
        if (strcmp(route->method, cw_http_method(r->ex)) == 0) {
            route->answer(route->arg, r->ex);
            return;
        }
        same_path = route;
    }
    if (same_path)
        refuse_method(r, same_path->method);
    else
        answer_error(r, 404, false, "The requested resource could not be found.");
}

static void handle(void *arg, struct cw_http_exchange *ex)
{
    struct inv_admin *a = arg;
    struct request r = {.ex = ex};
    const struct route *route = find_route(a, cw_http_path(ex));
    bool method_fits = route && strcmp(route->method, cw_http_method(ex)) == 0;

    choose_id(a, &r);
    cw_http_add_header(ex, a->conf.id_header, r.id);
    if (method_fits && route->open) {
        route->answer(a, &r);
    } else if (!cw_http_basic_auth_ok(ex, a->conf.user, a->conf.password)) {
        /* Stock leaves this header out, which HTTP does not allow. */
        cw_http_add_header(ex, "WWW-Authenticate", "Basic realm=\"OpenWhisk secure realm\"");
        answer_error(&r, 401, true,
                     "Authentication is possible but has failed or not yet been provided.");
    } else if (method_fits) {
        route->answer(a, &r);
    } else if (route) {
        refuse_method(&r, route->method);
    } else {
        handle_added(a, &r);
    }
}

/* Stock's http_<method>.<status>: a counter and a histogram. */
static void on_answered(void *arg, const char *method, int status, int64_t elapsed_us)
{
    struct inv_admin *a = arg;
    char action[16] = "", code[12], label[40];
    const struct cw_token token = {
        .component = "http", .action = action, .sub = code, .state = "counter", .labels = label};

    if (!a->conf.metrics)
        return;
    for (size_t i = 0; i < sizeof(action) - 1 && method[i]; i++)
        action[i] = (char)tolower((unsigned char)method[i]);
    (void)snprintf(code, sizeof(code), "%d", status);
    (void)snprintf(label, sizeof(label), "statusCode=\"%s\"", code);
    cw_counter_add(cw_token_counter(a->conf.metrics, &token, "Answered HTTP requests."), 1);
    cw_histogram_observe(cw_token_histogram(a->conf.metrics, &token, "Duration of HTTP requests."),
                         (double)elapsed_us / 1e6);
}

static void on_full(void *arg, size_t connections)
{
    (void)arg;
    cw_log(CW_LOG_WARN, NULL, "Admin",
           "%zu connections are open: further ones wait until one of them ends", connections);
}

struct inv_admin *inv_admin_new(const struct inv_admin_conf *conf, struct cw_err *err)
{
    struct inv_admin *a = cw_alloc(sizeof(*a));

    a->conf = *conf;
    a->server = cw_http_server_new(conf->loop,
                                   &(struct cw_http_server_conf){.address = conf->address,
                                                                 .port = conf->port,
                                                                 .tls = conf->tls,
                                                                 .max_body = MAX_BODY,
                                                                 .on_full = on_full,
                                                                 .on_answered = on_answered},
                                   handle, a, err);
    if (!a->server) {
        free(a);
        return NULL;
    }
    return a;
}

void inv_admin_free(struct inv_admin *a)
{
    if (!a)
        return;
    cw_http_server_free(a->server);
    free(a->added);
    free(a);
}

void inv_admin_add(struct inv_admin *a, const struct inv_admin_route *route)
{
    a->added = cw_realloc(a->added, (a->added_count + 1) * sizeof(*a->added));
    a->added[a->added_count++] = *route;
}

void inv_admin_refuse(struct cw_http_exchange *ex, int status, const char *text)
{
    cw_auto_str struct cw_str body;
    struct cw_json_writer w;

    cw_str_init(&body, 4096);
    cw_json_begin(&w, &body);
    cw_json_object(&w);
    cw_json_kv_string(&w, "error", text);
    cw_json_object_end(&w);
    cw_http_answer(ex, status, "application/json", cw_str_slice(&body));
}

uint16_t inv_admin_port(const struct inv_admin *a)
{
    return cw_http_server_port(a->server);
}
