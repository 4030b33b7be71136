#include "invoker/host_gauges.h"

#include <stdint.h>
#include <stdio.h>

#include "common/base/mem.h"
#include "common/obs/metrics.h"
#include "invoker/placement/host_view.h"

enum { LABEL_MAX = 48 };

static double memory_total(const struct inv_host_view *v)
{
    return (double)v->memory_total_bytes;
}

static double memory_reserved(const struct inv_host_view *v)
{
    return (double)v->memory_reserved_bytes;
}

static double memory_idle(const struct inv_host_view *v)
{
    return (double)v->memory_idle_bytes;
}

static double memory_used(const struct inv_host_view *v)
{
    return (double)v->memory_used_bytes;
}

static double cpu_total(const struct inv_host_view *v)
{
    return (double)v->cpu_total_millis / 1000;
}

static double cpu_reserved(const struct inv_host_view *v)
{
    return (double)v->cpu_reserved_millis / 1000;
}

static double cpu_used(const struct inv_host_view *v)
{
    return (double)v->cpu_used_millis / 1000;
}

static double running(const struct inv_host_view *v)
{
    return v->running;
}

static double queued(const struct inv_host_view *v)
{
    return v->queued;
}

static double in_topic(const struct inv_host_view *v)
{
    return (double)v->lag;
}

static double starting(const struct inv_host_view *v)
{
    return v->starting;
}

static double idle(const struct inv_host_view *v)
{
    return v->idle;
}

static double draining(const struct inv_host_view *v)
{
    return v->draining;
}

#define MEMORY "cwhisk_invoker_memory_bytes"
#define CPU "cwhisk_invoker_cpu_cores"
#define ACTIVATIONS "cwhisk_invoker_activations"
#define CONTAINERS "cwhisk_invoker_containers"

static const struct figure {
    const char *name, *state, *help; /* state NULL: no label */
    double (*value)(const struct inv_host_view *v);
} FIGURES[] = {
    {MEMORY, "total",
     "Memory of containers: what they may take together, what is reserved for them, what of that "
     "belongs to idle ones, what they use.",
     memory_total},
    {MEMORY, "reserved", NULL, memory_reserved},
    {MEMORY, "idle", NULL, memory_idle},
    {MEMORY, "used", NULL, memory_used},
    {CPU, "total",
     "Cores: of the host, that activations here are expected to need, that containers keep busy.",
     cpu_total},
    {CPU, "reserved", NULL, cpu_reserved},
    {CPU, "used", NULL, cpu_used},
    {ACTIVATIONS, "running", "Activations here: in containers, waiting for one, in the topic.",
     running},
    {ACTIVATIONS, "queued", NULL, queued},
    {ACTIVATIONS, "topic", NULL, in_topic},
    {CONTAINERS, "starting", "Containers being created or initialised, and warm idle ones.",
     starting},
    {CONTAINERS, "idle", NULL, idle},
    {"cwhisk_invoker_draining", NULL, "1 while it takes nothing new.", draining},
};

struct inv_host_gauges {
    struct cw_gauge *gauges[CW_ARRAY_LEN(FIGURES)];
};

struct inv_host_gauges *inv_host_gauges_new(struct cw_metrics *m)
{
    struct inv_host_gauges *g = cw_alloc(sizeof(*g));
    char label[LABEL_MAX];

    for (size_t i = 0; i < CW_ARRAY_LEN(FIGURES); i++) {
        const struct figure *f = &FIGURES[i];

        if (f->state)
            (void)snprintf(label, sizeof(label), "state=\"%s\"", f->state);
        g->gauges[i] = cw_metrics_gauge(m, f->name, f->state ? label : NULL, f->help);
    }
    return g;
}

void inv_host_gauges_free(struct inv_host_gauges *g)
{
    free(g);
}

void inv_host_gauges_set(struct inv_host_gauges *g, const struct inv_host_view *v)
{
    for (size_t i = 0; i < CW_ARRAY_LEN(FIGURES); i++)
        cw_gauge_set(g->gauges[i], FIGURES[i].value(v));
}
