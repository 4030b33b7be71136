/* invoker/pool/pool.h -- which container runs an activation, and what the memory books say.
 *
 * Pure: no I/O, no clock, no logging; equal calls give equal answers. A slot is the pool's view of
 * one container; the caller creates, runs and removes the real one. Order of choice: openwhisk
 * container.md 4.1. Unlike stock, nothing lets the books exceed the limit: eviction frees exactly
 * what is missing or nothing. Prewarmed containers belong to no action yet; those of one kind and
 * size make a cell. They count against the memory and are evicted for nobody, unless they are all
 * that stands in the way: nothing else would ever make room. Thread: owner only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/base/str.h"

enum { INV_ACTION_HASH_LEN = 32 };

enum inv_slot_state {
    INV_SLOT_PREPARING, /* being created for no action yet */
    INV_SLOT_PREWARMED, /* created, waits for its first action */
    INV_SLOT_WARMING,   /* was prewarmed; being initialised for its action */
    INV_SLOT_STARTING,  /* being created or initialised for its action */
    INV_SLOT_BUSY,      /* runs at least one activation */
    INV_SLOT_IDLE,      /* warm, runs nothing */
    INV_SLOT_GONE,      /* out of the books; waits for inv_pool_forget */
};

struct inv_group;
struct inv_pool;

/* The prewarmed containers of one kind and size. Owned by the pool; fields are for reading. */
struct inv_cell {
    struct cw_link link;
    const char *kind;
    uint32_t memory_mb;
    struct cw_list ready; /* slots, earliest expiry first */
    size_t preparing;     /* slots */
    uint64_t cold_starts; /* activations of this kind and size that needed a new container */
    uint64_t taken;       /* prewarmed containers that were given to an action */
};

struct inv_slot {
    enum inv_slot_state state;
    uint32_t memory_mb; /* its limit */
    uint32_t charge_mb; /* what it takes in the books */
    uint32_t max_in_flight;
    uint32_t in_flight;
    void *owner;             /* the caller's container */
    struct inv_group *group; /* slots of the same namespace and action */
    struct cw_link group_link;
    struct cw_link state_link; /* on the idle list, least recently used first; or on its cell's */
    struct inv_cell *cell;     /* PREPARING, PREWARMED, and GONE from there; otherwise NULL */
    int64_t expires_us;        /* PREWARMED only */
    struct inv_slot *next_evicted;
};

/* What an activation asks for. */
struct inv_pool_need {
    struct cw_slice namespace_name;   /* invoking */
    const unsigned char *action_hash; /* INV_ACTION_HASH_LEN bytes */
    struct cw_slice kind;             /* of its runtime */
    uint32_t memory_mb;               /* 1.. */
    uint32_t charge_mb;               /* in the books, for a new container; 0: memory_mb */
    uint32_t concurrency;             /* 1.. */
    bool resizes;   /* an idle container of another size will do: it is given this one */
    bool warm_only; /* no new container and no prewarmed one may be taken for it now */
};

enum inv_choice {
    INV_CHOICE_WARM,     /* slot is warm: run there */
    INV_CHOICE_WARMING,  /* slot was prewarmed, is being initialised for the same pair and has room:
                            queue there */
    INV_CHOICE_STARTING, /* slot is starting for the same pair and has room: queue there */
    INV_CHOICE_PREWARMED, /* slot was prewarmed: initialise it and run there */
    INV_CHOICE_CREATE,    /* slot is new: create its container */
    INV_CHOICE_RECREATE,  /* as CREATE, after the evicted slots gave their memory */
    INV_CHOICE_WAIT,      /* nothing now */
    INV_CHOICE_NEVER,     /* needs more memory than there is altogether */
};

struct inv_decision {
    enum inv_choice choice;
    struct inv_slot *slot; /* NULL for WAIT and NEVER; one activation is already counted in */
    /* Slots put to GONE to make room, chained by next_evicted; the caller removes their
     * containers and then forgets them. */
    struct inv_slot *evicted;
    uint32_t was_mb; /* WARM: the container's size until now; the caller resizes it when it is not
                        the need's, which the books have already */
};

struct inv_pool *inv_pool_new(uint32_t memory_mb);
/* All slots must have been forgotten. Accepts NULL. */
void inv_pool_free(struct inv_pool *p);

/* Of all containers together. */
uint32_t inv_pool_memory_mb(const struct inv_pool *p);
/* So much from now on. What is used may be more, until containers go: inv_pool_trim. */
void inv_pool_set_memory(struct inv_pool *p, uint32_t memory_mb);
/* A container that is there, or WAIT, or NEVER. */
void inv_pool_place_existing(struct inv_pool *p, const struct inv_pool_need *need,
                             struct inv_decision *ret);
/* After inv_pool_place_existing has said WAIT, and unless need->warm_only: a new one (CREATE), in
 * the place of idle ones where it must be (RECREATE), or WAIT. */
void inv_pool_place_new(struct inv_pool *p, const struct inv_pool_need *need,
                        struct inv_decision *ret);
/* The container can take activations now (initialised). */
void inv_pool_warmed(struct inv_pool *p, struct inv_slot *slot);
/* One activation left the slot. */
void inv_pool_done(struct inv_pool *p, struct inv_slot *slot);
/* No activation may be placed there any more; its memory is free again. Idempotent. */
void inv_pool_drop(struct inv_pool *p, struct inv_slot *slot);
/* Frees a GONE slot. */
void inv_pool_forget(struct inv_pool *p, struct inv_slot *slot);

/* The cell of this kind and size, made when it is missing. kind is copied. */
struct inv_cell *inv_pool_cell(struct inv_pool *p, struct cw_slice kind, uint32_t memory_mb);
/* A slot for one more container of the cell (PREPARING); NULL when it would exceed the memory. */
struct inv_slot *inv_pool_prepare(struct inv_pool *p, struct inv_cell *cell);
/* The container is created; INT64_MAX: never expires. */
void inv_pool_prepared(struct inv_pool *p, struct inv_slot *slot, int64_t expires_us);
/* Puts prewarmed slots that have expired to GONE, oldest first, at most limit; chained by
 * next_evicted. */
struct inv_slot *inv_pool_expire(struct inv_pool *p, int64_t now_us, size_t limit);
/* Puts idle slots to GONE, least recently used first, until so much is free of what they were
 * charged, or none is left; chained by next_evicted. */
struct inv_slot *inv_pool_trim(struct inv_pool *p, uint32_t mb);
/* Containers of the cell: prepared and being prepared. */
size_t inv_cell_count(const struct inv_cell *cell);

/* A number for the pair of namespace and action content: the same on every host. */
uint64_t inv_pool_pair(const struct inv_pool_need *need);
/* The pairs of idle slots, the most recently used first, one for each slot; how many (at most max).
 */
size_t inv_pool_idle_pairs(const struct inv_pool *p, uint64_t *pairs, size_t max);

/* Containers of the need's pair that would do for it by their size. */
struct inv_pool_pair_stats {
    uint32_t idle;
    uint32_t busy;     /* run as much as they may */
    uint32_t starting; /* being created or initialised */
};
void inv_pool_pair_stats(struct inv_pool *p, const struct inv_pool_need *need,
                         struct inv_pool_pair_stats *ret);
/* inv_pool_pair of the slot's; 0: it has none. */
uint64_t inv_pool_slot_pair(const struct inv_slot *slot);

struct inv_pool_stats {
    /* used = active + idle + prewarmed */
    uint32_t memory_mb, used_mb, idle_mb, prewarmed_mb;
    size_t active;   /* being created or initialised for an action, or running one */
    size_t starting; /* of them, being created or initialised */
    size_t idle;
    size_t prewarmed; /* those being prepared included */
};
void inv_pool_stats(const struct inv_pool *p, struct inv_pool_stats *ret);
