/* stub_world -- all that an invoker meets but Kafka, in one cheap process.
 *
 *   stub_world --docker SOCKET --logs FOLDER [--couch PORT] [--net N] [--log-delay US]
 *
 * A Docker engine on the Unix socket, containers that answer at once on 127.N.x.y:8080 (default 1),
 * a CouchDB on 127.0.0.1:PORT (default: any free one). Prints one line of JSON when it serves.
 * GET /_stub/stats on CouchDB's port tells what has happened so far, GET /_stub/sentinels when the
 * last runs' last log lines were written: before the answer, or --log-delay microseconds after it.
 * Ends on SIGTERM or SIGINT. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/json/writer.h"
#include "tests/bench/stub_couch.h"
#include "tests/bench/stub_docker.h"
#include "tests/bench/stub_http.h"
#include "tests/bench/stub_logs.h"

struct options {
    const char *docker, *logs;
    int64_t couch_port, net, log_delay_us;
};

struct world {
    struct stub_server *server;
    struct stub_docker *docker;
    struct stub_logs *logs;
    struct stub_couch couch;
};

static int read_options(int argc, char **argv, struct options *o, struct cw_err *err)
{
    static const struct option OPTIONS[] = {
        {"docker", required_argument, NULL, 'd'},    {"logs", required_argument, NULL, 'l'},
        {"couch", required_argument, NULL, 'c'},     {"net", required_argument, NULL, 'n'},
        {"log-delay", required_argument, NULL, 'D'}, {NULL, 0, NULL, 0},
    };
    int opt;

    while ((opt = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        if (opt == 'd')
            o->docker = optarg;
        else if (opt == 'l')
            o->logs = optarg;
        else if (opt == '?' ||
                 (opt == 'c' && cw_parse_i64(cw_slice_of(optarg), "--couch", 0, 65535,
                                             &o->couch_port, err) != 0) ||
                 (opt == 'n' &&
                  cw_parse_i64(cw_slice_of(optarg), "--net", 1, 254, &o->net, err) != 0) ||
                 (opt == 'D' && cw_parse_i64(cw_slice_of(optarg), "--log-delay", 0, 10000000,
                                             &o->log_delay_us, err) != 0))
            return opt == '?' ? cw_fail(err, CW_INVALID, "unknown option") : -1;
    }
    if (!o->docker || !o->logs || optind != argc)
        return cw_fail(err, CW_INVALID, "expected --docker SOCKET --logs FOLDER");
    return 0;
}

static void write_stats(const struct world *w, struct cw_str *out)
{
    struct stub_docker_stats d = stub_docker_stats(w->docker);
    struct cw_json_writer j;

    cw_json_begin(&j, out);
    cw_json_object(&j);
    cw_json_kv_int(&j, "created", (int64_t)d.created);
    cw_json_kv_int(&j, "removed", (int64_t)d.removed);
    cw_json_kv_int(&j, "containers", (int64_t)d.containers);
    cw_json_kv_int(&j, "inits", (int64_t)d.inits);
    cw_json_kv_int(&j, "runs", (int64_t)d.runs);
    cw_json_kv_int(&j, "pauses", (int64_t)d.pauses);
    cw_json_kv_int(&j, "refused", (int64_t)d.refused);
    cw_json_kv_int(&j, "reads", (int64_t)w->couch.reads);
    cw_json_kv_int(&j, "batches", (int64_t)w->couch.batches);
    cw_json_kv_int(&j, "records", (int64_t)w->couch.records);
    cw_json_object_end(&j);
}

static void on_couch(void *arg, const struct stub_request *req, struct stub_reply *reply)
{
    struct world *w = arg;

    if (cw_slice_is(req->target, "/_stub/stats"))
        write_stats(w, &reply->body);
    else if (cw_slice_is(req->target, "/_stub/sentinels"))
        stub_logs_show(w->logs, &reply->body);
    else
        stub_couch_handle(&w->couch, req, reply);
}

static int stop_signals(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int serve(struct world *w, const struct options *o, int stop_fd, struct cw_err *err)
{
    struct stub_listener *couch;

    w->server = stub_server_new(err);
    if (!w->server)
        return -1;
    w->logs = stub_logs_new(w->server, o->log_delay_us, err);
    if (!w->logs)
        return -1;
    w->docker = stub_docker_new(w->server, w->logs, o->docker, o->logs, (unsigned)o->net, err);
    if (!w->docker)
        return -1;
    couch = stub_listen_tcp(w->server, "127.0.0.1", (uint16_t)o->couch_port, on_couch, w, err);
    if (!couch)
        return -1;
    (void)printf("{\"couch\":%u}\n", stub_listener_port(couch));
    (void)fflush(stdout);
    return stub_server_run(w->server, stop_fd, err);
}

int main(int argc, char **argv)
{
    struct options o = {.net = 1};
    struct world w = {0};
    struct cw_err err;
    int stop_fd, rc;

    if (read_options(argc, argv, &o, &err) != 0) {
        (void)fprintf(stderr, "stub_world: %s\n", err.msg);
        return 2;
    }
    stop_fd = stop_signals();
    rc = serve(&w, &o, stop_fd, &err);
    if (rc != 0)
        (void)fprintf(stderr, "stub_world: %s\n", err.msg);
    stub_docker_free(w.docker);
    stub_logs_free(w.logs);
    stub_server_free(w.server);
    (void)close(stop_fd);
    return rc == 0 ? 0 : 1;
}
