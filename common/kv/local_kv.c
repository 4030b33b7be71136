/* A map of hashes, and a list of them by the time of their expiry, which is looked at whenever
 * somebody comes; a timer for the next one would only free memory earlier. Fields of a hash are an
 * array: histograms have some dozens. */
#include "common/kv/local_kv.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/map.h"
#include "common/kv/kv_priv.h"

enum { DEFAULT_MAX_HASHES = 65536 };

struct field {
    char *name, *value;
    size_t name_n, value_n;
};

struct hash {
    struct cw_map_node node;
    struct cw_link link; /* kv->by_expiry */
    int64_t expire_us;   /* INT64_MAX: never */
    struct field *fields;
    size_t count, room;
    char key[];
};

struct member {
    struct cw_link link;
    char key[];
};

struct set {
    struct cw_map_node node;
    struct cw_list members; /* struct member */
    char name[];
};

struct local_kv {
    struct cw_kv base;
    size_t max_hashes;
    struct cw_map hashes; /* struct hash */
    struct cw_list by_expiry;
    struct cw_map indexes; /* struct set */
};

static struct local_kv *self(struct cw_kv *kv)
{
    return CW_CONTAINER_OF(kv, struct local_kv, base);
}

/* ---- hashes ---- */

static void clear_fields(struct hash *h)
{
    for (size_t i = 0; i < h->count; i++) {
        free(h->fields[i].name);
        free(h->fields[i].value);
    }
    free(h->fields);
    h->fields = NULL;
    h->count = h->room = 0;
}

static void drop_hash(struct local_kv *kv, struct hash *h)
{
    cw_map_remove(&kv->hashes, &h->node);
    cw_list_remove(&kv->by_expiry, &h->link);
    clear_fields(h);
    free(h);
}

static void drop_expired(struct local_kv *kv)
{
    int64_t now = cw_loop_mono_us(kv->base.loop);
    struct cw_link *n;

    while ((n = cw_list_first(&kv->by_expiry))) {
        struct hash *h = CW_LIST_ENTRY(n, struct hash, link);

        if (h->expire_us > now && kv->hashes.count <= kv->max_hashes)
            return;
        drop_hash(kv, h);
    }
}

static struct hash *find_hash(const struct local_kv *kv, const char *key)
{
    struct cw_map_node *node = cw_map_get(&kv->hashes, cw_slice_of(key));

    return node ? CW_CONTAINER_OF(node, struct hash, node) : NULL;
}

/* Most expire after the same time: the place is near the end. */
static void set_expiry(struct local_kv *kv, struct hash *h, int64_t expire_us)
{
    struct cw_link *at = &kv->by_expiry.head;

    if (cw_link_on_list(&h->link))
        cw_list_remove(&kv->by_expiry, &h->link);
    h->expire_us = expire_us;
    while (at->prev != &kv->by_expiry.head &&
           CW_LIST_ENTRY(at->prev, struct hash, link)->expire_us > expire_us)
        at = at->prev;
    cw_list_insert_before(&kv->by_expiry, at, &h->link);
}

static int64_t expiry_of(const struct local_kv *kv, int64_t expire_ms)
{
    return expire_ms > 0 ? cw_loop_mono_us(kv->base.loop) + expire_ms * 1000 : INT64_MAX;
}

static struct hash *make_hash(struct local_kv *kv, const char *key)
{
    struct hash *h = find_hash(kv, key);
    size_t n = strlen(key);

    if (h)
        return h;
    h = cw_alloc(sizeof(*h) + n + 1);
    memcpy(h->key, key, n);
    cw_map_put(&kv->hashes, &h->node, cw_slice(h->key, n));
    set_expiry(kv, h, INT64_MAX);
    return h;
}

static struct field *find_field(const struct hash *h, struct cw_slice name)
{
    for (size_t i = 0; i < h->count; i++)
        if (cw_slice_eq(cw_slice(h->fields[i].name, h->fields[i].name_n), name))
            return &h->fields[i];
    return NULL;
}

static void set_field(struct hash *h, struct cw_slice name, struct cw_slice value)
{
    struct field *f = find_field(h, name);

    if (!f) {
        if (h->count == h->room) {
            h->room = h->room ? h->room * 2 : 8;
            h->fields = cw_realloc(h->fields, h->room * sizeof(*h->fields));
        }
        f = &h->fields[h->count++];
        *f = (struct field){.name = cw_slice_dup(name), .name_n = name.n};
    }
    free(f->value);
    f->value = cw_slice_dup(value);
    f->value_n = value.n;
}

/* ---- indexes ---- */

static struct set *find_set(const struct local_kv *kv, const char *name)
{
    struct cw_map_node *node = cw_map_get(&kv->indexes, cw_slice_of(name));

    return node ? CW_CONTAINER_OF(node, struct set, node) : NULL;
}

static struct member *find_member(const struct set *s, const char *key)
{
    CW_LIST_EACH (&s->members, n) {
        struct member *m = CW_LIST_ENTRY(n, struct member, link);

        if (strcmp(m->key, key) == 0)
            return m;
    }
    return NULL;
}

static void enlist(struct local_kv *kv, const char *index, const char *key)
{
    struct set *s = find_set(kv, index);
    struct member *m;

    if (!s) {
        s = cw_alloc(sizeof(*s) + strlen(index) + 1);
        memcpy(s->name, index, strlen(index));
        cw_list_init(&s->members);
        cw_map_put(&kv->indexes, &s->node, cw_slice_of(s->name));
    }
    if (find_member(s, key))
        return;
    m = cw_alloc(sizeof(*m) + strlen(key) + 1);
    memcpy(m->key, key, strlen(key));
    cw_list_push_back(&s->members, &m->link);
}

static void drop_set(void *arg, struct cw_map_node *node)
{
    struct local_kv *kv = arg;
    struct set *s = CW_CONTAINER_OF(node, struct set, node);
    struct cw_link *n;

    cw_map_remove(&kv->indexes, node);
    while ((n = cw_list_pop_front(&s->members)))
        free(CW_LIST_ENTRY(n, struct member, link));
    free(s);
}

static void delist(struct local_kv *kv, const char *index, const char *key)
{
    struct set *s = find_set(kv, index);
    struct member *m = s ? find_member(s, key) : NULL;

    if (!m)
        return;
    cw_list_remove(&s->members, &m->link);
    free(m);
    if (cw_list_empty(&s->members))
        drop_set(kv, &s->node);
}

/* ---- calls ---- */

static void put(struct cw_kv *base, const struct cw_kv_put *p, struct cw_kv_call *call)
{
    struct local_kv *kv = self(base);
    struct hash *h = make_hash(kv, p->key);

    clear_fields(h);
    for (size_t i = 0; i < p->count; i++)
        set_field(h, p->fields[i].name, p->fields[i].value);
    set_expiry(kv, h, expiry_of(kv, p->expire_ms));
    if (p->index)
        enlist(kv, p->index, p->key);
    drop_expired(kv);
    kv_call_end(call, NULL);
}

static int add_one(struct hash *h, const struct cw_kv_more *more, struct cw_err *err)
{
    struct field *f = find_field(h, more->name);
    int64_t sum = 0;
    char text[24];
    int n;

    if (f && cw_parse_i64(cw_slice(f->value, f->value_n), "field", INT64_MIN, INT64_MAX, &sum,
                          NULL) != 0)
        return cw_fail(err, CW_INVALID, "local: add to %.80s: a field is no number", h->key);
    if (__builtin_add_overflow(sum, more->by, &sum))
        return cw_fail(err, CW_INVALID, "local: add to %.80s: a field would overflow", h->key);
    n = snprintf(text, sizeof(text), "%" PRId64, sum);
    set_field(h, more->name, cw_slice(text, (size_t)n));
    return 0;
}

static void add(struct cw_kv *base, const struct cw_kv_add *a, struct cw_kv_call *call)
{
    struct local_kv *kv = self(base);
    struct cw_err err = {0};
    struct hash *h;
    bool failed = false;

    drop_expired(kv);
    h = make_hash(kv, a->key);
    for (size_t i = 0; i < a->count; i++)
        failed |= add_one(h, &a->fields[i], &err) != 0;
    if (a->expire_ms > 0)
        set_expiry(kv, h, expiry_of(kv, a->expire_ms));
    drop_expired(kv);
    kv_call_end(call, failed ? &err : NULL);
}

static void copy_hash(struct cw_kv_call *call, const struct hash *h, struct cw_kv_hash *ret)
{
    struct cw_kv_field *fields = cw_arena_alloc(&call->arena, (h->count + 1) * sizeof(*fields));

    for (size_t i = 0; i < h->count; i++) {
        const struct field *f = &h->fields[i];

        fields[i].name =
            cw_slice(cw_arena_dup(&call->arena, cw_slice(f->name, f->name_n)), f->name_n);
        fields[i].value =
            cw_slice(cw_arena_dup(&call->arena, cw_slice(f->value, f->value_n)), f->value_n);
    }
    *ret = (struct cw_kv_hash){.found = true, .fields = fields, .count = h->count};
}

static void get(struct cw_kv *base, const char *const *keys, size_t count, struct cw_kv_call *call)
{
    struct local_kv *kv = self(base);

    drop_expired(kv);
    call->found = cw_arena_alloc(&call->arena, count * sizeof(*call->found));
    call->count = count;
    for (size_t i = 0; i < count; i++) {
        const struct hash *h = find_hash(kv, keys[i]);

        if (h)
            copy_hash(call, h, &call->found[i]);
    }
    kv_call_end(call, NULL);
}

static void list(struct cw_kv *base, const char *index, size_t max, struct cw_kv_call *call)
{
    const struct set *s = find_set(self(base), index);
    struct cw_err err;

    if (s && s->members.count > max) {
        (void)cw_fail(&err, CW_TOO_LARGE, "local: list %.80s: over %zu", index, max);
        kv_call_end(call, &err);
        return;
    }
    call->names =
        cw_arena_alloc(&call->arena, (s ? s->members.count : 0) * sizeof(*call->names) + 1);
    if (s) {
        CW_LIST_EACH (&s->members, n) {
            const char *key = CW_LIST_ENTRY(n, struct member, link)->key;

            call->names[call->count++] = cw_slice_of(cw_arena_dup(&call->arena, cw_slice_of(key)));
        }
    }
    kv_call_end(call, NULL);
}

static void remove_key(struct cw_kv *base, const char *key, const char *index,
                       struct cw_kv_call *call)
{
    struct local_kv *kv = self(base);
    struct hash *h = find_hash(kv, key);

    if (h)
        drop_hash(kv, h);
    if (index)
        delist(kv, index, key);
    kv_call_end(call, NULL);
}

static void drop_field(struct hash *h, struct field *f)
{
    free(f->name);
    free(f->value);
    *f = h->fields[--h->count];
}

static void trim(struct cw_kv *base, const char *key, const struct cw_slice *names, size_t count,
                 struct cw_kv_call *call)
{
    struct local_kv *kv = self(base);
    struct hash *h = find_hash(kv, key);

    for (size_t i = 0; h && i < count; i++) {
        struct field *f = find_field(h, names[i]);

        if (f)
            drop_field(h, f);
    }
    if (h && h->count == 0)
        drop_hash(kv, h);
    kv_call_end(call, NULL);
}

static void publish(struct cw_kv *base, const char *channel, struct cw_slice message,
                    struct cw_kv_call *call)
{
    kv_message(base, cw_slice_of(channel), message);
    kv_call_end(call, NULL);
}

static void subscribe(struct cw_kv *base, const char *channel)
{
    (void)base, (void)channel; /* the list of subscriptions is all there is */
}

static void free_hash(void *arg, struct cw_map_node *node)
{
    drop_hash(arg, CW_CONTAINER_OF(node, struct hash, node));
}

static void local_free(struct cw_kv *base)
{
    struct local_kv *kv = self(base);

    kv_done(&kv->base);
    cw_map_each(&kv->hashes, free_hash, kv);
    cw_map_each(&kv->indexes, drop_set, kv);
    cw_map_done(&kv->hashes);
    cw_map_done(&kv->indexes);
    free(kv);
}

struct cw_kv *cw_local_kv_new(struct cw_loop *loop, size_t max_hashes)
{
    static const struct cw_kv_ops OPS = {
        .name = "local",
        .put = put,
        .add = add,
        .get = get,
        .list = list,
        .remove = remove_key,
        .trim = trim,
        .publish = publish,
        .subscribe = subscribe,
        .unsubscribe = subscribe,
        .free = local_free,
    };
    struct local_kv *kv = cw_alloc(sizeof(*kv));

    kv_init(&kv->base, &OPS, loop);
    kv->max_hashes = max_hashes ? max_hashes : DEFAULT_MAX_HASHES;
    cw_map_init(&kv->hashes);
    cw_map_init(&kv->indexes);
    cw_list_init(&kv->by_expiry);
    kv_set_state(&kv->base, true, "");
    return &kv->base;
}
