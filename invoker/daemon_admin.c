/* The HTTP interface: what it shows of the daemon, and what it may change. */
#include <openssl/ssl.h>

#include "common/base/err.h"
#include "common/obs/metrics.h"
#include "invoker/admin.h"
#include "invoker/daemon_priv.h"
#include "invoker/dispatch.h"
#include "invoker/event_log.h"
#include "invoker/feed.h"
#include "invoker/health.h"
#include "invoker/janitor/janitor.h"
#include "invoker/monitor/monitor.h"
#include "invoker/resize/resize.h"
#include "invoker/settings.h"
#include "invoker/store_check.h"
#include "invoker/telemetry.h"

static bool admin_enable(void *arg, bool enabled)
{
    struct inv_daemon *d = arg;

    if (d->phase != PHASE_RUNNING || !inv_health_enable(d->health, enabled))
        return false;
    inv_dispatch_drain(d->dispatch, !enabled);
    if (enabled && d->clean)
        inv_dispatch_start_prewarming(d->dispatch);
    return true;
}

static bool admin_enabled(void *arg)
{
    struct inv_daemon *d = arg;

    return d->health && inv_health_enabled(d->health);
}

static bool admin_ready(void *arg)
{
    struct inv_daemon *d = arg;

    return d->phase == PHASE_RUNNING && !d->engine_away;
}

static const char *admin_missing(void *arg)
{
    struct inv_daemon *d = arg;
    return d->store_check ? inv_store_check_missing(d->store_check) : NULL;
}

static void admin_refresh(void *arg)
{
    struct inv_daemon *d = arg;
    struct inv_pool_stats stats;
    uint64_t waiting_mb;
    size_t waiting;

    inv_dispatch_stats(d->dispatch, &stats, &waiting, &waiting_mb);
    inv_telemetry_pool(d->telemetry, &stats, waiting, waiting_mb);
    inv_monitor_refresh(d->monitor);
    inv_daemon_show_host(d);
    inv_resize_refresh(inv_dispatch_resize(d->dispatch));
    if (d->feed && inv_feed_lag(d->feed) >= 0)
        cw_gauge_set(d->lag, (double)inv_feed_lag(d->feed));
}

static void admin_resize(void *arg, struct cw_str *out)
{
    struct inv_daemon *d = arg;

    inv_resize_render(inv_dispatch_resize(d->dispatch), out);
}

static void add_pages(struct inv_daemon *d)
{
    const struct inv_admin_route pages[] = {
        {"GET", "/events", inv_event_log_answer, d->events},
        {"GET", "/containers", inv_monitor_answer, d->monitor},
        {"GET", "/clean", inv_janitor_answer, d->janitor},
        {"POST", "/clean", inv_janitor_answer, d->janitor},
    };

    for (size_t i = 0; i < CW_ARRAY_LEN(pages); i++)
        inv_admin_add(d->admin, &pages[i]);
}

int inv_daemon_make_admin(struct inv_daemon *d, struct cw_err *err)
{
    const struct inv_settings *s = d->settings;
    SSL_CTX *tls;

    if (inv_daemon_admin_tls(s, &tls, err) != 0)
        return -1;
    d->admin = inv_admin_new(
        &(struct inv_admin_conf){
            .loop = d->loop,
            .metrics = s->prometheus ? d->metrics : NULL,
            .trace = d->trace,
            .address = s->http_address,
            .port = (uint16_t)s->port,
            .tls = tls,
            .id_header = s->transactions_header,
            .user = s->http_username,
            .password = s->http_password,
            .printed_id = d->printed_id,
            .enable = admin_enable,
            .enabled = admin_enabled,
            .ready = admin_ready,
            .missing = admin_missing,
            .resize = admin_resize,
            .refresh = admin_refresh,
            .arg = d,
        },
        err);
    SSL_CTX_free(tls);
    if (!d->admin)
        return -1;
    add_pages(d);
    return 0;
}
