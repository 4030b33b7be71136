/* tests/bench/sim_world.h -- a cluster that replays a trace under one policy and one way of
 * charging.
 *
 * A stock controller sends each activation to an invoker: home and steps over its own books of
 * declared memory. There, a warm container runs it; otherwise the policy is asked, with this host
 * as it is and the others as they last published (each second) plus what was sent there since. A
 * forwarded activation is not forwarded again. What nobody can take waits, first come first
 * served. Policy, needs and admission are the production code. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "invoker/placement/need.h"
#include "invoker/placement/policy.h"
#include "tests/bench/sim_trace.h"

enum { SIM_HOSTS_MAX = 256 };

struct sim_conf {
    size_t hosts;
    int64_t cores;      /* each */
    int64_t memory_mib; /* each */
    enum inv_policy policy;
    enum inv_need_model charge;
    int64_t warmup_us; /* what arrives before is not counted */
    int64_t keep_alive_us;
    int64_t publish_us;
    int64_t hop_us;       /* of a forward */
    double overcommit;    /* what controllers are told of memory when needs are inferred */
    double floor;         /* part of the memory that stays free when needs are inferred */
    uint32_t cold_starts; /* at once on a host; 0: any number */
    uint64_t seed;
    bool wait; /* for busy containers, where the policy asks for that */
};

struct sim_outcome {
    size_t activations; /* counted ones that ended */
    size_t cold;        /* of them, those that needed a new container */
    size_t forwarded;
    size_t lost;       /* killed for memory */
    size_t unfinished; /* counted ones that had not ended long after the trace */
    size_t evicted;
    double *slowdowns; /* one for each, sorted; bounded: response / max(run, 10 ms) */
    double cold_ratio, load, charged, live, imbalance, containers;
    double decisions, decision_ns;
    int64_t longest_queue;
};

/* Release with sim_outcome_done. */
void sim_replay(const struct sim_conf *conf, const struct sim_trace *trace,
                struct sim_outcome *ret);
void sim_outcome_done(struct sim_outcome *o);
