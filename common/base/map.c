#include "common/base/map.h"

#include <sys/random.h>
#include <time.h>

enum { FEW = 8, FIRST_SLOTS = 32 };

static uint64_t rotl(uint64_t x, int b)
{
    return x << b | x >> (64 - b);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[1] = rotl(v[1], 13), v[1] ^= v[0], v[0] = rotl(v[0], 32);
    v[2] += v[3], v[3] = rotl(v[3], 16), v[3] ^= v[2];
    v[0] += v[3], v[3] = rotl(v[3], 21), v[3] ^= v[0];
    v[2] += v[1], v[1] = rotl(v[1], 17), v[1] ^= v[2], v[2] = rotl(v[2], 32);
}

uint64_t cw_siphash(uint64_t k0, uint64_t k1, struct cw_slice data)
{
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u};
    uint64_t word, last = (uint64_t)data.n << 56;
    size_t whole = data.n & ~(size_t)7;

    for (size_t i = 0; i < whole; i += 8) {
        memcpy(&word, data.p + i, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    for (size_t i = whole; i < data.n; i++)
        last |= (uint64_t)(unsigned char)data.p[i] << (8 * (i - whole));
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void cw_map_init(struct cw_map *m)
{
    *m = (struct cw_map){0};
}

void cw_map_done(struct cw_map *m)
{
    free(m->slots);
    *m = (struct cw_map){0};
}

static void draw_key(struct cw_map *m)
{
    if (getrandom(&m->k0, sizeof(m->k0), GRND_NONBLOCK) != sizeof(m->k0) ||
        getrandom(&m->k1, sizeof(m->k1), GRND_NONBLOCK) != sizeof(m->k1)) {
        m->k0 = (uint64_t)time(NULL); /* no entropy yet this early in boot: weaker, still works */
        m->k1 = (uint64_t)(uintptr_t)m;
    }
}

static uint64_t hash_of(const struct cw_map *m, struct cw_slice key)
{
    return m->slot_count ? cw_siphash(m->k0, m->k1, key) : 0;
}

static struct cw_map_node **chain_of(struct cw_map *m, uint64_t hash)
{
    return m->slot_count ? &m->slots[hash & (m->slot_count - 1)] : &m->few;
}

static void insert(struct cw_map *m, struct cw_map_node *node)
{
    struct cw_map_node **chain = chain_of(m, node->hash);

    node->next = *chain;
    *chain = node;
}

/* One chain moves to a new table. */
static void move(struct cw_map *m, struct cw_map_node *chain, bool hashed)
{
    struct cw_map_node *next;

    for (struct cw_map_node *e = chain; e; e = next) {
        next = e->next;
        if (!hashed)
            e->hash = hash_of(m, e->key);
        insert(m, e);
    }
}

static void grow(struct cw_map *m)
{
    struct cw_map_node **old = m->slots, *few = m->few;
    size_t old_count = m->slot_count;

    if (!old_count)
        draw_key(m);
    m->few = NULL;
    m->slot_count = old_count ? old_count * 2 : FIRST_SLOTS;
    m->slots = cw_calloc(m->slot_count, sizeof(struct cw_map_node *));
    move(m, few, false);
    for (size_t i = 0; i < old_count; i++)
        move(m, old[i], true);
    free(old);
}

struct cw_map_node *cw_map_get(const struct cw_map *m, struct cw_slice key)
{
    uint64_t hash = hash_of(m, key);
    struct cw_map_node *e = m->slot_count ? m->slots[hash & (m->slot_count - 1)] : m->few;

    for (; e; e = e->next)
        if (e->hash == hash && cw_slice_eq(e->key, key))
            return e;
    return NULL;
}

void cw_map_put(struct cw_map *m, struct cw_map_node *node, struct cw_slice key)
{
    if (m->count >= (m->slot_count ? m->slot_count : FEW))
        grow(m);
    node->key = key;
    node->hash = hash_of(m, key);
    insert(m, node);
    m->count++;
}

void cw_map_remove(struct cw_map *m, struct cw_map_node *node)
{
    struct cw_map_node **at = chain_of(m, node->hash);

    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    node->next = NULL;
    m->count--;
}

static void each_of(struct cw_map_node *chain, void (*fn)(void *arg, struct cw_map_node *node),
                    void *arg)
{
    struct cw_map_node *next;

    for (struct cw_map_node *e = chain; e; e = next) {
        next = e->next;
        fn(arg, e);
    }
}

void cw_map_each(struct cw_map *m, void (*fn)(void *arg, struct cw_map_node *node), void *arg)
{
    each_of(m->few, fn, arg);
    for (size_t i = 0; i < m->slot_count; i++)
        each_of(m->slots[i], fn, arg);
}
