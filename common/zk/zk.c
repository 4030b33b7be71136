/* ZooKeeper's single-threaded client says which descriptor it waits for and until when; run_until
 * is the poll loop around it. One request is under way at a time, and its answer lands in the
 * session. */
#include "common/zk/zk.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/time.h>

#include <zookeeper/zookeeper.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/obs/log.h"

enum {
    SESSION_MS = 10000, /* the client waits a 60th of it between rounds through the servers */
    OPS_MAX = 64,
};

struct cw_zk {
    zhandle_t *zh;
    const struct cw_clock *clock;
    int64_t deadline_us;
    int stop_fd;
    int trouble; /* errno of the last failed connection; a hint for messages only */
    bool broken; /* a request was given up: its answer may still be under way */
    bool answered;
    int rc;
    struct cw_str *data; /* where the request's results go; NULL: nowhere */
    int32_t version;
    char **names;
    size_t count;
    zoo_op_result_t results[OPS_MAX]; /* of a commit; here, since it may be answered late */
};

/* ---- the poll loop ---- */

static void on_session(zhandle_t *zh, int type, int state, const char *path, void *arg)
{
    (void)zh, (void)type, (void)state, (void)path, (void)arg; /* states are asked for */
}

static void on_library_log(const char *text)
{
    cw_log(CW_LOG_DEBUG, NULL, "ZooKeeper", "%s", text);
}

static int64_t left_ms(const struct cw_zk *zk)
{
    int64_t left_us = zk->deadline_us - cw_clock_mono_us(zk->clock);

    return left_us > 0 ? (left_us + 999) / 1000 : 0;
}

/* Waits for what the client is interested in, the stop descriptor and the deadline. */
static int wait_events(struct cw_zk *zk, int fd, int interest, const struct timeval *tv,
                       int *ret_events, struct cw_err *err)
{
    struct pollfd fds[2] = {
        {.fd = zk->stop_fd, .events = POLLIN},
        {.fd = fd,
         .events = (short)((interest & ZOOKEEPER_READ ? POLLIN : 0) |
                           (interest & ZOOKEEPER_WRITE ? POLLOUT : 0))},
    };
    int64_t ms = tv->tv_sec * 1000 + (tv->tv_usec + 999) / 1000;

    if (ms > left_ms(zk))
        ms = left_ms(zk);
    if (poll(fds, 2, (int)ms) < 0 && errno != EINTR)
        return cw_fail_errno(err, errno, "ZooKeeper: poll");
    if (fds[0].revents)
        return cw_fail(err, CW_CANCELLED, "ZooKeeper: stopped by a signal");
    *ret_events = (fds[1].revents & (POLLIN | POLLHUP | POLLERR) ? ZOOKEEPER_READ : 0) |
                  (fds[1].revents & (POLLOUT | POLLHUP | POLLERR) ? ZOOKEEPER_WRITE : 0);
    return 0;
}

/* The client goes on to the next server by itself; what happened is only remembered. */
static void note_trouble(struct cw_zk *zk, int rc)
{
    if ((rc == ZCONNECTIONLOSS || rc == ZOPERATIONTIMEOUT || rc == ZSYSTEMERROR) && errno)
        zk->trouble = errno;
}

static int run_until(struct cw_zk *zk, bool (*done)(const struct cw_zk *zk), struct cw_err *err)
{
    while (!done(zk)) {
        struct timeval tv = {0};
        int fd = -1, interest = 0, events = 0, rc;

        if (is_unrecoverable(zk->zh))
            return cw_fail_retriable(err, CW_UNAVAILABLE, "ZooKeeper: the session is lost");
        if (left_ms(zk) == 0)
            return cw_fail(err, CW_TIMEOUT, "ZooKeeper: no answer in time%s%s",
                           zk->trouble ? ": " : "", zk->trouble ? strerror(zk->trouble) : "");
        errno = 0;
        rc = zookeeper_interest(zk->zh, &fd, &interest, &tv);
        note_trouble(zk, rc);
        if (rc != ZOK)
            continue; /* its next call has a delay once all servers were tried */
        if (wait_events(zk, fd, interest, &tv, &events, err) != 0)
            return -1;
        errno = 0;
        note_trouble(zk, zookeeper_process(zk->zh, events));
    }
    return 0;
}

static bool is_connected(const struct cw_zk *zk)
{
    return zoo_state(zk->zh) == ZOO_CONNECTED_STATE;
}

static bool is_answered(const struct cw_zk *zk)
{
    return zk->answered;
}

/* ---- session ---- */

struct cw_zk *cw_zk_open(const struct cw_zk_conf *conf, struct cw_err *err)
{
    struct cw_zk *zk = cw_alloc(sizeof(*zk));

    zk->clock = conf->clock ? conf->clock : cw_clock_system();
    zk->deadline_us = conf->deadline_us;
    zk->stop_fd = conf->stop_fd;
    zoo_set_debug_level(ZOO_LOG_LEVEL_WARN);
    zk->zh = zookeeper_init2(conf->hosts, on_session, SESSION_MS, NULL, NULL, ZOO_NO_LOG_CLIENTENV,
                             on_library_log);
    if (!zk->zh) {
        (void)cw_fail_retriable(err, CW_UNAVAILABLE,
                                "ZooKeeper: none of the servers \"%s\" can be resolved",
                                conf->hosts);
        cw_zk_close(zk);
        return NULL;
    }
    if (run_until(zk, is_connected, err) != 0) {
        cw_zk_close(zk);
        return NULL;
    }
    return zk;
}

void cw_zk_close(struct cw_zk *zk)
{
    if (!zk)
        return;
    zk->broken = true;
    zk->data = NULL;
    if (zk->zh)
        (void)zookeeper_close(zk->zh); /* answers what is under way, into a broken session */
    cw_zk_names_free(zk->names);
    free(zk);
}

/* ---- requests ---- */

static int translate(int rc, const char *what, const char *path, struct cw_err *err)
{
    switch (rc) {
    case ZOK:
        return 0;
    case ZNONODE:
        return cw_fail(err, CW_NOT_FOUND, "ZooKeeper: %s %s: no node", what, path);
    case ZNODEEXISTS:
    case ZBADVERSION:
    case ZNOTEMPTY:
        return cw_fail(err, CW_CONFLICT, "ZooKeeper: %s %s: %s", what, path, zerror(rc));
    case ZBADARGUMENTS:
        return cw_fail(err, CW_INVALID, "ZooKeeper: %s %s: not a path for it", what, path);
    case ZNOAUTH:
    case ZAUTHFAILED:
    case ZINVALIDACL:
        return cw_fail(err, CW_INVALID, "ZooKeeper: %s %s: %s", what, path, zerror(rc));
    case ZCONNECTIONLOSS:
    case ZOPERATIONTIMEOUT:
    case ZSESSIONEXPIRED:
    case ZSESSIONMOVED:
    case ZINVALIDSTATE:
    case ZTHROTTLEDOP:
    case ZNOTREADONLY:
        return cw_fail_retriable(err, CW_UNAVAILABLE, "ZooKeeper: %s %s: %s", what, path,
                                 zerror(rc));
    default:
        return cw_fail(err, CW_INTERNAL, "ZooKeeper: %s %s: %s", what, path, zerror(rc));
    }
}

static void begin(struct cw_zk *zk, struct cw_str *data)
{
    assert(!zk->broken);
    zk->answered = false;
    zk->data = data;
}

/* Waits for the request that was put; put: its status when it was. */
static int finish(struct cw_zk *zk, int put, const char *what, const char *path, struct cw_err *err)
{
    if (put == ZOK && run_until(zk, is_answered, err) != 0) {
        zk->broken = true;
        zk->data = NULL;
        return cw_err_wrap(err, "%s %s", what, path);
    }
    zk->data = NULL;
    return translate(put == ZOK ? zk->rc : put, what, path, err);
}

static struct cw_zk *session_of(const void *arg)
{
    struct cw_zk *zk;

    memcpy(&zk, &arg, sizeof(zk)); /* the client hands our pointer back as const */
    return zk;
}

static void answer(struct cw_zk *zk, int rc)
{
    zk->rc = rc;
    zk->answered = true;
}

static void on_data(int rc, const char *value, int n, const struct Stat *stat, const void *arg)
{
    struct cw_zk *zk = session_of(arg);

    if (!zk->broken && rc == ZOK && zk->data) {
        cw_str_reset(zk->data);
        if (value && n > 0)
            cw_str_add(zk->data, value, (size_t)n);
        zk->version = stat->version;
    }
    answer(zk, rc);
}

int cw_zk_get(struct cw_zk *zk, const char *path, struct cw_str *data, int32_t *ret_version,
              struct cw_err *err)
{
    begin(zk, data);
    if (finish(zk, zoo_aget(zk->zh, path, 0, on_data, zk), "get", path, err) != 0)
        return -1;
    if (data->failed)
        return cw_fail(err, CW_TOO_LARGE, "ZooKeeper: get %s: over %zu bytes", path, data->max);
    if (ret_version)
        *ret_version = zk->version;
    return 0;
}

static void on_names(int rc, const struct String_vector *names, const void *arg)
{
    struct cw_zk *zk = session_of(arg);

    if (!zk->broken && rc == ZOK) {
        size_t count = names->count > 0 ? (size_t)names->count : 0;

        zk->names = cw_calloc(count + 1, sizeof(*zk->names));
        for (zk->count = 0; zk->count < count; zk->count++)
            zk->names[zk->count] = cw_strdup(names->data[zk->count]);
    }
    answer(zk, rc);
}

int cw_zk_children(struct cw_zk *zk, const char *path, char ***ret_names, size_t *ret_count,
                   struct cw_err *err)
{
    begin(zk, NULL);
    if (finish(zk, zoo_aget_children(zk->zh, path, 0, on_names, zk), "list", path, err) != 0)
        return -1;
    *ret_names = CW_STEAL(zk->names);
    *ret_count = zk->count;
    return 0;
}

void cw_zk_names_free(char **names)
{
    for (char **n = names; n && *n; n++)
        free(*n);
    free(names);
}

static void on_committed(int rc, const void *arg)
{
    answer(session_of(arg), rc);
}

/* Of a refused transaction; the others say "ok" or "not done because of another". */
static size_t first_failed(const struct cw_zk *zk, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (zk->results[i].err != ZOK && zk->results[i].err != ZRUNTIMEINCONSISTENCY)
            return i;
    return 0;
}

static void wire_op(zoo_op_t *wire, const struct cw_zk_op *op)
{
    switch (op->kind) {
    case CW_ZK_CREATE:
        zoo_create_op_init(wire, op->path, op->data, (int)op->n, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
        break;
    case CW_ZK_SET:
        zoo_set_op_init(wire, op->path, op->data, (int)op->n, op->version, NULL);
        break;
    case CW_ZK_DELETE:
        zoo_delete_op_init(wire, op->path, op->version);
        break;
    }
}

int cw_zk_commit(struct cw_zk *zk, const struct cw_zk_op *ops, size_t count, struct cw_err *err)
{
    zoo_op_t wire[OPS_MAX];
    struct cw_err failed = {0};
    size_t bad;

    if (count == 0 || count > OPS_MAX)
        return cw_fail(err, CW_TOO_LARGE, "ZooKeeper: %zu operations at once; accepted: 1..%d",
                       count, OPS_MAX);
    for (size_t i = 0; i < count; i++)
        wire_op(&wire[i], &ops[i]);
    begin(zk, NULL);
    memset(zk->results, 0, sizeof(zk->results));
    if (finish(zk, zoo_amulti(zk->zh, (int)count, wire, zk->results, on_committed, zk), "commit",
               ops[0].path, &failed) == 0)
        return 0;
    bad = first_failed(zk, count);
    if (!zk->broken && zk->results[bad].err != ZOK) {
        static const char *const VERBS[] = {"create", "set", "delete"};

        return translate(zk->results[bad].err, VERBS[ops[bad].kind], ops[bad].path, err);
    }
    *err = failed;
    return -1;
}

static void on_created(int rc, const char *path, const void *arg)
{
    (void)path;
    answer(session_of(arg), rc);
}

int cw_zk_ensure(struct cw_zk *zk, const char *path, struct cw_err *err)
{
    struct cw_err failed = {0};
    int put;

    begin(zk, NULL);
    put = zoo_acreate(zk->zh, path, NULL, -1, &ZOO_OPEN_ACL_UNSAFE, 0, on_created, zk);
    if (finish(zk, put, "create", path, &failed) == 0 || failed.code == CW_CONFLICT)
        return 0;
    *err = failed;
    return -1;
}
