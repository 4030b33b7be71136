#include "invoker/ownership.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "common/bus/bus.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "invoker/owner_lock.h"

#define COMPONENT "Ownership"

enum {
    RETRY_MS = 500,
    TELL_EACH_US = 10 * 1000000, /* who is waited for is said again so often */
    BUS_TRIES = 20,              /* a cluster's first group needs its coordinator first */
    WHO_MAX_BYTES = 512,
};

struct inv_ownership {
    struct inv_ownership_conf conf;
    char *group, *instance_id;
    struct inv_owner_lock *lock;
    unsigned bus_failures;
    int64_t began_us, told_us; /* told_us 0: not yet */
    struct cw_timer retry;
};

static int64_t now_us(const struct inv_ownership *o)
{
    return cw_loop_mono_us(o->conf.loop);
}

static void owned(struct inv_ownership *o)
{
    if (o->told_us)
        cw_log(CW_LOG_INFO, NULL, COMPONENT, "%s is free after %" PRId64 " s", o->group,
               (now_us(o) - o->began_us) / 1000000);
    o->conf.fn(o->conf.arg, NULL);
}

static void taken(struct inv_ownership *o, const char *who)
{
    int64_t now = now_us(o);
    struct cw_err err = {0};

    if (o->conf.takeover == INV_TAKEOVER_REFUSE) {
        (void)cw_fail(&err, CW_CONFLICT,
                      "another process is at work as this invoker: %s; give this one another id, "
                      "end that one, or start with --takeover wait",
                      who);
        o->conf.fn(o->conf.arg, &err);
        return;
    }
    if (o->told_us == 0 || now - o->told_us >= TELL_EACH_US) {
        o->told_us = now;
        cw_log(CW_LOG_WARN, NULL, COMPONENT,
               "another process is at work as this invoker, waiting until it is gone: %s", who);
    }
    cw_timer_set_ms(&o->retry, RETRY_MS);
}

/* ---- the group ---- */

static bool same_address(const struct sockaddr *a, const char *text)
{
    char own[INET6_ADDRSTRLEN] = "";

    if (a && a->sa_family == AF_INET)
        (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, own, sizeof(own));
    else if (a && a->sa_family == AF_INET6)
        (void)inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr, own, sizeof(own));
    return *own && strcmp(own, text) == 0;
}

/* host: "/10.0.0.7", as brokers print it. */
static bool is_own_address(const char *host)
{
    struct ifaddrs *all = NULL;
    bool found = false;

    if (*host == '/')
        host++;
    if (getifaddrs(&all) != 0)
        return false;
    for (const struct ifaddrs *i = all; i && !found; i = i->ifa_next)
        found = same_address(i->ifa_addr, host);
    freeifaddrs(all);
    return found;
}

static bool is_dead_predecessor(const struct inv_ownership *o, const struct cw_group_member *m)
{
    return strcmp(m->instance_id, o->instance_id) == 0 && is_own_address(m->host);
}

/* How many members are others; they are appended to *who. */
static size_t count_others(const struct inv_ownership *o, const struct cw_group_member *members,
                           size_t count, struct cw_str *who)
{
    size_t others = 0;

    cw_str_addf(who, "members of group %s:", o->group);
    for (size_t i = 0; i < count; i++) {
        if (is_dead_predecessor(o, &members[i])) {
            cw_log(CW_LOG_INFO, NULL, COMPONENT,
                   "taking %s over from a predecessor that ended without leaving", o->group);
        } else {
            cw_str_addf(who, "%s %s at %s", others ? "," : "", members[i].client_id,
                        members[i].host);
            others++;
        }
    }
    return others;
}

/* Those who may not describe groups work as stock does, unasked. */
static void unknown(struct inv_ownership *o, const struct cw_err *err)
{
    if (err->retriable && ++o->bus_failures < BUS_TRIES) {
        cw_timer_set_ms(&o->retry, RETRY_MS);
        return;
    }
    cw_log(CW_LOG_WARN, NULL, COMPONENT,
           "whether another process is at work as this invoker is unknown, going on: %s", err->msg);
    owned(o);
}

static void on_members(void *arg, const struct cw_group_member *members, size_t count,
                       const struct cw_err *err)
{
    struct inv_ownership *o = arg;
    cw_auto_str struct cw_str who;

    cw_str_init(&who, WHO_MAX_BYTES);
    if (err)
        unknown(o, err);
    else if (count_others(o, members, count, &who))
        taken(o, who.p);
    else
        owned(o);
}

static void ask(void *arg)
{
    struct inv_ownership *o = arg;
    cw_auto_str struct cw_str who;
    struct cw_err err = {0};
    int got;

    cw_str_init(&who, WHO_MAX_BYTES);
    got = inv_owner_lock_try(o->lock, &who, &err);
    if (got < 0)
        o->conf.fn(o->conf.arg, &err);
    else if (got > 0)
        taken(o, who.p);
    else
        o->conf.bus->ops->group_members(o->conf.bus, o->group, on_members, o);
}

/* ---- life ---- */

struct inv_ownership *inv_ownership_new(const struct inv_ownership_conf *conf)
{
    struct inv_ownership *o = cw_alloc(sizeof(*o));

    o->conf = *conf;
    o->conf.data_dir = o->conf.brokers = o->conf.group = o->conf.instance_id = NULL;
    o->group = cw_strdup(conf->group);
    o->instance_id = cw_strdup(conf->instance_id);
    o->lock = inv_owner_lock_new(conf->group, conf->brokers, conf->data_dir);
    o->began_us = now_us(o);
    cw_timer_init(&o->retry, conf->loop, ask, o);
    cw_timer_set_ms(&o->retry, 0);
    return o;
}

void inv_ownership_free(struct inv_ownership *o)
{
    if (!o)
        return;
    cw_timer_done(&o->retry);
    inv_owner_lock_free(o->lock);
    free(o->instance_id);
    free(o->group);
    free(o);
}
