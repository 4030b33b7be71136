/* invoker/host_state.h -- what an invoker says of itself to its peers, as fields of a hash in kv.
 *
 * host:<instance>: "v" (a format that is changed gets another number), "boot" and "seq" (which
 * together differ from publication to publication), "topic", "instance" (JSON), and the figures of
 * a struct inv_host_view as decimal numbers; "promised" is in millionths. Fields that are not known
 * are ignored. warm:<instance>: pairs (inv_pool_pair, 16 hex digits) -> idle warm containers.
 *
 * Thread: any. */
#pragma once

#include "common/base/arena.h"
#include "common/kv/kv.h"
#include "invoker/placement/host_view.h"

enum {
    INV_HOST_FIELDS = 32,  /* at most */
    INV_WARM_PAIRS = 1024, /* of one host; the least recently used ones are not told */
    INV_HOST_TOPIC_MAX = 249,
};

struct inv_host_state {
    uint64_t boot, seq;
    const char *topic;         /* where it takes forwarded activations */
    const char *instance;      /* its id as in its pings, a JSON object */
    struct inv_host_view view; /* id and what is of this host; not: warm, forwards, dead, self */
};

struct inv_warm_pair {
    uint64_t pair;
    uint32_t count;
};

/* How many fields; their texts are arena's. */
size_t inv_host_state_encode(const struct inv_host_state *s, struct cw_arena *arena,
                             struct cw_kv_field fields[INV_HOST_FIELDS]);
/* Of invoker `id`; texts are copied into arena. CW_INVALID: a peer of another version, or garbage;
 * says which field, and what it may be. */
int inv_host_state_decode(uint64_t id, const struct cw_kv_hash *h, struct cw_arena *arena,
                          struct inv_host_state *ret, struct cw_err *err) CW_MUST_CHECK;

/* A host's topic is ours (`own`) with its number in the place of ours: what went to another one
 * would be answered by nobody, or in another's name. CW_INVALID: it is not. */
int inv_host_state_check_topic(const struct inv_host_state *s, const char *own,
                               struct cw_err *err) CW_MUST_CHECK;

/* From pairs with repetitions; how many fields (at most INV_WARM_PAIRS). */
size_t inv_warm_encode(uint64_t *pairs, size_t count, struct cw_arena *arena,
                       struct cw_kv_field *fields);
/* Rising by pair; what is not such a field is left out. How many (at most INV_WARM_PAIRS). */
size_t inv_warm_decode(const struct cw_kv_hash *h, struct inv_warm_pair *ret);
/* 0 when it is not among them. */
uint32_t inv_warm_find(const struct inv_warm_pair *pairs, size_t count, uint64_t pair);
