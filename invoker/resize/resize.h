/* invoker/resize/resize.h -- the limits of all containers of this invoker, and who may have how
 * much CPU.
 *
 * Keeps the books over guarantees (solver.h), writes what changes (writer.h) in an order in which
 * no guarantee is undercut on the way, has a look from time to time whether somebody else has
 * written over it, and squeezes idle containers (squeeze.h). Limits are written to the kernel's
 * files; where these are out of reach, by the engine's update call. Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "invoker/resize/solver.h"
#include "invoker/resize/wishes.h"

struct cw_action;
struct cw_container_spec;
struct cw_control_files;
struct cw_driver;
struct cw_loop;
struct cw_metrics;
struct cw_str;
struct inv_member;
struct inv_resize;
struct inv_settings;

struct inv_resize_conf {
    struct cw_loop *loop;
    struct cw_driver *driver;
    struct cw_metrics *metrics;
    const struct inv_settings *settings;
    const struct cw_control_files *files; /* NULL: the kernel's */
    const char *sysfs;                    /* NULL: "/sys" */
    /* An adoption that was INV_ADOPT_PENDING has ended: done, or refused. owner: the member's. */
    void (*on_adopted)(void *arg, void *owner, bool done);
    /* Bytes that what a member runs is expected to need; 0: not known. NULL: it never is. */
    uint64_t (*memory_need)(void *arg, void *owner);
    void *arg;
};

/* What conf points to is borrowed, except conf itself. */
struct inv_resize *inv_resize_new(const struct inv_resize_conf *conf);
/* All members must have been removed. Accepts NULL. */
void inv_resize_free(struct inv_resize *r);

/* Would one more container with these wishes fit? NULL: one without any. */
enum inv_cpu_fit inv_resize_fits(struct inv_resize *r, const struct inv_wishes *wishes);
/* By how much the guarantees are too many for it; 0: they are not the reason. */
uint64_t inv_resize_missing_ppm(const struct inv_resize *r, const struct inv_wishes *wishes);
/* The largest guarantee that is given to one container, in millionths. */
uint32_t inv_resize_most_ppm(const struct inv_resize *r);
/* The part of the budget that its containers are guaranteed together, 0..1. */
double inv_resize_guaranteed(const struct inv_resize *r);

/* A container is about to be created: makes room for it, and changes *spec (cpu_shares, cpus) to
 * what it is to be created with. wishes NULL: none (a prewarmed one). One that does not fit gets
 * the smallest weight; ask before. */
struct inv_member *inv_resize_add(struct inv_resize *r, void *owner,
                                  const struct inv_wishes *wishes, struct cw_container_spec *spec);
/* It has this id now. */
void inv_resize_created(struct inv_member *m, const char *id);
/* It is gone, or was never made: others get what it had. Accepts NULL. Nothing of it is called back
 * any more. */
void inv_resize_remove(struct inv_member *m);

enum inv_adopt {
    INV_ADOPT_DONE,    /* it has these limits, or had them before */
    INV_ADOPT_PENDING, /* the engine is at it: on_adopted follows */
    INV_ADOPT_REFUSED, /* it cannot have them: replace it. Its limits are as before */
};
/* The container is about to run something that has these wishes and this much memory. Costs
 * nothing when that is what it has. */
enum inv_adopt inv_resize_adopt(struct inv_member *m, const struct inv_wishes *wishes,
                                uint32_t memory_mb);

/* It runs nothing from now on / it is about to run something. (A member that was added with wishes
 * runs something from the start.) */
void inv_resize_idle(struct inv_member *m);
void inv_resize_busy(struct inv_member *m);

uint32_t inv_member_guarantee(const struct inv_member *m);
/* Before gauges are shown. */
void inv_resize_refresh(struct inv_resize *r);
/* What GET /resize answers: JSON; limits are read from the kernel at this moment. */
void inv_resize_render(struct inv_resize *r, struct cw_str *out);
