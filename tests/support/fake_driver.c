#include "tests/support/fake_driver.h"

#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/loop/loop.h"

enum op { OP_CREATE, OP_DONE, OP_OOM, OP_LIST };

struct cw_driver_call {
    struct cw_link link;
    struct fake_driver *f;
    struct cw_defer defer;
    enum op op;
    bool fails, held;
    union {
        cw_created_fn *created;
        cw_driver_done_fn *done;
        cw_oom_fn *oom;
        cw_listed_fn *listed;
    } fn;
    void *arg;
    struct cw_container c;
};

static void drop(struct cw_driver_call *call)
{
    cw_defer_cancel(&call->defer);
    cw_list_remove(&call->f->calls, &call->link);
    free(call);
}

static void complete(void *arg)
{
    struct cw_driver_call call = *(struct cw_driver_call *)arg;
    struct fake_driver *f = call.f;
    struct cw_err err = {0};

    drop(arg);
    (void)cw_fail(&err, CW_UNAVAILABLE, "fake failure");
    switch (call.op) {
    case OP_CREATE:
        call.fn.created(call.arg, call.fails ? NULL : &call.c, f->failure,
                        call.fails ? &err : NULL);
        break;
    case OP_DONE:
        call.fn.done(call.arg, call.fails ? &err : NULL);
        break;
    case OP_OOM:
        call.fn.oom(call.arg, f->oom);
        break;
    case OP_LIST:
        call.fn.listed(call.arg, call.fails ? NULL : f->owned, call.fails ? 0 : f->owned_count,
                       call.fails ? &err : NULL);
        break;
    }
}

static struct cw_driver_call *begin(struct cw_driver *d, enum op op, void *arg)
{
    struct cw_driver_call *call = cw_alloc(sizeof(*call));

    call->f = (struct fake_driver *)d;
    call->op = op;
    call->arg = arg;
    cw_defer_init(&call->defer, call->f->loop, complete, call);
    cw_list_push_back(&call->f->calls, &call->link);
    cw_defer_post(&call->defer);
    return call;
}

static void hold(struct cw_driver_call *call)
{
    call->held = true;
    cw_defer_cancel(&call->defer);
}

/* Tests with many containers do not look at it: what does not fit is left out. */
static void note(struct fake_driver *f, const char *what, const char *id)
{
    size_t n = strlen(f->journal);

    (void)snprintf(f->journal + n, sizeof(f->journal) - n, "%s %s, ", what, id);
}

static struct cw_driver_call *fake_create(struct cw_driver *d, const struct cw_container_spec *spec,
                                          cw_created_fn *fn, void *arg)
{
    struct fake_driver *f = (struct fake_driver *)d;
    struct cw_driver_call *call = begin(d, OP_CREATE, arg);

    call->fn.created = fn;
    call->fails = f->fail_create;
    (void)snprintf(call->c.id, sizeof(call->c.id), "%064u", ++f->created);
    (void)snprintf(call->c.address, sizeof(call->c.address), "127.0.0.1");
    call->c.port = f->port;
    (void)snprintf(call->c.log_path, sizeof(call->c.log_path), "%s",
                   f->log_path ? f->log_path : "");
    (void)snprintf(f->last_name, sizeof(f->last_name), "%s", spec->name);
    (void)snprintf(f->last_image, sizeof(f->last_image), "%s", spec->image);
    f->last_shares = spec->cpu_shares;
    if (f->hold_creates)
        hold(call);
    return call;
}

static struct cw_driver_call *begin_done(struct cw_driver *d, bool fails, unsigned *counter,
                                         cw_driver_done_fn *fn, void *arg)
{
    struct cw_driver_call *call = begin(d, OP_DONE, arg);

    call->fn.done = fn;
    call->fails = fails;
    ++*counter;
    return call;
}

static struct cw_driver_call *fake_pause(struct cw_driver *d, const char *id, cw_driver_done_fn *fn,
                                         void *arg)
{
    struct fake_driver *f = (struct fake_driver *)d;

    (void)id;
    return begin_done(d, f->fail_pause, &f->paused, fn, arg);
}

static struct cw_driver_call *fake_resume(struct cw_driver *d, const char *id,
                                          cw_driver_done_fn *fn, void *arg)
{
    struct fake_driver *f = (struct fake_driver *)d;

    note(f, "resume", id);
    return begin_done(d, f->fail_resume, &f->resumed, fn, arg);
}

static struct cw_driver_call *fake_remove(struct cw_driver *d, const char *id,
                                          cw_driver_done_fn *fn, void *arg)
{
    struct fake_driver *f = (struct fake_driver *)d;
    bool fails = f->resists && strcmp(f->resists, id) == 0;
    struct cw_driver_call *call = begin_done(d, fails, &f->removed, fn, arg);

    note(f, "remove", id);
    if (f->hold_removes)
        hold(call);
    return call;
}

static struct cw_driver_call *fake_oom(struct cw_driver *d, const char *id, cw_oom_fn *fn,
                                       void *arg)
{
    struct cw_driver_call *call = begin(d, OP_OOM, arg);

    (void)id;
    ((struct fake_driver *)d)->oom_checks++;
    call->fn.oom = fn;
    return call;
}

static struct cw_driver_call *fake_list(struct cw_driver *d, const char *prefix, cw_listed_fn *fn,
                                        void *arg)
{
    struct fake_driver *f = (struct fake_driver *)d;
    struct cw_driver_call *call = begin(d, OP_LIST, arg);

    (void)snprintf(f->last_prefix, sizeof(f->last_prefix), "%s", prefix);
    call->fn.listed = fn;
    call->fails = f->fail_list;
    if (f->hold_lists)
        hold(call);
    return call;
}

static struct cw_driver_call *fake_watch(struct cw_driver *d, const char *prefix,
                                         const struct cw_driver_events *events, void *arg)
{
    struct fake_driver *f = (struct fake_driver *)d;
    struct cw_driver_call *call = begin(d, OP_DONE, arg);

    (void)snprintf(f->last_prefix, sizeof(f->last_prefix), "%s", prefix);
    f->events = events;
    f->events_arg = arg;
    cw_defer_cancel(&call->defer); /* goes on until it is cancelled */
    return call;
}

void fake_driver_die(struct fake_driver *f, unsigned n, int64_t exit_code)
{
    char id[65];

    (void)snprintf(id, sizeof(id), "%064u", n);
    f->events->on_death(f->events_arg, id, exit_code);
}

static struct cw_driver_call *fake_check(struct cw_driver *d, cw_driver_done_fn *fn, void *arg)
{
    struct cw_driver_call *call = begin(d, OP_DONE, arg);

    call->fn.done = fn;
    return call;
}

static void fake_cancel(struct cw_driver *d, struct cw_driver_call *call)
{
    ((struct fake_driver *)d)->cancelled++;
    drop(call);
}

static size_t fake_busy(const struct cw_driver *d)
{
    (void)d;
    return 0;
}

static void fake_free(struct cw_driver *d)
{
    struct fake_driver *f = (struct fake_driver *)d;
    struct cw_link *n;

    while ((n = cw_list_first(&f->calls)))
        drop(CW_LIST_ENTRY(n, struct cw_driver_call, link));
}

void fake_driver_init(struct fake_driver *f, struct cw_loop *loop)
{
    static const struct cw_driver_ops OPS = {
        .name = "fake",
        .create = fake_create,
        .pause = fake_pause,
        .resume = fake_resume,
        .remove = fake_remove,
        .was_oom_killed = fake_oom,
        .list = fake_list,
        .watch = fake_watch,
        .check = fake_check,
        .cancel = fake_cancel,
        .busy = fake_busy,
        .free = fake_free,
    };

    *f = (struct fake_driver){.base = {.ops = &OPS}, .loop = loop};
    cw_list_init(&f->calls);
}

void fake_driver_release(struct fake_driver *f)
{
    CW_LIST_EACH (&f->calls, n) {
        struct cw_driver_call *call = CW_LIST_ENTRY(n, struct cw_driver_call, link);

        if (call->held)
            cw_defer_post(&call->defer);
        call->held = false;
    }
}
