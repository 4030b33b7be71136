/* invoker/placement/policy.h -- the host that an activation goes to.
 *
 * A policy is a function of hosts, need and action: no clock, no memory of its own, equal input
 * gives equal output. Three:
 *   table2  S0 Table 2: begin with the least used host; of those where the need is allocatable,
 *           the one whose use after adding it is lowest. Use is the larger of the CPU's and the
 *           memory's part.
 *   hash    OpenWhisk's: home invoker and steps (upstream ShardingContainerPoolBalancer). When no
 *           host has room, a random one is over-committed; it never waits while a host is usable.
 *   hybrid  least expected delay: cold start and run at the host's load, as long as that lasts,
 *           queue, and what its evictions will cost. When they are nearly equal this host, then
 *           the one that is the action's by hash. Waits for a busy container of the action here
 *           when that will be free long before a new one is made, until all that has been waited
 *           would have made one.
 * Hosts that are dead, draining, of the other set, or whose figures make no sense are never
 * chosen, and counted by reason. Thread: any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"
#include "invoker/placement/host_view.h"
#include "invoker/placement/need.h"

enum inv_policy { INV_POLICY_HYBRID, INV_POLICY_TABLE2, INV_POLICY_HASH };
enum { INV_POLICIES = INV_POLICY_HASH + 1 };

/* More hosts than that are not looked at. */
enum { INV_PLACEMENT_MAX_HOSTS = 4096 };

/* What is to be placed. */
struct inv_ask {
    uint32_t cpu_millis;
    uint64_t memory_bytes;
    uint64_t
        action_key; /* any hash of (invoking namespace, action content), the same on all hosts */
    uint32_t home_hash; /* inv_home_hash */
    bool blackbox;
    double cpu_guarantee;  /* 0: none; else above 0 and below 1, else nothing is placed */
    int64_t cold_start_us; /* expected on an empty host; 0: INV_COLD_START_US */
    int64_t run_us;        /* expected on an empty host, warm; 0: INV_RUN_US */
    bool may_wait; /* for a busy container of the action here, instead of a cold start (hybrid) */
    int64_t waited_us; /* so long others have waited for these since the last one was bought, faded
                          (inv_policy_faded) */
    uint64_t seed;     /* varies from origin to origin and from ask to ask */
};
enum { INV_COLD_START_US = 500000, INV_RUN_US = 100000 };

/* Part of a host's CPU that guarantees never take (S1; design 7). */
#define INV_GUARANTEE_RESERVE 0.05

enum inv_wait_reason {
    INV_PLACED,
    INV_WAIT_NO_HOST,   /* none is usable */
    INV_WAIT_MEMORY,    /* none has the memory, idle containers evicted */
    INV_WAIT_CPU,       /* none has the CPU (table2, guarantees) */
    INV_WAIT_BAD_ASK,   /* a guarantee that is not above 0 and below 1 */
    INV_WAIT_TOO_LARGE, /* no usable host is that large: waiting will not help */
    INV_WAIT_BUSY,      /* for a container of the action here: the next one that is free, or
                           after patience_us ask again with may_wait false */
};

struct inv_placement {
    int host; /* index, or -1: wait */
    enum inv_wait_reason why;
    bool overcommitted;                      /* hash: nobody has room for it */
    bool warm;                               /* a warm container is expected there */
    int64_t delay_us;                        /* hybrid: expected until the result; otherwise 0 */
    int64_t wait_us;                         /* INV_WAIT_BUSY: expected; otherwise 0 */
    int64_t patience_us;                     /* INV_WAIT_BUSY; otherwise 0 */
    uint32_t unusable[INV_UNUSABLE_REASONS]; /* hosts by reason; [INV_USABLE]: looked at */
};

void inv_policy_place(enum inv_policy policy, const struct inv_host_view *hosts, size_t count,
                      const struct inv_ask *ask, struct inv_placement *ret);

/* What was waited, all activations of an action together, since_us after that: half of it each
 * minute. */
int64_t inv_policy_faded(int64_t waited_us, int64_t since_us);

/* Whether a warm container here runs it without asking a policy: not when all cores are taken, as
 * another host may then be better. */
bool inv_policy_stays(const struct inv_host_view *self, const struct inv_ask *ask);

/* |javaHash(namespace) xor javaHash(action path)|; the path is "namespace/name" or
 * "namespace/package/name". Java's hash is over UTF-16 units: for ASCII, which names are. */
uint32_t inv_home_hash(struct cw_slice namespace_name, struct cw_slice action_path);
/* The step for this hash among count hosts: pairwise coprime numbers that are coprime to count. */
uint32_t inv_home_step(uint32_t home_hash, size_t count);

/* "hybrid", "table2", "hash". */
const char *inv_policy_name(enum inv_policy policy);
/* 0, or -1 when there is no such policy. */
int inv_policy_of(const char *name, enum inv_policy *ret);
const char *inv_wait_reason_name(enum inv_wait_reason why);
