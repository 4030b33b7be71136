/* invoker/ownership.h -- one process per invoker id: the newcomer makes sure that nobody else is at
 * it before it consumes, pings or cleans up.
 *
 * Two things are looked at: locks that processes of one machine can see (owner_lock.h), held until
 * inv_ownership_free, and the members of the topic's consumer group. A member that was killed
 * counts for its brokers until its session ends (30 s with stock's settings); one that carries our
 * own instance id and came from an address of ours was our predecessor, and since we hold the lock
 * it is dead. Stock asks nobody and destroys the other's containers (openwhisk README trap 50).
 * Thread: loop. */
#pragma once

#include <stdint.h>

#include "common/base/mem.h"

struct cw_bus;
struct cw_err;
struct cw_loop;
struct inv_ownership;

enum inv_takeover { INV_TAKEOVER_WAIT, INV_TAKEOVER_REFUSE };

struct inv_ownership_conf {
    struct cw_loop *loop;
    struct cw_bus *bus;
    const char *group;       /* copied */
    const char *instance_id; /* with which we join it; copied */
    const char *brokers;     /* borrowed for the call */
    const char *data_dir;    /* borrowed for the call; NULL or "": none */
    enum inv_takeover takeover;
    /* Once: err NULL when the id is ours. err is set when there is another owner and takeover is
     * REFUSE, or a lock cannot be made. */
    void (*fn)(void *arg, const struct cw_err *err);
    void *arg;
};

/* Begins to ask. The object stays until it is freed. */
struct inv_ownership *inv_ownership_new(const struct inv_ownership_conf *conf);
/* Gives the locks back. To be freed after the bus, which may still hold a question of it. Accepts
 * NULL. */
void inv_ownership_free(struct inv_ownership *o);
