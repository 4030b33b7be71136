/* Mostly the connection ends with the container and says all. But a container whose network goes
 * first leaves it open, one that has never listened is tried until the time limit, and nobody talks
 * to an idle one. */
#include <inttypes.h>
#include <stdio.h>

#include "common/http/action_client.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/container/container_priv.h"

enum { LAST_WORDS_MS = 200 };

/* "exit status 137" */
static const char *status_text(const struct inv_container *c, char *buf, size_t size)
{
    if (c->exit_code < 0)
        return "exit status unknown";
    (void)snprintf(buf, size, "exit status %" PRId64, c->exit_code);
    return buf;
}

static void end_calls(struct inv_container *c)
{
    char why[80], status[40];

    (void)snprintf(why, sizeof(why), "the container has ended, %s",
                   status_text(c, status, sizeof(status)));
    CW_LIST_EACH (&c->runs, n) {
        struct run *r = CW_LIST_ENTRY(n, struct run, link);

        if (r->call)
            cw_action_abort(r->call, why);
    }
}

void inv_ct_on_death(void *arg)
{
    struct inv_container *c = arg;

    switch (c->state) {
    case CT_RUNNING:
        inv_ct_close_to_jobs(c);
        end_calls(c);
        if (cw_list_empty(&c->runs)) /* it waited for log lines */
            inv_ct_doom(c);
        break;
    case CT_INITIALIZING:
    case CT_DOOMED:
        end_calls(c);
        break;
    default:
        inv_container_remove(c);
        break;
    }
}

static struct cw_counter *counter_of(const struct inv_container *c)
{
    return c->state == CT_STANDBY ? c->env->dead_prewarmed : c->env->dead_warm;
}

void inv_container_died(struct inv_container *c, int64_t exit_code)
{
    char status[40];
    bool leaving = c->state == CT_THAWING || c->state == CT_REMOVING ||
                   (c->told_doomed && cw_list_empty(&c->runs));

    if (c->died || leaving)
        return;
    c->died = true;
    c->exit_code = exit_code;
    c->maybe_paused = c->state == CT_PAUSING; /* until that has ended */
    cw_log(CW_LOG_WARN, inv_ct_tx(c), COMPONENT, "container %s has ended by itself, %s", c->name,
           status_text(c, status, sizeof(status)));
    if (cw_list_empty(&c->runs) && c->state != CT_RESUMING) {
        cw_counter_add(counter_of(c), 1);
        inv_ct_on_death(c);
    } else {
        cw_timer_set_ms(&c->death, LAST_WORDS_MS);
    }
}
