/* tests/bench/sim_heap.h -- what is due next: a binary heap, equal keys in the order they came. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct sim_heap_item {
    double key;
    uint64_t order;
    uint64_t what; /* the caller's */
};

struct sim_heap {
    struct sim_heap_item *items;
    size_t n, cap;
    uint64_t added;
};

void sim_heap_push(struct sim_heap *h, double key, uint64_t what);
/* The smallest; NULL when empty. Valid until the next push or pop. */
const struct sim_heap_item *sim_heap_first(const struct sim_heap *h);
/* Takes the smallest off; there must be one. */
uint64_t sim_heap_pop(struct sim_heap *h);
void sim_heap_done(struct sim_heap *h);
