#include "invoker/logs/log_hub_priv.h"

#include "common/base/mem.h"
#include "common/driver/container_driver.h"
#include "invoker/logs/log_watch.h"

void inv_log_hub_release(struct inv_log_hub *hub)
{
    if (!hub->freed || hub->sources > 0)
        return;
    inv_log_watcher_free(hub->watcher);
    free(hub);
}

void inv_log_hub_use_engine(struct inv_log_hub *hub, struct cw_driver *driver,
                            enum inv_log_from from)
{
    hub->driver = driver->ops->output && from != INV_LOG_FROM_FILE ? driver : NULL;
    hub->from = from;
}

struct inv_log_hub *inv_log_hub_new(struct cw_loop *loop, struct cw_err *err)
{
    struct inv_log_watcher *watcher = inv_log_watcher_new(loop, err);
    struct inv_log_hub *hub;

    if (!watcher)
        return NULL;
    hub = cw_alloc(sizeof(*hub));
    hub->loop = loop;
    hub->watcher = watcher;
    return hub;
}

void inv_log_hub_free(struct inv_log_hub *hub)
{
    if (!hub)
        return;
    inv_log_watcher_stop(hub->watcher);
    hub->freed = true;
    inv_log_hub_release(hub);
}
