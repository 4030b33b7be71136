#include "common/obs/token.h"

#include <stdio.h>

enum { NAME_MAX_BYTES = 1024, HELP_MAX_BYTES = 256 };

static const double NUMBER_BOUNDS[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000};

/* type.component_action[.sub]_state and what the reporter puts behind it. */
static void add_name(struct cw_str *out, const struct cw_metrics *m, const struct cw_token *t,
                     const char *type, const char *state, const char *suffix)
{
    cw_str_addf(out, "%s_%s_%s", type, t->component, t->action);
    if (t->sub && !cw_metrics_tagged(m))
        cw_str_addf(out, "_%s", t->sub);
    cw_str_addf(out, "_%s%s", state, suffix);
}

static const char *labels_of(const struct cw_metrics *m, const struct cw_token *t)
{
    return cw_metrics_tagged(m) && t->labels && t->labels[0] ? t->labels : NULL;
}

static struct cw_counter *counter(struct cw_metrics *m, const struct cw_token *t, const char *state,
                                  const char *help)
{
    cw_auto_str struct cw_str name;

    cw_str_init(&name, NAME_MAX_BYTES);
    add_name(&name, m, t, "counter", state, "_total");
    return cw_metrics_counter(m, name.p, labels_of(m, t), help);
}

static struct cw_gauge *gauge(struct cw_metrics *m, const struct cw_token *t, const char *suffix,
                              const char *help)
{
    cw_auto_str struct cw_str name;

    cw_str_init(&name, NAME_MAX_BYTES);
    add_name(&name, m, t, "gauge", t->state, suffix);
    return cw_metrics_gauge(m, name.p, labels_of(m, t), help);
}

static struct cw_histogram *seconds(struct cw_metrics *m, const struct cw_token *t,
                                    const char *state, const char *help)
{
    cw_auto_str struct cw_str name;

    cw_str_init(&name, NAME_MAX_BYTES);
    add_name(&name, m, t, "histogram", state, "_seconds");
    return cw_metrics_histogram(m, name.p, labels_of(m, t), help, NULL, 0);
}

struct cw_counter *cw_token_counter(struct cw_metrics *m, const struct cw_token *t,
                                    const char *help)
{
    return counter(m, t, t->state, help);
}

struct cw_gauge *cw_token_gauge(struct cw_metrics *m, const struct cw_token *t, const char *help)
{
    return gauge(m, t, "", help);
}

struct cw_gauge *cw_token_gauge_bytes(struct cw_metrics *m, const struct cw_token *t,
                                      const char *help)
{
    return gauge(m, t, "_bytes", help);
}

struct cw_histogram *cw_token_histogram(struct cw_metrics *m, const struct cw_token *t,
                                        const char *help)
{
    return seconds(m, t, t->state, help);
}

struct cw_histogram *cw_token_histogram_number(struct cw_metrics *m, const struct cw_token *t,
                                               const char *help)
{
    cw_auto_str struct cw_str name;

    cw_str_init(&name, NAME_MAX_BYTES);
    add_name(&name, m, t, "histogram", t->state, "");
    return cw_metrics_histogram(m, name.p, labels_of(m, t), help, NUMBER_BOUNDS,
                                CW_ARRAY_LEN(NUMBER_BOUNDS));
}

void cw_timed_init(struct cw_timed *t, struct cw_metrics *m, const struct cw_token *token,
                   const char *what)
{
    char help[HELP_MAX_BYTES];

    *t = (struct cw_timed){0};
    if (!m)
        return;
    (void)snprintf(help, sizeof(help), "%s begun.", what);
    t->started = counter(m, token, "start", help);
    (void)snprintf(help, sizeof(help), "%s that failed.", what);
    t->failed = counter(m, token, "error", help);
    (void)snprintf(help, sizeof(help), "Duration of %s that succeeded.", what);
    t->finish_s = seconds(m, token, "finish", help);
    (void)snprintf(help, sizeof(help), "Duration of %s that failed.", what);
    t->error_s = seconds(m, token, "error", help);
}

void cw_timed_begun(const struct cw_timed *t)
{
    if (t->started)
        cw_counter_add(t->started, 1);
}

void cw_timed_ended(const struct cw_timed *t, bool ok, double seconds_taken)
{
    if (!t->started)
        return;
    cw_histogram_observe(ok ? t->finish_s : t->error_s, seconds_taken);
    if (!ok)
        cw_counter_add(t->failed, 1);
}
