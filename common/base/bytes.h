/* common/base/bytes.h -- little-endian numbers in files. Thread: any. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The low `bytes` (1..8) bytes of v, to p. */
static inline void cw_put_le(unsigned char *p, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        p[i] = (unsigned char)(v >> (8 * i));
}

/* The number that so many bytes (1..8) at p hold. */
static inline uint64_t cw_get_le(const unsigned char *p, size_t bytes)
{
    uint64_t v = 0;

    for (size_t i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}
