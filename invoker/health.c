#include "invoker/health.h"

#include "common/base/err.h"
#include "common/bus/bus.h"
#include "common/loop/loop.h"
#include "common/model/instance_id.h"
#include "common/obs/log.h"

enum { PING_US = 1000000, PING_MAX_BYTES = 65536, MAX_UNSENT = 10 };

struct inv_health {
    struct cw_loop *loop;
    struct cw_bus *bus;
    char *topic, *instance;
    struct cw_timer timer;
    bool enabled, well; /* pings go out while both hold */
    bool silent;
    bool failing;
    unsigned unsent;
    int64_t due_us;
};

static void on_sent(void *arg, const struct cw_err *err)
{
    struct inv_health *h = arg;

    h->unsent--;
    if (err && !h->failing)
        cw_log(CW_LOG_ERROR, NULL, "InvokerReactive", "ping could not be sent: %s", err->msg);
    h->failing = err != NULL;
}

static void ping(struct inv_health *h)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, PING_MAX_BYTES);
    if (h->silent ||
        h->unsent >= MAX_UNSENT) /* Kafka is away: old pings say nothing, so they do not pile up */
        return;
    cw_ping_encode(cw_slice_of(h->instance), h->enabled && h->well, &text);
    h->unsent++;
    cw_bus_publish(h->bus, h->topic, cw_str_slice(&text), on_sent, h);
}

static void on_tick(void *arg)
{
    struct inv_health *h = arg;
    int64_t now = cw_loop_mono_us(h->loop);

    ping(h);
    h->due_us += PING_US;
    if (h->due_us < now)
        h->due_us = now + PING_US; /* we were stopped for a while: no burst */
    cw_timer_set_us(&h->timer, h->due_us - now);
}

struct inv_health *inv_health_new(struct cw_loop *loop, struct cw_bus *bus, const char *topic,
                                  struct cw_slice instance)
{
    struct inv_health *h = cw_alloc(sizeof(*h));

    h->loop = loop;
    h->bus = bus;
    h->topic = cw_strdup(topic);
    h->instance = cw_slice_dup(instance);
    h->enabled = h->well = true;
    h->due_us = cw_loop_mono_us(loop);
    cw_timer_init(&h->timer, loop, on_tick, h);
    on_tick(h);
    return h;
}

void inv_health_free(struct inv_health *h)
{
    if (!h)
        return;
    cw_timer_done(&h->timer);
    free(h->topic);
    free(h->instance);
    free(h);
}

void inv_health_silence(struct inv_health *h, bool silent)
{
    h->silent = silent;
}

/* One of the two has changed. */
static void turn(struct inv_health *h, bool was_on)
{
    bool on = h->enabled && h->well;

    if (on == was_on)
        return;
    if (on) {
        h->due_us = cw_loop_mono_us(h->loop);
        on_tick(h);
    } else {
        cw_timer_stop(&h->timer);
        ping(h);
    }
}

void inv_health_set_well(struct inv_health *h, bool well)
{
    bool was_on = h->enabled && h->well;

    h->well = well;
    turn(h, was_on);
}

bool inv_health_enable(struct inv_health *h, bool enabled)
{
    bool was_on = h->enabled && h->well;

    if (h->enabled == enabled)
        return false;
    h->enabled = enabled;
    turn(h, was_on);
    return true;
}

bool inv_health_enabled(const struct inv_health *h)
{
    return h->enabled;
}
