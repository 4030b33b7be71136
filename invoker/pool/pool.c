#include "invoker/pool/pool.h"

#include "common/base/map.h"

/* Slots of one (namespace, action content) pair. */
struct inv_group {
    struct cw_map_node node;
    struct cw_list slots; /* those with room first, most recently used first; all states but GONE */
    char key[];
};

struct inv_pool {
    uint32_t memory_mb, used_mb;
    struct cw_map groups;
    struct cw_list idle; /* by state_link, least recently used first */
    size_t count[INV_SLOT_GONE + 1];
    uint32_t idle_mb;
};

struct inv_pool *inv_pool_new(uint32_t memory_mb)
{
    struct inv_pool *p = cw_alloc(sizeof(*p));

    p->memory_mb = memory_mb;
    cw_map_init(&p->groups);
    cw_list_init(&p->idle);
    return p;
}

void inv_pool_free(struct inv_pool *p)
{
    if (!p)
        return;
    cw_map_done(&p->groups);
    free(p);
}

/* The only place that assigns a state; keeps idle list, counts and books together. */
static void set_state(struct inv_pool *p, struct inv_slot *slot, enum inv_slot_state next)
{
    if (slot->state == INV_SLOT_IDLE) {
        cw_list_remove(&p->idle, &slot->state_link);
        p->idle_mb -= slot->memory_mb;
    }
    p->count[slot->state]--;
    slot->state = next;
    p->count[next]++;
    if (next == INV_SLOT_IDLE) {
        cw_list_push_back(&p->idle, &slot->state_link);
        p->idle_mb += slot->memory_mb;
    } else if (next == INV_SLOT_GONE) {
        p->used_mb -= slot->memory_mb;
    }
}

/* Namespace names have at most 256 characters, of up to four bytes. */
enum { KEY_MAX = INV_ACTION_HASH_LEN + 1024 };

static size_t group_key(const struct inv_need *need, char key[KEY_MAX])
{
    size_t n = need->namespace_name.n;

    if (n > KEY_MAX - INV_ACTION_HASH_LEN)
        n = KEY_MAX - INV_ACTION_HASH_LEN;
    memcpy(key, need->action_hash, INV_ACTION_HASH_LEN);
    memcpy(key + INV_ACTION_HASH_LEN, need->namespace_name.p, n);
    return INV_ACTION_HASH_LEN + n;
}

static struct inv_group *find_group(struct inv_pool *p, const struct inv_need *need)
{
    char key[KEY_MAX];
    struct cw_map_node *node = cw_map_get(&p->groups, cw_slice(key, group_key(need, key)));

    return node ? CW_CONTAINER_OF(node, struct inv_group, node) : NULL;
}

static struct inv_group *find_or_make_group(struct inv_pool *p, const struct inv_need *need)
{
    struct inv_group *g = find_group(p, need);
    char key[KEY_MAX];
    size_t n;

    if (g)
        return g;
    n = group_key(need, key);
    g = cw_alloc(sizeof(*g) + n);
    memcpy(g->key, key, n);
    cw_list_init(&g->slots);
    cw_map_put(&p->groups, &g->node, cw_slice(g->key, n));
    return g;
}

static struct inv_slot *find_room(struct inv_group *g, bool starting)
{
    CW_LIST_EACH (&g->slots, n) {
        struct inv_slot *slot = CW_LIST_ENTRY(n, struct inv_slot, group_link);

        if (slot->in_flight >= slot->max_in_flight)
            return NULL; /* only full ones follow */
        if ((slot->state == INV_SLOT_STARTING) == starting)
            return slot;
    }
    return NULL;
}

static void evict(struct inv_pool *p, uint32_t missing_mb, struct inv_slot **evicted)
{
    uint32_t freed = 0;

    while (freed < missing_mb) {
        struct inv_slot *slot = CW_LIST_ENTRY(cw_list_first(&p->idle), struct inv_slot, state_link);

        freed += slot->memory_mb;
        inv_pool_drop(p, slot);
        *evicted = slot;
        evicted = &slot->next_evicted;
    }
}

/* After in_flight changed: those with room stay in front of those without. */
static void reorder(struct inv_slot *slot)
{
    struct cw_list *slots = &slot->group->slots;

    cw_list_remove(slots, &slot->group_link);
    if (slot->in_flight < slot->max_in_flight)
        cw_list_push_front(slots, &slot->group_link);
    else
        cw_list_push_back(slots, &slot->group_link);
}

static struct inv_slot *new_slot(struct inv_pool *p, const struct inv_need *need)
{
    struct inv_slot *slot = cw_alloc(sizeof(*slot));

    slot->state = INV_SLOT_STARTING;
    slot->memory_mb = need->memory_mb;
    slot->max_in_flight = need->concurrency ? need->concurrency : 1;
    slot->in_flight = 1;
    slot->group = find_or_make_group(p, need);
    cw_list_push_front(&slot->group->slots, &slot->group_link);
    reorder(slot);
    p->count[INV_SLOT_STARTING]++;
    p->used_mb += need->memory_mb;
    return slot;
}

static struct inv_slot *reuse(struct inv_pool *p, const struct inv_need *need,
                              enum inv_choice *choice)
{
    struct inv_group *g = find_group(p, need);
    struct inv_slot *slot = g ? find_room(g, false) : NULL;

    *choice = INV_CHOICE_WARM;
    if (g && !slot) {
        slot = find_room(g, true);
        *choice = INV_CHOICE_STARTING;
    }
    if (slot) {
        slot->in_flight++;
        reorder(slot);
        if (slot->state == INV_SLOT_IDLE)
            set_state(p, slot, INV_SLOT_BUSY);
    }
    return slot;
}

void inv_pool_place(struct inv_pool *p, const struct inv_need *need, struct inv_decision *ret)
{
    uint64_t wanted = (uint64_t)p->used_mb + need->memory_mb;

    *ret = (struct inv_decision){.choice = INV_CHOICE_WAIT};
    ret->slot = reuse(p, need, &ret->choice);
    if (ret->slot)
        return;
    if (need->memory_mb > p->memory_mb) {
        ret->choice = INV_CHOICE_NEVER;
        return;
    }
    if (wanted <= p->memory_mb) {
        ret->choice = INV_CHOICE_CREATE;
    } else if (wanted - p->memory_mb <= p->idle_mb) {
        evict(p, (uint32_t)(wanted - p->memory_mb), &ret->evicted);
        ret->choice = INV_CHOICE_RECREATE;
    } else {
        ret->choice = INV_CHOICE_WAIT;
        return;
    }
    ret->slot = new_slot(p, need);
}

void inv_pool_warmed(struct inv_pool *p, struct inv_slot *slot)
{
    if (slot->state == INV_SLOT_STARTING)
        set_state(p, slot, slot->in_flight ? INV_SLOT_BUSY : INV_SLOT_IDLE);
}

void inv_pool_done(struct inv_pool *p, struct inv_slot *slot)
{
    if (slot->in_flight)
        slot->in_flight--;
    if (slot->state != INV_SLOT_GONE)
        reorder(slot);
    if (slot->state == INV_SLOT_BUSY && slot->in_flight == 0)
        set_state(p, slot, INV_SLOT_IDLE);
}

void inv_pool_drop(struct inv_pool *p, struct inv_slot *slot)
{
    struct inv_group *g = slot->group;

    if (slot->state == INV_SLOT_GONE)
        return;
    set_state(p, slot, INV_SLOT_GONE);
    cw_list_remove(&g->slots, &slot->group_link);
    slot->group = NULL;
    if (cw_list_empty(&g->slots)) {
        cw_map_remove(&p->groups, &g->node);
        free(g);
    }
}

void inv_pool_forget(struct inv_pool *p, struct inv_slot *slot)
{
    p->count[INV_SLOT_GONE]--;
    free(slot);
}

void inv_pool_stats(const struct inv_pool *p, struct inv_pool_stats *ret)
{
    *ret = (struct inv_pool_stats){
        .memory_mb = p->memory_mb,
        .used_mb = p->used_mb,
        .idle_mb = p->idle_mb,
        .starting = p->count[INV_SLOT_STARTING],
        .busy = p->count[INV_SLOT_BUSY],
        .idle = p->count[INV_SLOT_IDLE],
    };
}
