/* invoker/profiles_priv.h -- what profiles.c (the cache, kv), profiles_file.c and profiles_page.c
 * share.
 *
 * Thread: loop. */
#pragma once

#include "common/base/list.h"
#include "common/base/map.h"
#include "common/kv/kv.h"
#include "common/loop/loop.h"
#include "invoker/profile.h"
#include "invoker/profiles.h"

/* What was last seen of an action here. */
struct profile_action {
    char *kind, *image; /* keys, as those of entries */
    uint64_t memory_mb;
};

struct profile_entry {
    struct cw_map_node node;
    struct cw_link lru;   /* p->lru, the least recently used first */
    struct cw_link dirty; /* p->dirty, when something is pending */
    struct cw_link stale; /* p->stale, when it is to be read */
    struct inv_profile profile;
    int64_t read_us;    /* monotonic; 0: never */
    unsigned under_way; /* calls that mention it: it stays */
    bool complained;
    struct profile_action *action; /* of actions that were seen; else NULL */
    char key[];
};

struct inv_profiles {
    struct inv_profiles_conf conf;
    char *path;
    struct cw_map entries;
    struct cw_list lru, dirty, stale;
    struct cw_list calls; /* struct profile_call */
    struct cw_list asks;  /* struct profile_ask: of the page */
    struct cw_timer tick;
    bool changed; /* since the file was written */
    int64_t saved_us;
    struct cw_counter *runs;
};

enum { PROFILE_KEY_MAX = 1024 };

/* The entry, made when it is missing; it is used now. */
struct profile_entry *profiles_entry(struct inv_profiles *p, const char *key)
    __attribute__((returns_nonnull));
/* NULL when it is not known. */
struct profile_entry *profiles_find(const struct inv_profiles *p, const char *key);
uint32_t profiles_epoch(const struct inv_profiles *p);
/* What kv has of it. */
void profiles_take(struct inv_profiles *p, struct profile_entry *e, const struct cw_kv_hash *h);
/* What an action of this size declares, without anything observed. */
void profiles_declared(const struct inv_profiles *p, uint64_t memory_mb,
                       struct inv_need_input *ret);
/* The need of an action by its three entries, each of which may be NULL. */
void profiles_infer(const struct inv_profiles *p, const struct profile_entry *action,
                    const struct profile_entry *image, const struct profile_entry *kind,
                    uint64_t memory_mb, enum inv_trust trust, struct inv_need *ret);
/* What its runs used; cpu and memory are overwritten. Returns how many epochs. */
uint32_t profiles_observe(const struct inv_profiles *p, const struct profile_entry *e,
                          enum inv_trust trust, struct inv_hist *cpu, struct inv_hist *memory);

/* ---- profiles_page.c ---- */

/* Without an answer: the HTTP server is gone. */
void profiles_forget_asks(struct inv_profiles *p);

/* ---- profiles_file.c ---- */

void profiles_load(struct inv_profiles *p);
void profiles_save(struct inv_profiles *p);
/* Text of all entries, the most recently used first, as far as it fits. */
void profiles_print(const struct inv_profiles *p, struct cw_str *out);
int profiles_parse(struct inv_profiles *p, struct cw_slice text, struct cw_err *err) CW_MUST_CHECK;
