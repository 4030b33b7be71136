/* common/base/arena.h -- bump allocator for the pieces of one decoded message or document.
 *
 * All pieces die together. Thread: owner only. */
#pragma once

#include <stddef.h>

#include "common/base/str.h"

struct cw_arena_block;

struct cw_arena {
    struct cw_arena_block *blocks;
};

static inline void cw_arena_init(struct cw_arena *a)
{
    a->blocks = NULL;
}
void cw_arena_done(struct cw_arena *a);
/* Zeroed, aligned for any type, never NULL. */
void *cw_arena_alloc(struct cw_arena *a, size_t size) __attribute__((returns_nonnull));
/* Copy with a NUL appended. */
char *cw_arena_dup(struct cw_arena *a, struct cw_slice s) __attribute__((returns_nonnull));
