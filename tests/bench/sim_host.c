#include "tests/bench/sim_host.h"

#include <math.h>

#include "common/base/mem.h"

/* Virtual times are sums of many steps: what is that near is due. */
static const double ROUNDING_US = 1e-3;

void sim_host_init(struct sim_host *h, int64_t cores_millis, int64_t memory_bytes, size_t functions)
{
    *h = (struct sim_host){.cores_millis = (double)cores_millis,
                           .memory_total = memory_bytes,
                           .warm = cw_calloc(functions, sizeof(*h->warm)),
                           .running = cw_calloc(functions, sizeof(*h->running))};
    cw_list_init(&h->idle);
    cw_list_init(&h->busy);
}

static struct sim_container *of_link(struct cw_link *link)
{
    return CW_CONTAINER_OF(link, struct sim_container, link);
}

void sim_host_done(struct sim_host *h)
{
    struct cw_link *link;

    while (h->work.n > 0) { /* killed ones are on no list */
        struct sim_container *c = (struct sim_container *)(uintptr_t)sim_heap_pop(&h->work);

        if (c->killed)
            free(c);
    }
    while ((link = cw_list_pop_front(&h->idle)))
        free(of_link(link));
    while ((link = cw_list_pop_front(&h->busy)))
        free(of_link(link));
    sim_heap_done(&h->work);
    free(h->warm);
    free(h->running);
}

static double speed(const struct sim_host *h)
{
    double demand = (double)h->demand_millis;

    return demand > h->cores_millis ? h->cores_millis / demand : 1;
}

void sim_host_advance(struct sim_host *h, double now_us)
{
    double passed = now_us - h->now_us;

    h->virtual_us += passed * speed(h);
    h->used_us += passed * speed(h) * (double)h->demand_millis;
    h->now_us = now_us;
}

/* Killed ones end at once, for nobody. */
static void forget_killed(struct sim_host *h)
{
    const struct sim_heap_item *first;

    while ((first = sim_heap_first(&h->work))) {
        struct sim_container *c = (struct sim_container *)(uintptr_t)first->what;

        if (!c->killed)
            return;
        (void)sim_heap_pop(&h->work);
        free(c);
    }
}

double sim_host_next_us(struct sim_host *h)
{
    const struct sim_heap_item *first;

    forget_killed(h);
    first = sim_heap_first(&h->work);
    if (!first)
        return INFINITY;
    return h->now_us + fmax(first->key - h->virtual_us, 0) / speed(h);
}

static void leave_phase(struct sim_host *h, const struct sim_container *c)
{
    h->starting -= c->phase == SIM_STARTING;
    h->running[c->function] -= c->phase == SIM_RUNNING;
}

struct sim_container *sim_host_ended(struct sim_host *h)
{
    const struct sim_heap_item *first;
    struct sim_container *c;

    forget_killed(h);
    first = sim_heap_first(&h->work);
    if (!first || first->key > h->virtual_us + ROUNDING_US)
        return NULL;
    c = (struct sim_container *)(uintptr_t)sim_heap_pop(&h->work);
    h->demand_millis -= c->millis;
    leave_phase(h, c);
    c->millis = 0;
    return c;
}

struct sim_container *sim_host_create(struct sim_host *h, uint32_t function, int64_t charge)
{
    struct sim_container *c = cw_alloc(sizeof(*c));

    c->function = function;
    c->charge = charge;
    h->charged += charge;
    cw_list_push_back(&h->busy, &c->link);
    return c;
}

static void leave_idle(struct sim_host *h, struct sim_container *c)
{
    cw_list_remove(&h->idle, &c->link);
    h->charged_idle -= c->charge;
    h->warm[c->function]--;
}

struct sim_container *sim_host_take_warm(struct sim_host *h, uint32_t function)
{
    if (h->warm[function] == 0)
        return NULL;
    for (struct cw_link *l = h->idle.head.prev; l != &h->idle.head; l = l->prev) {
        struct sim_container *c = of_link(l);

        if (c->function != function)
            continue;
        leave_idle(h, c);
        cw_list_push_back(&h->busy, &c->link);
        return c;
    }
    return NULL;
}

void sim_host_work(struct sim_host *h, struct sim_container *c, enum sim_phase phase,
                   double work_us, uint32_t millis)
{
    c->phase = phase;
    c->millis = millis;
    h->demand_millis += millis;
    h->starting += phase == SIM_STARTING;
    h->running[c->function] += phase == SIM_RUNNING;
    sim_heap_push(&h->work, h->virtual_us + work_us, (uint64_t)(uintptr_t)c);
}

void sim_host_rest(struct sim_host *h, struct sim_container *c)
{
    c->phase = SIM_IDLE;
    c->idle_since_us = (int64_t)h->now_us;
    cw_list_remove(&h->busy, &c->link);
    cw_list_push_back(&h->idle, &c->link);
    h->charged_idle += c->charge;
    h->warm[c->function]++;
}

void sim_host_recharge(struct sim_host *h, struct sim_container *c, int64_t charge)
{
    h->charged += charge - c->charge;
    if (c->phase == SIM_IDLE)
        h->charged_idle += charge - c->charge;
    c->charge = charge;
}

void sim_host_grow(struct sim_host *h, struct sim_container *c, int64_t live)
{
    if (live <= c->live)
        return;
    h->live += live - c->live;
    c->live = live;
}

void sim_host_remove(struct sim_host *h, struct sim_container *c)
{
    leave_idle(h, c);
    h->charged -= c->charge;
    h->live -= c->live;
    free(c);
}

static struct sim_container *largest_of(struct cw_list *list, struct sim_container *so_far)
{
    for (struct cw_link *l = list->head.next; l != &list->head; l = l->next)
        if (!so_far || of_link(l)->live > so_far->live)
            so_far = of_link(l);
    return so_far;
}

struct sim_container *sim_host_kill_largest(struct sim_host *h)
{
    struct sim_container *c = largest_of(&h->busy, largest_of(&h->idle, NULL));

    if (!c)
        return NULL;
    if (c->phase == SIM_IDLE) {
        sim_host_remove(h, c);
        return NULL;
    }
    cw_list_remove(&h->busy, &c->link);
    h->charged -= c->charge;
    h->live -= c->live;
    h->demand_millis -= c->millis;
    leave_phase(h, c);
    c->killed = true;
    return c;
}
