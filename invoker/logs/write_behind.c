#include "invoker/logs/write_behind.h"

#include "common/base/err.h"
#include "common/loop/worker.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

struct batch {
    struct inv_write_behind *w;
    struct cw_str text;
    uint64_t count;
    bool worked;
    struct cw_err err; /* code CW_OK: all is written */
};

struct inv_write_behind {
    struct inv_write_behind_conf conf;
    struct cw_worker *worker;
    struct cw_str waiting;
    uint64_t waiting_count;
    bool busy, failing, closing;
};

/* Thread: worker. */
static void work(void *arg)
{
    struct batch *b = arg;
    const struct inv_write_behind_conf *conf = &b->w->conf;

    b->worked = true;
    conf->write(conf->arg, &b->text, &b->err);
}

static void lose(struct inv_write_behind *w, uint64_t count, const char *why)
{
    cw_counter_add(w->conf.lost, count);
    if (!w->failing)
        cw_log(CW_LOG_ERROR, NULL, w->conf.component, "%s: %s", w->conf.fails, why);
    w->failing = true;
}

static void tell(const struct batch *b)
{
    struct inv_write_behind *w = b->w;

    if (w->conf.on_written)
        w->conf.on_written(w->conf.arg);
    if (b->err.code != CW_OK) {
        lose(w, b->count, b->err.msg);
        return;
    }
    cw_counter_add(w->conf.written, b->count);
    if (w->failing)
        cw_log(CW_LOG_INFO, NULL, w->conf.component, "%s", w->conf.works);
    w->failing = false;
}

static void submit(struct inv_write_behind *w);

static void done(void *arg)
{
    struct batch *b = arg;
    struct inv_write_behind *w = b->w;

    if (!b->worked) /* the worker ended first */
        work(b);
    tell(b);
    cw_str_done(&b->text);
    free(b);
    w->busy = false;
    if (!w->closing && w->waiting.n)
        submit(w);
}

static struct batch *take_batch(struct inv_write_behind *w)
{
    struct batch *b = cw_alloc(sizeof(*b));

    b->w = w;
    b->text = w->waiting;
    b->count = w->waiting_count;
    cw_str_init(&w->waiting, w->conf.max_waiting);
    w->waiting_count = 0;
    return b;
}

static void submit(struct inv_write_behind *w)
{
    w->busy = true;
    cw_worker_run(w->worker, work, done, take_batch(w));
}

void inv_write_behind_put(struct inv_write_behind *w, struct cw_slice piece, const char *end,
                          uint64_t count)
{
    if (piece.n + strlen(end) > w->waiting.max - w->waiting.n) {
        lose(w, count, "the disk is too slow");
        return;
    }
    cw_str_adds(&w->waiting, piece);
    cw_str_addz(&w->waiting, end);
    w->waiting_count += count;
    if (!w->busy && w->waiting.n)
        submit(w);
}

void inv_write_behind_try(struct inv_write_behind *w)
{
    if (!w->busy)
        submit(w);
}

struct inv_write_behind *inv_write_behind_new(const struct inv_write_behind_conf *conf,
                                              struct cw_err *err)
{
    struct inv_write_behind *w = cw_alloc(sizeof(*w));

    w->conf = *conf;
    cw_str_init(&w->waiting, conf->max_waiting);
    w->worker = cw_worker_new(conf->loop, 1, err);
    if (!w->worker) {
        free(w);
        return NULL;
    }
    return w;
}

void inv_write_behind_free(struct inv_write_behind *w)
{
    if (!w)
        return;
    w->closing = true;
    cw_worker_free(w->worker);
    if (w->waiting.n)
        done(take_batch(w));
    cw_str_done(&w->waiting);
    free(w);
}
