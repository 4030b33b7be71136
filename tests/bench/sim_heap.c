#include "tests/bench/sim_heap.h"

#include <stdbool.h>

#include "common/base/mem.h"

static bool before(const struct sim_heap_item *a, const struct sim_heap_item *b)
{
    return a->key < b->key || (a->key <= b->key && a->order < b->order);
}

static void swap(struct sim_heap *h, size_t i, size_t j)
{
    struct sim_heap_item item = h->items[i];

    h->items[i] = h->items[j];
    h->items[j] = item;
}

void sim_heap_push(struct sim_heap *h, double key, uint64_t what)
{
    size_t at = h->n++;

    if (h->n > h->cap) {
        h->cap = h->cap ? 2 * h->cap : 64;
        h->items = cw_realloc(h->items, h->cap * sizeof(*h->items));
    }
    h->items[at] = (struct sim_heap_item){key, h->added++, what};
    for (; at > 0 && before(&h->items[at], &h->items[(at - 1) / 2]); at = (at - 1) / 2)
        swap(h, at, (at - 1) / 2);
}

const struct sim_heap_item *sim_heap_first(const struct sim_heap *h)
{
    return h->n ? &h->items[0] : NULL;
}

uint64_t sim_heap_pop(struct sim_heap *h)
{
    uint64_t what = h->items[0].what;
    size_t at = 0;

    h->items[0] = h->items[--h->n];
    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= h->n)
            return what;
        if (child + 1 < h->n && before(&h->items[child + 1], &h->items[child]))
            child++;
        if (!before(&h->items[child], &h->items[at]))
            return what;
        swap(h, at, child);
        at = child;
    }
}

void sim_heap_done(struct sim_heap *h)
{
    free(h->items);
    *h = (struct sim_heap){0};
}
