#include "common/bus/done_priv.h"

#include "common/base/err.h"

struct bus_done {
    struct cw_link link;
    cw_bus_done_fn *fn;
    void *arg;
    bool failed;
    struct cw_err err;
};

static void run(void *arg)
{
    struct bus_dones *d = arg;
    struct cw_link *n;

    /* Answers queued by these calls belong to the next turn. */
    for (size_t left = d->list.count; left > 0 && (n = cw_list_pop_front(&d->list)); left--) {
        struct bus_done *done = CW_LIST_ENTRY(n, struct bus_done, link);

        done->fn(done->arg, done->failed ? &done->err : NULL);
        free(done);
    }
    if (!cw_list_empty(&d->list))
        cw_defer_post(&d->run);
}

void bus_dones_init(struct bus_dones *d, struct cw_loop *loop)
{
    cw_list_init(&d->list);
    cw_defer_init(&d->run, loop, run, d);
}

void bus_dones_done(struct bus_dones *d)
{
    struct cw_link *n;

    cw_defer_cancel(&d->run);
    while ((n = cw_list_pop_front(&d->list)))
        free(CW_LIST_ENTRY(n, struct bus_done, link));
}

void bus_dones_push(struct bus_dones *d, cw_bus_done_fn *fn, void *arg, const struct cw_err *err)
{
    struct bus_done *done;

    if (!fn)
        return;
    done = cw_alloc(sizeof(*done));
    done->fn = fn;
    done->arg = arg;
    if (err) {
        done->failed = true;
        done->err = *err;
    }
    cw_list_push_back(&d->list, &done->link);
    cw_defer_post(&d->run);
}
