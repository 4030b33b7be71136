#include "tests/bench/stub_docker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/list.h"
#include "common/json/writer.h"
#include "tests/bench/stub_http.h"
#include "tests/bench/stub_logs.h"

enum { ID_LEN = 64, ACTION_PORT = 8080, HOSTS_PER_NET = 60000 };

struct container {
    struct cw_link link;
    struct stub_docker *docker;
    char id[ID_LEN + 1], address[16], *name, log_path[PATH_MAX];
    int log_fd;
    struct stub_listener *listener; /* NULL: not started */
    bool paused, initialised;
};

struct stub_docker {
    struct stub_server *server;
    struct stub_listener *listener;
    struct stub_logs *logs;
    char *log_dir;
    unsigned net, next;
    struct cw_list containers;
    struct stub_docker_stats stats;
};

/* ---- the action behind a container ---- */

static void refuse(struct stub_docker *d, struct stub_reply *reply, int status, const char *message)
{
    struct cw_json_writer w;

    d->stats.refused++;
    reply->status = status;
    cw_json_begin(&w, &reply->body);
    cw_json_object(&w);
    cw_json_kv_string(&w, "message", message);
    cw_json_object_end(&w);
}

static void on_action(void *arg, const struct stub_request *req, struct stub_reply *reply)
{
    struct container *c = arg;
    bool init = cw_slice_is(req->target, "/init");

    if (c->paused) {
        refuse(c->docker, reply, 503, "the container is paused");
    } else if (init && !c->initialised) {
        c->initialised = true;
        c->docker->stats.inits++;
        cw_str_addz(&reply->body, "{\"ok\":true}");
    } else if (cw_slice_is(req->target, "/run") && c->initialised) {
        c->docker->stats.runs++;
        stub_logs_write(c->docker->logs, c->log_fd, req->body);
        cw_str_addz(&reply->body, "{\"ok\":true}");
    } else {
        refuse(c->docker, reply, 403, init ? "initialised before" : "expected /init, then /run");
    }
}

/* ---- containers ---- */

static struct container *find(struct stub_docker *d, struct cw_slice id_or_name)
{
    CW_LIST_EACH (&d->containers, n) {
        struct container *c = CW_LIST_ENTRY(n, struct container, link);

        if (cw_slice_is(id_or_name, c->id) || cw_slice_is(id_or_name, c->name))
            return c;
    }
    return NULL;
}

static void container_free(struct container *c)
{
    stub_listener_close(c->listener);
    stub_logs_forget(c->docker->logs, c->log_fd);
    (void)close(c->log_fd);
    (void)unlink(c->log_path);
    cw_list_remove(&c->docker->containers, &c->link);
    free(c->name);
    free(c);
}

static struct container *container_new(struct stub_docker *d, struct cw_slice name)
{
    struct container *c = cw_alloc(sizeof(*c));
    unsigned host = d->next++ % HOSTS_PER_NET;
    int n;

    c->docker = d;
    (void)snprintf(c->id, sizeof(c->id), "%08x%056x", d->next, 0);
    (void)snprintf(c->address, sizeof(c->address), "127.%u.%u.%u", d->net, host / 250,
                   host % 250 + 1);
    n = snprintf(c->log_path, sizeof(c->log_path), "%s/%s-json.log", d->log_dir, c->id);
    c->log_fd = n < (int)sizeof(c->log_path)
                    ? open(c->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640)
                    : -1;
    if (c->log_fd < 0) {
        free(c);
        return NULL;
    }
    c->name = cw_slice_dup(name);
    cw_list_push_back(&d->containers, &c->link);
    return c;
}

/* ---- the engine's requests ---- */

static const char *state_of(const struct container *c)
{
    return c->paused ? "paused" : c->listener ? "running" : "created";
}

static void do_version(struct stub_reply *reply)
{
    cw_str_addz(&reply->body, "{\"Version\":\"20.10.24\",\"ApiVersion\":\"1.41\","
                              "\"MinAPIVersion\":\"1.12\",\"Os\":\"linux\",\"Arch\":\"amd64\"}");
}

static void do_create(struct stub_docker *d, struct cw_slice query, struct stub_reply *reply)
{
    struct cw_slice name;
    struct container *c;

    if (query.n < 6 || memcmp(query.p, "name=", 5) != 0) {
        refuse(d, reply, 400, "expected ?name=");
        return;
    }
    name = cw_slice(query.p + 5, query.n - 5);
    if (find(d, name)) {
        refuse(d, reply, 409, "Conflict. The container name is already in use");
        return;
    }
    c = container_new(d, name);
    if (!c) {
        refuse(d, reply, 500, strerror(errno));
        return;
    }
    d->stats.created++;
    reply->status = 201;
    cw_str_addf(&reply->body, "{\"Id\":\"%s\",\"Warnings\":[]}", c->id);
}

static void do_start(struct container *c, struct stub_reply *reply)
{
    struct cw_err err;

    reply->status = c->listener ? 304 : 204;
    if (c->listener)
        return;
    c->listener = stub_listen_tcp(c->docker->server, c->address, ACTION_PORT, on_action, c, &err);
    if (!c->listener)
        refuse(c->docker, reply, 500, err.msg);
}

static void do_inspect(const struct container *c, struct stub_reply *reply)
{
    const char *running = c->listener ? "true" : "false";

    cw_str_addf(&reply->body,
                "{\"Id\":\"%s\",\"Name\":\"/%s\",\"State\":{\"Status\":\"%s\",\"Running\":%s,"
                "\"OOMKilled\":false,\"ExitCode\":0,\"FinishedAt\":\"0001-01-01T00:00:00Z\"},"
                "\"LogPath\":\"%s\",\"NetworkSettings\":{\"Networks\":{\"bridge\":{"
                "\"IPAddress\":\"%s\",\"GlobalIPv6Address\":\"\"}}}}",
                c->id, c->name, state_of(c), running, c->log_path, c->listener ? c->address : "");
}

static void do_pause(struct container *c, bool pause, struct stub_reply *reply)
{
    if (c->paused == pause || !c->listener) {
        refuse(c->docker, reply, 409, pause ? "not running" : "not paused");
        return;
    }
    c->paused = pause;
    c->docker->stats.pauses += pause;
    reply->status = 204;
}

static void do_list(const struct stub_docker *d, struct stub_reply *reply)
{
    const char *comma = "";

    cw_str_addc(&reply->body, '[');
    CW_LIST_EACH (&d->containers, n) {
        const struct container *c = CW_LIST_ENTRY(n, struct container, link);

        cw_str_addf(&reply->body, "%s{\"Id\":\"%s\",\"Names\":[\"/%s\"],\"State\":\"%s\"}", comma,
                    c->id, c->name, state_of(c));
        comma = ",";
    }
    cw_str_addc(&reply->body, ']');
}

static void do_container(struct stub_docker *d, const struct stub_request *req, struct cw_slice id,
                         struct cw_slice verb, struct stub_reply *reply)
{
    struct container *c = find(d, id);
    bool post = cw_slice_is(req->method, "POST");

    if (!c) {
        refuse(d, reply, 404, "No such container");
    } else if (cw_slice_is(req->method, "DELETE") && !verb.n) {
        container_free(c);
        d->stats.removed++;
        reply->status = 204;
    } else if (cw_slice_is(req->method, "GET") && cw_slice_is(verb, "json")) {
        do_inspect(c, reply);
    } else if (post && cw_slice_is(verb, "start")) {
        do_start(c, reply);
    } else if (post && (cw_slice_is(verb, "pause") || cw_slice_is(verb, "unpause"))) {
        do_pause(c, verb.p[0] == 'p', reply);
    } else {
        refuse(d, reply, 404, "page not found");
    }
}

/* Cuts at the first `sep`; *ret_rest is what follows it. */
static struct cw_slice cut(struct cw_slice s, char sep, struct cw_slice *ret_rest)
{
    const char *p = memchr(s.p, sep, s.n);
    size_t n = p ? (size_t)(p - s.p) : s.n;

    *ret_rest = p ? cw_slice(p + 1, s.n - n - 1) : cw_slice(s.p + s.n, 0);
    return cw_slice(s.p, n);
}

static void on_engine(void *arg, const struct stub_request *req, struct stub_reply *reply)
{
    struct stub_docker *d = arg;
    struct cw_slice query, rest, first, second, third;
    struct cw_slice path = cut(req->target, '?', &query);

    (void)cut(path, '/', &rest); /* before the first slash is nothing */
    first = cut(rest, '/', &rest);
    if (first.n > 1 && first.p[0] == 'v' && first.p[1] >= '0' && first.p[1] <= '9')
        first = cut(rest, '/', &rest);
    second = cut(rest, '/', &third);
    if (cw_slice_is(first, "version"))
        do_version(reply);
    else if (cw_slice_is(first, "images") && cw_slice_is(second, "create"))
        cw_str_addz(&reply->body, "{\"status\":\"Image is up to date\"}\n");
    else if (!cw_slice_is(first, "containers"))
        refuse(d, reply, 404, "page not found");
    else if (cw_slice_is(second, "create"))
        do_create(d, query, reply);
    else if (cw_slice_is(second, "json"))
        do_list(d, reply);
    else
        do_container(d, req, second, third, reply);
}

/* ---- the engine ---- */

struct stub_docker *stub_docker_new(struct stub_server *server, struct stub_logs *logs,
                                    const char *socket_path, const char *log_dir, unsigned net,
                                    struct cw_err *err)
{
    struct stub_docker *d = cw_alloc(sizeof(*d));

    d->server = server;
    d->logs = logs;
    d->net = net;
    d->log_dir = cw_strdup(log_dir);
    cw_list_init(&d->containers);
    d->listener = stub_listen_unix(server, socket_path, on_engine, d, err);
    if (!d->listener) {
        stub_docker_free(d);
        return NULL;
    }
    return d;
}

void stub_docker_free(struct stub_docker *d)
{
    struct cw_link *n;

    if (!d)
        return;
    while ((n = cw_list_first(&d->containers)))
        container_free(CW_LIST_ENTRY(n, struct container, link));
    stub_listener_close(d->listener);
    free(d->log_dir);
    free(d);
}

struct stub_docker_stats stub_docker_stats(const struct stub_docker *d)
{
    struct stub_docker_stats stats = d->stats;

    stats.containers = d->containers.count;
    return stats;
}
