/* A connection stays open between questions. It is read no further than one answer can be long. */
#include "common/cgroup/usage_probe.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/util.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/model/probe_wire.h"

enum {
    INTERVAL_MS = 250,
    TIMEOUT_MS = 2000,
    FIRST_REST_MS = 1000,
    MAX_REST_MS = 30000,
    ID_LEN = 64,
    ADDRESS_LEN = 46,
    /* What a container may have used before it was opened here. */
    HEAD_START_US = 60 * 1000000,
};

struct cw_usage_probes {
    struct cw_usage_probes_conf conf;
    uint64_t cores;
};

struct cw_usage_probe {
    struct cw_usage_probes *set;
    void *owner;
    char id[ID_LEN + 1], address[ADDRESS_LEN], token[CW_PROBE_TOKEN_LEN + 1];
    uint16_t port;
    uint64_t memory_limit_bytes;
    struct bufferevent *connection; /* NULL: none */
    struct cw_timer timeout;        /* set: an answer is awaited */
    bool resting;
    bool told;       /* what is wrong now */
    int64_t rest_ms; /* the next pause after a failure */
    int64_t not_before_us, failed_until_us;
    bool refreshing;
    int64_t at_us;      /* of the last answer, or of the opening */
    int64_t raw_cpu_ns; /* as told */
    bool answered;
    struct cw_usage usage;
};

static int64_t now_us(const struct cw_usage_probe *p)
{
    return cw_loop_mono_us(p->set->conf.loop);
}

struct cw_usage_probes *cw_usage_probes_new(const struct cw_usage_probes_conf *conf)
{
    struct cw_usage_probes *s = cw_alloc(sizeof(*s));
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    s->conf = *conf;
    if (!s->conf.interval_ms)
        s->conf.interval_ms = INTERVAL_MS;
    if (!s->conf.timeout_ms)
        s->conf.timeout_ms = TIMEOUT_MS;
    s->cores = cores > 0 ? (uint64_t)cores : 1;
    return s;
}

void cw_usage_probes_free(struct cw_usage_probes *s)
{
    free(s);
}

/* ---- what goes wrong ---- */

static void disconnect(struct cw_usage_probe *p)
{
    cw_timer_stop(&p->timeout);
    if (p->connection)
        bufferevent_free(CW_STEAL(p->connection));
}

static void tell(struct cw_usage_probe *p, const char *text)
{
    if (p->told)
        return;
    p->told = true;
    if (p->set->conf.on_fault)
        p->set->conf.on_fault(p->set->conf.arg, p->id, text);
}

static void tell_fresh(struct cw_usage_probe *p)
{
    if (!p->refreshing)
        return;
    p->refreshing = false;
    if (p->set->conf.on_fresh)
        p->set->conf.on_fresh(p->set->conf.arg, p->owner);
}

static void fail(struct cw_usage_probe *p, const char *text)
{
    disconnect(p);
    p->not_before_us = p->failed_until_us = now_us(p) + p->rest_ms * 1000;
    p->rest_ms = p->rest_ms * 2 < MAX_REST_MS ? p->rest_ms * 2 : MAX_REST_MS;
    tell(p, text);
    tell_fresh(p);
}

/* ---- answers ---- */

/* Not more CPU time than all cores have had since the last answer. */
static bool take_cpu(struct cw_usage_probe *p, int64_t raw_ns, int64_t at_us)
{
    int64_t since_us = at_us - p->at_us + (p->answered ? 0 : HEAD_START_US);
    uint64_t possible_ns = (uint64_t)(since_us > 0 ? since_us : 0) * 1000 * p->set->cores;
    uint64_t told_ns = raw_ns > p->raw_cpu_ns ? (uint64_t)(raw_ns - p->raw_cpu_ns) : 0;
    /* Its clock and ours are read at different moments. */
    bool fair =
        told_ns <= possible_ns + (uint64_t)p->set->conf.timeout_ms * 1000000 * p->set->cores;

    p->usage.cpu_ns += told_ns < possible_ns ? told_ns : possible_ns;
    p->raw_cpu_ns = raw_ns;
    return fair;
}

static uint64_t at_most(int64_t value, uint64_t limit)
{
    return (uint64_t)value < limit ? (uint64_t)value : limit;
}

static void take_memory(struct cw_usage_probe *p, const struct cw_probe_figures *f)
{
    struct cw_usage *u = &p->usage;

    u->memory_bytes = u->working_set_bytes = at_most(f->memory_bytes, p->memory_limit_bytes);
    u->have |= CW_USAGE_CPU | CW_USAGE_MEMORY | CW_USAGE_PIDS;
    u->pids = (uint64_t)f->pids;
    if (f->peak_bytes >= 0) {
        u->peak_bytes = at_most(f->peak_bytes, p->memory_limit_bytes);
        u->have |= CW_USAGE_PEAK;
    }
    if (f->throttled_ns >= 0) {
        u->throttled_ns = (uint64_t)f->throttled_ns;
        u->have |= CW_USAGE_THROTTLE;
    }
    if (f->oom_kills >= 0) {
        u->oom_events = u->oom_kills = (uint64_t)f->oom_kills;
        u->have |= CW_USAGE_OOM;
    }
}

static void take_answer(struct cw_usage_probe *p, struct cw_slice line)
{
    struct cw_probe_figures figures;
    struct cw_err err = {0};
    int64_t at_us = now_us(p);
    char text[128];
    bool fair;

    if (cw_probe_parse_answer(line, &figures, &err) != 0) {
        fail(p, err.msg);
        return;
    }
    cw_timer_stop(&p->timeout);
    fair = take_cpu(p, figures.cpu_ns, at_us);
    take_memory(p, &figures);
    p->usage.untrusted = true;
    p->answered = true;
    p->at_us = at_us;
    p->not_before_us = at_us + p->set->conf.interval_ms * 1000;
    p->rest_ms = FIRST_REST_MS;
    tell_fresh(p);
    if (fair && (uint64_t)figures.memory_bytes <= p->memory_limit_bytes) {
        p->told = false;
        return;
    }
    (void)snprintf(
        text, sizeof(text),
        "probe: it says that it has used %lld ns of CPU time and %lld bytes, which cannot be",
        (long long)figures.cpu_ns, (long long)figures.memory_bytes);
    tell(p, text);
}

static void on_read(struct bufferevent *connection, void *arg)
{
    struct cw_usage_probe *p = arg;
    struct evbuffer *input = bufferevent_get_input(connection);
    size_t there = evbuffer_get_length(input), n;
    cw_auto_free char *line = NULL;

    cw_loop_mark(p->set->conf.loop, CW_CALLEE("read", on_read));
    if (!cw_timer_pending(&p->timeout)) {
        fail(p, "probe: an answer that nobody asked for");
        return;
    }
    line = evbuffer_readln(input, &n, EVBUFFER_EOL_LF);
    if (line && n + 1 < there)
        fail(p, "probe: more than one answer");
    else if (line)
        take_answer(p, cw_slice(line, n));
    else if (there >= CW_PROBE_ANSWER_MAX)
        fail(p, "probe: an answer without an end");
}

static void on_event(struct bufferevent *connection, short what, void *arg)
{
    struct cw_usage_probe *p = arg;
    int reason = EVUTIL_SOCKET_ERROR();
    char text[160];

    (void)connection;
    cw_loop_mark(p->set->conf.loop, CW_CALLEE("event", on_event));
    if (what & BEV_EVENT_CONNECTED)
        return;
    if (!cw_timer_pending(&p->timeout)) { /* between questions it may */
        disconnect(p);
        return;
    }
    if (what & BEV_EVENT_ERROR)
        (void)snprintf(text, sizeof(text), "probe: %s port %u: %s", p->address, (unsigned)p->port,
                       evutil_socket_error_to_string(reason));
    else
        (void)snprintf(text, sizeof(text), "probe: %s port %u: closed without an answer",
                       p->address, (unsigned)p->port);
    fail(p, text);
}

static void on_timeout(void *arg)
{
    struct cw_usage_probe *p = arg;
    char text[160];

    (void)snprintf(text, sizeof(text), "probe: %s port %u: no answer within %lld ms", p->address,
                   (unsigned)p->port, (long long)p->set->conf.timeout_ms);
    fail(p, text);
}

/* ---- questions ---- */

static socklen_t address_of(const struct cw_usage_probe *p, struct sockaddr_storage *ret)
{
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)ret;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)ret;

    memset(ret, 0, sizeof(*ret));
    if (inet_pton(AF_INET, p->address, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(p->port);
        return sizeof(*four);
    }
    if (inet_pton(AF_INET6, p->address, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(p->port);
        return sizeof(*six);
    }
    return 0;
}

/* Failures come through on_event, later. */
static bool connect_to(struct cw_usage_probe *p)
{
    struct sockaddr_storage address;
    socklen_t size = address_of(p, &address);

    p->connection = size ? bufferevent_socket_new(cw_loop_base(p->set->conf.loop), -1,
                                                  BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS)
                         : NULL;
    if (!p->connection)
        return false;
    bufferevent_setcb(p->connection, on_read, NULL, on_event, p);
    bufferevent_setwatermark(p->connection, EV_READ, 0, CW_PROBE_ANSWER_MAX);
    (void)bufferevent_enable(p->connection, EV_READ | EV_WRITE);
    return bufferevent_socket_connect(p->connection, (struct sockaddr *)&address, (int)size) == 0;
}

static void ask(struct cw_usage_probe *p)
{
    cw_auto_str struct cw_str question;

    cw_str_init(&question, CW_PROBE_REQUEST_MAX);
    cw_probe_put_request(&question, p->token);
    cw_timer_set_ms(&p->timeout, p->set->conf.timeout_ms);
    if (!p->connection && !connect_to(p)) {
        cw_timer_set_ms(&p->timeout, 0); /* told by on_timeout, not from inside this call */
        return;
    }
    (void)bufferevent_write(p->connection, question.p, question.n);
}

/* ---- public ---- */

struct cw_usage_probe *cw_usage_probe_open(struct cw_usage_probes *s, void *owner, const char *id,
                                           const char *address, uint16_t port, const char *token,
                                           uint64_t memory_limit_bytes)
{
    struct cw_usage_probe *p = cw_alloc(sizeof(*p));

    p->set = s;
    p->owner = owner;
    p->port = port;
    p->memory_limit_bytes = memory_limit_bytes;
    p->rest_ms = FIRST_REST_MS;
    (void)snprintf(p->id, sizeof(p->id), "%s", id);
    (void)snprintf(p->address, sizeof(p->address), "%s", address);
    (void)snprintf(p->token, sizeof(p->token), "%s", token);
    cw_timer_init(&p->timeout, s->conf.loop, on_timeout, p);
    p->at_us = now_us(p);
    return p;
}

void cw_usage_probe_close(struct cw_usage_probe *p)
{
    if (!p)
        return;
    disconnect(p);
    cw_timer_done(&p->timeout);
    explicit_bzero(p->token, sizeof(p->token));
    free(p);
}

void cw_usage_probe_rest(struct cw_usage_probe *p, bool resting)
{
    p->resting = resting;
    p->refreshing = false;
    if (resting && cw_timer_pending(&p->timeout))
        disconnect(p);
}

bool cw_usage_probe_refresh(struct cw_usage_probe *p)
{
    if (p->resting || now_us(p) < p->failed_until_us)
        return false;
    p->refreshing = true;
    if (!cw_timer_pending(&p->timeout))
        ask(p);
    return true;
}

bool cw_usage_probe_sample(struct cw_usage_probe *p, struct cw_usage *ret, int64_t *ret_at_us)
{
    if (!p->resting && !cw_timer_pending(&p->timeout) && now_us(p) >= p->not_before_us)
        ask(p);
    *ret = p->usage;
    if (ret_at_us)
        *ret_at_us = p->at_us;
    return p->answered;
}
