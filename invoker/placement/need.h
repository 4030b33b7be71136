/* invoker/placement/need.h -- the CPU and memory that an activation is expected to need.
 *
 * Two models. table1 is S0 Table 1 to the letter: need = (by service type + by image) / 2, for CPU
 * and for memory alike, both being means of what was monitored; the service type is the runtime
 * kind, the image what runs in the container: the action's code, or its own image. blend weighs
 * what the action itself was seen to use against what is known of its like:
 *
 *     need = (n * p95(action) + n0 * prior) / (n + n0)
 *
 * where the prior is formed in the same way from the image's p95 and the kind's, and that of the
 * kind is what was declared. At n = n0 this is Table 1's mean. Without any evidence both models
 * give the declared memory and the CPU that its shares buy. No answer exceeds what is declared, or
 * is below what the runtime takes when idle (unless less than that is declared). Pure. Thread:
 * any. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "invoker/placement/hist.h"

enum inv_need_model {
    INV_NEED_BLEND,
    INV_NEED_TABLE1,
    INV_NEED_DECLARED, /* infers nothing */
};
enum { INV_NEED_MODELS = INV_NEED_DECLARED + 1 };

/* What was monitored of one kind, image or action. */
struct inv_observed {
    const struct inv_hist *cpu;    /* busy millicores of runs; NULL: nothing known */
    const struct inv_hist *memory; /* peak MiB of runs; NULL: nothing known */
    uint32_t epochs;               /* of evidence that is left, for the explanation only */
};

struct inv_need_input {
    struct inv_observed kind, image, action;
    uint64_t declared_bytes; /* the action's limit; 0: unknown, which caps nothing */
    uint32_t share_millis;   /* what its CPU shares buy on a busy host; 0: unknown */
    uint32_t limit_millis;   /* its CPU quota; 0: none */
    uint64_t idle_bytes;     /* the runtime without an action; 0: unknown */
};

struct inv_need_conf {
    enum inv_need_model model;
    double prior_weight; /* n0, in runs; what is not a number above 0 is taken as the default */
    double percentile;   /* of the blend, 0..100; else the default */
};
#define INV_NEED_PRIOR_WEIGHT 5.0
#define INV_NEED_PERCENTILE 95.0

enum inv_need_bound {
    INV_NEED_AS_INFERRED,
    INV_NEED_NO_EVIDENCE, /* what was declared */
    INV_NEED_AT_LIMIT,    /* more was inferred than is declared */
    INV_NEED_AT_IDLE,     /* less was inferred than the idle runtime takes */
};

struct inv_need {
    uint32_t cpu_millis;   /* 1.. */
    uint64_t memory_bytes; /* 1.. */
    enum inv_need_model model;
    enum inv_need_bound cpu_bound, memory_bound;
    float n_kind, n_image, n_action; /* runs that the memory rests on, faded ones in part */
    uint32_t epochs;                 /* of the action, or of what is known of its like */
};

/* Table 1's formula, rounded to nearest; for CPU and for memory. */
uint64_t inv_need_table1(uint64_t by_service_type, uint64_t by_image_monitoring);

/* conf NULL: blend with its defaults. */
void inv_need_infer(const struct inv_need_conf *conf, const struct inv_need_input *in,
                    struct inv_need *ret);

enum { INV_NEED_WHY_MAX = 256 };
/* One line for people: the model, what it rests on, what bounded it. NUL-terminated. */
void inv_need_why(const struct inv_need *need, char out[INV_NEED_WHY_MAX]);

/* "blend", "table1", "declared". */
const char *inv_need_model_name(enum inv_need_model model);
/* 0, or -1 when there is no such model. */
int inv_need_model_of(const char *name, enum inv_need_model *ret);
