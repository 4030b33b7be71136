/* The containers that there are, with their places in the books. */
#include "common/driver/container_driver.h"
#include "common/loop/loop.h"
#include "invoker/dispatch_priv.h"
#include "invoker/parked.h"

struct holding *dispatch_new_holding(struct inv_dispatch *d, struct inv_slot *slot)
{
    struct holding *h = cw_alloc(sizeof(*h));

    h->d = d;
    h->slot = slot;
    cw_list_init(&h->held);
    slot->owner = h;
    cw_list_push_back(&d->holdings, &h->link);
    return h;
}

void dispatch_remove_chain(struct inv_slot *evicted)
{
    struct inv_slot *next;

    for (struct inv_slot *slot = evicted; slot; slot = next) {
        next = slot->next_evicted;
        inv_container_remove(((struct holding *)slot->owner)->container);
    }
}

void dispatch_remove_idle(struct inv_dispatch *d)
{
    CW_LIST_EACH (&d->holdings, n) {
        struct holding *h = CW_LIST_ENTRY(n, struct holding, link);

        if (h->slot->state == INV_SLOT_IDLE || h->slot->state == INV_SLOT_PREWARMED ||
            h->slot->state == INV_SLOT_PREPARING)
            inv_container_remove(h->container);
    }
}

void inv_dispatch_died(struct inv_dispatch *d, const char *id, int64_t exit_code)
{
    CW_LIST_EACH (&d->holdings, n) {
        struct holding *h = CW_LIST_ENTRY(n, struct holding, link);

        if (strcmp(inv_container_id(h->container), id) == 0) {
            inv_container_died(h->container, exit_code);
            return;
        }
    }
}

static bool runs(const struct cw_owned_container *list, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].id, id) == 0)
            return list[i].running;
    return false;
}

void inv_dispatch_compare(struct inv_dispatch *d, const struct cw_owned_container *list,
                          size_t count, int64_t since_us)
{
    CW_LIST_EACH (&d->holdings, n) {
        struct inv_container *c = CW_LIST_ENTRY(n, struct holding, link)->container;
        int64_t created_us = inv_container_since_us(c);

        if (created_us && created_us < since_us && !runs(list, count, inv_container_id(c)))
            inv_container_died(c, -1);
    }
}

static struct holding *find_holding(const struct inv_dispatch *d, const char *name)
{
    CW_LIST_EACH (&d->holdings, n) {
        struct holding *h = CW_LIST_ENTRY(n, struct holding, link);

        if (strcmp(inv_container_name(h->container), name) == 0)
            return h;
    }
    return NULL;
}

bool inv_dispatch_holds(const struct inv_dispatch *d, const char *name, struct inv_held *ret)
{
    const struct holding *h = find_holding(d, name);

    if (!h || !ret)
        return h != NULL;
    ret->memory_bytes = (uint64_t)h->slot->memory_mb << 20;
    ret->idle_ms =
        h->slot->state == INV_SLOT_IDLE && inv_container_idle_us(h->container)
            ? (cw_loop_mono_us(d->conf.loop) - inv_container_idle_us(h->container)) / 1000
            : -1;
    return true;
}

bool inv_dispatch_remove_idle(struct inv_dispatch *d, const char *name)
{
    struct holding *h = find_holding(d, name);

    if (!h || h->slot->state != INV_SLOT_IDLE)
        return false;
    inv_container_remove(h->container);
    return h->slot->state == INV_SLOT_GONE; /* not while it still collects logs */
}

size_t inv_dispatch_containers(const struct inv_dispatch *d)
{
    return d->holdings.count;
}

void dispatch_put_back(struct inv_dispatch *d, struct inv_job *job)
{
    inv_run_buffer_put_back(&d->waiting, job);
    d->short_of_room = true;
    cw_defer_post(&d->retry);
}

void dispatch_room_changed(struct holding *h)
{
    struct inv_dispatch *d = h->d;

    if (inv_parked_total(d->parked))
        inv_parked_ready(d->parked, inv_pool_slot_pair(h->slot));
    cw_defer_post(&d->retry);
}
