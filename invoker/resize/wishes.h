/* invoker/resize/wishes.h -- what an action's annotations ask for beyond OpenWhisk's limits.
 *
 *   cwhisk.cpu-guarantee  number above 0 and below 1: part of the CPU that action containers have
 *                         together (solver.h)
 *   cwhisk.cpus           number, 0.01..1024: never more CPUs than this
 *   cwhisk.io-weight      whole number, 10..1000: share of block I/O where the kernel weighs it
 *   cwhisk.limits-by      {"by":"preopt","memory":256}: who wrote limits.memory, and what; counts
 *                         only as long as that is what the document says
 *
 * They are written by users, so nothing about them is taken for granted. Pure. Thread: any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/mem.h"

struct cw_action;
struct cw_err;

struct inv_wishes {
    uint32_t guarantee_ppm; /* 0: none */
    uint32_t cpu_millis;    /* thousandths of a CPU; 0: no quota of its own */
    uint32_t io_weight;     /* 0: as usual */
};

/* Fails (CW_INVALID, naming annotation and range) when one of them makes no sense; which guarantees
 * a host gives is not looked at. */
int inv_wishes_read(const struct cw_action *a, struct inv_wishes *ret,
                    struct cw_err *err) CW_MUST_CHECK;
/* limits.memory is what the pre-optimizer wrote there, as the annotation says. */
bool inv_wishes_memory_by_preopt(const struct cw_action *a);
