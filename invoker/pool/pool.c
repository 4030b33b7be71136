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
    struct cw_list idle;  /* by state_link, least recently used first */
    struct cw_list cells; /* a handful: one for each kind and size among the stem cells */
    size_t count[INV_SLOT_GONE + 1];
    uint32_t mb[INV_SLOT_GONE + 1]; /* memory of the slots in each state */
};

struct inv_pool *inv_pool_new(uint32_t memory_mb)
{
    struct inv_pool *p = cw_alloc(sizeof(*p));

    p->memory_mb = memory_mb;
    cw_map_init(&p->groups);
    cw_list_init(&p->idle);
    cw_list_init(&p->cells);
    return p;
}

void inv_pool_free(struct inv_pool *p)
{
    struct cw_link *n;

    if (!p)
        return;
    while ((n = cw_list_pop_front(&p->cells)))
        free(CW_LIST_ENTRY(n, struct inv_cell, link));
    cw_map_done(&p->groups);
    free(p);
}

/* Earliest expiry first; almost always the latest comer expires last. */
static void add_ready(struct inv_cell *cell, struct inv_slot *slot)
{
    struct cw_link *before = &cell->ready.head;

    while (before->prev != &cell->ready.head &&
           CW_LIST_ENTRY(before->prev, struct inv_slot, state_link)->expires_us > slot->expires_us)
        before = before->prev;
    cw_list_insert_before(&cell->ready, before, &slot->state_link);
}

static void leave_state(struct inv_pool *p, struct inv_slot *slot)
{
    p->count[slot->state]--;
    p->mb[slot->state] -= slot->charge_mb;
    if (slot->state == INV_SLOT_IDLE)
        cw_list_remove(&p->idle, &slot->state_link);
    else if (slot->state == INV_SLOT_PREPARING)
        slot->cell->preparing--;
    else if (slot->state == INV_SLOT_PREWARMED)
        cw_list_remove(&slot->cell->ready, &slot->state_link);
}

static void enter_state(struct inv_pool *p, struct inv_slot *slot, enum inv_slot_state next)
{
    slot->state = next;
    p->count[next]++;
    p->mb[next] += slot->charge_mb;
    if (next == INV_SLOT_IDLE)
        cw_list_push_back(&p->idle, &slot->state_link);
    else if (next == INV_SLOT_PREPARING)
        slot->cell->preparing++;
    else if (next == INV_SLOT_PREWARMED)
        add_ready(slot->cell, slot);
    else if (next == INV_SLOT_GONE)
        p->used_mb -= slot->charge_mb;
}

/* With new_slot the only place that assigns a state; keeps lists, counts and books together. */
static void set_state(struct inv_pool *p, struct inv_slot *slot, enum inv_slot_state next)
{
    leave_state(p, slot);
    enter_state(p, slot, next);
}

/* Namespace names have at most 256 characters, of up to four bytes. */
enum { KEY_MAX = INV_ACTION_HASH_LEN + 1024 };

static size_t group_key(const struct inv_pool_need *need, char key[KEY_MAX])
{
    size_t n = need->namespace_name.n;

    if (n > KEY_MAX - INV_ACTION_HASH_LEN)
        n = KEY_MAX - INV_ACTION_HASH_LEN;
    memcpy(key, need->action_hash, INV_ACTION_HASH_LEN);
    memcpy(key + INV_ACTION_HASH_LEN, need->namespace_name.p, n);
    return INV_ACTION_HASH_LEN + n;
}

static struct inv_group *find_group(struct inv_pool *p, const struct inv_pool_need *need)
{
    char key[KEY_MAX];
    struct cw_map_node *node = cw_map_get(&p->groups, cw_slice(key, group_key(need, key)));

    return node ? CW_CONTAINER_OF(node, struct inv_group, node) : NULL;
}

static struct inv_group *find_or_make_group(struct inv_pool *p, const struct inv_pool_need *need)
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

static bool is_warm(const struct inv_slot *slot)
{
    return slot->state == INV_SLOT_BUSY || slot->state == INV_SLOT_IDLE;
}

static uint32_t charge_of(const struct inv_pool_need *need)
{
    return need->charge_mb ? need->charge_mb : need->memory_mb;
}

/* A slot with room: warm rather than warming rather than starting. Of the need's size. */
static struct inv_slot *find_room(struct inv_group *g, const struct inv_pool_need *need)
{
    struct inv_slot *best = NULL;

    CW_LIST_EACH (&g->slots, n) {
        struct inv_slot *slot = CW_LIST_ENTRY(n, struct inv_slot, group_link);

        if (slot->in_flight >= slot->max_in_flight)
            break; /* only full ones follow */
        if (slot->memory_mb != need->memory_mb)
            continue;
        if (is_warm(slot))
            return slot;
        if (!best || (best->state == INV_SLOT_STARTING && slot->state == INV_SLOT_WARMING))
            best = slot;
    }
    return best;
}

/* An idle one that can have the need's size within the memory that there is. */
static struct inv_slot *find_other_size(struct inv_pool *p, struct inv_group *g,
                                        const struct inv_pool_need *need)
{
    CW_LIST_EACH (&g->slots, n) {
        struct inv_slot *slot = CW_LIST_ENTRY(n, struct inv_slot, group_link);

        if (slot->state == INV_SLOT_IDLE &&
            (uint64_t)p->used_mb - slot->charge_mb + charge_of(need) <= p->memory_mb)
            return slot;
    }
    return NULL;
}

/* What is charged for one that stays as large as it is stays, too. */
static void set_size(struct inv_pool *p, struct inv_slot *slot, const struct inv_pool_need *need)
{
    uint32_t charge_mb = charge_of(need);

    if (slot->memory_mb == need->memory_mb)
        return;
    p->used_mb += charge_mb - slot->charge_mb;
    p->mb[slot->state] += charge_mb - slot->charge_mb;
    slot->memory_mb = need->memory_mb;
    slot->charge_mb = charge_mb;
}

static uint32_t evict_from(struct inv_pool *p, struct cw_list *list, uint32_t missing_mb,
                           struct inv_slot ***evicted)
{
    uint32_t freed = 0;
    struct cw_link *n;

    while (freed < missing_mb && (n = cw_list_first(list))) {
        struct inv_slot *slot = CW_LIST_ENTRY(n, struct inv_slot, state_link);

        freed += slot->charge_mb;
        inv_pool_drop(p, slot);
        **evicted = slot;
        *evicted = &slot->next_evicted;
    }
    return freed;
}

/* Idle ones; then, when the caller has found that idle ones are not enough, prewarmed ones. */
static void evict(struct inv_pool *p, uint32_t missing_mb, struct inv_slot **evicted)
{
    uint32_t freed = evict_from(p, &p->idle, missing_mb, &evicted);

    CW_LIST_EACH (&p->cells, n) {
        struct inv_cell *cell = CW_LIST_ENTRY(n, struct inv_cell, link);

        if (freed < missing_mb)
            freed += evict_from(p, &cell->ready, missing_mb - freed, &evicted);
    }
}

/* How much eviction may free. Prewarmed ones stay as long as some container can still end, or
 * become idle, and so make room by itself. */
static uint32_t evictable_mb(const struct inv_pool *p)
{
    bool stuck = p->count[INV_SLOT_PREPARING] == 0 && p->count[INV_SLOT_WARMING] == 0 &&
                 p->count[INV_SLOT_STARTING] == 0 && p->count[INV_SLOT_BUSY] == 0;

    return p->mb[INV_SLOT_IDLE] + (stuck ? p->mb[INV_SLOT_PREWARMED] : 0);
}

struct inv_slot *inv_pool_trim(struct inv_pool *p, uint32_t mb)
{
    struct inv_slot *evicted = NULL, **at = &evicted;

    (void)evict_from(p, &p->idle, mb, &at);
    return evicted;
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

static struct inv_slot *new_slot(struct inv_pool *p, enum inv_slot_state state, uint32_t memory_mb,
                                 uint32_t charge_mb, struct inv_cell *cell)
{
    struct inv_slot *slot = cw_alloc(sizeof(*slot));

    slot->memory_mb = memory_mb;
    slot->charge_mb = charge_mb;
    slot->cell = cell;
    p->used_mb += charge_mb;
    enter_state(p, slot, state);
    return slot;
}

/* The slot belongs to the pair from here on, and one activation is in it. */
static void assign(struct inv_pool *p, struct inv_slot *slot, const struct inv_pool_need *need)
{
    slot->max_in_flight = need->concurrency ? need->concurrency : 1;
    slot->in_flight = 1;
    slot->group = find_or_make_group(p, need);
    cw_list_push_front(&slot->group->slots, &slot->group_link);
    reorder(slot);
}

static struct inv_slot *reuse(struct inv_pool *p, const struct inv_pool_need *need,
                              struct inv_decision *ret)
{
    struct inv_group *g = find_group(p, need);
    struct inv_slot *slot = g ? find_room(g, need) : NULL;

    if (g && !slot && need->resizes)
        slot = find_other_size(p, g, need);
    if (!slot)
        return NULL;
    ret->choice = is_warm(slot)                     ? INV_CHOICE_WARM
                  : slot->state == INV_SLOT_WARMING ? INV_CHOICE_WARMING
                                                    : INV_CHOICE_STARTING;
    ret->was_mb = slot->memory_mb;
    set_size(p, slot, need);
    slot->in_flight++;
    reorder(slot);
    if (slot->state == INV_SLOT_IDLE)
        set_state(p, slot, INV_SLOT_BUSY);
    return slot;
}

static struct inv_cell *find_cell(struct inv_pool *p, struct cw_slice kind, uint32_t memory_mb)
{
    CW_LIST_EACH (&p->cells, n) {
        struct inv_cell *cell = CW_LIST_ENTRY(n, struct inv_cell, link);

        if (cell->memory_mb == memory_mb && cw_slice_is(kind, cell->kind))
            return cell;
    }
    return NULL;
}

static struct inv_slot *take_prewarmed(struct inv_pool *p, struct inv_cell *cell,
                                       const struct inv_pool_need *need)
{
    struct cw_link *n = cell ? cw_list_first(&cell->ready) : NULL;
    struct inv_slot *slot;

    if (!n)
        return NULL;
    slot = CW_LIST_ENTRY(n, struct inv_slot, state_link);
    set_state(p, slot, INV_SLOT_WARMING);
    slot->cell = NULL;
    cell->taken++;
    assign(p, slot, need);
    return slot;
}

void inv_pool_place_existing(struct inv_pool *p, const struct inv_pool_need *need,
                             struct inv_decision *ret)
{
    *ret = (struct inv_decision){.choice = INV_CHOICE_WAIT};
    ret->slot = reuse(p, need, ret);
    if (ret->slot)
        return;
    if (!need->warm_only)
        ret->slot = take_prewarmed(p, find_cell(p, need->kind, need->memory_mb), need);
    if (ret->slot)
        ret->choice = INV_CHOICE_PREWARMED;
    else if (charge_of(need) > p->memory_mb)
        ret->choice = INV_CHOICE_NEVER;
}

void inv_pool_place_new(struct inv_pool *p, const struct inv_pool_need *need,
                        struct inv_decision *ret)
{
    uint64_t wanted = (uint64_t)p->used_mb + charge_of(need);
    struct inv_cell *cell;

    *ret = (struct inv_decision){.choice = INV_CHOICE_WAIT};
    if (charge_of(need) > p->memory_mb) {
        ret->choice = INV_CHOICE_NEVER;
        return;
    }
    if (wanted <= p->memory_mb) {
        ret->choice = INV_CHOICE_CREATE;
    } else if (wanted - p->memory_mb <= evictable_mb(p)) {
        evict(p, (uint32_t)(wanted - p->memory_mb), &ret->evicted);
        ret->choice = INV_CHOICE_RECREATE;
    } else {
        return;
    }
    ret->slot = new_slot(p, INV_SLOT_STARTING, need->memory_mb, charge_of(need), NULL);
    assign(p, ret->slot, need);
    cell = find_cell(p, need->kind, need->memory_mb);
    if (cell)
        cell->cold_starts++;
}

void inv_pool_warmed(struct inv_pool *p, struct inv_slot *slot)
{
    if (slot->state == INV_SLOT_STARTING || slot->state == INV_SLOT_WARMING)
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

static void leave_group(struct inv_pool *p, struct inv_slot *slot)
{
    struct inv_group *g = slot->group;

    cw_list_remove(&g->slots, &slot->group_link);
    slot->group = NULL;
    if (cw_list_empty(&g->slots)) {
        cw_map_remove(&p->groups, &g->node);
        free(g);
    }
}

void inv_pool_drop(struct inv_pool *p, struct inv_slot *slot)
{
    if (slot->state == INV_SLOT_GONE)
        return;
    set_state(p, slot, INV_SLOT_GONE);
    if (slot->group)
        leave_group(p, slot);
}

void inv_pool_forget(struct inv_pool *p, struct inv_slot *slot)
{
    leave_state(p, slot);
    free(slot);
}

/* ---- prewarmed containers ---- */

struct inv_cell *inv_pool_cell(struct inv_pool *p, struct cw_slice kind, uint32_t memory_mb)
{
    struct inv_cell *cell = find_cell(p, kind, memory_mb);
    char *copy;

    if (cell)
        return cell;
    cell = cw_alloc(sizeof(*cell) + kind.n + 1);
    copy = (char *)(cell + 1);
    memcpy(copy, kind.p, kind.n);
    cell->kind = copy;
    cell->memory_mb = memory_mb;
    cw_list_init(&cell->ready);
    cw_list_push_back(&p->cells, &cell->link);
    return cell;
}

struct inv_slot *inv_pool_prepare(struct inv_pool *p, struct inv_cell *cell)
{
    if ((uint64_t)p->used_mb + cell->memory_mb > p->memory_mb)
        return NULL;
    return new_slot(p, INV_SLOT_PREPARING, cell->memory_mb, cell->memory_mb, cell);
}

void inv_pool_prepared(struct inv_pool *p, struct inv_slot *slot, int64_t expires_us)
{
    if (slot->state != INV_SLOT_PREPARING)
        return;
    slot->expires_us = expires_us;
    set_state(p, slot, INV_SLOT_PREWARMED);
}

/* The one that expires first among all cells, if it has expired. */
static struct inv_slot *first_expired(struct inv_pool *p, int64_t now_us)
{
    struct inv_slot *oldest = NULL;

    CW_LIST_EACH (&p->cells, n) {
        struct cw_link *first = cw_list_first(&CW_LIST_ENTRY(n, struct inv_cell, link)->ready);
        struct inv_slot *slot = first ? CW_LIST_ENTRY(first, struct inv_slot, state_link) : NULL;

        if (slot && slot->expires_us <= now_us &&
            (!oldest || slot->expires_us < oldest->expires_us))
            oldest = slot;
    }
    return oldest;
}

struct inv_slot *inv_pool_expire(struct inv_pool *p, int64_t now_us, size_t limit)
{
    struct inv_slot *expired = NULL, **at = &expired, *slot;

    while (limit-- > 0 && (slot = first_expired(p, now_us))) {
        inv_pool_drop(p, slot);
        *at = slot;
        at = &slot->next_evicted;
    }
    return expired;
}

size_t inv_cell_count(const struct inv_cell *cell)
{
    return cell->preparing + cell->ready.count;
}

uint32_t inv_pool_memory_mb(const struct inv_pool *p)
{
    return p->memory_mb;
}

void inv_pool_set_memory(struct inv_pool *p, uint32_t memory_mb)
{
    p->memory_mb = memory_mb;
}

void inv_pool_stats(const struct inv_pool *p, struct inv_pool_stats *ret)
{
    *ret = (struct inv_pool_stats){
        .memory_mb = p->memory_mb,
        .used_mb = p->used_mb,
        .idle_mb = p->mb[INV_SLOT_IDLE],
        .prewarmed_mb = p->mb[INV_SLOT_PREPARING] + p->mb[INV_SLOT_PREWARMED],
        .active =
            p->count[INV_SLOT_WARMING] + p->count[INV_SLOT_STARTING] + p->count[INV_SLOT_BUSY],
        .starting = p->count[INV_SLOT_WARMING] + p->count[INV_SLOT_STARTING],
        .idle = p->count[INV_SLOT_IDLE],
        .prewarmed = p->count[INV_SLOT_PREPARING] + p->count[INV_SLOT_PREWARMED],
    };
}

/* No secret: hosts compare these. */
static uint64_t pair_of(struct cw_slice key)
{
    return cw_siphash(0, 0, key);
}

uint64_t inv_pool_pair(const struct inv_pool_need *need)
{
    char key[KEY_MAX];

    return pair_of(cw_slice(key, group_key(need, key)));
}

uint64_t inv_pool_slot_pair(const struct inv_slot *slot)
{
    return slot->group ? pair_of(slot->group->node.key) : 0;
}

void inv_pool_pair_stats(struct inv_pool *p, const struct inv_pool_need *need,
                         struct inv_pool_pair_stats *ret)
{
    struct inv_group *g = find_group(p, need);

    *ret = (struct inv_pool_pair_stats){0};
    if (!g)
        return;
    CW_LIST_EACH (&g->slots, n) {
        const struct inv_slot *slot = CW_LIST_ENTRY(n, struct inv_slot, group_link);

        if (slot->memory_mb != need->memory_mb && !need->resizes)
            continue;
        ret->idle += slot->state == INV_SLOT_IDLE;
        ret->busy += slot->state == INV_SLOT_BUSY && slot->in_flight >= slot->max_in_flight;
        ret->starting += slot->state == INV_SLOT_STARTING || slot->state == INV_SLOT_WARMING;
    }
}

size_t inv_pool_idle_pairs(const struct inv_pool *p, uint64_t *pairs, size_t max)
{
    size_t n = 0;

    for (const struct cw_link *l = p->idle.head.prev; l != &p->idle.head && n < max; l = l->prev)
        pairs[n++] = pair_of(CW_LIST_ENTRY(l, const struct inv_slot, state_link)->group->node.key);
    return n;
}
