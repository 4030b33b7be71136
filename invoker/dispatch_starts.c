#include "invoker/dispatch_starts.h"

#include <stdio.h>

#include "common/base/str.h"
#include "common/model/action_doc.h"
#include "common/model/activation_message.h"
#include "common/obs/log.h"
#include "common/obs/token.h"
#include "invoker/job.h"

#define COMPONENT "ContainerPool"

enum { LABELS_MAX_BYTES = 8192, LINE_MAX_BYTES = 4096 };

/* Stock's words for what an activation got. recreatedPrewarm (a prewarmed container after evicting
 * others) cannot happen, here or there: it would have been taken before anything is evicted. */
static const char *const START_NAMES[] = {
    [INV_CHOICE_WARM] = "warmed",          [INV_CHOICE_WARMING] = "warming",
    [INV_CHOICE_STARTING] = "warmingCold", [INV_CHOICE_PREWARMED] = "prewarmed",
    [INV_CHOICE_CREATE] = "cold",          [INV_CHOICE_RECREATE] = "recreated",
};
enum { START_COUNT = CW_ARRAY_LEN(START_NAMES) };

struct inv_starts {
    struct cw_metrics *metrics;
    bool markers;
    struct cw_counter *plain[START_COUNT]; /* without Kamon's tags */
};

/* With Kamon's tags one for each action; otherwise always the same. */
static struct cw_counter *counter(struct inv_starts *s, const char *state, const char *labels)
{
    return cw_token_counter(s->metrics,
                            &(struct cw_token){.component = "invoker",
                                               .action = "containerStart",
                                               .sub = state,
                                               .state = "counter",
                                               .labels = labels},
                            "Activations by the state of the container that took them.");
}

static struct cw_counter *tagged(struct inv_starts *s, const struct inv_job *job,
                                 enum inv_choice choice)
{
    cw_auto_str struct cw_str labels;

    cw_str_init(&labels, LABELS_MAX_BYTES);
    cw_metrics_label(&labels, "containerState", START_NAMES[choice]);
    cw_metrics_label(&labels, "initiator", job->msg->user.namespace_name);
    cw_metrics_label(&labels, "namespace", job->action->namespace_path);
    cw_metrics_label(&labels, "action", job->action->name);
    return counter(s, START_NAMES[choice], labels.p);
}

/* Stock's line, which people search for. */
static void tell_line(const struct inv_starts *s, const struct inv_job *job, const char *state,
                      const struct inv_slot *slot, const char *container)
{
    char marker[80], text[LINE_MAX_BYTES];

    (void)snprintf(text, sizeof(text),
                   "containerStart containerState: %s container: %s activations: %u of max %u "
                   "action: %s namespace: %s activationId: %s",
                   state, container ? container : "None", slot->in_flight, slot->max_in_flight,
                   job->action->name, job->msg->user.namespace_name, job->msg->activation_id);
    if (s->markers) {
        (void)snprintf(marker, sizeof(marker), "invoker_containerStart.%s_counter", state);
        cw_log_marker(CW_LOG_INFO, &job->msg->tx, COMPONENT, marker, -1, "%s", text);
    } else {
        cw_log(CW_LOG_INFO, &job->msg->tx, COMPONENT, "%s", text);
    }
}

void inv_starts_tell(struct inv_starts *s, const struct inv_job *job,
                     const struct inv_decision *decision, const char *container)
{
    enum inv_choice choice = decision->choice;

    cw_counter_add(cw_metrics_tagged(s->metrics) ? tagged(s, job, choice) : s->plain[choice], 1);
    tell_line(s, job, START_NAMES[choice], decision->slot, container);
}

struct inv_starts *inv_starts_new(struct cw_metrics *metrics, bool markers)
{
    struct inv_starts *s = cw_alloc(sizeof(*s));

    s->metrics = metrics;
    s->markers = markers;
    if (cw_metrics_tagged(metrics))
        return s;
    for (size_t i = 0; i < START_COUNT; i++)
        s->plain[i] = counter(s, START_NAMES[i], NULL);
    (void)counter(s, "recreatedPrewarm", NULL); /* for dashboards; see START_NAMES */
    return s;
}

void inv_starts_free(struct inv_starts *s)
{
    free(s);
}
