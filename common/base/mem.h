/* common/base/mem.h -- allocation that cannot fail, and ownership marks.
 *
 * Out of memory ends the process with a message: the restart path must exist anyway, and every
 * buffer that is fed from outside has a maximum. Thread: any. */
#pragma once

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define CW_CLEANUP(fn) __attribute__((cleanup(fn)))
#define CW_STEAL(p)                                                                                \
    ({                                                                                             \
        __auto_type stolen_ = (p);                                                                 \
        (p) = NULL;                                                                                \
        stolen_;                                                                                   \
    })
#define CW_TAKES /* parameter: the callee becomes the owner, on failure too */
#define CW_MUST_CHECK __attribute__((warn_unused_result))
#define CW_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CW_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Zeroed memory; never NULL (a size of 0 gives a unique pointer). Release with free(). */
void *cw_alloc(size_t size) __attribute__((malloc, returns_nonnull));
/* Zeroed array; aborts when count * size overflows. */
void *cw_calloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
/* As realloc, never NULL; new bytes are not cleared. */
void *cw_realloc(void *p, size_t size) __attribute__((returns_nonnull));
/* Copy of a NUL-terminated text; NULL gives NULL. */
char *cw_strdup(const char *s);
/* Copy of n bytes with a NUL appended. */
char *cw_memdup(const void *p, size_t n) __attribute__((malloc, returns_nonnull));

static inline void cw_freep(void *pp)
{
    void *p;

    memcpy(&p, pp, sizeof(p));
    free(p);
}

#define cw_auto_free CW_CLEANUP(cw_freep)
