/* common/base/map.h -- intrusive hash map keyed by bytes.
 *
 * Keyed with SipHash-1-3 under a per-map random key, because keys (namespaces, action names) come
 * from outside. A few entries are a list without a table and without a key, which costs a system
 * call: many maps never hold more. The key bytes belong to the entry's owner and must not change
 * while the entry is in the map. Thread: owner only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_map_node {
    struct cw_map_node *next;
    uint64_t hash;
    struct cw_slice key;
};

struct cw_map {
    struct cw_map_node **slots;
    size_t slot_count; /* a power of two; 0: few has all */
    size_t count;
    struct cw_map_node *few; /* with hash 0 */
    uint64_t k0, k1;         /* drawn with the table */
};

void cw_map_init(struct cw_map *m);
/* Frees the table, not the entries. */
void cw_map_done(struct cw_map *m);
/* NULL when absent. */
struct cw_map_node *cw_map_get(const struct cw_map *m, struct cw_slice key);
/* The key must not be present. */
void cw_map_put(struct cw_map *m, struct cw_map_node *node, struct cw_slice key);
/* The node must be present. */
void cw_map_remove(struct cw_map *m, struct cw_map_node *node);
/* Calls fn for each node; fn may free or remove that node, and nothing else. */
void cw_map_each(struct cw_map *m, void (*fn)(void *arg, struct cw_map_node *node), void *arg);

/* SipHash-1-3 (Aumasson, Bernstein 2012), for tests and other tables. */
uint64_t cw_siphash(uint64_t k0, uint64_t k1, struct cw_slice data);
