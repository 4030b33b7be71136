/* invoker/profile.h -- what runs of one kind, image or action used: counts by epoch, resource and
 * bucket (placement/hist.h), and their fields in kv.
 *
 * An epoch is a span of the wall clock, the same for all invokers; its number is part of each
 * field, so that increments of several invokers add up and old evidence can go: it weighs
 * INV_PROFILE_KEEP of the epoch after it, and nothing after INV_PROFILE_EPOCHS. Sparse: a dozen
 * cells in most cases. No I/O, no clock. Thread: owner only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"
#include "invoker/placement/hist.h"

enum {
    INV_PROFILE_EPOCHS = 12,
    INV_PROFILE_CELLS_MAX = 4 * INV_HIST_BUCKETS * (INV_PROFILE_EPOCHS + 2),
    INV_PROFILE_FIELD_MAX = 24, /* bytes of a field's name, with a NUL */
    INV_PROFILE_COUNT_MAX = 1 << 24,
};
#define INV_PROFILE_KEEP 0.75

/* Busy millicores; peak MiB. As the kernel counted them, or as the containers told themselves. */
enum inv_profile_of {
    INV_PROFILE_CPU,
    INV_PROFILE_MEMORY,
    INV_PROFILE_CPU_TOLD,
    INV_PROFILE_MEMORY_TOLD,
};
enum { INV_PROFILE_RESOURCES = INV_PROFILE_MEMORY_TOLD + 1 };

struct inv_profile_cell {
    uint32_t epoch;
    uint8_t of; /* enum inv_profile_of */
    uint8_t bucket;
    uint32_t shared;  /* in kv as far as we know; without kv: all there is */
    uint32_t pending; /* to be added there */
    uint32_t flying;  /* being added */
};

struct inv_profile {
    struct inv_profile_cell *cells; /* by epoch, of, bucket */
    size_t count, room;
};

void inv_profile_done(struct inv_profile *p);
/* The cell, made when it is missing (and there are not too many: NULL). */
struct inv_profile_cell *inv_profile_cell(struct inv_profile *p, uint32_t epoch,
                                          enum inv_profile_of of, size_t bucket);
/* One value, pending. */
void inv_profile_add(struct inv_profile *p, uint32_t epoch, enum inv_profile_of of, uint64_t value);
/* Forgets what is too old in this epoch, and what lies further ahead than clocks may differ. */
void inv_profile_age(struct inv_profile *p, uint32_t epoch);
/* All that is known, old epochs weighing less, added to ret. Returns how many epochs. */
uint32_t inv_profile_hist(const struct inv_profile *p, uint32_t epoch, enum inv_profile_of of,
                          struct inv_hist *ret);

/* "480123c57" */
void inv_profile_field(const struct inv_profile_cell *c, char name[INV_PROFILE_FIELD_MAX]);
/* false: it is none of ours, or makes no sense. Counts are cut at INV_PROFILE_COUNT_MAX. */
bool inv_profile_parse(struct cw_slice name, struct cw_slice value, struct inv_profile_cell *ret);
/* Whether the epoch is one that counts now. */
bool inv_profile_current(uint32_t cell_epoch, uint32_t epoch);
