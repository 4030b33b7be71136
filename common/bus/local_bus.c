/* Topics are lists of records. A record stays while a live subscription's group has not committed
 * it; beyond that the newest RETAIN_BYTES of a topic are kept, so that a group that comes later
 * reads from the beginning, as with Kafka. A topic whose readers lag by more than BACKLOG_BYTES
 * refuses publishing: that is the back-pressure which Kafka exerts by its disk. */
#include "common/bus/local_bus.h"

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/map.h"
#include "common/bus/done_priv.h"

enum {
    DRAIN_BUDGET = 64, /* messages per turn and subscription */
    RETAIN_BYTES = 16 << 20,
    BACKLOG_BYTES = 256 << 20,
    RECORD_COST = 128, /* counted per record besides its value */
};

struct record {
    struct cw_link link;
    int64_t offset;
    int64_t timestamp_ms;
    size_t n;
    char value[];
};

struct group {
    struct cw_link link; /* topic->groups; kept for the life of the bus, like Kafka's offsets */
    char *name;
    int64_t committed;   /* -1: nothing yet */
    char *note;          /* of that commit; NULL: none */
    struct cw_list subs; /* struct cw_bus_sub; the first one owns the partition */
};

struct topic {
    struct cw_map_node node;
    char *name;
    struct cw_list records; /* struct record, by offset */
    struct cw_list groups;
    size_t bytes;
    int64_t end;       /* next offset */
    unsigned borrowed; /* callbacks that look at a record: nothing is trimmed meanwhile */
};

struct cw_bus_sub {
    struct local_bus *bus;
    struct topic *topic;
    struct group *group;
    char *note;          /* may be NULL */
    struct cw_link link; /* group->subs */
    struct cw_bus_subscription desc;
    int64_t next;      /* offset to hand out */
    struct record *at; /* the record there or behind it, NULL: to be looked up */
    bool owner;        /* on_assigned(true) was told */
    bool paused;
    bool gone;
    struct cw_defer run;
    struct bus_dones dones; /* commits */
};

struct local_bus {
    struct cw_bus base;
    struct cw_loop *loop;
    int64_t max_message_bytes;
    struct cw_map topics;
    struct bus_dones dones; /* publish and ensure_topic */
    struct cw_list asked;   /* struct members_call */
};

/* One group_members, answered in the next turn. */
struct members_call {
    struct cw_link link; /* bus->asked */
    struct local_bus *bus;
    char *group;
    cw_group_members_fn *fn;
    void *arg;
    struct cw_defer run;
};

static struct local_bus *self(struct cw_bus *bus)
{
    return CW_CONTAINER_OF(bus, struct local_bus, base);
}

/* ---- topics ---- */

static struct topic *topic_get(struct local_bus *bus, const char *name)
{
    struct cw_map_node *node = cw_map_get(&bus->topics, cw_slice_of(name));
    struct topic *t;

    if (node)
        return CW_CONTAINER_OF(node, struct topic, node);
    t = cw_alloc(sizeof(*t));
    t->name = cw_strdup(name);
    cw_list_init(&t->records);
    cw_list_init(&t->groups);
    cw_map_put(&bus->topics, &t->node, cw_slice_of(t->name));
    return t;
}

static struct group *group_get(struct topic *t, const char *name)
{
    struct group *g;

    CW_LIST_EACH (&t->groups, n) {
        g = CW_LIST_ENTRY(n, struct group, link);
        if (strcmp(g->name, name) == 0)
            return g;
    }
    g = cw_alloc(sizeof(*g));
    g->name = cw_strdup(name);
    g->committed = -1;
    cw_list_init(&g->subs);
    cw_list_push_back(&t->groups, &g->link);
    return g;
}

static struct record *first_record(const struct topic *t)
{
    struct cw_link *n = cw_list_first(&t->records);

    return n ? CW_LIST_ENTRY(n, struct record, link) : NULL;
}

/* Smallest offset that a live subscription may still ask for. */
static int64_t needed_from(const struct topic *t)
{
    int64_t from = t->end;

    CW_LIST_EACH (&t->groups, n) {
        struct group *g = CW_LIST_ENTRY(n, struct group, link);

        if (!cw_list_empty(&g->subs) && g->committed < from)
            from = g->committed;
    }
    return from;
}

static void forget_position(struct topic *t, const struct record *r)
{
    CW_LIST_EACH (&t->groups, n)
        CW_LIST_EACH (&CW_LIST_ENTRY(n, struct group, link)->subs, m) {
            struct cw_bus_sub *sub = CW_LIST_ENTRY(m, struct cw_bus_sub, link);

            if (sub->at == r)
                sub->at = NULL;
        }
}

static void trim(struct topic *t)
{
    int64_t from = needed_from(t);
    struct record *r;

    while (!t->borrowed && t->bytes > RETAIN_BYTES && (r = first_record(t)) && r->offset < from) {
        cw_list_remove(&t->records, &r->link);
        forget_position(t, r);
        t->bytes -= r->n + RECORD_COST;
        free(r);
    }
}

static void append(struct local_bus *bus, struct topic *t, struct cw_slice value)
{
    struct record *r = cw_alloc(sizeof(*r) + value.n);

    r->offset = t->end++;
    r->timestamp_ms = cw_loop_wall_ms(bus->loop);
    r->n = value.n;
    if (value.n)
        memcpy(r->value, value.p, value.n);
    cw_list_push_back(&t->records, &r->link);
    t->bytes += r->n + RECORD_COST;
}

/* ---- subscriptions ---- */

/* The record at or behind an offset below the end. Offsets have no holes, so the way from the
 * nearer side is known. */
static struct record *topic_find(const struct topic *t, int64_t offset)
{
    struct record *first = first_record(t);
    struct cw_link *n;

    if (!first || offset <= first->offset)
        return first;
    if (offset - first->offset < t->end - offset) {
        n = &first->link;
        for (int64_t at = first->offset; at < offset; at++)
            n = n->next;
    } else {
        n = t->records.head.prev;
        for (int64_t at = t->end - 1; at > offset; at--)
            n = n->prev;
    }
    return CW_LIST_ENTRY(n, struct record, link);
}

/* The record to hand out, NULL at the end. */
static struct record *sub_record(struct cw_bus_sub *sub)
{
    if (sub->next >= sub->topic->end)
        return NULL;
    if (!sub->at || sub->at->offset != sub->next)
        sub->at = topic_find(sub->topic, sub->next);
    return sub->at;
}

static bool sub_is_first(const struct cw_bus_sub *sub)
{
    return cw_list_first(&sub->group->subs) == &sub->link;
}

static bool sub_may_deliver(const struct cw_bus_sub *sub)
{
    return !sub->gone && !sub->paused && sub->owner;
}

static void become_owner(struct cw_bus_sub *sub)
{
    sub->owner = true;
    if (sub->next < 0)
        sub->next = sub->group->committed >= 0 ? sub->group->committed : 0;
    if (sub->desc.on_assigned)
        sub->desc.on_assigned(sub->desc.arg, true);
}

static void deliver(struct cw_bus_sub *sub, struct record *r)
{
    struct cw_link *behind = cw_list_next(&sub->topic->records, &r->link);
    struct cw_bus_message msg = {
        .topic = sub->topic->name,
        .offset = r->offset,
        .timestamp_ms = r->timestamp_ms,
        .value = cw_slice(r->value, r->n),
    };

    sub->next = r->offset + 1;
    sub->at = behind ? CW_LIST_ENTRY(behind, struct record, link) : NULL;
    sub->topic->borrowed++;
    sub->desc.on_message(sub->desc.arg, &msg);
    sub->topic->borrowed--;
    trim(sub->topic);
}

static void sub_run(void *arg)
{
    struct cw_bus_sub *sub = arg;
    struct record *r;
    int n = 0;

    if (!sub->owner && sub_is_first(sub))
        become_owner(sub);
    while (n++ < DRAIN_BUDGET && sub_may_deliver(sub) && (r = sub_record(sub)))
        deliver(sub, r);
    if (n > DRAIN_BUDGET && sub_may_deliver(sub))
        cw_defer_post(&sub->run);
}

static void wake_readers(struct topic *t)
{
    CW_LIST_EACH (&t->groups, n) {
        struct cw_link *first = cw_list_first(&CW_LIST_ENTRY(n, struct group, link)->subs);

        if (first)
            cw_defer_post(&CW_LIST_ENTRY(first, struct cw_bus_sub, link)->run);
    }
}

static struct cw_bus_sub *
local_subscribe(struct cw_bus *base, const struct cw_bus_subscription *desc, struct cw_err *err)
{
    struct local_bus *bus = self(base);
    struct cw_bus_sub *sub = cw_alloc(sizeof(*sub));

    (void)err; /* nothing can fail here */
    sub->bus = bus;
    sub->topic = topic_get(bus, desc->topic);
    sub->group = group_get(sub->topic, desc->group);
    sub->desc = *desc;
    sub->desc.topic = sub->desc.group = sub->desc.client_id = sub->desc.instance_id = NULL;
    sub->desc.note = NULL;
    sub->desc.properties = NULL;
    sub->note = cw_strdup(desc->note);
    sub->next = -1;
    cw_defer_init(&sub->run, bus->loop, sub_run, sub);
    bus_dones_init(&sub->dones, bus->loop);
    cw_list_push_back(&sub->group->subs, &sub->link);
    cw_defer_post(&sub->run);
    return sub;
}

static void sub_stop(struct cw_bus_sub *sub)
{
    sub->gone = true;
    cw_list_remove(&sub->group->subs, &sub->link);
    cw_defer_cancel(&sub->run);
    bus_dones_done(&sub->dones);
}

static void sub_free(void *obj)
{
    struct cw_bus_sub *sub = obj;

    free(sub->note);
    free(sub);
}

static void local_unsubscribe(struct cw_bus_sub *sub)
{
    struct cw_link *heir;

    sub_stop(sub);
    if ((heir = cw_list_first(&sub->group->subs)))
        cw_defer_post(&CW_LIST_ENTRY(heir, struct cw_bus_sub, link)->run);
    trim(sub->topic);
    cw_loop_bury(sub->bus->loop, sub, sub_free); /* may be in its callback */
}

static void local_pause(struct cw_bus_sub *sub)
{
    sub->paused = true;
}

static void local_resume(struct cw_bus_sub *sub)
{
    sub->paused = false;
    cw_defer_post(&sub->run);
}

static int local_seek(struct cw_bus_sub *sub, int64_t offset, struct cw_err *err)
{
    if (offset == CW_BUS_COMMITTED)
        offset = sub->group->committed >= 0 ? sub->group->committed : 0;
    if (offset < 0)
        return cw_fail(err, CW_INVALID, "local bus: %s: seek to %lld: expected 0 or more",
                       sub->topic->name, (long long)offset);
    /* Kafka starts over at the earliest record when there is none at the offset. */
    sub->next = offset <= sub->topic->end ? offset : 0;
    sub->at = NULL;
    cw_defer_post(&sub->run);
    return 0;
}

static void local_commit(struct cw_bus_sub *sub, int64_t next_offset, cw_bus_done_fn *fn, void *arg)
{
    sub->group->committed = next_offset;
    if (sub->note || sub->group->note) {
        free(sub->group->note);
        sub->group->note = cw_strdup(sub->note);
    }
    trim(sub->topic);
    bus_dones_push(&sub->dones, fn, arg, NULL);
}

static struct cw_bus_position local_position(const struct cw_bus_sub *sub)
{
    const struct group *g = sub->group;

    return (struct cw_bus_position){g->committed, g->note ? g->note : ""};
}

static int64_t local_end_offset(struct cw_bus_sub *sub)
{
    return sub->topic->end;
}

/* ---- publishing ---- */

/* 0, or -1 with *err. */
static int check_publish(const struct local_bus *bus, const struct topic *t, size_t n,
                         struct cw_err *err)
{
    if (n > (size_t)bus->max_message_bytes)
        return cw_fail(err, CW_TOO_LARGE,
                       "local bus: %s: message of %zu bytes: expected at most %lld", t->name, n,
                       (long long)bus->max_message_bytes);
    if (t->bytes + n > BACKLOG_BYTES)
        return cw_fail_retriable(err, CW_UNAVAILABLE,
                                 "local bus: %s: %zu bytes wait for their readers", t->name,
                                 t->bytes);
    return 0;
}

static void local_publish(struct cw_bus *base, const char *topic, struct cw_slice value,
                          cw_bus_done_fn *fn, void *arg)
{
    struct local_bus *bus = self(base);
    struct topic *t = topic_get(bus, topic);
    struct cw_err err;

    if (check_publish(bus, t, value.n, &err) != 0) {
        bus_dones_push(&bus->dones, fn, arg, &err);
        return;
    }
    append(bus, t, value);
    trim(t);
    bus_dones_push(&bus->dones, fn, arg, NULL);
    wake_readers(t);
}

static void local_ensure_topic(struct cw_bus *base, const struct cw_topic_spec *spec,
                               cw_bus_done_fn *fn, void *arg)
{
    struct local_bus *bus = self(base);

    (void)topic_get(bus, spec->name);
    bus_dones_push(&bus->dones, fn, arg, NULL);
}

/* ---- who is in a group ---- */

static void members_call_free(struct members_call *call)
{
    cw_defer_cancel(&call->run);
    free(call->group);
    free(call);
}

struct census {
    const char *group;
    size_t count;
};

static void count_members(void *arg, struct cw_map_node *node)
{
    struct census *census = arg;

    CW_LIST_EACH (&CW_CONTAINER_OF(node, struct topic, node)->groups, n) {
        const struct group *g = CW_LIST_ENTRY(n, struct group, link);

        if (strcmp(g->name, census->group) == 0)
            census->count += g->subs.count;
    }
}

static void tell_members(void *arg)
{
    struct members_call *call = arg;
    struct census census = {.group = call->group};
    struct cw_group_member *members;

    cw_list_remove(&call->bus->asked, &call->link);
    cw_map_each(&call->bus->topics, count_members, &census);
    members = cw_calloc(census.count + 1, sizeof(*members));
    for (size_t i = 0; i < census.count; i++)
        members[i] = (struct cw_group_member){
            .client_id = "local", .host = "this process", .instance_id = ""};
    call->fn(call->arg, members, census.count, NULL);
    free(members);
    members_call_free(call);
}

static void local_group_members(struct cw_bus *base, const char *group, cw_group_members_fn *fn,
                                void *arg)
{
    struct local_bus *bus = self(base);
    struct members_call *call = cw_alloc(sizeof(*call));

    call->bus = bus;
    call->group = cw_strdup(group);
    call->fn = fn;
    call->arg = arg;
    cw_list_push_back(&bus->asked, &call->link);
    cw_defer_init(&call->run, bus->loop, tell_members, call);
    cw_defer_post(&call->run);
}

static size_t local_unsent_bytes(const struct cw_bus *base)
{
    (void)base;
    return 0; /* what is published is in its topic at once */
}

/* Counts ensure_topic's answers too: they are gone within a turn. */
static size_t local_unsent(const struct cw_bus *base)
{
    return CW_CONTAINER_OF(base, const struct local_bus, base)->dones.list.count;
}

/* ---- the bus ---- */

static void group_free(struct group *g)
{
    struct cw_link *n;

    while ((n = cw_list_first(&g->subs))) {
        struct cw_bus_sub *sub = CW_LIST_ENTRY(n, struct cw_bus_sub, link);

        sub_stop(sub);
        sub_free(sub);
    }
    free(g->note);
    free(g->name);
    free(g);
}

static void topic_free(void *arg, struct cw_map_node *node)
{
    struct topic *t = CW_CONTAINER_OF(node, struct topic, node);
    struct cw_link *n;

    (void)arg;
    while ((n = cw_list_pop_front(&t->groups)))
        group_free(CW_LIST_ENTRY(n, struct group, link));
    while ((n = cw_list_pop_front(&t->records)))
        free(CW_LIST_ENTRY(n, struct record, link));
    free(t->name);
    free(t);
}

static void local_free(struct cw_bus *base)
{
    struct local_bus *bus = self(base);
    struct cw_link *n;

    while ((n = cw_list_pop_front(&bus->asked)))
        members_call_free(CW_LIST_ENTRY(n, struct members_call, link));
    cw_map_each(&bus->topics, topic_free, NULL);
    cw_map_done(&bus->topics);
    bus_dones_done(&bus->dones);
    free(bus);
}

static const struct cw_bus_ops OPS = {
    .name = "local",
    .subscribe = local_subscribe,
    .unsubscribe = local_unsubscribe,
    .pause = local_pause,
    .resume = local_resume,
    .seek = local_seek,
    .commit = local_commit,
    .position = local_position,
    .end_offset = local_end_offset,
    .publish = local_publish,
    .ensure_topic = local_ensure_topic,
    .group_members = local_group_members,
    .unsent = local_unsent,
    .unsent_bytes = local_unsent_bytes,
    .free = local_free,
};

struct cw_bus *cw_local_bus_new(struct cw_loop *loop, int64_t max_message_bytes)
{
    struct local_bus *bus = cw_alloc(sizeof(*bus));

    bus->base.ops = &OPS;
    bus->loop = loop;
    bus->max_message_bytes = max_message_bytes;
    cw_map_init(&bus->topics);
    cw_list_init(&bus->asked);
    bus_dones_init(&bus->dones, loop);
    return &bus->base;
}
