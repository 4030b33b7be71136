/* invoker/resize/solver.h -- how much CPU weight each container has, so that guarantees hold.
 *
 * A fixed budget W is what all containers weigh together while one of them has a guarantee. A
 * guaranteed container has its part of W from start to end; the others share seven eighths of the
 * rest in proportion to their own weight. So a guaranteed weight never moves, whoever comes or
 * goes: only the others' do (paper S1; design 7; ADR 0014). Without any guarantee everybody has its
 * own weight.
 *
 * Pure: numbers in, numbers out; equal input gives equal output. Thread: any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INV_CPU_WHOLE_PPM = 1000000 };

/* The kernel's scale and what is handed out on it. */
struct inv_cpu_rule {
    int64_t min, max;      /* that a weight can have; 1 <= min <= budget <= max */
    int64_t budget;        /* W */
    uint32_t reserved_ppm; /* of W, that no guarantee may take: what the others live on */
};

struct inv_cpu_part {
    uint32_t guarantee_ppm; /* of W; 0: none */
    int64_t own;            /* weight without guarantees, min..max; not used with one */
    int64_t weight;         /* result */
};

enum inv_cpu_fit {
    INV_CPU_FITS,
    INV_CPU_FULL,    /* the guarantees together are more than W less the reserve */
    INV_CPU_CROWDED, /* the rest is not enough for the smallest weight of each other container */
    INV_CPU_NEVER,   /* one alone is more than W less the reserve */
};
/* "fits", "full", "crowded", "never". */
const char *inv_cpu_fit_name(enum inv_cpu_fit fit);

/* Sets the weight of all parts, or none of them when they do not fit. The weights' sum is at most
 * W as soon as there is a guarantee, and no guaranteed weight is under its part of W. */
enum inv_cpu_fit inv_cpu_solve(const struct inv_cpu_rule *rule, struct inv_cpu_part *parts,
                               size_t count);

/* What to write next on the way from now[] to wanted[]: first what shrinks, then what grows, each
 * by its index; count when all is done. A now[] of 0 is a container that does not run yet. */
size_t inv_cpu_next(const int64_t *now, const int64_t *wanted, size_t count);
