/* tests/bench/sim_world_priv.h -- the cluster's insides, for its two halves. */
#pragma once

#include "invoker/placement/admission.h"
#include "tests/bench/sim_heap.h"
#include "tests/bench/sim_host.h"
#include "tests/bench/sim_world.h"

struct sim_queue { /* a ring of activations */
    size_t *items;
    size_t head, n, cap;
};

struct sim_activation {
    int64_t end_us; /* 0: not yet */
    uint32_t origin;
    uint32_t declared_mib; /* that the controller has booked for it; 0: no more */
    uint32_t node;         /* where it is parked, or was sent */
    double sent_us;        /* forwarded: when */
    uint32_t sent_millis;  /* and what was noted for it */
    int64_t sent_bytes;
    size_t next; /* parked behind it, of the same function; SIM_NONE: none */
    bool cold, forwarded, lost, parked, impatient;
};

#define SIM_NONE SIZE_MAX

/* Those that wait for a busy container of one function, first come first. */
struct sim_parked {
    size_t first, last;
    uint32_t n;
    int64_t waited_us; /* inv_ask.waited_us, as of waited_at_us */
    double waited_at_us;
};

/* What is known of one function. */
struct sim_known {
    struct inv_hist cpu, memory;
    struct inv_need need;
    double run_us; /* mean of late */
    uint64_t key;
    uint32_t home;
};

struct sim_kind {
    struct inv_hist cpu, memory;
};

struct sim_node {
    struct sim_host host;
    struct sim_queue queue;
    struct sim_parked *parked; /* by function */
    struct inv_host_view published;
    uint32_t *published_warm;  /* by function */
    struct inv_forwards *sent; /* by peer, since it published */
    uint32_t **sent_functions; /* by peer and function */
    int64_t booked;            /* bytes, in the controller's books */
    double run_us;             /* mean of late, all functions */
    double published_us;
    double used_at_publish_us; /* the host's integral then */
};

struct sim_world {
    const struct sim_conf *conf;
    const struct sim_trace *trace;
    struct sim_outcome *out;
    struct sim_node *nodes;
    struct sim_activation *activations;
    struct sim_known *known;
    struct sim_kind kinds[SIM_KINDS];
    struct sim_heap events;
    struct inv_admission_conf admission;
    struct inv_host_view *views; /* scratch */
    double now_us;
    size_t open; /* arrived, not ended */
    size_t samples;
    uint64_t asks;
};

enum sim_event { SIM_EV_DONE, SIM_EV_DELIVER, SIM_EV_PUBLISH, SIM_EV_IMPATIENT, SIM_EV_TOLD };

/* The need of a function by the model in force; after each run. */
void sim_learn(struct sim_world *w, size_t activation, double took_us);
void sim_infer(struct sim_world *w, uint32_t function);

/* Where the controller sends it. */
size_t sim_origin(struct sim_world *w, size_t activation);
/* Tries to start it, to send it elsewhere, or to park it until a container of its function is free;
 * false: it waits. */
bool sim_dispatch(struct sim_world *w, size_t node, size_t activation);
/* The node tells the others how it is. */
void sim_publish(struct sim_world *w, size_t node);
/* Asks for its next completion again; after anything that changed its work. */
void sim_reschedule(struct sim_world *w, size_t node);
/* The first that is parked there for the function, in this idle container; false: there is none. */
bool sim_unpark(struct sim_world *w, size_t node, struct sim_container *c);
/* It waits no longer for a busy container. */
void sim_give_up(struct sim_world *w, size_t activation);
/* Its origin hears that a forwarded one has ended. */
void sim_told(struct sim_world *w, size_t activation);
/* It has an end, good or bad. */
void sim_ended(struct sim_world *w, size_t activation);
void sim_event(struct sim_world *w, double at_us, enum sim_event event, size_t node, uint64_t arg);
