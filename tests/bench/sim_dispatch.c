/* What a node does with an activation, and what it knows when it does. */
#include <math.h>
#include <time.h>

#include "common/base/mem.h"
#include "tests/bench/sim_world_priv.h"

static const int64_t MIB = 1024 * 1024;
static const uint32_t COLD_MILLIS = 500; /* creating and initialising keeps half a core busy */

static const struct sim_row *row_of(const struct sim_world *w, size_t activation)
{
    return &w->trace->rows[activation];
}

static const struct sim_function *function_of(const struct sim_world *w, size_t activation)
{
    return &w->trace->functions[row_of(w, activation)->function];
}

void sim_infer(struct sim_world *w, uint32_t function)
{
    const struct sim_function *f = &w->trace->functions[function];
    struct sim_known *known = &w->known[function];
    struct sim_kind *kind = &w->kinds[f->kind];
    double share = (double)f->declared_mib / (double)w->conf->memory_mib;
    struct inv_need_input in = {
        .kind = {&kind->cpu, &kind->memory, 1},
        .action = {&known->cpu, &known->memory, 1},
        .declared_bytes = (uint64_t)f->declared_mib * (uint64_t)MIB,
        .share_millis = (uint32_t)fmax(share * (double)w->conf->cores * 1000, 1),
    };

    inv_need_infer(&(struct inv_need_conf){.model = w->conf->charge}, &in, &known->need);
}

void sim_learn(struct sim_world *w, size_t activation, double took_us)
{
    const struct sim_row *row = row_of(w, activation);
    struct sim_known *known = &w->known[row->function];
    struct sim_kind *kind = &w->kinds[function_of(w, activation)->kind];
    /* what a monitor measures: CPU time over wall time, which contention stretches */
    double millis = row->cpu_millis * (double)row->run_us / fmax(took_us, 1);

    inv_hist_add(&known->cpu, (uint64_t)millis);
    inv_hist_add(&kind->cpu, (uint64_t)millis);
    inv_hist_add(&known->memory, row->memory_mib);
    inv_hist_add(&kind->memory, row->memory_mib);
    known->run_us += (took_us - known->run_us) / (known->run_us > 0 ? 8 : 1);
    sim_infer(w, row->function);
}

void sim_event(struct sim_world *w, double at_us, enum sim_event event, size_t node, uint64_t arg)
{
    sim_heap_push(&w->events, at_us, arg << 16 | (uint64_t)node << 4 | event);
}

void sim_reschedule(struct sim_world *w, size_t node)
{
    struct sim_host *h = &w->nodes[node].host;
    double next = sim_host_next_us(h);

    h->generation++;
    if (!isinf(next))
        sim_event(w, next, SIM_EV_DONE, node, h->generation);
}

static struct inv_host_view view_of(struct sim_world *w, size_t node)
{
    struct sim_node *n = &w->nodes[node];
    struct sim_host *h = &n->host;

    return (struct inv_host_view){
        .id = node,
        .cpu_total_millis = (int64_t)h->cores_millis,
        .cpu_used_millis = n->published.cpu_used_millis, /* measured once a second */
        .cpu_reserved_millis = h->demand_millis,
        .memory_total_bytes = h->memory_total,
        .memory_used_bytes = h->live,
        .memory_reserved_bytes = h->charged,
        .memory_idle_bytes = h->charged_idle,
        .mean_run_us = (int64_t)n->run_us,
        .running = (uint32_t)h->busy.count - h->starting,
        .starting = h->starting,
        .idle = (uint32_t)h->idle.count,
        .queued = (uint32_t)n->queue.n,
    };
}

void sim_publish(struct sim_world *w, size_t node)
{
    struct sim_node *n = &w->nodes[node];
    double used = n->host.used_us - n->used_at_publish_us;
    size_t bytes = w->trace->function_n * sizeof(uint32_t);

    n->published.cpu_used_millis = (int64_t)(used / (double)w->conf->publish_us);
    n->used_at_publish_us = n->host.used_us;
    n->published = view_of(w, node);
    n->published_us = w->now_us;
    memcpy(n->published_warm, n->host.warm, bytes);
    for (size_t i = 0; i < w->conf->hosts; i++) {
        w->nodes[i].sent[node] = (struct inv_forwards){0};
        memset(w->nodes[i].sent_functions[node], 0, bytes);
    }
}

static struct inv_ask ask_of(struct sim_world *w, size_t activation)
{
    uint32_t function = row_of(w, activation)->function;
    struct sim_known *known = &w->known[function];

    return (struct inv_ask){
        .cpu_millis = known->need.cpu_millis,
        .memory_bytes = known->need.memory_bytes,
        .action_key = known->key,
        .home_hash = known->home,
        .cold_start_us = w->trace->functions[function].cold_us,
        .run_us = (int64_t)known->run_us,
        .seed = w->conf->seed * 1000003 + w->asks++,
    };
}

size_t sim_origin(struct sim_world *w, size_t activation)
{
    struct inv_ask ask = ask_of(w, activation);
    struct inv_placement p;
    double told = w->conf->charge == INV_NEED_DECLARED ? 1 : w->conf->overcommit;

    ask.memory_bytes = (uint64_t)function_of(w, activation)->declared_mib * (uint64_t)MIB;
    for (size_t i = 0; i < w->conf->hosts; i++)
        w->views[i] = (struct inv_host_view){
            .id = i,
            .cpu_total_millis = w->conf->cores * 1000,
            .memory_total_bytes = (int64_t)((double)(w->conf->memory_mib * MIB) * told),
            .memory_reserved_bytes = w->nodes[i].booked,
        };
    inv_policy_place(INV_POLICY_HASH, w->views, w->conf->hosts, &ask, &p);
    return p.host < 0 ? 0 : (size_t)p.host;
}

static void see(struct sim_world *w, size_t node, uint32_t function)
{
    for (size_t i = 0; i < w->conf->hosts; i++) {
        w->views[i] = i == node ? view_of(w, node) : w->nodes[i].published;
        w->views[i].self = i == node;
        w->views[i].warm =
            i == node ? w->nodes[i].host.warm[function] : w->nodes[i].published_warm[function];
        if (i == node) {
            w->views[i].busy = w->nodes[i].host.running[function];
            w->views[i].waiting = w->nodes[i].parked[function].n;
            w->views[i].queued -= w->views[i].queued > 0; /* that is the one which asks */
        } else {
            w->views[i].forwards = w->nodes[node].sent[i];
            w->views[i].forwards.same = w->nodes[node].sent_functions[i][function];
        }
    }
}

static int64_t waited_us(const struct sim_world *w, const struct sim_parked *p)
{
    return inv_policy_faded(p->waited_us, (int64_t)(w->now_us - p->waited_at_us));
}

/* A forwarded one is not sent on: it sees this host only. */
static void choose(struct sim_world *w, size_t node, size_t activation, struct inv_placement *ret)
{
    struct inv_ask ask = ask_of(w, activation);
    bool alone = w->activations[activation].forwarded;
    struct timespec before, after;

    ask.may_wait = w->conf->wait && !w->activations[activation].impatient;
    ask.waited_us = waited_us(w, &w->nodes[node].parked[row_of(w, activation)->function]);
    see(w, node, row_of(w, activation)->function);
    (void)clock_gettime(CLOCK_MONOTONIC, &before);
    inv_policy_place(w->conf->policy, alone ? &w->views[node] : w->views,
                     alone ? 1 : w->conf->hosts, &ask, ret);
    (void)clock_gettime(CLOCK_MONOTONIC, &after);
    w->out->decisions++;
    w->out->decision_ns +=
        (double)(after.tv_sec - before.tv_sec) * 1e9 + (double)(after.tv_nsec - before.tv_nsec);
    if (alone && ret->host == 0)
        ret->host = (int)node;
}

static void park(struct sim_world *w, size_t node, size_t activation,
                 const struct inv_placement *placed)
{
    struct sim_parked *p = &w->nodes[node].parked[row_of(w, activation)->function];
    struct sim_activation *a = &w->activations[activation];

    p->waited_us = waited_us(w, p) + placed->wait_us;
    p->waited_at_us = w->now_us;
    a->parked = true;
    a->node = (uint32_t)node;
    a->next = SIM_NONE;
    if (p->n++ == 0)
        p->first = activation;
    else
        w->activations[p->last].next = activation;
    p->last = activation;
    sim_event(w, w->now_us + (double)placed->patience_us, SIM_EV_IMPATIENT, node, activation);
}

void sim_give_up(struct sim_world *w, size_t activation)
{
    struct sim_activation *a = &w->activations[activation];
    struct sim_parked *p = &w->nodes[a->node].parked[row_of(w, activation)->function];
    size_t *at = &p->first, before = SIM_NONE;

    while (*at != activation) {
        before = *at;
        at = &w->activations[*at].next;
    }
    *at = a->next;
    if (p->last == activation)
        p->last = before;
    p->n--;
    a->parked = false;
    a->impatient = true;
}

/* Notes it until the peer publishes or it ends; sign -1 takes it off. */
static void note(struct sim_world *w, size_t activation, int sign)
{
    const struct sim_activation *a = &w->activations[activation];
    struct inv_forwards *sent = &w->nodes[a->origin].sent[a->node];

    sent->count += (uint32_t)sign;
    sent->cpu_millis += sign * (int64_t)a->sent_millis;
    sent->memory_bytes += sign * a->sent_bytes;
    w->nodes[a->origin].sent_functions[a->node][row_of(w, activation)->function] += (uint32_t)sign;
}

void sim_told(struct sim_world *w, size_t activation)
{
    const struct sim_activation *a = &w->activations[activation];

    if (a->sent_us > w->nodes[a->node].published_us)
        note(w, activation, -1);
}

static void forward(struct sim_world *w, size_t peer, bool warm, size_t activation)
{
    struct sim_activation *a = &w->activations[activation];
    const struct inv_need *need = &w->known[row_of(w, activation)->function].need;

    a->forwarded = true;
    a->node = (uint32_t)peer;
    a->sent_us = w->now_us;
    a->sent_millis = need->cpu_millis;
    a->sent_bytes = warm ? 0 : (int64_t)need->memory_bytes;
    note(w, activation, 1);
    sim_event(w, w->now_us + (double)w->conf->hop_us, SIM_EV_DELIVER, peer, activation);
}

static void kill_for_memory(struct sim_world *w, size_t node)
{
    struct sim_host *h = &w->nodes[node].host;

    while (h->live > h->memory_total) {
        struct sim_container *c = sim_host_kill_largest(h);

        if (!c)
            continue;
        w->activations[c->activation].lost = true;
        sim_ended(w, c->activation);
    }
}

static void run_in(struct sim_world *w, size_t node, struct sim_container *c, size_t activation,
                   bool cold)
{
    struct sim_host *h = &w->nodes[node].host;
    const struct sim_row *row = row_of(w, activation);

    c->activation = activation;
    c->run_began_us = w->now_us;
    w->activations[activation].cold = cold;
    if (cold)
        sim_host_work(h, c, SIM_STARTING, (double)function_of(w, activation)->cold_us, COLD_MILLIS);
    else
        sim_host_work(h, c, SIM_RUNNING, (double)row->run_us, row->cpu_millis);
    sim_host_recharge(h, c, (int64_t)w->known[row->function].need.memory_bytes);
    sim_host_grow(h, c, row->memory_mib * MIB);
    kill_for_memory(w, node);
}

bool sim_unpark(struct sim_world *w, size_t node, struct sim_container *c)
{
    struct sim_parked *p = &w->nodes[node].parked[c->function];
    size_t activation = p->first;

    if (p->n == 0)
        return false;
    sim_give_up(w, activation);
    run_in(w, node, c, activation, false);
    return true;
}

static void evict(struct sim_world *w, size_t node, int64_t bytes)
{
    struct sim_host *h = &w->nodes[node].host;
    struct cw_link *first;

    while (bytes > 0 && (first = cw_list_first(&h->idle))) {
        struct sim_container *c = CW_CONTAINER_OF(first, struct sim_container, link);

        bytes -= c->charge;
        sim_host_remove(h, c);
        w->out->evicted++;
    }
}

static bool start_cold(struct sim_world *w, size_t node, size_t activation)
{
    struct sim_host *h = &w->nodes[node].host;
    uint32_t function = row_of(w, activation)->function;
    int64_t need = (int64_t)w->known[function].need.memory_bytes;
    struct inv_admission_state state = {
        .memory_total_bytes = h->memory_total,
        .memory_available_bytes = h->memory_total - h->live,
        .memory_reserved_bytes = h->charged,
        .memory_idle_bytes = h->charged_idle,
        .running = (uint32_t)h->busy.count - h->starting,
        .starting = h->starting,
    };
    struct inv_admission a;

    inv_admission_judge(&w->admission, &state, (uint64_t)need, &a);
    if (a.verdict == INV_HOLD)
        return false;
    if (a.verdict == INV_EVICT)
        evict(w, node, a.evict_bytes);
    w->nodes[node].parked[function].waited_us = 0; /* one is bought */
    run_in(w, node, sim_host_create(h, function, need), activation, true);
    return true;
}

/* What is warm here runs here without asking, but for a policy that minds a full processor. */
static bool runs_warm(struct sim_world *w, size_t node, size_t activation)
{
    uint32_t function = row_of(w, activation)->function;
    struct sim_container *c;

    if (w->nodes[node].host.warm[function] == 0)
        return false;
    if (w->conf->policy == INV_POLICY_HYBRID && !w->activations[activation].forwarded) {
        struct inv_host_view self = view_of(w, node);
        struct inv_ask ask = ask_of(w, activation);

        if (!inv_policy_stays(&self, &ask))
            return false;
    }
    c = sim_host_take_warm(&w->nodes[node].host, function);
    run_in(w, node, c, activation, false);
    return true;
}

static bool start_here(struct sim_world *w, size_t node, size_t activation)
{
    struct sim_container *warm =
        sim_host_take_warm(&w->nodes[node].host, row_of(w, activation)->function);

    if (!warm)
        return start_cold(w, node, activation);
    run_in(w, node, warm, activation, false);
    return true;
}

bool sim_dispatch(struct sim_world *w, size_t node, size_t activation)
{
    struct inv_placement p = {.host = (int)node};

    if (runs_warm(w, node, activation))
        return true;
    if (w->conf->policy != INV_POLICY_HASH)
        choose(w, node, activation, &p);
    if (p.why == INV_WAIT_BUSY)
        park(w, node, activation, &p);
    else if (p.host < 0)
        return false;
    else if ((size_t)p.host == node)
        return start_here(w, node, activation);
    else
        forward(w, (size_t)p.host, p.warm, activation);
    return true;
}
