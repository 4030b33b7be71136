#include "tests/support/fake_bus.h"

#include <stdlib.h>

#include "common/loop/loop.h"

struct answer {
    struct cw_link link;
    struct fake_bus *b;
    struct cw_defer defer;
    bool is_commit, fails;
    struct cw_err err;
    int64_t next_offset; /* commits only */
    cw_bus_done_fn *fn;
    cw_group_members_fn *members_fn;
    void *arg;
};

static void drop(struct answer *a)
{
    cw_defer_cancel(&a->defer);
    cw_list_remove(&a->b->answers, &a->link);
    free(a);
}

static void give(void *arg)
{
    struct answer a = *(struct answer *)arg;

    drop(arg);
    if (a.is_commit && !a.fails)
        a.b->committed = a.next_offset;
    if (a.fn)
        a.fn(a.arg, a.fails ? &a.err : NULL);
    if (a.members_fn && a.fails)
        a.members_fn(a.arg, NULL, 0, &a.err);
    else if (a.members_fn)
        a.members_fn(a.arg, a.b->members, a.b->member_count, NULL);
}

static struct answer *add_answer(struct fake_bus *b, cw_bus_done_fn *fn, void *arg, bool hold)
{
    struct answer *a = cw_alloc(sizeof(*a));

    a->b = b;
    a->fn = fn;
    a->arg = arg;
    a->err = b->failure;
    cw_defer_init(&a->defer, b->loop, give, a);
    cw_list_push_back(&b->answers, &a->link);
    if (!hold)
        cw_defer_post(&a->defer);
    return a;
}

static struct fake_bus *self(struct cw_bus *bus)
{
    return CW_CONTAINER_OF(bus, struct fake_bus, base);
}

/* The only subscription stands for itself. */
static struct fake_bus *self_of_sub(struct cw_bus_sub *sub)
{
    return (struct fake_bus *)sub;
}

static void fake_publish(struct cw_bus *bus, const char *topic, struct cw_slice value,
                         cw_bus_done_fn *fn, void *arg)
{
    struct fake_bus *b = self(bus);
    struct fake_bus_message *m = &b->sent[b->sent_count];
    struct answer *a = add_answer(b, fn, arg, b->hold_answers);

    if (b->sent_count++ >= FAKE_BUS_MESSAGES)
        abort();
    m->topic = cw_strdup(topic);
    m->value = cw_slice(cw_slice_dup(value), value.n);
    a->fails = b->failures > 0;
    b->failures -= a->fails;
}

static struct cw_bus_sub *fake_subscribe(struct cw_bus *bus, const struct cw_bus_subscription *sub,
                                         struct cw_err *err)
{
    struct fake_bus *b = self(bus);

    if (b->refuse_subscription) {
        (void)cw_fail(err, CW_UNAVAILABLE, "fake refusal");
        return NULL;
    }
    b->sub = *sub;
    b->sub.topic = cw_strdup(sub->topic);
    b->sub.group = cw_strdup(sub->group);
    b->sub.client_id = cw_strdup(sub->client_id);
    b->sub.note = cw_strdup(sub->note);
    b->subscribed = true;
    return (struct cw_bus_sub *)b;
}

static void fake_unsubscribe(struct cw_bus_sub *sub)
{
    struct fake_bus *b = self_of_sub(sub);

    b->subscribed = false;
    b->unsubscribed++;
    CW_LIST_EACH (&b->answers, n) {
        struct answer *a = CW_LIST_ENTRY(n, struct answer, link);

        if (a->is_commit)
            drop(a);
    }
}

static void fake_pause(struct cw_bus_sub *sub)
{
    struct fake_bus *b = self_of_sub(sub);

    b->paused = true;
    b->pauses++;
}

static void fake_resume(struct cw_bus_sub *sub)
{
    struct fake_bus *b = self_of_sub(sub);

    b->paused = false;
    b->resumes++;
}

static int fake_seek(struct cw_bus_sub *sub, int64_t offset, struct cw_err *err)
{
    struct fake_bus *b = self_of_sub(sub);

    (void)err;
    b->seeks++;
    b->sought = offset;
    return 0;
}

static void fake_commit(struct cw_bus_sub *sub, int64_t next_offset, cw_bus_done_fn *fn, void *arg)
{
    struct fake_bus *b = self_of_sub(sub);
    struct answer *a = add_answer(b, fn, arg, b->hold_commits);

    b->commits++;
    a->is_commit = true;
    a->next_offset = next_offset;
    a->fails = b->commit_failures > 0;
    b->commit_failures -= a->fails;
}

static struct cw_bus_position fake_position(const struct cw_bus_sub *sub)
{
    return self_of_sub((struct cw_bus_sub *)(uintptr_t)sub)->position;
}

static int64_t fake_end_offset(struct cw_bus_sub *sub)
{
    return self_of_sub(sub)->end_offset;
}

static void fake_ensure_topic(struct cw_bus *bus, const struct cw_topic_spec *spec,
                              cw_bus_done_fn *fn, void *arg)
{
    (void)spec;
    (void)add_answer(self(bus), fn, arg, false);
}

static void fake_group_members(struct cw_bus *bus, const char *group, cw_group_members_fn *fn,
                               void *arg)
{
    struct fake_bus *b = self(bus);
    struct answer *a = add_answer(b, NULL, arg, false);

    (void)group;
    a->members_fn = fn;
    a->fails = b->member_failures > 0;
    b->member_failures -= a->fails;
    b->members_asked++;
}

static size_t fake_unsent(const struct cw_bus *bus)
{
    return CW_CONTAINER_OF(bus, const struct fake_bus, base)->answers.count;
}

static size_t fake_unsent_bytes(const struct cw_bus *bus)
{
    const struct fake_bus *b = CW_CONTAINER_OF(bus, const struct fake_bus, base);
    size_t n = b->answers.count < b->sent_count ? b->answers.count : b->sent_count, bytes = 0;

    for (size_t i = b->sent_count - n; i < b->sent_count; i++)
        bytes += b->sent[i].value.n;
    return bytes;
}

static void fake_free(struct cw_bus *bus)
{
    fake_bus_done(self(bus));
}

void fake_bus_init(struct fake_bus *b, struct cw_loop *loop)
{
    static const struct cw_bus_ops OPS = {
        .name = "fake",
        .subscribe = fake_subscribe,
        .unsubscribe = fake_unsubscribe,
        .pause = fake_pause,
        .resume = fake_resume,
        .seek = fake_seek,
        .commit = fake_commit,
        .position = fake_position,
        .end_offset = fake_end_offset,
        .publish = fake_publish,
        .ensure_topic = fake_ensure_topic,
        .group_members = fake_group_members,
        .unsent = fake_unsent,
        .unsent_bytes = fake_unsent_bytes,
        .free = fake_free,
    };

    *b = (struct fake_bus){
        .base.ops = &OPS, .loop = loop, .committed = -1, .position = {-1, ""}, .end_offset = -1};
    (void)cw_fail(&b->failure, CW_UNAVAILABLE, "fake failure");
    cw_list_init(&b->answers);
}

void fake_bus_done(struct fake_bus *b)
{
    struct cw_link *n;

    while ((n = cw_list_first(&b->answers)))
        drop(CW_LIST_ENTRY(n, struct answer, link));
    for (size_t i = 0; i < b->sent_count; i++) {
        free(b->sent[i].topic);
        free((char *)b->sent[i].value.p);
    }
    b->sent_count = 0;
    free((char *)b->sub.topic);
    free((char *)b->sub.group);
    free((char *)b->sub.client_id);
    free((char *)b->sub.note);
    b->sub = (struct cw_bus_subscription){0};
}

void fake_bus_release(struct fake_bus *b)
{
    CW_LIST_EACH (&b->answers, n) {
        cw_defer_post(&CW_LIST_ENTRY(n, struct answer, link)->defer);
    }
}

void fake_bus_deliver(struct fake_bus *b, int64_t offset, struct cw_slice value)
{
    b->sub.on_message(b->sub.arg, &(struct cw_bus_message){.topic = b->sub.topic,
                                                           .offset = offset,
                                                           .timestamp_ms = cw_loop_wall_ms(b->loop),
                                                           .value = value});
}
