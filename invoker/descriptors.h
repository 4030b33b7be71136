/* invoker/descriptors.h -- file descriptors: as many as we may have, and what happens when there
 * are none left.
 *
 * The guard asks the kernel every second for a few descriptors, and gives them back. When it does
 * not get them (our limit, or the machine's), running work needs those that are left: the owner
 * takes no new work until there are more again. Whoever needs one meanwhile gets an error from the
 * kernel and deals with it as with any other. Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/mem.h"

struct cw_loop;
struct cw_metrics;
struct inv_descriptors;

enum { INV_DESCRIPTORS_RESERVE = 32 };

struct inv_descriptors_conf {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    int64_t look_ms; /* 0: a second */
    /* From a timer, each time it changes. */
    void (*on_short)(void *arg, bool is_short);
    void *arg;
};

struct inv_descriptors *inv_descriptors_new(const struct inv_descriptors_conf *conf);
/* Accepts NULL. */
void inv_descriptors_free(struct inv_descriptors *g);

/* Raises our limit to the hard one; a warning in the log when that is less than so many containers
 * need. To be called once, early. */
void inv_descriptors_raise(uint64_t containers);
