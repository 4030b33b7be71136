#include "invoker/admin.h"

#include <ctype.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "common/base/str.h"
#include "common/http/server.h"
#include "common/json/writer.h"
#include "common/obs/token.h"

enum { TX_ID_LEN = 32, METRICS_MAX_BYTES = 16 << 20 };

struct inv_admin {
    struct inv_admin_conf conf;
    struct cw_http_server *server;
};

/* 32 of A-Z a-z 0-9, as stock makes them. */
static void make_tx_id(char id[TX_ID_LEN + 1])
{
    static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    unsigned char random[TX_ID_LEN];

    if (RAND_bytes(random, sizeof(random)) != 1)
        memset(random, 0, sizeof(random));
    for (int i = 0; i < TX_ID_LEN; i++)
        id[i] = ALPHABET[random[i] % (sizeof(ALPHABET) - 1)];
    id[TX_ID_LEN] = '\0';
}

/* The caller's X-Request-ID if it is a plain word, else a new one. */
static void choose_tx_id(const struct cw_http_exchange *ex, char id[TX_ID_LEN + 1])
{
    const char *given = cw_http_header(ex, "X-Request-ID");
    size_t n = given ? strlen(given) : 0;

    if (n == 0 || n > TX_ID_LEN || strncmp(given, "sid_", 4) == 0 ||
        strspn(given, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != n)
        make_tx_id(id);
    else
        memcpy(id, given, n + 1);
}

static void answer_error(struct cw_http_exchange *ex, int status, const char *tx_id,
                         const char *text)
{
    cw_auto_str struct cw_str body;
    struct cw_json_writer w;

    cw_str_init(&body, 4096);
    cw_json_begin(&w, &body);
    cw_json_object(&w);
    cw_json_kv_string(&w, "error", text);
    cw_json_kv_string(&w, "code", tx_id);
    cw_json_object_end(&w);
    cw_http_answer(ex, status, "application/json", cw_str_slice(&body));
}

static void answer_switch(struct inv_admin *a, struct cw_http_exchange *ex, bool enabled)
{
    bool changed = a->conf.enable(a->conf.arg, enabled);
    char text[1024];

    (void)snprintf(text, sizeof(text), "%s is %s %s.", a->conf.printed_id,
                   changed ? "now" : "already", enabled ? "enabled" : "disabled");
    cw_http_answer(ex, 200, NULL, cw_slice_of(text));
}

static void answer_metrics(struct inv_admin *a, struct cw_http_exchange *ex)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, METRICS_MAX_BYTES);
    a->conf.refresh(a->conf.arg);
    cw_metrics_render(a->conf.metrics, &text);
    cw_http_answer(ex, 200, "text/plain; version=0.0.4; charset=UTF-8", cw_str_slice(&text));
}

static void answer_ready(struct inv_admin *a, struct cw_http_exchange *ex)
{
    const char *missing = a->conf.missing ? a->conf.missing(a->conf.arg) : NULL;
    char text[512];

    if (a->conf.ready(a->conf.arg) && !missing) {
        cw_http_answer(ex, 200, NULL, CW_SLICE("ready"));
        return;
    }
    if (missing)
        (void)snprintf(text, sizeof(text), "not ready: database %s has not answered", missing);
    else
        (void)snprintf(text, sizeof(text), "not ready");
    cw_http_answer(ex, 503, NULL, cw_slice_of(text));
}

static bool answer_open_route(struct inv_admin *a, struct cw_http_exchange *ex, const char *path)
{
    if (strcmp(cw_http_method(ex), "GET") != 0)
        return false;
    if (strcmp(path, "/ping") == 0)
        cw_http_answer(ex, 200, NULL, CW_SLICE("pong"));
    else if (strcmp(path, "/live") == 0)
        cw_http_answer(ex, 200, NULL, CW_SLICE("live"));
    else if (strcmp(path, "/ready") == 0)
        answer_ready(a, ex);
    else if (strcmp(path, "/metrics") == 0 && a->conf.metrics)
        answer_metrics(a, ex);
    else
        return false;
    return true;
}

static void answer_authorized_route(struct inv_admin *a, struct cw_http_exchange *ex,
                                    const char *path, const char *tx_id)
{
    bool post = strcmp(cw_http_method(ex), "POST") == 0;

    if (post && (strcmp(path, "/enable") == 0 || strcmp(path, "/disable") == 0)) {
        if (!a->conf.ready(a->conf.arg))
            answer_error(ex, 503, tx_id, "The invoker is starting or stopping.");
        else
            answer_switch(a, ex, strcmp(path, "/enable") == 0);
    } else if (strcmp(cw_http_method(ex), "GET") == 0 && strcmp(path, "/isEnabled") == 0) {
        cw_http_answer(ex, 200, NULL, /* stock says text/plain of this JSON, too */
                       a->conf.enabled(a->conf.arg) ? CW_SLICE("{\"enabled\":true}")
                                                    : CW_SLICE("{\"enabled\":false}"));
    } else if (strcmp(path, "/ping") == 0) {
        answer_error(ex, 405, tx_id, "HTTP method not allowed, supported methods: GET");
    } else {
        answer_error(ex, 404, tx_id, "The requested resource could not be found.");
    }
}

static void handle(void *arg, struct cw_http_exchange *ex)
{
    struct inv_admin *a = arg;
    const char *path = cw_http_path(ex);
    char tx_id[TX_ID_LEN + 1];

    choose_tx_id(ex, tx_id);
    cw_http_add_header(ex, "X-Request-ID", tx_id);
    if (answer_open_route(a, ex, path))
        return;
    if (!cw_http_basic_auth_ok(ex, a->conf.user, a->conf.password)) {
        cw_http_add_header(ex, "WWW-Authenticate", "Basic realm=\"OpenWhisk secure realm\"");
        answer_error(ex, 401, tx_id,
                     "Authentication is possible but has failed or not yet been provided.");
        return;
    }
    answer_authorized_route(a, ex, path, tx_id);
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
    for (size_t i = 0; method[i] && i < sizeof(action) - 1; i++)
        action[i] = (char)tolower((unsigned char)method[i]);
    (void)snprintf(code, sizeof(code), "%d", status);
    (void)snprintf(label, sizeof(label), "statusCode=\"%s\"", code);
    cw_counter_add(cw_token_counter(a->conf.metrics, &token, "Answered HTTP requests."), 1);
    cw_histogram_observe(cw_token_histogram(a->conf.metrics, &token, "Duration of HTTP requests."),
                         (double)elapsed_us / 1e6);
}

struct inv_admin *inv_admin_new(const struct inv_admin_conf *conf, struct cw_err *err)
{
    struct inv_admin *a = cw_alloc(sizeof(*a));

    a->conf = *conf;
    a->server = cw_http_server_new(conf->loop,
                                   &(struct cw_http_server_conf){.address = conf->address,
                                                                 .port = conf->port,
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
    free(a);
}

uint16_t inv_admin_port(const struct inv_admin *a)
{
    return cw_http_server_port(a->server);
}
