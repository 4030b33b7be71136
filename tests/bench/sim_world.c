#include "tests/bench/sim_world.h"

#include <math.h>
#include <stdio.h>

#include "common/base/mem.h"
#include "tests/bench/sim_world_priv.h"

static const int64_t MIB = 1024 * 1024;
static const double SHORTEST_US = 10000;           /* of a run, for its slowdown */
static const double PATIENCE_US = 600 * 1000000.0; /* after the last arrival */

static void push(struct sim_queue *q, size_t activation)
{
    if (q->n == q->cap) {
        size_t cap = q->cap ? 2 * q->cap : 64;
        size_t *items = cw_calloc(cap, sizeof(*items));

        for (size_t i = 0; i < q->n; i++)
            items[i] = q->items[(q->head + i) % q->cap];
        free(q->items);
        *q = (struct sim_queue){items, 0, q->n, cap};
    }
    q->items[(q->head + q->n++) % q->cap] = activation;
}

static void shift(struct sim_queue *q)
{
    q->head = (q->head + 1) % q->cap;
    q->n--;
}

static void drain(struct sim_world *w, size_t node)
{
    struct sim_queue *q = &w->nodes[node].queue;

    while (q->n > 0 && sim_dispatch(w, node, q->items[q->head]))
        shift(q);
    sim_reschedule(w, node);
}

static void take_in(struct sim_world *w, size_t node, size_t activation)
{
    struct sim_queue *q = &w->nodes[node].queue;

    push(q, activation);
    if ((int64_t)q->n > w->out->longest_queue)
        w->out->longest_queue = (int64_t)q->n;
    if (q->n == 1)
        drain(w, node);
}

static bool is_counted(const struct sim_world *w, size_t activation)
{
    return w->trace->rows[activation].at_us >= w->conf->warmup_us;
}

void sim_ended(struct sim_world *w, size_t activation)
{
    struct sim_activation *a = &w->activations[activation];
    const struct sim_row *row = &w->trace->rows[activation];

    a->end_us = (int64_t)w->now_us;
    w->nodes[a->origin].booked -= (int64_t)a->declared_mib * MIB;
    w->open--;
    if (a->forwarded)
        sim_event(w, w->now_us + (double)w->conf->hop_us, SIM_EV_TOLD, a->origin, activation);
    if (!is_counted(w, activation))
        return;
    if (a->lost) {
        w->out->lost++;
        return;
    }
    w->out->slowdowns[w->out->activations++] =
        fmax((w->now_us - (double)row->at_us) / fmax((double)row->run_us, SHORTEST_US), 1);
    w->out->cold += a->cold;
    w->out->forwarded += a->forwarded;
}

static void arrive(struct sim_world *w, size_t activation)
{
    struct sim_activation *a = &w->activations[activation];
    uint32_t declared = w->trace->functions[w->trace->rows[activation].function].declared_mib;

    a->origin = (uint32_t)sim_origin(w, activation);
    a->declared_mib = declared;
    w->nodes[a->origin].booked += (int64_t)declared * MIB;
    w->open++;
    sim_host_advance(&w->nodes[a->origin].host, w->now_us);
    take_in(w, a->origin, activation);
}

static void run_ended(struct sim_world *w, size_t node, struct sim_container *c)
{
    struct sim_node *n = &w->nodes[node];
    size_t activation = c->activation;
    const struct sim_row *row = &w->trace->rows[activation];
    double took = w->now_us - c->run_began_us;

    sim_learn(w, activation, took);
    n->run_us += (took - n->run_us) / (n->run_us > 0 ? 16 : 1);
    sim_ended(w, activation);
    if (sim_unpark(w, node, c))
        return;
    sim_host_rest(&n->host, c);
    /* the use of what rests is known: it is measured */
    sim_host_recharge(&n->host, c,
                      w->admission.charge == INV_CHARGE_INFERRED
                          ? c->live
                          : (int64_t)w->known[row->function].need.memory_bytes);
}

static void completions(struct sim_world *w, size_t node)
{
    struct sim_host *h = &w->nodes[node].host;
    struct sim_container *c;

    while ((c = sim_host_ended(h))) {
        const struct sim_row *row = &w->trace->rows[c->activation];

        if (c->phase == SIM_STARTING) {
            c->run_began_us = w->now_us;
            sim_host_work(h, c, SIM_RUNNING, (double)row->run_us, row->cpu_millis);
        } else {
            run_ended(w, node, c);
        }
    }
    drain(w, node);
}

static void expire(struct sim_world *w, size_t node)
{
    struct sim_host *h = &w->nodes[node].host;
    int64_t floor = w->admission.charge == INV_CHARGE_INFERRED ? w->admission.floor_bytes : 0;
    struct cw_link *first;

    while ((first = cw_list_first(&h->idle))) {
        struct sim_container *c = CW_CONTAINER_OF(first, struct sim_container, link);

        if (c->idle_since_us + w->conf->keep_alive_us > (int64_t)w->now_us &&
            h->memory_total - h->live >= floor)
            return;
        sim_host_remove(h, c);
    }
}

static void sample(struct sim_world *w)
{
    double sum = 0, squares = 0, charged = 0, live = 0, containers = 0;
    double n = (double)w->conf->hosts;

    for (size_t i = 0; i < w->conf->hosts; i++) {
        const struct sim_node *node = &w->nodes[i];
        double used = (double)node->published.cpu_used_millis / node->host.cores_millis;

        sum += used;
        squares += used * used;
        charged += (double)node->host.charged / (double)node->host.memory_total;
        live += (double)node->host.live / (double)node->host.memory_total;
        containers += (double)(node->host.idle.count + node->host.busy.count);
    }
    w->samples++;
    w->out->load += sum / n;
    w->out->charged += charged / n;
    w->out->live += live / n;
    w->out->containers += containers;
    if (sum > 0)
        w->out->imbalance += sqrt(fmax(squares / n - sum / n * (sum / n), 0)) / (sum / n);
}

static void publish(struct sim_world *w, size_t node)
{
    sim_host_advance(&w->nodes[node].host, w->now_us);
    expire(w, node);
    sim_publish(w, node);
    for (size_t i = 0; i < w->conf->hosts; i++) {
        sim_host_advance(&w->nodes[i].host, w->now_us);
        if (w->nodes[i].queue.n > 0)
            drain(w, i);
    }
    if (node == 0 && w->now_us >= (double)w->conf->warmup_us &&
        w->now_us <= (double)w->trace->rows[w->trace->n - 1].at_us)
        sample(w);
    sim_event(w, w->now_us + (double)w->conf->publish_us, SIM_EV_PUBLISH, node, 0);
}

static void handle(struct sim_world *w, uint64_t what)
{
    size_t node = what >> 4 & 0xfff;
    uint64_t arg = what >> 16;

    switch ((enum sim_event)(what & 0xf)) {
    case SIM_EV_DONE:
        if (arg != w->nodes[node].host.generation)
            return;
        sim_host_advance(&w->nodes[node].host, w->now_us);
        completions(w, node);
        break;
    case SIM_EV_DELIVER:
        sim_host_advance(&w->nodes[node].host, w->now_us);
        take_in(w, node, (size_t)arg);
        break;
    case SIM_EV_PUBLISH:
        publish(w, node);
        break;
    case SIM_EV_TOLD:
        sim_told(w, (size_t)arg);
        break;
    case SIM_EV_IMPATIENT:
        if (!w->activations[arg].parked)
            return;
        sim_host_advance(&w->nodes[node].host, w->now_us);
        sim_give_up(w, (size_t)arg);
        take_in(w, node, (size_t)arg);
        break;
    }
}

static void replay(struct sim_world *w)
{
    const struct sim_trace *t = w->trace;
    double last = (double)t->rows[t->n - 1].at_us + PATIENCE_US;
    size_t next = 0;

    while (next < t->n || w->open > 0) {
        const struct sim_heap_item *first = sim_heap_first(&w->events);

        if (next < t->n && (double)t->rows[next].at_us <= first->key) {
            w->now_us = (double)t->rows[next].at_us;
            arrive(w, next++);
            continue;
        }
        if (first->key > last)
            return;
        w->now_us = first->key;
        handle(w, sim_heap_pop(&w->events));
    }
}

static void set_up_nodes(struct sim_world *w)
{
    const struct sim_conf *conf = w->conf;

    w->nodes = cw_calloc(conf->hosts, sizeof(*w->nodes));
    w->views = cw_calloc(conf->hosts, sizeof(*w->views));
    for (size_t i = 0; i < conf->hosts; i++) {
        struct sim_node *n = &w->nodes[i];

        sim_host_init(&n->host, conf->cores * 1000, conf->memory_mib * MIB, w->trace->function_n);
        n->parked = cw_calloc(w->trace->function_n, sizeof(*n->parked));
        n->published_warm = cw_calloc(w->trace->function_n, sizeof(*n->published_warm));
        n->sent = cw_calloc(conf->hosts, sizeof(*n->sent));
        n->sent_functions = cw_calloc(conf->hosts, sizeof(*n->sent_functions));
        for (size_t j = 0; j < conf->hosts; j++)
            n->sent_functions[j] = cw_calloc(w->trace->function_n, sizeof(uint32_t));
    }
    for (size_t i = 0; i < conf->hosts; i++) {
        double phase = (double)i / (double)conf->hosts;

        sim_publish(w, i);
        sim_event(w, phase * (double)conf->publish_us, SIM_EV_PUBLISH, i, 0);
    }
}

static void set_up_functions(struct sim_world *w)
{
    w->known = cw_calloc(w->trace->function_n, sizeof(*w->known));
    for (uint32_t i = 0; i < w->trace->function_n; i++) {
        char name[32];
        int n = snprintf(name, sizeof(name), "guest/function%u", w->trace->functions[i].number);

        w->known[i].home = inv_home_hash(CW_SLICE("guest"), cw_slice(name, (size_t)n));
        w->known[i].key = (uint64_t)w->trace->functions[i].number * 0x9e3779b97f4a7c15;
        sim_infer(w, i);
    }
}

static void tear_down(struct sim_world *w)
{
    for (size_t i = 0; i < w->conf->hosts; i++) {
        struct sim_node *n = &w->nodes[i];

        for (size_t j = 0; j < w->conf->hosts; j++)
            free(n->sent_functions[j]);
        free(n->sent_functions);
        free(n->sent);
        free(n->published_warm);
        free(n->parked);
        free(n->queue.items);
        sim_host_done(&n->host);
    }
    free(w->nodes);
    free(w->views);
    free(w->known);
    free(w->activations);
    sim_heap_done(&w->events);
}

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void finish(struct sim_world *w)
{
    struct sim_outcome *o = w->out;
    double samples = w->samples ? (double)w->samples : 1;

    for (size_t i = 0; i < w->trace->n; i++)
        o->unfinished += is_counted(w, i) && w->activations[i].end_us == 0;
    qsort(o->slowdowns, o->activations, sizeof(*o->slowdowns), by_size);
    o->cold_ratio = o->activations ? (double)o->cold / (double)o->activations : 0;
    o->load /= samples;
    o->charged /= samples;
    o->live /= samples;
    o->imbalance /= samples;
    o->containers /= samples;
}

void sim_replay(const struct sim_conf *conf, const struct sim_trace *trace, struct sim_outcome *ret)
{
    struct sim_world w = {.conf = conf, .trace = trace, .out = ret};

    *ret = (struct sim_outcome){.slowdowns = cw_calloc(trace->n, sizeof(*ret->slowdowns))};
    w.activations = cw_calloc(trace->n, sizeof(*w.activations));
    w.admission = (struct inv_admission_conf){
        .charge = conf->charge == INV_NEED_DECLARED ? INV_CHARGE_DECLARED : INV_CHARGE_INFERRED,
        .user_memory_bytes = conf->memory_mib * MIB,
        .floor_bytes = (int64_t)((double)(conf->memory_mib * MIB) * conf->floor),
        .cold_starts_max = conf->cold_starts,
    };
    set_up_functions(&w);
    set_up_nodes(&w);
    replay(&w);
    finish(&w);
    tear_down(&w);
}

void sim_outcome_done(struct sim_outcome *o)
{
    free(o->slowdowns);
    *o = (struct sim_outcome){0};
}
