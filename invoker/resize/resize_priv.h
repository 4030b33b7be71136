/* invoker/resize/resize_priv.h -- what resize.c (books and plans), resize_engine.c (changes by the
 * engine), resize_watch.c (looks at what is), resize_protect.c (memory that is taken last) and
 * squeeze.c share. Thread: loop. */
#pragma once

#include "common/base/list.h"
#include "common/cgroup/control.h"
#include "common/loop/loop.h"
#include "invoker/resize/resize.h"
#include "invoker/resize/squeeze.h"
#include "invoker/resize/writer.h"

#define COMPONENT "Resize"

struct cw_driver_call;
struct cw_gauge;

enum resize_way { BY_FILES, BY_ENGINE, BY_NOBODY };

struct inv_member {
    struct cw_link link;
    struct inv_resize *r;
    void *owner;
    char *name;
    char id[65];                /* "" until it is created */
    struct cw_control *control; /* NULL: not created, or its files are out of reach */
    struct inv_wishes wishes;
    uint32_t memory_mb;
    int64_t own;            /* weight without guarantees */
    int64_t weight, wanted; /* as it is (0: not known), and as it shall be */
    /* in CW_CPU_PERIOD_US; CW_CONTROL_NONE: none. As it is, and as it shall be. */
    int64_t quota_us, quota_wanted_us;
    uint32_t io_weight;  /* 0: nothing was written */
    bool stuck;          /* its weight cannot be changed: tried once, told once */
    bool memory_written; /* by us, so the engine does not know */
    bool quota_written;
    struct cw_driver_call *limits_call; /* the engine changes others than the weight */
    bool adopting;                      /* somebody waits for that */
    uint32_t memory_next_mb, io_next;
    int64_t limits_begun_us;
    struct inv_squeezed squeezed;
    bool busy, ran; /* it runs something; it has since the last look (resize_protect.c) */
    int64_t low;    /* memory.low as written; 0: nothing is protected */
};

/* A group above the containers' (resize_protect.c). */
struct resize_above {
    struct cw_control *control;
    int64_t ours;   /* what we gave it; CW_CONTROL_NONE: it has what others did */
    int64_t before; /* what it had then */
};

struct inv_resize {
    struct inv_resize_conf conf;
    enum resize_way way;
    enum cw_cgroup_version version; /* BY_FILES */
    struct inv_cpu_rule rule;
    struct inv_writer *writer;
    struct inv_squeeze *squeeze;
    struct cw_list members;
    uint64_t guaranteed_ppm;     /* of all members */
    struct cw_driver_call *call; /* the engine changes a weight: one at a time */
    struct inv_member *call_member;
    int64_t call_weight, call_begun_us;
    struct cw_timer watch;
    struct cw_gauge *guaranteed, *foreign, *parent;
    struct cw_control_neighbours around;
    bool around_known, foreign_told;
    bool protects;
    struct cw_timer protect;
    struct cw_gauge *protected;
    struct resize_above above[8];
    size_t above_count;
};

/* ---- resize.c ---- */

/* Writes what has to change, as far as nothing else is under way. */
void resize_apply(struct inv_resize *r);
bool resize_member_is_real(const struct inv_member *m);
/* What its weight of block I/O shall be; 0: whatever it is. */
uint32_t resize_io_wanted(const struct inv_member *m);

/* ---- resize_engine.c ---- */

/* The engine's scale (version 1's) for a weight of ours. */
uint32_t resize_engine_shares(const struct inv_resize *r, int64_t weight);
/* false: the engine has no such call. */
bool resize_engine_weight(struct inv_resize *r, struct inv_member *m);
/* Memory, quota (quota_wanted_us) and weight of block I/O in one call; adopting: on_adopted
 * follows. false: the engine has no such call, cannot do this, or is at it. */
bool resize_engine_limits(struct inv_member *m, uint32_t memory_mb, bool adopting);
/* What is under way is none of its business any more. */
void resize_engine_forget(struct inv_member *m);

/* ---- resize_watch.c ---- */

/* Timer: has somebody written over it? */
void resize_watch(void *arg);
void resize_watch_begin(struct inv_resize *r);
/* Counted, and one line. */
void resize_tell_changed(struct inv_member *m, enum inv_limit limit, int64_t found, int64_t ours);
/* Looks at the neighbours of a guaranteed container. */
void resize_look_around(struct inv_resize *r, struct inv_member *m);

/* ---- resize_protect.c ---- */

void resize_protect_init(struct inv_resize *r);
/* The groups above have again what they had. */
void resize_protect_done(struct inv_resize *r);
/* There is a container whose files can be written. */
void resize_protect_begin(struct inv_resize *r);
