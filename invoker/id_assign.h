/* invoker/id_assign.h -- the id that ZooKeeper keeps for this invoker's name.
 *
 * As stock's InstanceIdAssigner (openwhisk invoker.md 1.1): a name that is known gets its id back,
 * a new one gets the next; --overwriteId moves a name to an id. Unlike there, counter and name are
 * written in one transaction, so invokers that start at the same time never get the same id.
 *
 * Blocks: for use before the daemon is built. Thread: main. */
#pragma once

#include <stdint.h>

#include "common/base/mem.h"

struct cw_err;

struct inv_id_request {
    const char *zookeeper_hosts; /* as in ZOOKEEPER_HOSTS; NULL: not given */
    const char *unique_name;
    int64_t overwrite_id; /* -1: not given */
    int64_t timeout_ms;   /* for all of it; a lost or refused connection is tried again till then */
    int stop_fd;          /* readable: give up with CW_CANCELLED; -1: none */
};

/* Logs as stock does. CW_INVALID: the request itself; CW_TIMEOUT or CW_UNAVAILABLE: no ZooKeeper.
 */
int inv_id_assign(const struct inv_id_request *request, int64_t *ret_id,
                  struct cw_err *err) CW_MUST_CHECK;
