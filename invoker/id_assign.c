/* Optimistic: read counter, names and their ids, write the outcome on condition that the counter
 * has not moved, and begin again when it has. Beginning again is harmless at any point, also after
 * a connection was lost with the outcome unknown: a name that got its id keeps it. */
#include "invoker/id_assign.h"

#include <inttypes.h>
#include <poll.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/obs/log.h"
#include "common/zk/zk.h"
#include "invoker/id_plan.h"

#define COMPONENT "InstanceIdAssigner"
#define ROOT "/invokers/idAssignment"
#define MAPPING ROOT "/mapping"
#define COUNTER ROOT "/counter"

enum {
    RETRY_MS = 500,
    /* Stock reserves by the counter and writes its name a moment later: so many times RETRY_MS are
     * names waited for that the counter announces. */
    ANNOUNCED_WAITS = 4,
    NODE_MAX_BYTES = 1024,
    PATH_MAX_BYTES = 512,
    HOSTS_MAX_BYTES = 8192,
    SAME_ID_MAX = 60,
};

struct assigner {
    const struct inv_id_request *request;
    struct cw_zk *zk;
    int64_t deadline_us;
    int announced_waits;
    bool is_new;        /* logged */
    struct cw_str own;  /* path of our name's node */
    struct cw_str data; /* what was read last */
};

struct name {
    char *name;
    int64_t id; /* -1: unreadable */
};

struct roll { /* all assigned names */
    struct name *names;
    size_t count;
};

static void roll_done(struct roll *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->names[i].name);
    free(r->names);
}
#define cw_auto_roll CW_CLEANUP(roll_done)

/* ---- waiting ---- */

static int pause_ms(const struct assigner *a, int ms, struct cw_err *err)
{
    struct pollfd stop = {.fd = a->request->stop_fd, .events = POLLIN};

    if (cw_clock_mono_us(cw_clock_system()) + ms * INT64_C(1000) >= a->deadline_us)
        return cw_fail(err, CW_TIMEOUT, "ZooKeeper: not done in time");
    if (poll(&stop, 1, ms) > 0)
        return cw_fail(err, CW_CANCELLED, "ZooKeeper: stopped by a signal");
    return 0;
}

/* ---- reading ---- */

/* *ret_id is -1 when there is no such node. */
static int read_id(struct assigner *a, const char *path, int64_t *ret_id, bool strict,
                   struct cw_err *err)
{
    struct cw_err failed = {0};

    *ret_id = -1;
    if (cw_zk_get(a->zk, path, &a->data, NULL, &failed) != 0) {
        if (failed.code == CW_NOT_FOUND || (!strict && failed.code == CW_TOO_LARGE))
            return 0;
        *err = failed;
        return -1;
    }
    *ret_id = inv_id_decode(cw_str_slice(&a->data));
    if (*ret_id < 0 && strict)
        return cw_fail(err, CW_INVALID,
                       "ZooKeeper: %s holds no id (%zu bytes); accepted: a big-endian integer, "
                       "0..%d",
                       path, a->data.n, INV_ID_MAX);
    return 0;
}

static int read_counter(struct assigner *a, int64_t *ret_count, int32_t *ret_version,
                        struct cw_err *err)
{
    if (cw_zk_get(a->zk, COUNTER, &a->data, ret_version, err) != 0)
        return -1;
    *ret_count = inv_id_counter_decode(cw_str_slice(&a->data));
    if (*ret_count < 0)
        return cw_fail(err, CW_INVALID,
                       "ZooKeeper: " COUNTER " holds no counter (%zu bytes); accepted: 4 bytes, "
                       "big-endian",
                       a->data.n);
    return 0;
}

static int read_roll(struct assigner *a, struct roll *roll, struct cw_err *err)
{
    char **names = NULL;
    size_t count = 0;

    if (cw_zk_children(a->zk, MAPPING, &names, &count, err) != 0)
        return -1;
    roll->names = cw_calloc(count, sizeof(*roll->names));
    for (; roll->count < count; roll->count++)
        roll->names[roll->count].name = names[roll->count];
    free(names); /* the texts have moved */
    for (size_t i = 0; i < count; i++) {
        cw_auto_str struct cw_str path;

        cw_str_init(&path, PATH_MAX_BYTES + NODE_MAX_BYTES);
        cw_str_addf(&path, MAPPING "/%s", roll->names[i].name);
        if (path.failed)
            roll->names[i].id = -1;
        else if (read_id(a, path.p, &roll->names[i].id, false, err) != 0)
            return -1;
    }
    return 0;
}

/* Containers where the server has them in stock's own code; 3.4 has none, and they are never empty
 * here. */
static int make_parents(struct assigner *a, struct cw_err *err)
{
    static const char *const PATHS[] = {"/invokers", ROOT, MAPPING};
    static const uint8_t ZERO[INV_ID_COUNTER_BYTES];
    const struct cw_zk_op counter = {
        .kind = CW_ZK_CREATE, .path = COUNTER, .data = ZERO, .n = sizeof(ZERO)};
    struct cw_err failed = {0};

    for (size_t i = 0; i < CW_ARRAY_LEN(PATHS); i++) {
        if (cw_zk_ensure(a->zk, PATHS[i], &failed) == 0)
            continue;
        *err = failed;
        if (failed.code == CW_NOT_FOUND)
            return cw_fail(err, CW_INVALID,
                           "ZooKeeper: the path behind the servers in ZOOKEEPER_HOSTS does not "
                           "exist (%.80s)",
                           a->request->zookeeper_hosts);
        return -1;
    }
    if (cw_zk_commit(a->zk, &counter, 1, &failed) == 0 || failed.code == CW_CONFLICT)
        return 0;
    *err = failed;
    return -1;
}

/* ---- the next id ---- */

static int64_t next_of(const struct roll *roll)
{
    cw_auto_free int64_t *ids = cw_calloc(roll->count, sizeof(*ids));

    for (size_t i = 0; i < roll->count; i++)
        ids[i] = roll->names[i].id;
    return inv_id_next(ids, roll->count);
}

static int reserve(struct assigner *a, const struct roll *roll, int32_t version, int64_t *ret_id,
                   struct cw_err *err)
{
    uint8_t counter[INV_ID_COUNTER_BYTES], id[INV_ID_BYTES];
    struct cw_zk_op ops[] = {
        {.kind = CW_ZK_SET,
         .path = COUNTER,
         .data = counter,
         .n = sizeof(counter),
         .version = version},
        {.kind = CW_ZK_CREATE, .path = a->own.p, .data = id},
    };
    int64_t next = next_of(roll);

    if (next > INV_ID_MAX)
        return cw_fail(err, CW_INVALID, "ZooKeeper: " MAPPING " has %zu names: no id is left",
                       roll->count);
    inv_id_counter_encode((int64_t)roll->count + 1, counter);
    ops[1].n = inv_id_encode(next, id);
    if (cw_zk_commit(a->zk, ops, CW_ARRAY_LEN(ops), err) != 0)
        return -1;
    *ret_id = next;
    return 0;
}

/* CW_CONFLICT and CW_NOT_FOUND: somebody else was at it, begin again. */
static int assign_next(struct assigner *a, int64_t *ret_id, struct cw_err *err)
{
    cw_auto_roll struct roll roll = {0};
    const char *name = a->request->unique_name;
    int64_t counter;
    int32_t version;

    if (read_id(a, a->own.p, ret_id, true, err) != 0)
        return -1;
    if (*ret_id >= 0) {
        cw_log(CW_LOG_INFO, NULL, COMPONENT,
               "invokerReg: invoker %s was assigned its previous invokerId %" PRId64, name,
               *ret_id);
        return 0;
    }
    if (!a->is_new)
        cw_log(CW_LOG_INFO, NULL, COMPONENT, "invokerReg: no prior assignment of id for invoker %s",
               name);
    a->is_new = true;
    if (make_parents(a, err) != 0 || read_counter(a, &counter, &version, err) != 0 ||
        read_roll(a, &roll, err) != 0)
        return -1;
    if (counter > (int64_t)roll.count && a->announced_waits < ANNOUNCED_WAITS) {
        a->announced_waits++;
        if (pause_ms(a, RETRY_MS, err) != 0)
            return -1;
        return cw_fail(err, CW_CONFLICT, "ZooKeeper: another invoker is about to be assigned");
    }
    if (reserve(a, &roll, version, ret_id, err) != 0)
        return -1;
    cw_log(CW_LOG_INFO, NULL, COMPONENT, "invokerReg: invoker %s was assigned invokerId %" PRId64,
           name, *ret_id);
    return 0;
}

/* ---- a given id ---- */

/* Deletes the other names that have the id, and makes or sets our own, at once. */
static int take_over(struct assigner *a, const struct roll *roll, struct cw_err *err)
{
    struct cw_zk_op ops[SAME_ID_MAX + 1] = {0};
    struct cw_str paths[SAME_ID_MAX];
    uint8_t id[INV_ID_BYTES];
    size_t n = 0;
    bool own_exists = false;
    int rc;

    for (size_t i = 0; i < roll->count; i++) {
        const struct name *other = &roll->names[i];

        if (strcmp(other->name, a->request->unique_name) == 0) {
            own_exists = true;
        } else if (other->id == a->request->overwrite_id && n < SAME_ID_MAX) {
            cw_str_init(&paths[n], PATH_MAX_BYTES + NODE_MAX_BYTES);
            cw_str_addf(&paths[n], MAPPING "/%s", other->name);
            ops[n] = (struct cw_zk_op){.kind = CW_ZK_DELETE, .path = paths[n].p, .version = -1};
            n++;
        }
    }
    ops[n] = (struct cw_zk_op){
        .kind = own_exists ? CW_ZK_SET : CW_ZK_CREATE,
        .path = a->own.p,
        .data = id,
        .n = inv_id_encode(a->request->overwrite_id, id),
        .version = -1,
    };
    rc = cw_zk_commit(a->zk, ops, n + 1, err);
    while (n > 0)
        cw_str_done(&paths[--n]);
    return rc;
}

static int assign_given(struct assigner *a, int64_t *ret_id, struct cw_err *err)
{
    cw_auto_roll struct roll roll = {0};
    const char *name = a->request->unique_name;
    int64_t id = a->request->overwrite_id;

    if (make_parents(a, err) != 0 || read_roll(a, &roll, err) != 0)
        return -1;
    if ((int64_t)roll.count < id)
        return cw_fail(err, CW_INVALID,
                       "invokerReg: cannot assign %" PRId64 " to %s: not enough invokers "
                       "(--overwriteId takes 0..%zu now)",
                       id, name, roll.count);
    if (take_over(a, &roll, err) != 0)
        return -1;
    cw_log(CW_LOG_INFO, NULL, COMPONENT, "invokerReg: invoker %s was assigned invokerId %" PRId64,
           name, id);
    *ret_id = id;
    return 0;
}

/* ---- sessions and retries ---- */

/* One session; begins again at once as long as others interfere. */
static int attempt(struct assigner *a, const char *hosts, int64_t *ret_id, struct cw_err *err)
{
    const struct cw_zk_conf conf = {
        .hosts = hosts, .deadline_us = a->deadline_us, .stop_fd = a->request->stop_fd};
    int rc;

    a->zk = cw_zk_open(&conf, err);
    if (!a->zk)
        return -1;
    cw_log(CW_LOG_INFO, NULL, COMPONENT, "invokerReg: connected to zookeeper");
    do {
        *err = (struct cw_err){0};
        rc = a->request->overwrite_id >= 0 ? assign_given(a, ret_id, err)
                                           : assign_next(a, ret_id, err);
    } while (rc != 0 && (err->code == CW_CONFLICT || err->code == CW_NOT_FOUND));
    cw_zk_close(CW_STEAL(a->zk));
    return rc;
}

static int attempts(struct assigner *a, const char *hosts, int64_t *ret_id, struct cw_err *err)
{
    for (;;) {
        struct cw_err failed = {0}, waited = {0};

        if (attempt(a, hosts, ret_id, &failed) == 0)
            return 0;
        *err = failed;
        if (!failed.retriable)
            return -1;
        if (pause_ms(a, RETRY_MS, &waited) == 0) {
            cw_log(CW_LOG_WARN, NULL, COMPONENT, "%s; trying again", failed.msg);
            continue;
        }
        if (waited.code == CW_CANCELLED)
            *err = waited;
        return -1;
    }
}

int inv_id_assign(const struct inv_id_request *request, int64_t *ret_id, struct cw_err *err)
{
    cw_auto_str struct cw_str hosts;
    struct assigner a = {
        .request = request,
        .deadline_us = cw_clock_mono_us(cw_clock_system()) + request->timeout_ms * 1000,
    };
    int rc = -1;

    cw_str_init(&hosts, HOSTS_MAX_BYTES);
    if (inv_id_check_name(request->unique_name, err) != 0 ||
        inv_id_hosts(request->zookeeper_hosts, &hosts, err) != 0)
        return -1;
    cw_log(CW_LOG_INFO, NULL, COMPONENT, "invokerReg: creating zkClient to %s", hosts.p);
    cw_str_init(&a.own, PATH_MAX_BYTES);
    cw_str_init(&a.data, NODE_MAX_BYTES);
    cw_str_addf(&a.own, MAPPING "/%s", request->unique_name);
    rc = attempts(&a, hosts.p, ret_id, err);
    if (rc != 0 && err->code != CW_INVALID && err->code != CW_CANCELLED)
        (void)cw_err_wrap(err, "no id for %.60s from ZOOKEEPER_HOSTS %.80s", request->unique_name,
                          hosts.p);
    cw_str_done(&a.own);
    cw_str_done(&a.data);
    return rc;
}
