/* invoker/placement/admission.h -- whether this host starts another container now.
 *
 * Two rules (design 5). declared: what is declared never exceeds user-memory. inferred: needs and
 * live use are counted, and guards hold: a floor of free memory, pressure-stall information, a cap
 * on simultaneous cold starts. Idle containers go first: under pressure a container is started only
 * against as much idle memory, and a host that runs nothing always takes one, so that nothing
 * waits for ever. Reusing a warm container is not asked here. Pure. Thread: any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "invoker/placement/need.h"

enum inv_charge { INV_CHARGE_DECLARED, INV_CHARGE_INFERRED };

struct inv_admission_conf {
    enum inv_charge charge;
    int64_t user_memory_bytes; /* declared: the limit; inferred: not used */
    int64_t floor_bytes;       /* inferred: memory that stays free; below 0: none */
    uint32_t
        memory_stall_max;     /* inferred: PSI memory some avg10, hundredths of a percent; 0: off */
    uint32_t cpu_stall_max;   /* inferred: PSI cpu some avg10; 0: off */
    uint32_t cold_starts_max; /* at the same time, both rules; 0: any number */
};

struct inv_admission_state {
    int64_t memory_total_bytes;       /* of the host, or what containers may take; inferred only */
    int64_t memory_available_bytes;   /* measured; below 0: unknown; inferred only */
    int64_t memory_reserved_bytes;    /* charges of all containers, by the rule in force */
    int64_t memory_idle_bytes;        /* of it, of idle ones */
    uint32_t memory_stall, cpu_stall; /* PSI some avg10 in hundredths of a percent; 0: unknown */
    uint32_t running;                 /* activations */
    uint32_t starting;                /* containers */
};

enum inv_admission_verdict {
    INV_ADMIT,
    INV_EVICT, /* admitted as soon as evict_bytes of idle containers, by charge, are removed */
    INV_HOLD,  /* not now */
};

enum inv_hold_reason {
    INV_HOLD_NOTHING,
    INV_HOLD_MEMORY,
    INV_HOLD_FLOOR, /* free memory would fall below the floor */
    INV_HOLD_MEMORY_STALL,
    INV_HOLD_CPU_STALL,
    INV_HOLD_COLD_STARTS,
    INV_HOLD_TOO_LARGE, /* larger than all there is: waiting will not help */
    INV_HOLD_BAD_STATE, /* capacities that are not above 0, more idle than reserved */
};
enum { INV_HOLD_REASONS = INV_HOLD_BAD_STATE + 1 };

struct inv_admission {
    enum inv_admission_verdict verdict;
    enum inv_hold_reason why; /* also what made the eviction necessary */
    int64_t evict_bytes;      /* EVICT: above 0, at most what is idle */
};

/* bytes: the charge of the container to be, declared or inferred as the rule is. */
void inv_admission_judge(const struct inv_admission_conf *conf,
                         const struct inv_admission_state *state, uint64_t bytes,
                         struct inv_admission *ret);
const char *inv_hold_reason_name(enum inv_hold_reason why);
