/* libcurl's multi interface, driven by events.
 *
 * curl tells which sockets to watch (one event each) and when to be called (one timer); both
 * callbacks only note that down, since curl must not be entered from inside itself. After each
 * curl_multi_socket_action the finished transfers are taken out and handed to their owners.
 *
 * The only user code that runs inside curl is on_data. What it asks for there (new calls,
 * cancellations, even freeing the client) is put off until curl has returned: see `in_curl`.
 *
 * Deadlines are timers of our own, because curl's do not count the time that a transfer waits for a
 * free connection. */
#include "common/http/client.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <strings.h>
#include <sys/un.h>

#include "common/base/err.h"
#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/loop/loop.h"

enum {
    DEFAULT_PER_HOST = 64,
    DEFAULT_CONNECT_MS = 5000,
    DEFAULT_MAX_BODY = 8 * 1024 * 1024,
    MAX_HEAD_BYTES = 256 * 1024, /* of an answer, all header lines together */
    MAX_IDLE_S = 60,             /* a kept-alive connection idle for longer is not used again */
    KEEPALIVE_S = 60,            /* TCP probes on silent connections (streams) */
    MAX_LABEL = 120,
    MAX_METHOD = 32,
    MAX_URL = 64 * 1024,
    MAX_CREDENTIAL = 1024,
};

struct cw_http {
    struct cw_loop *loop;
    CURLM *multi;
    struct cw_timer timer;
    struct cw_list sockets; /* struct watched_socket */
    struct cw_list calls;   /* struct cw_http_call: the owner still waits for fn */
    struct cw_list doomed;  /* struct cw_http_call: cancelled while curl was running */
    char *user_agent;
    char *ca_file, *cert_file, *key_file;
    bool insecure;
    bool in_curl; /* curl is on the stack */
    bool closed;  /* freed by its owner; the memory goes after the current pass */
};

struct watched_socket {
    struct cw_link link;
    struct cw_http *http;
    struct event *ev;
};

struct cw_http_call {
    struct cw_link link;
    struct cw_http *http;
    CURL *easy;
    struct curl_slist *headers;
    struct cw_defer begin;    /* for what could not start, or not at once */
    struct cw_defer go_on;    /* after a hold: curl would call on_data at once */
    struct cw_timer deadline; /* unused when there is none */
    int64_t timeout_ms;
    cw_http_fn *fn;
    void (*on_data)(void *arg, struct cw_slice piece);
    void *arg;
    struct cw_str body;
    size_t head_bytes;
    bool added;      /* to the multi handle */
    bool failed;     /* could not start; err says why */
    bool cancelled;  /* on the doomed list */
    bool delivering; /* fn is on the stack */
    bool held;
    struct cw_err err;
    char label[MAX_LABEL]; /* "GET http://host/path" for messages */
    char detail[CURL_ERROR_SIZE];
};

/* ---- the end of a call ---- */

static void detach(struct cw_http_call *call)
{
    if (call->added)
        (void)curl_multi_remove_handle(call->http->multi, call->easy);
    call->added = false;
}

static void call_free(struct cw_http_call *call)
{
    detach(call);
    cw_defer_cancel(&call->begin);
    cw_defer_cancel(&call->go_on);
    cw_timer_done(&call->deadline);
    if (call->easy)
        curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    cw_str_done(&call->body);
    free(call);
}

/* The call is off all lists while fn runs, so that nothing fn does can free it. */
static void deliver(struct cw_http_call *call, const struct cw_http_reply *reply,
                    const struct cw_err *err)
{
    detach(call);
    cw_timer_done(&call->deadline);
    cw_defer_cancel(&call->go_on);
    cw_list_remove(&call->http->calls, &call->link);
    call->delivering = true;
    call->fn(call->arg, reply, err);
    call_free(call);
}

static void deliver_reply(struct cw_http_call *call)
{
    struct cw_http_reply reply = {.content_type = "", .etag = ""};
    struct curl_header *etag;
    char *type = NULL;
    long status = 0;
    struct cw_err err;

    (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(call->easy, CURLINFO_CONTENT_TYPE, &type);
    if (status < 100 || status > 999) { /* curl takes as many digits as come */
        (void)cw_fail(&err, CW_INTERNAL, "%s: %ld is no HTTP status", call->label, status);
        deliver(call, NULL, &err);
        return;
    }
    reply.status = (int)status;
    reply.body = cw_str_slice(&call->body);
    if (type)
        reply.content_type = type;
    if (curl_easy_header(call->easy, "ETag", 0, CURLH_HEADER, -1, &etag) == CURLHE_OK)
        reply.etag = etag->value;
    deliver(call, &reply, NULL);
}

static void describe(struct cw_http_call *call, CURLcode code, struct cw_err *err)
{
    const char *why = call->detail[0] ? call->detail : curl_easy_strerror(code);
    long sys_errno = 0;

    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT: /* of connecting: the whole exchange has our own timer */
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION: /* somebody may renew the certificate, */
    case CURLE_SSL_CACERT_BADFILE:       /* or mount the file */
        (void)cw_fail_retriable(err, CW_UNAVAILABLE, "%s: %s", call->label, why);
        break;
    case CURLE_URL_MALFORMAT:
    case CURLE_LOGIN_DENIED: /* user name in the URL */
        (void)cw_fail(err, CW_INVALID, "%s: %s", call->label, why);
        break;
    case CURLE_WRITE_ERROR: /* by on_body or on_header */
        if (call->body.failed)
            (void)cw_fail(err, CW_TOO_LARGE, "%s: answer longer than %zu bytes", call->label,
                          call->body.max);
        else
            (void)cw_fail(err, CW_TOO_LARGE, "%s: answer with more than %d bytes of headers",
                          call->label, MAX_HEAD_BYTES);
        break;
    default:
        (void)cw_fail(err, CW_INTERNAL, "%s: %s", call->label, why);
        break;
    }
    (void)curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &sys_errno);
    err->sys_errno = (int)sys_errno;
}

static void finish(struct cw_http_call *call, CURLcode code)
{
    struct cw_err err;

    if (code == CURLE_OK) {
        deliver_reply(call);
        return;
    }
    describe(call, code, &err);
    deliver(call, NULL, &err);
}

static void on_deadline(void *arg)
{
    struct cw_http_call *call = arg;
    struct cw_err err;

    (void)cw_fail_retriable(&err, CW_TIMEOUT, "%s: no complete answer within %" PRId64 " ms",
                            call->label, call->timeout_ms);
    deliver(call, NULL, &err);
}

/* ---- driving curl ---- */

static void http_close(struct cw_http *http);

/* After curl returned: what was cancelled inside it, then what finished. An owner called back here
 * may free the client, hence the looks at `closed`. */
static void settle(struct cw_http *http)
{
    struct cw_link *n;
    CURLMsg *msg;
    int left;

    while ((n = cw_list_pop_front(&http->doomed)))
        call_free(CW_LIST_ENTRY(n, struct cw_http_call, link));
    if (http->closed) {
        http_close(http);
        return;
    }
    while (!http->closed && (msg = curl_multi_info_read(http->multi, &left))) {
        CURLcode code = msg->data.result;
        char *call = NULL;

        if (msg->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call);
        finish((struct cw_http_call *)(void *)call, code);
    }
}

static void act(struct cw_http *http, curl_socket_t fd, int what)
{
    int running;

    http->in_curl = true;
    (void)curl_multi_socket_action(http->multi, fd, what, &running);
    http->in_curl = false;
    settle(http);
}

static void on_timer(void *arg)
{
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
    struct watched_socket *ws = arg;
    int mask = 0;

    cw_loop_mark(ws->http->loop, CW_CALLEE("socket", on_socket));
    if (what & EV_READ)
        mask |= CURL_CSELECT_IN;
    if (what & EV_WRITE)
        mask |= CURL_CSELECT_OUT;
    act(ws->http, fd, mask);
}

/* CURLMOPT_TIMERFUNCTION */
static int want_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct cw_http *http = arg;

    (void)multi;
    if (timeout_ms < 0)
        cw_timer_stop(&http->timer);
    else
        cw_timer_set_ms(&http->timer, timeout_ms);
    return 0;
}

static void unwatch(struct watched_socket *ws)
{
    cw_list_remove(&ws->http->sockets, &ws->link);
    if (ws->ev)
        event_free(ws->ev);
    free(ws);
}

static struct watched_socket *watched(struct cw_http *http, curl_socket_t fd)
{
    struct watched_socket *ws = cw_alloc(sizeof(*ws));

    ws->http = http;
    cw_list_push_back(&http->sockets, &ws->link);
    (void)curl_multi_assign(http->multi, fd, ws);
    return ws;
}

/* CURLMOPT_SOCKETFUNCTION */
static int want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *assigned)
{
    struct watched_socket *ws = assigned;
    struct cw_http *http = arg;
    short events = EV_PERSIST;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (ws)
            unwatch(ws);
        return 0;
    }
    if (!ws)
        ws = watched(http, fd);
    if (what & CURL_POLL_IN)
        events |= EV_READ;
    if (what & CURL_POLL_OUT)
        events |= EV_WRITE;
    if (ws->ev)
        event_free(ws->ev);
    ws->ev = event_new(cw_loop_base(http->loop), fd, events, on_socket, ws);
    if (!ws->ev || event_add(ws->ev, NULL) != 0)
        abort(); /* libevent fails here only when memory is short */
    return 0;
}

/* ---- what an answer brings; these run inside curl ---- */

/* CURLOPT_HEADERFUNCTION: curl itself sets no limit on the number of header lines. */
static size_t on_header(char *line, size_t one, size_t n, void *arg)
{
    struct cw_http_call *call = arg;

    (void)line, (void)one;
    call->head_bytes += n;
    return call->head_bytes <= MAX_HEAD_BYTES ? n : CURL_WRITEFUNC_ERROR;
}

/* CURLOPT_WRITEFUNCTION */
static size_t on_body(char *piece, size_t one, size_t n, void *arg)
{
    struct cw_http_call *call = arg;
    long status = 0;

    (void)one;
    if (call->cancelled) /* curl may have more of the answer at hand */
        return CURL_WRITEFUNC_ERROR;
    if (call->on_data) {
        (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
        if (status >= 200 && status < 300) {
            call->on_data(call->arg, cw_slice(piece, n));
            return call->cancelled ? CURL_WRITEFUNC_ERROR : n;
        }
    }
    cw_str_add(&call->body, piece, n);
    return call->body.failed ? CURL_WRITEFUNC_ERROR : n;
}

/* ---- the beginning of a call ---- */

static bool is_token(const char *text)
{
    static const char OTHERS[] = "!#$%&'*+-.^_`|~";

    if (!text || !*text)
        return false;
    for (const char *p = text; *p; p++)
        if (!((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') ||
              strchr(OTHERS, *p)))
            return false;
    return true;
}

/* "user:password@" before the host? */
static bool has_credentials(const char *url)
{
    const char *authority = strstr(url, "://");

    if (!authority)
        return false;
    authority += 3;
    return memchr(authority, '@', strcspn(authority, "/?#")) != NULL;
}

/* No control characters, so that nothing from outside can add a header line; a URL has no spaces
 * and no bytes over 0x7e either. */
static bool is_clean(const char *text, unsigned char lowest, unsigned char highest)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p < lowest || *p > highest || *p == 0x7f)
            return false;
    return true;
}

static int check_url(const struct cw_http_call *call, const char *url, struct cw_err *err)
{
    size_t scheme = 0;

    if (url && strncmp(url, "http://", 7) == 0)
        scheme = 7;
    else if (url && strncmp(url, "https://", 8) == 0)
        scheme = 8;
    if (!scheme || !is_clean(url, 0x21, 0x7e))
        return cw_fail(err, CW_INVALID, "%s: not an encoded http:// or https:// URL", call->label);
    if (has_credentials(url))
        return cw_fail(err, CW_INVALID, "%s: credentials do not belong in the URL", call->label);
    if (strlen(url) > MAX_URL)
        return cw_fail(err, CW_INVALID, "%s: URL longer than %d bytes", call->label, MAX_URL);
    return 0;
}

static int check_request(const struct cw_http_call *call, const struct cw_http_request *req,
                         struct cw_err *err)
{
    if (!is_token(req->method) || strlen(req->method) > MAX_METHOD)
        return cw_fail(err, CW_INVALID, "%s: method is not a token of 1..%d bytes", call->label,
                       MAX_METHOD);
    if (check_url(call, req->url, err) != 0)
        return -1;
    if (req->user && (strlen(req->user) > MAX_CREDENTIAL ||
                      (req->password && strlen(req->password) > MAX_CREDENTIAL)))
        return cw_fail(err, CW_INVALID, "%s: user name or password longer than %d bytes",
                       call->label, MAX_CREDENTIAL);
    if (req->unix_path && strlen(req->unix_path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return cw_fail(err, CW_INVALID, "%s: socket path %s is longer than %zu bytes", call->label,
                       req->unix_path, sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
    for (const char *const *h = req->headers; h && *h; h++)
        if (!is_clean(*h, 0x20, 0xff) || !strchr(*h, ':'))
            return cw_fail(err, CW_INVALID, "%s: request header %td is not a \"Name: value\" line",
                           call->label, h - req->headers);
    return 0;
}

static void add_header(struct cw_http_call *call, const char *line)
{
    struct curl_slist *longer = curl_slist_append(call->headers, line);

    if (!longer)
        abort();
    call->headers = longer;
}

static bool names_header(const char *line, const char *name)
{
    size_t n = strlen(name);

    return strncasecmp(line, name, n) == 0 && line[n] == ':';
}

static void set_headers(struct cw_http_call *call, const struct cw_http_request *req)
{
    bool typed = false;

    for (const char *const *h = req->headers; h && *h; h++) {
        add_header(call, *h);
        typed |= names_header(*h, "Content-Type");
    }
    add_header(call, "Expect:"); /* a round trip before each large body, or a second of silence */
    if (req->has_body && !typed)
        add_header(call, "Content-Type:"); /* curl would call it a form */
    (void)curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
}

/* The options below fail only on a curl built without them, or (texts) when memory is short. */
#define MUST_SET(easy, option, value)                                                              \
    do {                                                                                           \
        if (curl_easy_setopt(easy, option, value) != CURLE_OK)                                     \
            abort();                                                                               \
    } while (0)

static void set_method(struct cw_http_call *call, const struct cw_http_request *req)
{
    CURL *easy = call->easy;

    if (req->has_body) {
        MUST_SET(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.n);
        MUST_SET(easy, CURLOPT_COPYPOSTFIELDS, req->body.n ? req->body.p : "");
    } else if (strcmp(req->method, "HEAD") == 0) {
        MUST_SET(easy, CURLOPT_NOBODY, 1L);
    }
    MUST_SET(easy, CURLOPT_CUSTOMREQUEST, req->method);
}

static long connect_timeout(const struct cw_http_request *req)
{
    if (req->connect_timeout_ms <= 0)
        return DEFAULT_CONNECT_MS;
    return req->connect_timeout_ms < INT_MAX ? (long)req->connect_timeout_ms : INT_MAX;
}

static void set_connection(struct cw_http_call *call, const struct cw_http_request *req)
{
    const struct cw_http *http = call->http;
    CURL *easy = call->easy;

    MUST_SET(easy, CURLOPT_NOSIGNAL, 1L);
    MUST_SET(easy, CURLOPT_PROXY, ""); /* whatever the environment says */
    MUST_SET(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    MUST_SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    MUST_SET(easy, CURLOPT_TCP_NODELAY, 1L);
    MUST_SET(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    MUST_SET(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S);
    MUST_SET(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_S / 4);
    MUST_SET(easy, CURLOPT_MAXAGE_CONN, (long)MAX_IDLE_S);
    MUST_SET(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_timeout(req));
    /* A cancelled name lookup is left to its thread; waiting for it would stall the loop. */
    MUST_SET(easy, CURLOPT_QUICK_EXIT, 1L);
    if (req->unix_path)
        MUST_SET(easy, CURLOPT_UNIX_SOCKET_PATH, req->unix_path);
    if (req->fresh_connection) {
        MUST_SET(easy, CURLOPT_FRESH_CONNECT, 1L);
        MUST_SET(easy, CURLOPT_FORBID_REUSE, 1L);
    }
    if (http->ca_file)
        MUST_SET(easy, CURLOPT_CAINFO, http->ca_file);
    if (http->cert_file)
        MUST_SET(easy, CURLOPT_SSLCERT, http->cert_file);
    if (http->key_file)
        MUST_SET(easy, CURLOPT_SSLKEY, http->key_file);
    if (http->insecure) {
        MUST_SET(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        MUST_SET(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

static void set_exchange(struct cw_http_call *call, const struct cw_http_request *req)
{
    CURL *easy = call->easy;

    MUST_SET(easy, CURLOPT_URL, req->url);
    MUST_SET(easy, CURLOPT_PATH_AS_IS, 1L);
    MUST_SET(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L); /* it would end up in logs */
    MUST_SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
    MUST_SET(easy, CURLOPT_USERAGENT, call->http->user_agent);
    if (req->user) {
        MUST_SET(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        MUST_SET(easy, CURLOPT_USERNAME, req->user);
        MUST_SET(easy, CURLOPT_PASSWORD, req->password ? req->password : "");
    }
    MUST_SET(easy, CURLOPT_PRIVATE, call);
    MUST_SET(easy, CURLOPT_ERRORBUFFER, call->detail);
    MUST_SET(easy, CURLOPT_HEADERFUNCTION, on_header);
    MUST_SET(easy, CURLOPT_HEADERDATA, call);
    MUST_SET(easy, CURLOPT_WRITEFUNCTION, on_body);
    MUST_SET(easy, CURLOPT_WRITEDATA, call);
}

static int prepare(struct cw_http_call *call, const struct cw_http_request *req, struct cw_err *err)
{
    if (check_request(call, req, err) != 0)
        return -1;
    call->easy = curl_easy_init();
    if (!call->easy)
        return cw_fail(err, CW_INTERNAL, "%s: libcurl gave no handle", call->label);
    set_exchange(call, req);
    set_connection(call, req);
    set_method(call, req);
    set_headers(call, req);
    return 0;
}

static int start(struct cw_http_call *call, struct cw_err *err)
{
    CURLMcode code = curl_multi_add_handle(call->http->multi, call->easy);

    if (code != CURLM_OK)
        return cw_fail(err, CW_INTERNAL, "%s: %s", call->label, curl_multi_strerror(code));
    call->added = true;
    return 0;
}

static void on_begin(void *arg)
{
    struct cw_http_call *call = arg;

    if (call->failed || start(call, &call->err) != 0)
        deliver(call, NULL, &call->err);
}

static void on_go_on(void *arg)
{
    struct cw_http_call *call = arg;
    struct cw_http *http = call->http;

    http->in_curl = true;
    (void)curl_easy_pause(call->easy, CURLPAUSE_CONT); /* may hand out what it had kept */
    http->in_curl = false;
    act(http, CURL_SOCKET_TIMEOUT, 0);
}

/* Without the query, which may carry what does not belong in a log. */
static void set_label(struct cw_http_call *call, const struct cw_http_request *req)
{
    const char *url = req->url ? req->url : "(no URL)";

    if (has_credentials(url))
        url = "(URL with credentials)";
    (void)snprintf(call->label, sizeof(call->label), "%s %.*s", req->method ? req->method : "?",
                   (int)strcspn(url, "?"), url);
}

struct cw_http_call *cw_http_send(struct cw_http *http, const struct cw_http_request *req,
                                  cw_http_fn *fn, void *arg)
{
    struct cw_http_call *call = cw_alloc(sizeof(*call));

    call->http = http;
    call->fn = fn;
    call->arg = arg;
    call->on_data = req->on_data;
    call->timeout_ms = req->timeout_ms;
    cw_str_init(&call->body, req->max_body ? req->max_body : DEFAULT_MAX_BODY);
    cw_defer_init(&call->begin, http->loop, on_begin, call);
    cw_defer_init(&call->go_on, http->loop, on_go_on, call);
    cw_list_push_back(&http->calls, &call->link);
    set_label(call, req);
    if (call->timeout_ms > 0) {
        cw_timer_init(&call->deadline, http->loop, on_deadline, call);
        cw_timer_set_ms(&call->deadline, call->timeout_ms);
    }
    call->failed = prepare(call, req, &call->err) != 0;
    if (!call->failed && !http->in_curl)
        call->failed = start(call, &call->err) != 0;
    if (!call->added)
        cw_defer_post(&call->begin);
    return call;
}

/* Inside curl the handle cannot be removed yet: the call waits on the doomed list. */
static void drop(struct cw_http_call *call)
{
    struct cw_http *http = call->http;

    cw_list_remove(&http->calls, &call->link);
    if (!http->in_curl) {
        call_free(call);
        return;
    }
    call->cancelled = true;
    cw_defer_cancel(&call->begin);
    cw_defer_cancel(&call->go_on);
    cw_timer_done(&call->deadline);
    cw_list_push_back(&http->doomed, &call->link);
}

void cw_http_cancel(struct cw_http_call *call)
{
    if (!call->delivering && !call->cancelled)
        drop(call);
}

void cw_http_hold(struct cw_http_call *call, bool hold)
{
    if (call->held == hold || call->cancelled || call->delivering || !call->added)
        return;
    call->held = hold;
    if (hold && cw_link_on_list(&call->go_on.link))
        cw_defer_cancel(&call->go_on); /* curl still holds it */
    else if (hold)
        (void)curl_easy_pause(call->easy, CURLPAUSE_RECV);
    else
        cw_defer_post(&call->go_on);
}

size_t cw_http_in_flight(const struct cw_http *http)
{
    return http->calls.count;
}

/* ---- the client ---- */

static void http_release(void *obj)
{
    struct cw_http *http = obj;

    free(http->user_agent);
    free(http->ca_file);
    free(http->cert_file);
    free(http->key_file);
    free(http);
}

static void http_close(struct cw_http *http)
{
    if (http->multi)
        (void)curl_multi_cleanup(http->multi);
    CW_LIST_EACH (&http->sockets, n) {
        unwatch(CW_LIST_ENTRY(n, struct watched_socket, link));
    }
    cw_timer_done(&http->timer);
    curl_global_cleanup();
    cw_loop_bury(http->loop, http, http_release); /* settle may be on the stack */
}

void cw_http_free(struct cw_http *http)
{
    if (!http)
        return;
    CW_LIST_EACH (&http->calls, n) {
        drop(CW_LIST_ENTRY(n, struct cw_http_call, link));
    }
    http->closed = true;
    if (!http->in_curl) /* otherwise settle does it */
        http_close(http);
}

static void set_multi(struct cw_http *http, unsigned per_host)
{
    CURLM *multi = http->multi;

    (void)curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    (void)curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, http);
    (void)curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, want_timer);
    (void)curl_multi_setopt(multi, CURLMOPT_TIMERDATA, http);
    (void)curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    (void)curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)per_host);
    /* Room for two hosts (the store and an engine) at their caps. */
    (void)curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 2L * (long)per_host);
}

static int check_conf(const struct cw_http_conf *conf, struct cw_err *err)
{
    if (conf->user_agent &&
        (strlen(conf->user_agent) > MAX_LABEL || !is_clean(conf->user_agent, 0x20, 0x7e)))
        return cw_fail(err, CW_INVALID, "http: user agent is not up to %d printable characters",
                       MAX_LABEL);
    if (conf->ca_file && strlen(conf->ca_file) >= PATH_MAX)
        return cw_fail(err, CW_INVALID, "http: path of the CA file is longer than %d bytes",
                       PATH_MAX - 1);
    return 0;
}

struct cw_http *cw_http_new(struct cw_loop *loop, const struct cw_http_conf *conf,
                            struct cw_err *err)
{
    struct cw_http *http;

    if (check_conf(conf, err) != 0)
        return NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        (void)cw_fail(err, CW_INTERNAL, "http: libcurl did not initialise");
        return NULL;
    }
    http = cw_alloc(sizeof(*http));
    http->loop = loop;
    http->user_agent = cw_strdup(conf->user_agent ? conf->user_agent : "cwhisk");
    http->ca_file = cw_strdup(conf->ca_file);
    http->cert_file = cw_strdup(conf->cert_file);
    http->key_file = cw_strdup(conf->key_file);
    http->insecure = conf->insecure_skip_verify;
    cw_list_init(&http->sockets);
    cw_list_init(&http->calls);
    cw_list_init(&http->doomed);
    cw_timer_init(&http->timer, loop, on_timer, http);
    http->multi = curl_multi_init();
    if (!http->multi) {
        http_close(http);
        (void)cw_fail(err, CW_INTERNAL, "http: libcurl gave no multi handle");
        return NULL;
    }
    set_multi(http, conf->max_per_host ? conf->max_per_host : DEFAULT_PER_HOST);
    return http;
}

void cw_url_encode(struct cw_str *out, struct cw_slice text)
{
    static const char HEX[] = "0123456789ABCDEF";

    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
            c == '-' || c == '.' || c == '_' || c == '~')
            cw_str_addc(out, (char)c);
        else
            cw_str_add(out, (char[]){'%', HEX[c >> 4], HEX[c & 15]}, 3);
    }
}
