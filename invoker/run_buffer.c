#include "invoker/run_buffer.h"

#include "common/loop/loop.h"
#include "common/model/action_doc.h"
#include "common/model/activation_message.h"
#include "common/obs/log.h"
#include "common/obs/token.h"
#include "invoker/job.h"

#define COMPONENT "ContainerPool"

enum { FULL_LOG_INTERVAL_US = 10 * 1000000 };

static void insert_before(struct inv_run_buffer *b, struct cw_link *at, struct inv_job *job)
{
    cw_list_insert_before(&b->jobs, at, &job->link);
    b->memory_mb += (uint64_t)job->action->limits.memory_mb;
}

void inv_run_buffer_put(struct inv_run_buffer *b, struct inv_job *job)
{
    insert_before(b, &b->jobs.head, job);
}

void inv_run_buffer_tell(struct inv_run_buffer *b, struct inv_job *job)
{
    int64_t now = cw_loop_mono_us(b->loop);

    if (job->buffered)
        return;
    job->buffered = true;
    cw_counter_add(b->buffered, 1);
    if (b->full_logged_us == 0 || now - b->full_logged_us >= FULL_LOG_INTERVAL_US) {
        b->full_logged_us = now;
        cw_log(CW_LOG_WARN, &job->msg->tx, COMPONENT,
               "no room for activation %s: %zu activations wait", job->msg->activation_id,
               b->jobs.count);
    }
}

void inv_run_buffer_put_for_room(struct inv_run_buffer *b, struct inv_job *job)
{
    inv_run_buffer_put(b, job);
    inv_run_buffer_tell(b, job);
}

void inv_run_buffer_put_back(struct inv_run_buffer *b, struct inv_job *job)
{
    struct cw_link *at = b->jobs.head.next;

    /* It was here before almost all of them. */
    while (at != &b->jobs.head && CW_LIST_ENTRY(at, struct inv_job, link)->turn < job->turn)
        at = at->next;
    insert_before(b, at, job);
}

struct cw_link *inv_run_buffer_take(struct inv_run_buffer *b, struct inv_job *job)
{
    struct cw_link *place = job->link.next;

    cw_list_remove(&b->jobs, &job->link);
    b->memory_mb -= (uint64_t)job->action->limits.memory_mb;
    return place;
}

void inv_run_buffer_undo(struct inv_run_buffer *b, struct cw_link *place, struct inv_job *job)
{
    insert_before(b, place, job);
}

struct inv_job *inv_run_buffer_first(const struct inv_run_buffer *b)
{
    struct cw_link *n = cw_list_first(&b->jobs);

    return n ? CW_LIST_ENTRY(n, struct inv_job, link) : NULL;
}

void inv_run_buffer_init(struct inv_run_buffer *b, struct cw_loop *loop, struct cw_metrics *m)
{
    *b = (struct inv_run_buffer){.loop = loop};
    cw_list_init(&b->jobs);
    b->buffered = cw_token_counter(m,
                                   &(struct cw_token){.component = "containerPool",
                                                      .action = "rescheduledActivation",
                                                      .state = "counter"},
                                   "Activations that found no room and waited in the run buffer.");
}
