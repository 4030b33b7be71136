/* The names of who says it are stock's, too: log readers filter by them. */
#include <stdio.h>

#include "common/base/err.h"
#include "common/base/txid.h"
#include "common/http/action_client.h"
#include "common/model/activation_message.h"
#include "invoker/container/container_priv.h"
#include "invoker/job.h"
#include "invoker/marks.h"

static struct inv_mark mark_of(const struct run *r, const char *component, const char *token)
{
    return (struct inv_mark){.markers = r->c->env->log_markers,
                             .tx = &r->job->msg->tx,
                             .component = component,
                             .token = token};
}

static struct inv_mark call_mark(const struct run *r)
{
    return mark_of(r, "DockerContainer",
                   r->initializing ? "invoker_activationInit" : "invoker_activationRun");
}

void inv_ct_tell_call(const struct run *r)
{
    const struct cw_container *real = &r->c->real;
    const struct inv_mark mark = call_mark(r);
    char what[320], text[640];

    if (r->initializing)
        (void)snprintf(what, sizeof(what), "initialization to");
    else
        (void)snprintf(what, sizeof(what), "arguments to /%.300s at", r->job->msg->action.full);
    (void)snprintf(text, sizeof(text), "sending %s ContainerId(%s) ContainerAddress(%s,%u)", what,
                   real->id, real->address, real->port);
    inv_mark_begun(&mark, text);
}

static const char *brief(const struct cw_action_reply *reply)
{
    if (reply->outcome != CW_ACTION_ANSWERED)
        return reply->why;
    return reply->status == 200 ? "ok" : "not ok";
}

/* Any answer is a finish, as stock counts. */
void inv_ct_tell_answer(const struct run *r, const struct cw_action_reply *reply, bool unheard)
{
    const struct inv_mark mark = call_mark(r);
    int64_t ms = reply->elapsed_us / 1000;
    char text[320];

    if (unheard) {
        (void)snprintf(text, sizeof(text), "%s failed with %.240s",
                       r->initializing ? "initialization" : "run", reply->why);
        inv_mark_failed(&mark, ms, text);
    } else {
        (void)snprintf(text, sizeof(text), "%s result: %.240s%s",
                       r->initializing ? "initialization" : "running", brief(reply),
                       reply->truncated ? ", truncated" : "");
        inv_mark_finished(&mark, ms, text);
    }
}

void inv_ct_tell_collecting(struct run *r)
{
    const struct inv_mark mark = mark_of(r, COMPONENT, "invoker_collectLogs");

    r->logs_begun_us = inv_ct_now_us(r->c);
    inv_mark_begun(&mark, "");
}

void inv_ct_tell_logs(const struct run *r, bool complete, bool truncated)
{
    const struct inv_mark mark = mark_of(r, COMPONENT, "invoker_collectLogs");
    int64_t ms = (inv_ct_now_us(r->c) - r->logs_begun_us) / 1000;
    char text[1600];

    if (complete) {
        inv_mark_finished(&mark, ms, "");
        return;
    }
    (void)snprintf(text, sizeof(text), "reading logs failed: container %.300s: logs are %s (%s)",
                   r->c->name, truncated ? "truncated" : "incomplete", r->c->log_path);
    inv_mark_failed(&mark, ms, text);
}

/* ---- commands ---- */

static void put_command(const struct inv_container *c, const struct cw_err *err, bool ended)
{
    /* As stock names work that no activation asked for: stem cells, and all else. */
    const struct cw_tx own =
        cw_tx_named(c->state == CT_CREATING ? "sid_invokerWarmup" : "sid_invokerNanny",
                    cw_loop_wall_ms(c->env->loop));
    const struct cw_tx *tx = inv_ct_tx(c);
    char token[64], text[400];
    const struct inv_mark mark = {.markers = c->env->log_markers,
                                  .tx = tx ? tx : &own,
                                  .component = "DockerClient",
                                  .token = token};
    int64_t ms = (inv_ct_now_us(c) - c->command_begun_us) / 1000;

    (void)snprintf(token, sizeof(token), "invoker_docker.%s", c->command);
    if (!ended) {
        (void)snprintf(text, sizeof(text), "running docker %s for container %.300s", c->command,
                       c->name);
        inv_mark_begun(&mark, text);
    } else if (!err) {
        inv_mark_finished(&mark, ms, "");
    } else {
        inv_mark_failed(&mark, ms, err->msg);
    }
}

void inv_ct_tell_command(struct inv_container *c, const char *command)
{
    c->command = command;
    c->command_begun_us = inv_ct_now_us(c);
    put_command(c, NULL, false);
}

void inv_ct_tell_command_end(const struct inv_container *c, const struct cw_err *err)
{
    put_command(c, err, true);
}
