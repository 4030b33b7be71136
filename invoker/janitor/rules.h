/* invoker/janitor/rules.h -- which containers are to be removed, and why.
 *
 * Pure: a table of containers, the host's memory and a policy in, a list of removals out, oldest
 * first; equal input gives equal output. What is not certainly ours is never on the list: ours is a
 * container whose name is exactly <prefix><number>_… and that is not labelled as another cluster's,
 * or, when the policy says so, one that is labelled as our cluster's and whose invoker is known to
 * be gone. Stopped containers hold memory too, whatever they ran (papers.md S3); names: openwhisk
 * container.md 6, 7. Thread: any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum inv_reason {
    INV_REASON_STOPPED,  /* its processes have ended, or never began; nobody holds it */
    INV_REASON_DEAD,     /* the engine could not remove it */
    INV_REASON_ORPHANED, /* it runs, and nobody holds it */
    INV_REASON_IDLE,     /* held, and idle for longer than the policy allows */
    INV_REASON_MEMORY,   /* held and idle, and the host is short of memory */
    INV_REASON_COUNT,    /* held and idle, and there are too many */
    INV_REASON_END,
};

enum inv_owned_state {
    INV_OWNED_RUNNING,
    INV_OWNED_PAUSED,
    INV_OWNED_STOPPED, /* has ended, or was created and never started */
    INV_OWNED_DEAD,    /* half removed */
};

/* Of an invoker that is not this process. */
enum inv_owner_seen {
    INV_OWNER_UNKNOWN,
    INV_OWNER_ALIVE,
    INV_OWNER_GONE,
};

struct inv_owned {
    const char *name;
    const char *cluster; /* labels; NULL: none */
    const char *invoker;
    enum inv_owned_state state;
    bool held;                 /* by this process */
    int64_t idle_ms;           /* held: does nothing for so long; -1: it is at work, or not known */
    int64_t created_s;         /* epoch */
    uint64_t memory_bytes;     /* what its removal gives back, as far as is known */
    enum inv_owner_seen owner; /* of another invoker's */
};

struct inv_janitor_policy {
    const char *prefix;      /* "wsk<unique name><id>_" */
    const char *cluster;     /* "": none */
    bool others;             /* also those of other invokers of the cluster that are gone; needs a
                                cluster that is not "" */
    int64_t idle_ms;         /* 0: however long */
    uint64_t max_containers; /* 0: however many; those of ours that are on the engine */
    double memory_part;      /* of the host's that may be in use, 0..1; 1: all */
};

struct inv_janitor_host {
    uint64_t memory_bytes, available_bytes; /* 0: not known */
};

struct inv_removal {
    size_t row; /* of the table */
    enum inv_reason reason;
};

/* Fills removals, which has room for all rows, and returns how many there are. */
size_t inv_janitor_judge(const struct inv_janitor_policy *policy,
                         const struct inv_janitor_host *host, const struct inv_owned *rows,
                         size_t count, struct inv_removal *removals);
/* <prefix><digits>_…? "wsk01_" must not match "wsk01_x" of somebody who named his container so. */
bool inv_janitor_is_our_name(const char *name, const char *prefix);
/* "stopped", … : for logs, labels and JSON. */
const char *inv_reason_name(enum inv_reason reason);
