/* invoker/profiles.h -- what runs were seen to use, by kind, image and action, shared by all
 * invokers of a cluster; and what an action is expected to need.
 *
 * Each run is counted in three hashes of kv: profile:kind:<kind>, profile:image:<content hash>
 * (what runs in the container: code, and of blackbox actions the image) and
 * profile:action:<ns/name>, by atomic increments that are written together each second; what others
 * counted is read when it is asked for, and again when it is old. Nobody waits for that: needs are
 * answered from what is known here. Without kv it stays in memory and, with a path, in a file that
 * outlives the process. While kv is down it is kept and added later. Bounded: beyond
 * INV_PROFILES_MAX the one that was not used for longest is forgotten here.
 *
 * Memory of a run is its largest working set, since page cache can be taken back; of a run that was
 * killed for memory it is at least the limit. Runs that overlapped in one container are counted
 * with what they used together. A container that was gone before its last look tells nothing.
 *
 * Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "invoker/placement/need.h"

struct cw_action;
struct cw_http_exchange;
struct cw_kv;
struct cw_loop;
struct cw_metrics;
struct cw_str;
struct inv_profiles;
struct inv_run_report;

enum { INV_PROFILES_MAX = 2048 };

struct inv_profiles_conf {
    struct cw_loop *loop;
    struct cw_kv *kv; /* NULL: none */
    const char *path; /* without kv: the file; NULL: none; copied */
    int64_t epoch_ms; /* of wall clock, 1000.. */
    struct cw_metrics *metrics;
    struct inv_need_conf model;
    /* What memory buys, for what is declared: of so many MiB together, */
    uint32_t total_mb;
    uint32_t share_millis; /* these cores by shares, */
    uint32_t limit_millis; /* and these by quota; 0: none */
};

/* conf is borrowed. A file that cannot be read, or is of another epoch_ms, is as none, with a line.
 */
struct inv_profiles *inv_profiles_new(const struct inv_profiles_conf *conf);
/* The file is written; what kv was not told is lost. Accepts NULL. */
void inv_profiles_free(struct inv_profiles *p);
/* conf.share_millis from now on. */
void inv_profiles_set_share(struct inv_profiles *p, uint32_t share_millis);
/* A run has ended. */
void inv_profiles_add(struct inv_profiles *p, const struct inv_run_report *run);
/* Which runs count. What containers tell of themselves (probes) is a hint: one that claims little
 * would be let in where there is no room, so admission rests on the kernel's figures alone. */
enum inv_trust {
    INV_TRUST_KERNEL,
    INV_TRUST_TOLD, /* only what is not the kernel's */
    INV_TRUST_ALL,
};

/* Of an activation of this action (kind, hash, path, limits). */
void inv_profiles_need(struct inv_profiles *p, const struct cw_action *action, enum inv_trust trust,
                       struct inv_need *ret);
/* The same of all that is known now; false: nothing of this action. Nothing is read or kept for it.
 */
bool inv_profiles_look(const struct inv_profiles *p, const struct cw_action *action,
                       struct inv_need *ret);
/* Writes what is pending, as far as kv is there. */
void inv_profiles_flush(struct inv_profiles *p);

/* The action may be asked for: what it declares, its code and its kind are noted. */
void inv_profiles_remember(struct inv_profiles *p, const struct cw_action *action);
/* Are these known of an action of this name (ns/name, ns/package/name)? */
bool inv_profiles_knows(const struct inv_profiles *p, const char *name);
/* Answers
 * {"action":…,"profile":[{"of":"limit"|"need"|"charge"|"action"|"told"|"image"|"kind","name",
 * "runs","cpuMillis","memoryBytes","why"}…]}, once, perhaps later. Limit, need, image and kind are
 * told of actions that are known. why_unknown: for whom nothing is known; NULL: no more is. */
void inv_profiles_answer(struct inv_profiles *p, struct cw_http_exchange *ex, const char *name,
                         const char *why_unknown);
