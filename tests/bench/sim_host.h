/* tests/bench/sim_host.h -- one simulated host: its processor, its memory, its containers.
 *
 * The processor is shared: while the work asks for more cores than there are, all of it runs
 * slower by the same factor. A container holds in memory what its largest run took, idle or not,
 * until it is removed. What is charged for it is another matter. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"
#include "tests/bench/sim_heap.h"

enum sim_phase { SIM_STARTING, SIM_RUNNING, SIM_IDLE };

struct sim_container {
    struct cw_link link; /* on the host's idle list, least recently used first, or its busy list */
    enum sim_phase phase;
    uint32_t function;
    uint32_t millis;   /* that it asks of the processor now */
    size_t activation; /* STARTING, RUNNING */
    int64_t charge;    /* bytes */
    int64_t live;      /* bytes */
    int64_t idle_since_us;
    double run_began_us;
    bool killed; /* by the kernel; out of all books, waits for its work to come off the heap */
};

struct sim_host {
    double now_us;
    double cores_millis;
    double virtual_us; /* work that each runnable thing could have had done */
    double used_us;    /* core-milliseconds * us so far: the integral of what was used */
    int64_t demand_millis;
    struct sim_heap work; /* containers by the virtual time at which their phase ends */
    struct cw_list idle, busy;
    uint32_t *warm;    /* idle containers by function */
    uint32_t *running; /* containers by function that run, their start is over */
    int64_t memory_total, live, charged, charged_idle;
    uint32_t starting;
    uint64_t generation; /* of its next completion */
};

void sim_host_init(struct sim_host *h, int64_t cores_millis, int64_t memory_bytes,
                   size_t functions);
void sim_host_done(struct sim_host *h);

/* Lets time pass. */
void sim_host_advance(struct sim_host *h, double now_us);
/* When the next phase ends if nothing changes; infinite when nothing runs. */
double sim_host_next_us(struct sim_host *h);
/* The container whose phase has ended by now; NULL when there is none. It asks for no processor any
 * more. */
struct sim_container *sim_host_ended(struct sim_host *h);

/* A new one, STARTING or not yet anything; charged. */
struct sim_container *sim_host_create(struct sim_host *h, uint32_t function, int64_t charge);
/* The most recently used idle one of the function, off the idle list; NULL. */
struct sim_container *sim_host_take_warm(struct sim_host *h, uint32_t function);
/* Begins work of so long at full speed with so many thousandths of a core. */
void sim_host_work(struct sim_host *h, struct sim_container *c, enum sim_phase phase,
                   double work_us, uint32_t millis);
void sim_host_rest(struct sim_host *h, struct sim_container *c);
void sim_host_recharge(struct sim_host *h, struct sim_container *c, int64_t charge);
void sim_host_grow(struct sim_host *h, struct sim_container *c, int64_t live);
/* Removes an idle one. */
void sim_host_remove(struct sim_host *h, struct sim_container *c);
/* The one that holds most memory is gone: freed when idle (NULL), else to be forgotten by the
 * caller, who gets its activation. */
struct sim_container *sim_host_kill_largest(struct sim_host *h);
