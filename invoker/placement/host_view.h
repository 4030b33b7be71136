/* invoker/placement/host_view.h -- one host as a placement policy sees it.
 *
 * Filled from what the host published last, plus what we sent there since. Numbers are signed and
 * unchecked, because they may be garbage: inv_host_usable says what is wrong with them. Zeroed is
 * a host without capacity, which is never chosen. Pure. Thread: any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which actions a host takes (openwhisk invoker.md: the blackbox fraction). */
enum inv_host_set {
    INV_SET_ANY, /* both: few hosts */
    INV_SET_MANAGED,
    INV_SET_BLACKBOX,
};

/* Everything that one origin has sent to a host since the host last published. */
struct inv_forwards {
    uint32_t count;
    uint32_t same;      /* of them, of the action that is to be placed */
    int64_t cpu_millis; /* their need */
    int64_t memory_bytes;
};

struct inv_host_view {
    uint64_t id; /* instance number: stable, the same for every observer */
    int64_t cpu_total_millis;
    int64_t cpu_used_millis;       /* measured over the last update, all containers */
    int64_t cpu_reserved_millis;   /* the needs of what runs or starts there */
    int64_t memory_total_bytes;    /* what containers may take together */
    int64_t memory_used_bytes;     /* measured, all containers */
    int64_t memory_reserved_bytes; /* the charges of all containers, the idle ones included */
    int64_t memory_idle_bytes;     /* of it, those of idle containers: they can be evicted */
    int64_t mean_run_us;           /* of recent runs, 0: unknown */
    double cpu_guaranteed;         /* part of the CPU that is promised (S1), or held back, 0..1 */
    uint32_t running;              /* activations */
    uint32_t starting;             /* containers being created or initialised */
    uint32_t idle;                 /* warm containers that run nothing */
    uint32_t warm;                 /* of them, those of the action that is to be placed */
    uint32_t busy;    /* containers that run the action now; needed of the host that decides only */
    uint32_t waiting; /* activations of it that wait for them there; likewise */
    uint32_t queued;  /* activations that wait there, the one that is to be placed not counted */
    uint64_t lag;     /* and in its topic */
    struct inv_forwards forwards;
    enum inv_host_set set;
    bool draining; /* stops, is disabled, or has lost its engine */
    bool alone;    /* else: works, and takes nothing from others */
    bool dead;
    bool unheard; /* its state was found there, and nobody knows yet whether it lives */
    bool self;    /* the host that decides; its figures are of this moment */
};

enum inv_unusable {
    INV_USABLE,
    INV_UNUSABLE_DEAD,
    INV_UNUSABLE_UNHEARD,
    INV_UNUSABLE_DRAINING,
    INV_UNUSABLE_ALONE,
    INV_UNUSABLE_SET,       /* takes other actions only */
    INV_UNUSABLE_CAPACITY,  /* CPU or memory that is not above 0, or beyond any machine */
    INV_UNUSABLE_FIGURES,   /* negative use, more idle than reserved */
    INV_UNUSABLE_GUARANTEE, /* promised: not a number, below 0 or above 1 */
};
enum { INV_UNUSABLE_REASONS = INV_UNUSABLE_GUARANTEE + 1 };

/* Whether an action, blackbox or not, may go there at all. */
enum inv_unusable inv_host_usable(const struct inv_host_view *h, bool blackbox);
/* The set of the rank-th (from 0) of count invokers, by number, as controllers divide them: managed
 * actions go to the first max(1, ceil(count * managed)), blackbox ones to the last
 * max(1, floor(count * blackbox)), and blackbox is at least 1 - managed (openwhisk invoker.md;
 * upstream ShardingContainerPoolBalancer). Both are brought to 0..1. */
enum inv_host_set inv_host_set_of(size_t rank, size_t count, double managed, double blackbox);
/* One word: "dead", ... */
const char *inv_unusable_name(enum inv_unusable why);

/* The larger of measured and reserved CPU, what was sent there included. Of usable hosts. */
int64_t inv_host_cpu_millis(const struct inv_host_view *h);
/* Memory that a new container may be charged to, the idle ones evicted; may be below 0. */
int64_t inv_host_memory_room(const struct inv_host_view *h);
