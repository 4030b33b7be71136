/* invoker/spool/spool_index.h -- where the newest records of a predecessor are, by activation id.
 *
 * Bounded: of more than SPOOL_INDEX_MAX the oldest are forgotten. Pure. Thread: owner only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "invoker/spool/spool_format.h"

enum { SPOOL_INDEX_MAX = 128 << 10 };

struct spool_place {
    char id[SPOOL_ID_LEN];
    uint64_t number; /* of the segment */
    int64_t at;      /* of the entry's header */
};

struct spool_index {
    struct spool_place *places;
    size_t count, room, oldest;
    bool sorted;
};

/* From older to newer; none once something was looked up. */
void spool_index_add(struct spool_index *x, const char id[SPOOL_ID_LEN], uint64_t number,
                     int64_t at);
/* NULL: none. */
const struct spool_place *spool_index_find(struct spool_index *x, const char id[SPOOL_ID_LEN]);
void spool_index_clear(struct spool_index *x);
