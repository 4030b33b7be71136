#include "common/base/arena.h"

#include <stdalign.h>
#include <stdint.h>

enum { BLOCK_BYTES = 2048 };

struct cw_arena_block {
    struct cw_arena_block *next;
    size_t used, size;
    alignas(max_align_t) unsigned char data[];
};

void cw_arena_done(struct cw_arena *a)
{
    struct cw_arena_block *next;

    for (struct cw_arena_block *b = a->blocks; b; b = next) {
        next = b->next;
        free(b);
    }
    a->blocks = NULL;
}

void *cw_arena_alloc(struct cw_arena *a, size_t size)
{
    struct cw_arena_block *b = a->blocks;
    size_t need = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    void *p;

    if (need < size)
        abort();
    if (!b || b->size - b->used < need) {
        size_t block = need > BLOCK_BYTES / 4 ? need : BLOCK_BYTES;

        b = cw_alloc(sizeof(*b) + block);
        b->size = block;
        if (a->blocks && block == need && need != BLOCK_BYTES) {
            b->next = a->blocks->next; /* a big piece must not end the use of the current block */
            a->blocks->next = b;
        } else {
            b->next = a->blocks;
            a->blocks = b;
        }
    }
    p = b->data + b->used;
    b->used += need;
    return p;
}

char *cw_arena_dup(struct cw_arena *a, struct cw_slice s)
{
    char *p = cw_arena_alloc(a, s.n + 1);

    if (s.n)
        memcpy(p, s.p, s.n);
    return p;
}
