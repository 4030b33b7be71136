/* common/zk/zk.h -- a ZooKeeper session for a few blocking calls.
 *
 * For use before a daemon's loop exists: every call waits for its answer, until the session's
 * deadline or until a descriptor becomes readable (a signal). Speaks the wire of ZooKeeper 3.4
 * and later (no container or TTL nodes); nodes are persistent and open to everybody, as
 * OpenWhisk makes them. Thread: any, one at a time; nothing is shared between sessions.
 *
 * Errors: CW_NOT_FOUND no such node (or parent), CW_CONFLICT it exists already or has another
 * version, CW_TIMEOUT the deadline has passed, CW_CANCELLED the stop descriptor spoke,
 * CW_UNAVAILABLE (retriable) connection or session lost: what was asked may have been done; close
 * the session. Others are final. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_clock;
struct cw_err;
struct cw_zk;

struct cw_zk_conf {
    const char *hosts;            /* "host:port,host:port/chroot"; every port given */
    int64_t deadline_us;          /* monotonic */
    int stop_fd;                  /* readable: give up; -1: none; nothing is read from it */
    const struct cw_clock *clock; /* NULL: the system's */
};

/* Returns when the session is established; borrows nothing but the clock. Names are resolved by
 * the C library, which neither deadline nor stop_fd can interrupt. */
struct cw_zk *cw_zk_open(const struct cw_zk_conf *conf, struct cw_err *err) CW_MUST_CHECK;
/* Ends the session at the server too (waits up to 1.5 s for its answer). Accepts NULL. */
void cw_zk_close(struct cw_zk *zk);

/* The node's data replaces what is in *data (its max is the bound: CW_TOO_LARGE); version may be
 * NULL. */
int cw_zk_get(struct cw_zk *zk, const char *path, struct cw_str *data, int32_t *ret_version,
              struct cw_err *err) CW_MUST_CHECK;

/* NULL-terminated; release with cw_zk_names_free. */
int cw_zk_children(struct cw_zk *zk, const char *path, char ***ret_names, size_t *ret_count,
                   struct cw_err *err) CW_MUST_CHECK;
void cw_zk_names_free(char **names);

enum cw_zk_op_kind { CW_ZK_CREATE, CW_ZK_SET, CW_ZK_DELETE };

struct cw_zk_op {
    enum cw_zk_op_kind kind;
    const char *path;
    const void *data; /* not of a delete */
    size_t n;
    int32_t version; /* of set and delete: what it must be; -1: any */
};

/* All of them or none, in this order. The error names the first that failed. */
int cw_zk_commit(struct cw_zk *zk, const struct cw_zk_op *ops, size_t count,
                 struct cw_err *err) CW_MUST_CHECK;
/* One node without data; that it exists already is success. */
int cw_zk_ensure(struct cw_zk *zk, const char *path, struct cw_err *err) CW_MUST_CHECK;
