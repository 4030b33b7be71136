/* evhttp does the protocol. An exchange holds evhttp's request from the handler's call to the
 * answer. When the client goes away in between, evhttp only takes the connection off the request,
 * and the answer then releases it; when the server goes away first, requests that still have a
 * connection die with it and the others are released here. */
#include "common/http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "common/base/err.h"
#include "common/base/list.h"
#include "common/http/gate_priv.h"
#include "common/loop/loop.h"

enum {
    MAX_HEAD = 16 * 1024,
    DEFAULT_MAX_BODY = 1024 * 1024,
    DEFAULT_IDLE_MS = 30000,
    ACCEPT_AGAIN_MS = 1000,
    MAX_CREDENTIALS = 1024, /* bytes of "user:password" */
    DEFAULT_REQUEST_MS = 10000,
    DEFAULT_MAX_CONNECTIONS = 256,
};

struct cw_http_server {
    struct evhttp *http;
    struct evconnlistener *listener; /* owned by http */
    struct http_gate *gate;
    bool full; /* by the gate's count */
    uint16_t port;
    struct cw_loop *loop;
    cw_http_handler *handler;
    void (*on_answered)(void *arg, const char *method, int status, int64_t elapsed_us);
    void (*on_full)(void *arg, size_t connections);
    size_t max_connections;
    void *arg;
    struct cw_timer accept_again;
    struct cw_list exchanges; /* struct cw_http_exchange */
};

struct cw_http_exchange {
    struct cw_link link;
    struct cw_http_server *server;
    struct evhttp_request *req;
    char *path;
    int64_t since_us;
};

/* --- one exchange ------------------------------------------------------------------------- */

static const struct {
    enum evhttp_cmd_type type;
    const char *name;
} METHODS[] = {
    {EVHTTP_REQ_GET, "GET"},         {EVHTTP_REQ_HEAD, "HEAD"},   {EVHTTP_REQ_POST, "POST"},
    {EVHTTP_REQ_PUT, "PUT"},         {EVHTTP_REQ_PATCH, "PATCH"}, {EVHTTP_REQ_DELETE, "DELETE"},
    {EVHTTP_REQ_OPTIONS, "OPTIONS"},
};

const char *cw_http_method(const struct cw_http_exchange *ex)
{
    enum evhttp_cmd_type type = evhttp_request_get_command(ex->req);

    for (size_t i = 0; i < CW_ARRAY_LEN(METHODS); i++)
        if (METHODS[i].type == type)
            return METHODS[i].name;
    return ""; /* not reached: other methods are refused by evhttp */
}

/* A path with an encoded NUL would read differently to whoever compares it as text: none at all. */
static char *decoded_path(const struct evhttp_request *req)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
    const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
    size_t len = 0;
    char *decoded = path ? evhttp_uridecode(path, 0, &len) : NULL;

    if (decoded && strlen(decoded) != len) {
        free(decoded);
        decoded = NULL;
    }
    return decoded ? decoded : cw_strdup("");
}

const char *cw_http_path(const struct cw_http_exchange *ex)
{
    return ex->path;
}

const char *cw_http_header(const struct cw_http_exchange *ex, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(ex->req), name);
}

/* "name" or "name=value", of n bytes. */
static bool query_value(const char *pair, size_t n, const char *name, char *ret, size_t size)
{
    size_t name_len = strlen(name), len = 0;
    cw_auto_free char *value = NULL;
    cw_auto_free char *text = NULL;

    if (n < name_len || strncmp(pair, name, name_len) != 0 ||
        (n > name_len && pair[name_len] != '='))
        return false;
    text = n > name_len ? cw_memdup(pair + name_len + 1, n - name_len - 1) : cw_strdup("");
    value = evhttp_uridecode(text, 1, &len);
    if (!value || strlen(value) != len || len >= size)
        return false;
    memcpy(ret, value, len + 1);
    return true;
}

bool cw_http_query(const struct cw_http_exchange *ex, const char *name, char *ret, size_t size)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(ex->req);
    const char *query = uri ? evhttp_uri_get_query(uri) : NULL;
    size_t n;

    for (; query && *query; query += n + (query[n] == '&')) {
        n = strcspn(query, "&");
        if (query_value(query, n, name, ret, size))
            return true;
    }
    return false;
}

struct cw_slice cw_http_body(struct cw_http_exchange *ex)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(ex->req);
    size_t n = evbuffer_get_length(in);

    return cw_slice(n ? (const char *)evbuffer_pullup(in, -1) : "", n);
}

void cw_http_add_header(struct cw_http_exchange *ex, const char *name, const char *value)
{
    /* Refuses line ends in the value, which would be another header. */
    (void)evhttp_add_header(evhttp_request_get_output_headers(ex->req), name, value);
}

/* -1 when the client has gone. */
static int socket_of(struct evhttp_request *req)
{
    struct evhttp_connection *conn = evhttp_request_get_connection(req);

    return conn ? bufferevent_getfd(evhttp_connection_get_bufferevent(conn)) : -1;
}

static void exchange_free(struct cw_http_exchange *ex)
{
    cw_list_remove(&ex->server->exchanges, &ex->link);
    free(ex->path);
    free(ex);
}

/* evhttp would send a body with these, too. */
static bool may_have_body(const struct evhttp_request *req, int status)
{
    return evhttp_request_get_command(req) != EVHTTP_REQ_HEAD && status != 204 && status != 304;
}

void cw_http_answer(struct cw_http_exchange *ex, int status, const char *content_type,
                    struct cw_slice body)
{
    struct evhttp_request *req = ex->req;
    char length[24];

    cw_http_add_header(ex, "Content-Type",
                       content_type ? content_type : "text/plain; charset=UTF-8");
    if (may_have_body(req, status)) {
        if (body.n && evbuffer_add(evhttp_request_get_output_buffer(req), body.p, body.n) != 0)
            abort(); /* only when memory is short */
    } else if (status != 204) {
        (void)snprintf(length, sizeof(length), "%zu", body.n);
        cw_http_add_header(ex, "Content-Length", length);
    }
    if (ex->server->on_answered)
        ex->server->on_answered(ex->server->arg, cw_http_method(ex), status,
                                cw_loop_mono_us(ex->server->loop) - ex->since_us);
    http_gate_answered(ex->server->gate, socket_of(req));
    exchange_free(ex);
    evhttp_send_reply(req, status, NULL, NULL);
}

/* --- basic authentication ----------------------------------------------------------------- */

static bool digest(struct cw_slice text, unsigned char out[SHA256_DIGEST_LENGTH])
{
    return EVP_Digest(text.p, text.n, out, NULL, EVP_sha256(), NULL) == 1;
}

/* Of digests, so that the time tells neither how much agrees nor how long the secret is. */
static bool same_secret(struct cw_slice a, struct cw_slice b)
{
    unsigned char da[SHA256_DIGEST_LENGTH], db[SHA256_DIGEST_LENGTH];

    return digest(a, da) && digest(b, db) && CRYPTO_memcmp(da, db, sizeof(da)) == 0;
}

/* Decodes into out (capacity: 3 bytes for each 4 of text); false when text is not base64. */
static bool decode_base64(struct cw_slice text, unsigned char *out, size_t *ret_n)
{
    size_t padding = 0;
    int n;

    while (padding < 2 && padding < text.n && text.p[text.n - 1 - padding] == '=')
        padding++;
    if (text.n == 0 || text.n % 4 != 0 || memchr(text.p, '=', text.n - padding))
        return false;
    n = EVP_DecodeBlock(out, (const unsigned char *)text.p, (int)text.n);
    if (n < 0 || (size_t)n < padding)
        return false;
    *ret_n = (size_t)n - padding;
    return true;
}

bool cw_http_basic_auth_ok(const struct cw_http_exchange *ex, const char *user,
                           const char *password)
{
    static const char SCHEME[] = "Basic ";
    const char *header = cw_http_header(ex, "Authorization");
    unsigned char given[MAX_CREDENTIALS / 4 * 3];
    struct cw_str expected;
    struct cw_slice text;
    size_t n;
    bool ok;

    if (!user || !password || !header || strncasecmp(header, SCHEME, sizeof(SCHEME) - 1) != 0)
        return false;
    text = cw_slice_trim(cw_slice_of(header + sizeof(SCHEME) - 1));
    if (text.n > MAX_CREDENTIALS || !decode_base64(text, given, &n))
        return false;
    cw_str_init(&expected, SIZE_MAX / 2);
    cw_str_addf(&expected, "%s:%s", user, password);
    ok = same_secret(cw_slice((const char *)given, n), cw_str_slice(&expected));
    OPENSSL_cleanse(given, sizeof(given));
    OPENSSL_cleanse(expected.p, expected.n);
    cw_str_done(&expected);
    return ok;
}

/* --- the server --------------------------------------------------------------------------- */

static void on_request(struct evhttp_request *req, void *arg)
{
    struct cw_http_server *s = arg;
    struct cw_http_exchange *ex = cw_alloc(sizeof(*ex));

    cw_loop_mark(s->loop, CW_CALLEE("request", on_request));
    ex->server = s;
    ex->req = req;
    ex->path = decoded_path(req);
    ex->since_us = cw_loop_mono_us(s->loop);
    cw_list_push_back(&s->exchanges, &ex->link);
    http_gate_asked(s->gate, socket_of(req));
    s->handler(s->arg, ex);
}

/* Out of descriptors: the listener stays readable, so without a pause the loop would spin. arg is
 * evhttp's own, which is why the end of the pause does not begin here. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
    (void)arg;
    (void)evconnlistener_disable(listener);
}

/* Ends such a pause; otherwise does nothing. */
static void accept_again(void *arg)
{
    struct cw_http_server *s = arg;

    if (!s->full)
        (void)evconnlistener_enable(s->listener);
    cw_timer_set_ms(&s->accept_again, ACCEPT_AGAIN_MS);
}

static void on_admit(void *arg, bool more)
{
    struct cw_http_server *s = arg;

    s->full = !more;
    if (s->full && s->on_full)
        s->on_full(s->arg, s->max_connections);
    (void)(more ? evconnlistener_enable : evconnlistener_disable)(s->listener);
}

static struct bufferevent *new_connection(struct event_base *base, void *arg)
{
    struct cw_http_server *s = arg;

    (void)base;
    return http_gate_admit(s->gate);
}

static int64_t idle_ms(const struct cw_http_server_conf *conf)
{
    return conf->idle_timeout_ms > 0 ? conf->idle_timeout_ms : DEFAULT_IDLE_MS;
}

static void make_gate(struct cw_http_server *s, const struct cw_http_server_conf *conf)
{
    s->max_connections = conf->max_connections ? conf->max_connections : DEFAULT_MAX_CONNECTIONS;
    s->gate = http_gate_new(&(struct http_gate_conf){
        .loop = s->loop,
        .context = conf->tls,
        .request_ms = conf->request_ms > 0 ? conf->request_ms : DEFAULT_REQUEST_MS,
        .next_ms = idle_ms(conf),
        .max_connections = s->max_connections,
        .admit = on_admit,
        .arg = s,
    });
    evhttp_set_bevcb(s->http, new_connection, s);
}

static int note_port(struct cw_http_server *s, struct evhttp_bound_socket *bound,
                     struct cw_err *err)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof(addr);

    if (getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&addr, &len) != 0)
        return cw_fail_errno(err, errno, "http server: getsockname");
    /* NOLINTNEXTLINE(clang-analyzer-core.*): it loses the zeroes behind the casts */
    s->port = ntohs(addr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&addr)->sin6_port
                                               : ((struct sockaddr_in *)&addr)->sin_port);
    return 0;
}

/* A name would block the loop until it is resolved. */
static bool is_numeric(const char *address)
{
    struct in6_addr addr;

    return inet_pton(AF_INET, address, &addr) == 1 || inet_pton(AF_INET6, address, &addr) == 1;
}

static int listen_at(struct cw_http_server *s, const struct cw_http_server_conf *conf,
                     struct cw_err *err)
{
    struct evhttp_bound_socket *bound;

    if (!is_numeric(conf->address))
        return cw_fail(err, CW_INVALID,
                       "http server: address '%s': expected a numeric IPv4 or IPv6 address",
                       conf->address);
    errno = 0;
    bound = evhttp_bind_socket_with_handle(s->http, conf->address, conf->port);
    if (!bound)
        return cw_fail_errno(err, errno ? errno : EINVAL, "http server: listen at %s port %u",
                             conf->address, (unsigned)conf->port);
    s->listener = evhttp_bound_socket_get_listener(bound);
    evconnlistener_set_error_cb(s->listener, on_accept_error);
    cw_timer_set_ms(&s->accept_again, ACCEPT_AGAIN_MS);
    return note_port(s, bound, err);
}

static void set_limits(struct evhttp *http, const struct cw_http_server_conf *conf)
{
    int64_t ms = idle_ms(conf);
    struct timeval idle = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    ev_uint16_t methods = 0;

    for (size_t i = 0; i < CW_ARRAY_LEN(METHODS); i++)
        methods |= METHODS[i].type;
    evhttp_set_allowed_methods(http, methods);
    evhttp_set_max_headers_size(http, MAX_HEAD);
    evhttp_set_max_body_size(http,
                             (ev_ssize_t)(conf->max_body ? conf->max_body : DEFAULT_MAX_BODY));
    evhttp_set_timeout_tv(http, &idle);
    /* Reads what is left of a refused body, so that the client gets to see the 413. */
    (void)evhttp_set_flags(http, EVHTTP_SERVER_LINGERING_CLOSE);
}

/* libevent writes with writev: a client that went away before its answer would end the process. */
static void ignore_sigpipe(void)
{
    struct sigaction old;

    if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
        (void)signal(SIGPIPE, SIG_IGN);
}

struct cw_http_server *cw_http_server_new(struct cw_loop *loop,
                                          const struct cw_http_server_conf *conf,
                                          cw_http_handler *handler, void *arg, struct cw_err *err)
{
    struct cw_http_server *s = cw_alloc(sizeof(*s));

    ignore_sigpipe();
    s->loop = loop;
    s->handler = handler;
    s->on_answered = conf->on_answered;
    s->on_full = conf->on_full;
    s->arg = arg;
    cw_list_init(&s->exchanges);
    cw_timer_init(&s->accept_again, loop, accept_again, s);
    s->http = evhttp_new(cw_loop_base(loop));
    if (!s->http)
        abort(); /* only when memory is short */
    set_limits(s->http, conf);
    evhttp_set_gencb(s->http, on_request, s);
    make_gate(s, conf);
    if (listen_at(s, conf, err) != 0) {
        cw_http_server_free(s);
        return NULL;
    }
    return s;
}

void cw_http_server_free(struct cw_http_server *s)
{
    if (!s)
        return;
    CW_LIST_EACH (&s->exchanges, link) {
        struct cw_http_exchange *ex = CW_LIST_ENTRY(link, struct cw_http_exchange, link);

        if (!evhttp_request_get_connection(ex->req))
            evhttp_request_free(ex->req);
        exchange_free(ex);
    }
    http_gate_free(s->gate);
    evhttp_free(s->http);
    cw_timer_done(&s->accept_again);
    free(s);
}

uint16_t cw_http_server_port(const struct cw_http_server *s)
{
    return s->port;
}
