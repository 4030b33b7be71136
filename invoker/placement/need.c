#include "invoker/placement/need.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"

static const uint64_t MIB = 1024 * 1024;

static const char *const MODELS[INV_NEED_MODELS] = {
    [INV_NEED_BLEND] = "blend",
    [INV_NEED_TABLE1] = "table1",
    [INV_NEED_DECLARED] = "declared",
};

/* What one source says of one resource, in the histogram's unit. */
struct layer {
    double value, n;
};

uint64_t inv_need_table1(uint64_t by_service_type, uint64_t by_image_monitoring)
{
    uint64_t low = by_service_type < by_image_monitoring ? by_service_type : by_image_monitoring;
    uint64_t more = by_service_type - low + by_image_monitoring - low;

    return low + more / 2 + more % 2; /* a plain sum might wrap */
}

static struct layer mean_of(const struct inv_hist *h)
{
    if (!h)
        return (struct layer){0};
    return (struct layer){inv_hist_mean(h), inv_hist_total(h)};
}

static struct layer high_of(const struct inv_hist *h, double percentile)
{
    if (!h)
        return (struct layer){0};
    return (struct layer){(double)inv_hist_percentile(h, percentile), inv_hist_total(h)};
}

/* Where only one of the two is known, that one counts. */
static double table1(const struct inv_hist *kind, const struct inv_hist *image)
{
    struct layer by_type = mean_of(kind), by_image = mean_of(image);

    if (by_type.n <= 0 || by_image.n <= 0)
        return by_type.value + by_image.value;
    return (by_type.value + by_image.value) / 2;
}

static double pull(struct layer seen, double prior, double n0)
{
    return seen.n > 0 ? (seen.n * seen.value + n0 * prior) / (seen.n + n0) : prior;
}

/* declared: in the histograms' unit, 0 when unknown. */
static double blend(const struct inv_need_conf *conf, const struct inv_hist *kind,
                    const struct inv_hist *image, const struct inv_hist *action, double declared)
{
    struct layer of_kind = high_of(kind, conf->percentile);
    double prior = declared > 0 ? pull(of_kind, declared, conf->prior_weight) : of_kind.value;

    if (prior <= 0) { /* nothing to lean on: what was seen stands alone */
        struct layer of_image = high_of(image, conf->percentile);

        prior = of_image.n > 0 ? of_image.value : high_of(action, conf->percentile).value;
    }
    prior = pull(high_of(image, conf->percentile), prior, conf->prior_weight);
    return pull(high_of(action, conf->percentile), prior, conf->prior_weight);
}

static double infer(const struct inv_need_conf *conf, const struct inv_hist *kind,
                    const struct inv_hist *image, const struct inv_hist *action, double declared)
{
    switch (conf->model) {
    case INV_NEED_TABLE1:
        return table1(kind, image ? image : action);
    case INV_NEED_BLEND:
        return blend(conf, kind, image, action, declared);
    case INV_NEED_DECLARED:
        break;
    }
    return 0;
}

static double total_of(const struct inv_hist *h)
{
    return h ? inv_hist_total(h) : 0;
}

static uint64_t bounded(double inferred, bool known, uint64_t least, uint64_t most,
                        uint64_t otherwise, enum inv_need_bound *ret_bound)
{
    uint64_t value = otherwise;

    *ret_bound = INV_NEED_NO_EVIDENCE;
    if (known) {
        *ret_bound = INV_NEED_AS_INFERRED;
        value = (uint64_t)inferred;
        if (value < least) {
            value = least;
            *ret_bound = INV_NEED_AT_IDLE;
        }
    }
    if (most > 0 && value > most) {
        value = most;
        *ret_bound = known ? INV_NEED_AT_LIMIT : INV_NEED_NO_EVIDENCE;
    }
    return value > 0 ? value : 1;
}

static bool any_evidence(const struct inv_need_conf *conf, const struct inv_hist *kind,
                         const struct inv_hist *image, const struct inv_hist *action)
{
    return conf->model != INV_NEED_DECLARED &&
           total_of(kind) + total_of(image) + total_of(action) > 0;
}

static void infer_cpu(const struct inv_need_conf *conf, const struct inv_need_input *in,
                      struct inv_need *ret)
{
    const struct inv_hist *kind = in->kind.cpu, *image = in->image.cpu, *action = in->action.cpu;
    double value = infer(conf, kind, image, action, in->share_millis);

    ret->cpu_millis = (uint32_t)bounded(round(value), any_evidence(conf, kind, image, action), 1,
                                        in->limit_millis, in->share_millis, &ret->cpu_bound);
}

static void infer_memory(const struct inv_need_conf *conf, const struct inv_need_input *in,
                         struct inv_need *ret)
{
    const struct inv_hist *kind = in->kind.memory, *image = in->image.memory,
                          *action = in->action.memory;
    double declared = (double)in->declared_bytes / (double)MIB;
    double value = infer(conf, kind, image, action, declared) * (double)MIB;

    ret->memory_bytes =
        bounded(ceil(value), any_evidence(conf, kind, image, action), in->idle_bytes,
                in->declared_bytes, in->declared_bytes, &ret->memory_bound);
}

static struct inv_need_conf completed(const struct inv_need_conf *conf)
{
    struct inv_need_conf c = conf ? *conf : (struct inv_need_conf){0};

    if ((unsigned)c.model >= INV_NEED_MODELS)
        c.model = INV_NEED_BLEND;
    if (!isfinite(c.prior_weight) || c.prior_weight <= 0)
        c.prior_weight = INV_NEED_PRIOR_WEIGHT;
    if (!(c.percentile > 0 && c.percentile <= 100))
        c.percentile = INV_NEED_PERCENTILE;
    return c;
}

void inv_need_infer(const struct inv_need_conf *conf, const struct inv_need_input *in,
                    struct inv_need *ret)
{
    struct inv_need_conf c = completed(conf);

    *ret = (struct inv_need){
        .model = c.model,
        .n_kind = (float)total_of(in->kind.memory),
        .n_image = (float)total_of(in->image.memory),
        .n_action = (float)total_of(in->action.memory),
    };
    ret->epochs = ret->n_action > 0  ? in->action.epochs
                  : ret->n_image > 0 ? in->image.epochs
                                     : in->kind.epochs;
    infer_cpu(&c, in, ret);
    infer_memory(&c, in, ret);
}

static const char *bound_text(enum inv_need_bound bound)
{
    switch (bound) {
    case INV_NEED_NO_EVIDENCE:
        return ", as declared";
    case INV_NEED_AT_LIMIT:
        return ", held at its limit";
    case INV_NEED_AT_IDLE:
        return ", what the idle runtime takes";
    case INV_NEED_AS_INFERRED:
        break;
    }
    return "";
}

void inv_need_why(const struct inv_need *need, char out[INV_NEED_WHY_MAX])
{
    int n = snprintf(out, INV_NEED_WHY_MAX, "%s: %.1f MiB%s, %u millicores%s; ",
                     inv_need_model_name(need->model), (double)need->memory_bytes / (double)MIB,
                     bound_text(need->memory_bound), need->cpu_millis, bound_text(need->cpu_bound));
    size_t used = n < 0 ? 0 : (size_t)n,
           left = used < INV_NEED_WHY_MAX ? INV_NEED_WHY_MAX - used : 0;

    if (left == 0)
        return;
    if (need->n_action + need->n_image + need->n_kind <= 0)
        (void)snprintf(out + used, left, "nothing was seen of it or its like");
    else
        (void)snprintf(out + used, left,
                       "%.1f runs of the action, %.1f of its image, %.1f of its kind in %u epoch%s",
                       (double)need->n_action, (double)need->n_image, (double)need->n_kind,
                       need->epochs, need->epochs == 1 ? "" : "s");
}

const char *inv_need_model_name(enum inv_need_model model)
{
    return (unsigned)model < INV_NEED_MODELS ? MODELS[model] : "unknown";
}

int inv_need_model_of(const char *name, enum inv_need_model *ret)
{
    for (size_t i = 0; i < CW_ARRAY_LEN(MODELS); i++) {
        if (strcmp(name, MODELS[i]) == 0) {
            *ret = (enum inv_need_model)i;
            return 0;
        }
    }
    return -1;
}
