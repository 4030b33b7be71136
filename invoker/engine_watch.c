#include "invoker/engine_watch.h"

#include <inttypes.h>

#include "common/base/err.h"
#include "common/driver/container_driver.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/dispatch.h"
#include "invoker/janitor/janitor.h"

#define COMPONENT "DockerClient"

struct inv_engine_watch {
    struct inv_engine_watch_conf conf;
    struct cw_driver_call *call;
    struct cw_timer unwell; /* patience */
    int64_t away_us;        /* since then; 0: it answers */
    bool told_unwell;
    struct cw_counter *deaths;
    struct cw_gauge *up;
};

/* ---- what the engine tells ---- */

static void on_death(void *arg, const char *id, int64_t exit_code)
{
    struct inv_engine_watch *w = arg;

    cw_counter_add(w->deaths, 1);
    inv_dispatch_died(w->conf.dispatch, id, exit_code);
}

static void on_unwell(void *arg)
{
    struct inv_engine_watch *w = arg;

    w->told_unwell = true;
    cw_log(CW_LOG_ERROR, NULL, COMPONENT,
           "the engine is still away: controllers are asked for no more work until it is back");
    w->conf.on_well(w->conf.arg, false);
}

static void engine_is_away(struct inv_engine_watch *w, const struct cw_err *err)
{
    if (!w->away_us)
        w->away_us = cw_loop_mono_us(w->conf.loop);
    inv_dispatch_engine(w->conf.dispatch, true);
    cw_gauge_set(w->up, 0);
    cw_log(CW_LOG_ERROR, NULL, COMPONENT, "the engine does not answer: %s", err->msg);
    cw_timer_set_ms(&w->unwell, w->conf.patience_ms);
}

static void engine_answers(struct inv_engine_watch *w)
{
    if (w->away_us)
        cw_log(CW_LOG_WARN, NULL, COMPONENT, "the engine answers again after %" PRId64 " ms",
               (cw_loop_mono_us(w->conf.loop) - w->away_us) / 1000);
    w->away_us = 0;
    inv_dispatch_engine(w->conf.dispatch, false);
    cw_gauge_set(w->up, 1);
    cw_timer_stop(&w->unwell);
    if (w->told_unwell) {
        w->told_unwell = false;
        w->conf.on_well(w->conf.arg, true);
    }
    inv_janitor_soon(w->conf.janitor);
}

static void on_engine(void *arg, const struct cw_err *err)
{
    if (err)
        engine_is_away(arg, err);
    else
        engine_answers(arg);
}

/* ---- life ---- */

struct inv_engine_watch *inv_engine_watch_new(const struct inv_engine_watch_conf *conf)
{
    static const struct cw_driver_events EVENTS = {on_death, on_engine};
    struct inv_engine_watch *w;

    if (!conf->driver->ops->watch)
        return NULL;
    w = cw_alloc(sizeof(*w));
    w->conf = *conf;
    cw_timer_init(&w->unwell, conf->loop, on_unwell, w);
    w->deaths = cw_metrics_counter(conf->metrics, "cwhisk_container_deaths_total", NULL,
                                   "Ends of containers as the engine tells them, removals too.");
    w->up = cw_metrics_gauge(conf->metrics, "cwhisk_engine_up", NULL,
                             "Does the container engine answer?");
    cw_gauge_set(w->up, 1);
    w->call = conf->driver->ops->watch(conf->driver, conf->prefix, &EVENTS, w);
    return w;
}

void inv_engine_watch_free(struct inv_engine_watch *w)
{
    if (!w)
        return;
    if (w->call)
        w->conf.driver->ops->cancel(w->conf.driver, w->call);
    cw_timer_done(&w->unwell);
    free(w);
}
