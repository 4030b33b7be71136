/* common/kv/redis_kv.h -- kv.h on a Redis (4.0 or later), over two connections: one for calls, and
 * one for messages once somebody subscribes.
 *
 * One server that takes writes: a single Redis, or the primary of several; not Redis Cluster.
 * Servers are tried in turn, so that after a failover the new primary is found: one that is
 * read-only is left again. Lost connections come back with growing, random delays. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/mem.h"

struct cw_err;
struct cw_kv;
struct cw_loop;

/* Copied. */
struct cw_redis_conf {
    const char *hosts;   /* "host:port,[::1]:6379,host": the port is 6379 where none is given */
    const char *cluster; /* names are "cw:<cluster>:…" */
    const char *user, *password;    /* NULL or "": none; never in errors */
    int64_t db;                     /* 0 is what a connection has anyway */
    bool tls;                       /* certificates and names are verified */
    const char *ca_file;            /* PEM; NULL or "": the system's authorities */
    int64_t connect_ms;             /* until it takes calls; 0: 2000 */
    int64_t answer_ms;              /* for each call; 0: 1000 */
    int64_t idle_ms;                /* asked for a sign of life after that; 0: 5000 */
    int64_t retry_ms, retry_max_ms; /* between attempts, doubling; 0: 100 and 5000 */
    uint64_t seed;                  /* of the random part of delays */
};

/* What is wrong with conf, as cw_redis_kv_new would find it; nothing is connected. */
int cw_redis_conf_check(const struct cw_redis_conf *conf, struct cw_err *err) CW_MUST_CHECK;
/* Only what is wrong with conf is an error: connecting goes on by itself. */
struct cw_kv *cw_redis_kv_new(struct cw_loop *loop, const struct cw_redis_conf *conf,
                              struct cw_err *err) CW_MUST_CHECK;
