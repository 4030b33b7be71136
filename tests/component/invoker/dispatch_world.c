#include "tests/component/invoker/dispatch_world.h"

#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/model/action_doc.h"
#include "common/model/activation_message.h"
#include "common/model/manifest.h"
#include "common/obs/metrics.h"
#include "invoker/dispatch.h"
#include "invoker/host_load.h"
#include "invoker/job.h"
#include "invoker/logs/log_collector.h"
#include "invoker/pool/pool.h"
#include "invoker/settings.h"
#include "invoker/stale.h"
#include "tests/support/cmocka_all.h"

static void on_result(void *arg, struct inv_job *job)
{
    (void)job;
    ((struct world *)arg)->results++;
}

static void on_placed(void *arg, struct inv_job *job)
{
    struct world *w = arg;

    if (w->placed)
        w->placed(w, job);
    if (w->load)
        inv_load_placed(w->load, job, w->cpu_millis);
}

static uint64_t pair_of(const struct inv_job *job)
{
    return inv_pool_pair(&(struct inv_pool_need){
        .namespace_name = cw_slice_of(job->msg->user.namespace_name),
        .action_hash = job->action->hash,
    });
}

static void on_end(void *arg, struct inv_job *job, enum inv_end how)
{
    struct world *w = arg;
    struct end_seen *e = &w->ends[w->end_count++];

    assert_true(w->end_count <= MAX_ENDS);
    memcpy(e->id, job->msg->activation_id, sizeof(e->id));
    e->how = how;
    if (w->load) {
        inv_load_left(w->load, job);
        inv_load_learn(w->load, pair_of(job), job, cw_loop_mono_us(w->loop));
    }
    e->status = job->outcome.status;
    e->init_ms = job->init_ms;
    e->placed_us = job->at[INV_AT_PLACED];
    e->timeout = job->timeout;
    (void)snprintf(e->result, sizeof(e->result), "%s", job->outcome.result.p);
    free(w->logs);
    w->logs = cw_slice_dup(cw_str_slice(&job->logs));
    inv_job_free(job);
}

static enum inv_where where(void *arg, struct inv_job *job, const struct inv_pool_need *need,
                            const struct inv_here *here, int64_t *ret_patience_us)
{
    struct world *w = arg;

    assert_int_equal(need->memory_mb, job->action->limits.memory_mb);
    w->asked_elsewhere++;
    w->here = *here;
    if (w->room_elsewhere) {
        w->room_elsewhere--;
        w->gone_elsewhere++;
        w->last_gone = job->msg->activation_id[0];
        inv_job_free(job);
        return INV_WHERE_AWAY;
    }
    if (w->patience_us == 0 || !here->may_wait || here->busy == 0)
        return w->later ? INV_WHERE_LATER : INV_WHERE_HERE;
    *ret_patience_us = w->patience_us;
    return INV_WHERE_BUSY;
}

static bool stays(void *arg, const struct inv_job *job, const struct inv_pool_need *need)
{
    (void)job, (void)need;
    return !((struct world *)arg)->full;
}

static void make(struct world *w, bool beside)
{
    w->dispatch = inv_dispatch_new(&(struct inv_dispatch_conf){
        .loop = w->loop,
        .driver = &w->driver.base,
        .logs = w->hub,
        .stale = w->stale,
        .monitor = w->monitor,
        .settings = &w->settings,
        .manifest = w->manifest,
        .metrics = w->metrics,
        .where = beside ? where : NULL,
        .stays = beside ? stays : NULL,
        .on_placed = on_placed,
        .on_result = on_result,
        .on_end = on_end,
        .arg = w,
    });
}

void make_dispatch(struct world *w)
{
    make(w, false);
}

static int64_t wall_us(const struct cw_clock *c)
{
    (void)c;
    return cw_clock_system()->wall_us(cw_clock_system());
}

static int64_t mono_us(const struct cw_clock *c)
{
    return cw_clock_system()->mono_us(cw_clock_system()) + ((const struct world *)c)->skipped_us;
}

struct world *begin_world(scripted_fn *script)
{
    struct world *w = cw_alloc(sizeof(*w));
    struct cw_err err = {0};

    test_settings(NULL, &w->settings);
    w->clock = (struct cw_clock){wall_us, mono_us};
    w->loop = cw_loop_new(&w->clock, NULL);
    w->metrics = cw_metrics_new();
    w->manifest = test_manifest();
    w->hub = inv_log_hub_new(w->loop, &err);
    assert_non_null(w->hub);
    fake_driver_init(&w->driver, w->loop);
    w->peer = scripted_action_new(script, w);
    w->driver.port = scripted_action_port(w->peer);
    make_dispatch(w);
    return w;
}

struct world *begin_world_beside(scripted_fn *script, int64_t memory_mb)
{
    struct world *w = begin_world(script);

    inv_dispatch_free(w->dispatch);
    w->settings.user_memory_bytes = memory_mb << 20;
    make(w, true);
    return w;
}

bool containers_gone(void *arg)
{
    return inv_dispatch_containers(((struct world *)arg)->dispatch) == 0;
}

void end_world(struct world *w)
{
    inv_dispatch_drain(w->dispatch, true);
    if (!cw_loop_run_until(w->loop, containers_gone, w, WAIT_MS)) {
        inv_dispatch_kill(w->dispatch, "end of test");
        assert_true(cw_loop_run_until(w->loop, containers_gone, w, WAIT_MS));
    }
    inv_dispatch_free(w->dispatch);
    inv_stale_free(w->stale);
    scripted_action_free(w->peer);
    inv_log_hub_free(w->hub);
    cw_driver_free(&w->driver.base);
    cw_manifest_free(w->manifest);
    cw_metrics_free(w->metrics);
    cw_conf_free(inv_settings_table(), &w->settings);
    cw_loop_free(w->loop);
    free(w->logs);
    free(w);
}

struct cw_action *make_action(struct world *w, const char *name, unsigned timeout_ms,
                              unsigned memory_mb, unsigned concurrency)
{
    return test_action(w->manifest, name, timeout_ms, memory_mb, 0, concurrency);
}

void submit(struct world *w, struct cw_action *action, char id)
{
    inv_dispatch_submit(w->dispatch,
                        test_job(&(struct test_message){.id = id, .action = action->name}, action));
}

bool enough_ends(void *arg)
{
    struct world *w = arg;

    return w->end_count >= w->wanted;
}

void wait_ends(struct world *w, unsigned count)
{
    w->wanted = count;
    if (!cw_loop_run_until(w->loop, enough_ends, w, WAIT_MS))
        fail_msg("%u of %u activations ended", w->end_count, count);
}

size_t waiting(const struct world *w)
{
    struct inv_pool_stats pool;
    uint64_t mb;
    size_t count;

    inv_dispatch_stats(w->dispatch, &pool, &count, &mb);
    assert_true((mb == 0) == (count == 0));
    return count;
}

bool nothing_starts(void *arg)
{
    struct inv_pool_stats pool;
    uint64_t mb;
    size_t count;

    inv_dispatch_stats(((struct world *)arg)->dispatch, &pool, &count, &mb);
    return pool.starting == 0;
}

void well_behaved(struct scripted_conn *conn, void *arg)
{
    (void)arg;
    while (scripted_read_request(conn))
        scripted_answer(conn, 200, "{\"ok\":true}");
}

void refuses_to_init(struct scripted_conn *conn, void *arg)
{
    (void)arg;
    while (scripted_read_request(conn))
        scripted_answer(conn, 502, "{\"error\":\"no such module\"}");
}

void runs_when_told(struct scripted_conn *conn, void *arg)
{
    struct world *w = arg;

    for (unsigned n = 0; scripted_read_request(conn); n++) {
        while (n > 0 && !atomic_load(&w->go))
            (void)usleep(1000);
        scripted_answer(conn, 200, "{\"ok\":true}");
    }
}
