/* What all connections to Redis share: servers, credentials, times. */
#include <openssl/ssl.h>

#include "common/base/err.h"
#include "common/kv/redis_conn_priv.h"
#include "common/kv/redis_kv.h"
#include "common/loop/worker.h"

enum {
    SERVERS_MAX = 16,
    DEFAULT_CONNECT_MS = 2000,
    DEFAULT_ANSWER_MS = 1000,
    DEFAULT_IDLE_MS = 5000,
    DEFAULT_RETRY_MS = 100,
    DEFAULT_RETRY_MAX_MS = 5000,
};

static int add_server(struct redis_shared *s, struct cw_slice text, struct cw_err *err)
{
    struct redis_server *server = &s->servers[s->server_count];
    struct cw_slice host = text, port = CW_SLICE("6379");
    const char *colon = memrchr(text.p, ':', text.n), *bracket = memrchr(text.p, ']', text.n);
    int64_t number;

    if (colon && (!bracket || colon > bracket)) {
        host.n = (size_t)(colon - text.p);
        port = cw_slice(colon + 1, text.n - host.n - 1);
    }
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = cw_slice(host.p + 1, host.n - 2);
    else if (memchr(host.p, ':', host.n) || memchr(host.p, '[', host.n) ||
             memchr(host.p, ']', host.n))
        return cw_fail(err, CW_INVALID,
                       "\"%.*s\" is no server; accepted: host, host:port, [address]:port",
                       (int)(text.n < 80 ? text.n : 80), text.p);
    if (host.n == 0 || host.n > 255 || s->server_count == SERVERS_MAX)
        return cw_fail(err, CW_INVALID,
                       "\"%.*s\": accepted: 1..%d servers, each with a name of 1..255 bytes",
                       (int)(text.n < 80 ? text.n : 80), text.p, SERVERS_MAX);
    if (cw_parse_i64(port, "a server's port", 1, 65535, &number, err) != 0)
        return -1;
    server->host = cw_slice_dup(host);
    server->port = cw_slice_dup(port);
    s->server_count++;
    return 0;
}

static int parse_servers(struct redis_shared *s, const char *hosts, struct cw_err *err)
{
    const char *p = hosts;

    s->servers = cw_calloc(SERVERS_MAX, sizeof(*s->servers));
    for (;;) {
        size_t n = strcspn(p, ",");

        if (add_server(s, cw_slice_trim(cw_slice(p, n)), err) != 0)
            return -1;
        if (!p[n])
            return 0;
        p += n + 1;
    }
}

static char *given(const char *text)
{
    return text && *text ? cw_strdup(text) : NULL;
}

static int64_t or_default(int64_t value, int64_t def)
{
    return value > 0 ? value : def;
}

int redis_shared_set(struct redis_shared *s, const struct cw_redis_conf *conf, struct cw_err *err)
{
    s->user = given(conf->user);
    s->password = given(conf->password);
    s->db = conf->db;
    s->connect_ms = or_default(conf->connect_ms, DEFAULT_CONNECT_MS);
    s->answer_ms = or_default(conf->answer_ms, DEFAULT_ANSWER_MS);
    s->idle_ms = or_default(conf->idle_ms, DEFAULT_IDLE_MS);
    s->retry_ms = or_default(conf->retry_ms, DEFAULT_RETRY_MS);
    s->retry_max_ms = or_default(conf->retry_max_ms, DEFAULT_RETRY_MAX_MS);
    s->random = conf->seed ? conf->seed : 1;
    if (s->user && !s->password)
        return cw_fail(err, CW_INVALID, "a user without a password");
    if (conf->tls) {
        s->tls = redis_tls_context(conf->ca_file && *conf->ca_file ? conf->ca_file : NULL, err);
        if (!s->tls)
            return -1;
    }
    return parse_servers(s, conf->hosts, err);
}

void redis_shared_done(struct redis_shared *s)
{
    cw_worker_free(s->worker); /* what it looked up frees itself */
    for (size_t i = 0; i < s->server_count; i++) {
        free(s->servers[i].host);
        free(s->servers[i].port);
    }
    free(s->servers);
    free(s->user);
    if (s->password)
        explicit_bzero(s->password, strlen(s->password));
    free(s->password);
    SSL_CTX_free(s->tls);
}

int cw_redis_conf_check(const struct cw_redis_conf *conf, struct cw_err *err)
{
    struct redis_shared s = {0};
    int rc = redis_shared_set(&s, conf, err);

    redis_shared_done(&s);
    return rc;
}
