/* Who is drawn: everybody has a number for each epoch, by hash, and the lowest are read. The epochs
 * of a quarter of them begin every EPOCH_US, so that at any time most of those who are read were
 * read before, and a peer does not look dead because it has just been drawn. */
#include <stdlib.h>

#include "common/base/map.h"
#include "invoker/hosts_priv.h"

enum { EPOCH_US = 5 * 1000 * 1000, PHASES = 4, NEIGHBOURS = 2 /* on each side */ };

struct lot {
    uint64_t rank, id;
};

void peers_init(struct peers *p, uint64_t self, uint64_t seed, size_t limit)
{
    *p = (struct peers){.self = self, .seed = seed, .limit = limit};
    cw_list_init(&p->known);
}

void peers_drop(struct peers *p, struct peer *peer)
{
    cw_list_remove(&p->known, &peer->link);
    cw_arena_done(&peer->arena);
    free(peer->warm);
    free(peer);
}

void peers_done(struct peers *p)
{
    CW_LIST_EACH (&p->known, n)
        peers_drop(p, CW_LIST_ENTRY(n, struct peer, link));
    free(p->members);
    free(p->wanted);
    free(p->pinned);
}

/* ---- members ---- */

static int by_id(const void *a, const void *b)
{
    const struct peer_member *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

struct peer_member *peers_member(const struct peers *p, uint64_t id)
{
    const struct peer_member key = {.id = id};

    if (p->member_count == 0)
        return NULL;
    return bsearch(&key, p->members, p->member_count, sizeof(key), by_id);
}

static bool parse_key(struct cw_slice key, uint64_t *ret_id)
{
    static const char PREFIX[] = "host:";
    const size_t skip = sizeof(PREFIX) - 1;
    int64_t id;

    if (key.n <= skip || memcmp(key.p, PREFIX, skip) != 0 ||
        cw_parse_i64(cw_slice(key.p + skip, key.n - skip), "host", 0, UINT32_MAX, &id, NULL) != 0)
        return false;
    *ret_id = (uint64_t)id;
    return true;
}

void peers_set_members(struct peers *p, const struct cw_slice *keys, size_t count,
                       bool (*gone)(void *arg, const struct peer *peer), void *arg)
{
    struct peer_member *members = cw_calloc(count, sizeof(*members));
    size_t n = 0;

    for (size_t i = 0; i < count && n < PEER_MEMBERS_MAX; i++) {
        const struct peer_member *before;

        if (!parse_key(keys[i], &members[n].id) || members[n].id == p->self)
            continue;
        before = peers_member(p, members[n].id);
        members[n].missing_us = before ? before->missing_us : 0;
        members[n].complained = before && before->complained;
        members[n].warm_told = before && before->warm_told;
        n++;
    }
    if (n)
        qsort(members, n, sizeof(*members), by_id);
    free(p->members);
    p->members = members;
    p->member_count = n;
    CW_LIST_EACH (&p->known, l) {
        struct peer *peer = CW_LIST_ENTRY(l, struct peer, link);

        peer->lingers = !peers_member(p, peer->state.view.id) && !gone(arg, peer);
        if (!peer->lingers && !peers_member(p, peer->state.view.id))
            peers_drop(p, peer);
    }
    p->epoch = 0; /* drawn anew */
}

/* ---- the lot ---- */

static uint64_t rank_of(const struct peers *p, uint64_t id, uint64_t epoch)
{
    uint64_t text[2] = {id, 0};
    uint64_t phase = cw_siphash(p->seed, 1, cw_slice((const char *)text, sizeof(text))) % PHASES;

    text[1] = (epoch + phase) / PHASES;
    return cw_siphash(p->seed, 2, cw_slice((const char *)text, sizeof(text)));
}

static int by_rank(const void *a, const void *b)
{
    const struct lot *x = a, *y = b;

    return (x->rank > y->rank) - (x->rank < y->rank);
}

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Candidates between that one and us on the ring, the shorter way; own: where we would be. */
static size_t distance(size_t count, size_t own, size_t index)
{
    size_t up = (index + count - own) % count, down = count - 1 - up;

    return up < down ? up : down;
}

static bool is_wanted(const struct peers *p, uint64_t id)
{
    return p->wanted_count &&
           bsearch(&id, p->wanted, p->wanted_count, sizeof(*p->wanted), by_value);
}

/* Those that somebody waits for are read in any case. */
static void add_pinned(struct peers *p)
{
    size_t drawn = p->wanted_count, count = drawn;

    for (size_t i = 0; i < p->pinned_count && count < p->member_count; i++)
        if (peers_member(p, p->pinned[i]) && !is_wanted(p, p->pinned[i]))
            p->wanted[count++] = p->pinned[i];
    p->wanted_count = count;
    qsort(p->wanted, p->wanted_count, sizeof(*p->wanted), by_value);
}

/* Members by number, without those that were looked for and are not there: a key may be of one that
 * was killed, and thousands of them of nobody. */
static size_t list_candidates(const struct peers *p, int64_t now_us, struct lot *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < p->member_count; i++) {
        const struct peer_member *m = &p->members[i];

        if (!m->missing_us || now_us - m->missing_us >= PEER_FORGET_US)
            ret[n++].id = m->id;
    }
    return n;
}

void peers_pin(struct peers *p, uint64_t id)
{
    p->pinned = cw_realloc(p->pinned, (p->pinned_count + 1) * sizeof(*p->pinned));
    p->pinned[p->pinned_count++] = id;
    p->epoch = 0; /* drawn anew */
}

void peers_unpin(struct peers *p, uint64_t id)
{
    for (size_t i = 0; i < p->pinned_count; i++)
        if (p->pinned[i] == id) {
            p->pinned[i] = p->pinned[--p->pinned_count];
            return;
        }
}

static void draw_some(struct peers *p, uint64_t epoch, int64_t now_us)
{
    struct lot *lots = cw_calloc(p->member_count, sizeof(*lots));
    size_t own = 0, count = list_candidates(p, now_us, lots);

    while (own < count && lots[own].id < p->self)
        own++;
    for (size_t i = 0; i < count; i++) {
        bool near = distance(count, own, i) < NEIGHBOURS && p->limit > (size_t)2 * NEIGHBOURS;

        lots[i].rank = near ? 0 : rank_of(p, lots[i].id, epoch);
    }
    if (count)
        qsort(lots, count, sizeof(*lots), by_rank);
    p->wanted_count = count < p->limit ? count : p->limit;
    for (size_t i = 0; i < p->wanted_count; i++)
        p->wanted[i] = lots[i].id;
    qsort(p->wanted, p->wanted_count, sizeof(*p->wanted), by_value);
    add_pinned(p);
    free(lots);
}

void peers_miss(struct peers *p, struct peer_member *m, int64_t now_us)
{
    m->missing_us = now_us;
    if (p->member_count > p->limit)
        p->epoch = 0; /* drawn anew */
}

bool peers_draw(struct peers *p, int64_t now_us)
{
    uint64_t epoch = (uint64_t)now_us / EPOCH_US + 1;

    if (epoch == p->epoch || (p->epoch && p->member_count <= p->limit))
        return false;
    p->epoch = epoch;
    free(p->wanted);
    p->wanted = cw_calloc(p->member_count, sizeof(*p->wanted));
    if (p->member_count > p->limit) {
        draw_some(p, epoch, now_us);
    } else {
        for (size_t i = 0; i < p->member_count; i++)
            p->wanted[i] = p->members[i].id;
        p->wanted_count = p->member_count;
    }
    CW_LIST_EACH (&p->known, n) {
        struct peer *peer = CW_LIST_ENTRY(n, struct peer, link);

        if (!is_wanted(p, peer->state.view.id) && !peer->lingers)
            peers_drop(p, peer);
    }
    return true;
}

/* ---- peers ---- */

struct peer *peers_find(const struct peers *p, uint64_t id)
{
    CW_LIST_EACH (&p->known, n) {
        struct peer *peer = CW_LIST_ENTRY(n, struct peer, link);

        if (peer->state.view.id == id)
            return peer;
    }
    return NULL;
}

struct peer *peers_take(struct peers *p, uint64_t id)
{
    struct peer *peer = peers_find(p, id);
    struct cw_link *at = &p->known.head;

    if (peer)
        return peer;
    peer = cw_alloc(sizeof(*peer));
    peer->state.view.id = id;
    cw_arena_init(&peer->arena);
    while (at->prev != &p->known.head &&
           CW_LIST_ENTRY(at->prev, struct peer, link)->state.view.id > id)
        at = at->prev;
    cw_list_insert_before(&p->known, at, &peer->link);
    return peer;
}
