#include "invoker/janitor/owners.h"

#include <stdio.h>

#include "common/base/list.h"
#include "common/base/str.h"
#include "common/bus/bus.h"
#include "common/loop/loop.h"

enum { OWNERS_MAX = 64, GROUP_MAX_BYTES = 4096, ID_MAX = 1000000 };

struct owner {
    struct cw_link link;
    struct inv_owners *o;
    int64_t id;
    int64_t empty_since_us, empty_us; /* its group was empty at each look between; 0: not so */
    bool wanted;                      /* since the last look */
    bool asking;
};

struct inv_owners {
    struct cw_loop *loop;
    struct cw_bus *bus;
    char *topic_prefix;
    int64_t gone_after_us;
    struct cw_list owners;
};

static struct owner *find(const struct inv_owners *o, int64_t id)
{
    CW_LIST_EACH (&o->owners, n) {
        struct owner *owner = CW_LIST_ENTRY(n, struct owner, link);

        if (owner->id == id)
            return owner;
    }
    return NULL;
}

static struct owner *find_or_add(struct inv_owners *o, int64_t id)
{
    struct owner *owner = find(o, id);

    if (owner || o->owners.count == OWNERS_MAX)
        return owner;
    owner = cw_alloc(sizeof(*owner));
    owner->o = o;
    owner->id = id;
    cw_list_push_back(&o->owners, &owner->link);
    return owner;
}

enum inv_owner_seen inv_owners_seen(struct inv_owners *o, const char *instance)
{
    struct owner *owner;
    int64_t id;

    if (!instance || cw_parse_i64(cw_slice_of(instance), "instance", 0, ID_MAX, &id, NULL) != 0)
        return INV_OWNER_UNKNOWN;
    owner = find_or_add(o, id);
    if (!owner)
        return INV_OWNER_UNKNOWN;
    owner->wanted = true;
    if (!owner->empty_since_us)
        return INV_OWNER_UNKNOWN; /* or alive: no difference to who asks */
    return owner->empty_us - owner->empty_since_us >= o->gone_after_us ? INV_OWNER_GONE
                                                                       : INV_OWNER_UNKNOWN;
}

static void on_members(void *arg, const struct cw_group_member *members, size_t count,
                       const struct cw_err *err)
{
    struct owner *owner = arg;

    (void)members;
    owner->asking = false;
    if (err || count) {
        owner->empty_since_us = 0;
        return;
    }
    owner->empty_us = cw_loop_mono_us(owner->o->loop);
    if (!owner->empty_since_us)
        owner->empty_since_us = owner->empty_us;
}

static void ask(struct inv_owners *o, struct owner *owner)
{
    cw_auto_str struct cw_str group;

    cw_str_init(&group, GROUP_MAX_BYTES);
    cw_str_addf(&group, "%sinvoker%lld", o->topic_prefix, (long long)owner->id);
    owner->asking = true;
    o->bus->ops->group_members(o->bus, group.p, on_members, owner);
}

static void forget(struct inv_owners *o, struct owner *owner)
{
    cw_list_remove(&o->owners, &owner->link);
    free(owner);
}

void inv_owners_look(struct inv_owners *o)
{
    CW_LIST_EACH (&o->owners, n) {
        struct owner *owner = CW_LIST_ENTRY(n, struct owner, link);

        if (owner->asking)
            continue;
        if (!owner->wanted) {
            forget(o, owner);
            continue;
        }
        owner->wanted = false;
        ask(o, owner);
    }
}

struct inv_owners *inv_owners_new(struct cw_loop *loop, struct cw_bus *bus,
                                  const char *topic_prefix, int64_t gone_after_ms)
{
    struct inv_owners *o = cw_alloc(sizeof(*o));

    o->loop = loop;
    o->bus = bus;
    o->topic_prefix = cw_strdup(topic_prefix);
    o->gone_after_us = gone_after_ms * 1000;
    cw_list_init(&o->owners);
    return o;
}

void inv_owners_free(struct inv_owners *o)
{
    struct cw_link *n;

    if (!o)
        return;
    while ((n = cw_list_first(&o->owners)))
        forget(o, CW_LIST_ENTRY(n, struct owner, link));
    free(o->topic_prefix);
    free(o);
}
