/* One timer: it goes off when the next one may have waited long enough. Those who get a container
 * before leave it as it is. */
#include "invoker/parked.h"

#include "common/base/list.h"
#include "common/base/map.h"
#include "common/loop/loop.h"
#include "common/model/action_doc.h"
#include "common/obs/metrics.h"
#include "invoker/job.h"

/* Deadlines this near to each other are met together. */
enum { TICK_US = 1000 };

/* Those of one action; there is none without a job. */
struct parked_queue {
    struct cw_map_node node;
    struct cw_link link;
    struct cw_link ready; /* on a list: it is */
    uint64_t pair;
    struct cw_list jobs; /* struct inv_job; the first gives up first */
};

struct inv_parked {
    struct inv_parked_conf conf;
    struct cw_map by_pair;
    struct cw_list queues, ready;
    size_t total;
    uint64_t memory_mb;
    struct cw_timer timer;
    int64_t due_us; /* of the timer; 0: not set */
    struct cw_counter *parked, *given_up;
};

static struct cw_slice key_of(const uint64_t *pair)
{
    return cw_slice((const char *)pair, sizeof(*pair));
}

static struct parked_queue *find(const struct inv_parked *p, uint64_t pair)
{
    struct cw_map_node *node = p->total ? cw_map_get(&p->by_pair, key_of(&pair)) : NULL;

    return node ? CW_CONTAINER_OF(node, struct parked_queue, node) : NULL;
}

static struct inv_job *first_of(const struct parked_queue *q)
{
    return CW_LIST_ENTRY(cw_list_first(&q->jobs), struct inv_job, link);
}

static struct parked_queue *find_or_make(struct inv_parked *p, uint64_t pair)
{
    struct parked_queue *q = find(p, pair);

    if (q)
        return q;
    q = cw_alloc(sizeof(*q));
    q->pair = pair;
    cw_list_init(&q->jobs);
    cw_map_put(&p->by_pair, &q->node, key_of(&q->pair));
    cw_list_push_back(&p->queues, &q->link);
    return q;
}

static void drop(struct inv_parked *p, struct parked_queue *q)
{
    cw_map_remove(&p->by_pair, &q->node);
    cw_list_remove(&p->queues, &q->link);
    if (cw_link_on_list(&q->ready))
        cw_list_remove(&p->ready, &q->ready);
    free(q);
}

static void wake_by(struct inv_parked *p, int64_t at_us)
{
    int64_t left_us = at_us - cw_loop_mono_us(p->conf.loop);

    if (p->due_us && p->due_us <= at_us)
        return;
    p->due_us = at_us;
    cw_timer_set_us(&p->timer, left_us > TICK_US ? left_us : TICK_US);
}

void inv_parked_add(struct inv_parked *p, uint64_t pair, struct inv_job *job, int64_t patience_us)
{
    struct parked_queue *q = find_or_make(p, pair);
    struct cw_link *last = cw_list_empty(&q->jobs) ? NULL : q->jobs.head.prev;
    int64_t before_us = last ? CW_LIST_ENTRY(last, struct inv_job, link)->patient_until_us : 0;

    job->patient_until_us = cw_loop_mono_us(p->conf.loop) + (patience_us > 0 ? patience_us : 0);
    if (job->patient_until_us < before_us)
        job->patient_until_us = before_us;
    job->parked = q;
    cw_list_push_back(&q->jobs, &job->link);
    p->total++;
    p->memory_mb += (uint64_t)job->action->limits.memory_mb;
    cw_counter_add(p->parked, 1);
    if (!last)
        wake_by(p, job->patient_until_us);
}

void inv_parked_take(struct inv_parked *p, struct inv_job *job)
{
    struct parked_queue *q = job->parked;

    cw_list_remove(&q->jobs, &job->link);
    job->parked = NULL;
    p->total--;
    p->memory_mb -= (uint64_t)job->action->limits.memory_mb;
    if (cw_list_empty(&q->jobs))
        drop(p, q);
}

struct inv_job *inv_parked_first(const struct inv_parked *p, uint64_t pair)
{
    const struct parked_queue *q = find(p, pair);

    return q ? first_of(q) : NULL;
}

uint32_t inv_parked_count(const struct inv_parked *p, uint64_t pair)
{
    const struct parked_queue *q = find(p, pair);

    return q ? (uint32_t)q->jobs.count : 0;
}

size_t inv_parked_total(const struct inv_parked *p)
{
    return p->total;
}

uint64_t inv_parked_memory_mb(const struct inv_parked *p)
{
    return p->memory_mb;
}

void inv_parked_ready(struct inv_parked *p, uint64_t pair)
{
    struct parked_queue *q = find(p, pair);

    if (q && !cw_link_on_list(&q->ready))
        cw_list_push_back(&p->ready, &q->ready);
}

bool inv_parked_next_ready(struct inv_parked *p, uint64_t *ret_pair)
{
    struct cw_link *n = cw_list_pop_front(&p->ready);

    if (!n)
        return false;
    *ret_pair = CW_LIST_ENTRY(n, struct parked_queue, ready)->pair;
    return true;
}

static void give_up_first(struct inv_parked *p, const struct parked_queue *q)
{
    struct inv_job *job = first_of(q);

    inv_parked_take(p, job);
    job->impatient = true;
    cw_counter_add(p->given_up, 1);
    p->conf.on_impatient(p->conf.arg, job);
}

void inv_parked_give_up(struct inv_parked *p, uint64_t pair)
{
    const struct parked_queue *q;

    while ((q = find(p, pair)))
        give_up_first(p, q);
}

void inv_parked_give_up_all(struct inv_parked *p)
{
    struct cw_link *n;

    while ((n = cw_list_first(&p->queues)))
        give_up_first(p, CW_LIST_ENTRY(n, struct parked_queue, link));
}

static void on_due(void *arg)
{
    struct inv_parked *p = arg;
    int64_t now_us = cw_loop_mono_us(p->conf.loop), next_us = INT64_MAX;

    p->due_us = 0;
    CW_LIST_EACH (&p->queues, n) {
        struct parked_queue *q = CW_LIST_ENTRY(n, struct parked_queue, link);
        size_t left = q->jobs.count; /* the last one takes the queue with it */

        while (left && first_of(q)->patient_until_us <= now_us) {
            left--;
            give_up_first(p, q);
        }
        if (left && first_of(q)->patient_until_us < next_us)
            next_us = first_of(q)->patient_until_us;
    }
    if (next_us < INT64_MAX)
        wake_by(p, next_us);
}

struct inv_parked *inv_parked_new(const struct inv_parked_conf *conf)
{
    struct inv_parked *p = cw_alloc(sizeof(*p));

    p->conf = *conf;
    cw_map_init(&p->by_pair);
    cw_list_init(&p->queues);
    cw_list_init(&p->ready);
    cw_timer_init(&p->timer, conf->loop, on_due, p);
    p->parked = cw_metrics_counter(conf->metrics, "cwhisk_activation_parked_total", NULL,
                                   "Activations that waited for a busy container of their action "
                                   "instead of a new one.");
    p->given_up =
        cw_metrics_counter(conf->metrics, "cwhisk_activation_parked_too_long_total", NULL,
                           "Of them, those that did not get it in time and were placed in "
                           "another way.");
    return p;
}

void inv_parked_free(struct inv_parked *p)
{
    if (!p)
        return;
    cw_timer_done(&p->timer);
    cw_map_done(&p->by_pair);
    free(p);
}
