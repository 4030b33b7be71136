/* Replays a trace over simulated hosts and prints what came of it, as one line of JSON.
 *
 * usage: sim_cluster TRACE [name=value...]      names: sim_cluster --help */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/base/mem.h"
#include "tests/bench/sim_world.h"

enum number {
    HOSTS,
    CORES,
    MEMORY,
    WARMUP,
    KEEP_ALIVE,
    PUBLISH,
    HOP,
    OVERCOMMIT,
    FLOOR,
    COLD,
    SEED,
    WAIT,
    NUMBERS
};

enum { NOT_GIVEN = -1 };

static const struct {
    const char *name;
    int64_t min, max, usual;
} NUMBER[NUMBERS] = {
    [HOSTS] = {"hosts", 1, SIM_HOSTS_MAX, 8},
    [CORES] = {"cores", 1, 1024, 8},
    [MEMORY] = {"memory_mib", 64, 1 << 24, 16384},
    [WARMUP] = {"warmup_s", 0, 1000000, 600},
    [KEEP_ALIVE] = {"keep_alive_s", 0, 1000000, 600},
    [PUBLISH] = {"publish_ms", 1, 1000000, 1000},
    [HOP] = {"hop_ms", 0, 60000, 2},
    [OVERCOMMIT] = {"overcommit_percent", 100, 10000, 200},
    [FLOOR] = {"floor_percent", 0, 90, 5},
    [COLD] = {"cold_starts", 0, 1000000, 8},
    [SEED] = {"seed", 0, INT64_MAX, 1},
    [WAIT] = {"wait", 0, 1, 1},
};

static int usage(FILE *to, int status)
{
    (void)fputs("usage: sim_cluster TRACE [policy=hybrid|table2|hash] "
                "[charge=blend|table1|declared]",
                to);
    for (int i = 0; i < NUMBERS; i++)
        (void)fprintf(to, " [%s=%lld]", NUMBER[i].name, (long long)NUMBER[i].usual);
    (void)fputs("\nwarmup_s, where it is not given: at most a fifth of the trace\n", to);
    return status;
}

static int misused(const char *why)
{
    (void)fprintf(stderr, "sim_cluster: %s\n", why);
    return usage(stderr, 2);
}

/* The value in name=value; NULL when it is another name. */
static const char *value_of(const char *argument, const char *name)
{
    size_t n = strlen(name);

    return strncmp(argument, name, n) == 0 && argument[n] == '=' ? argument + n + 1 : NULL;
}

static int set(const char *argument, struct sim_conf *conf, int64_t numbers[NUMBERS],
               struct cw_err *err)
{
    const char *value;

    if ((value = value_of(argument, "policy")))
        return inv_policy_of(value, &conf->policy) == 0
                   ? 0
                   : cw_fail(err, CW_INVALID, "policy: \"%s\"", value);
    if ((value = value_of(argument, "charge")))
        return inv_need_model_of(value, &conf->charge) == 0
                   ? 0
                   : cw_fail(err, CW_INVALID, "charge: \"%s\"", value);
    for (int i = 0; i < NUMBERS; i++)
        if ((value = value_of(argument, NUMBER[i].name)))
            return cw_parse_i64(cw_slice_of(value), NUMBER[i].name, NUMBER[i].min, NUMBER[i].max,
                                &numbers[i], err);
    return cw_fail(err, CW_INVALID, "\"%s\" is no setting", argument);
}

static void complete(struct sim_conf *conf, const int64_t n[NUMBERS])
{
    conf->hosts = (size_t)n[HOSTS];
    conf->cores = n[CORES];
    conf->memory_mib = n[MEMORY];
    conf->keep_alive_us = n[KEEP_ALIVE] * 1000000;
    conf->publish_us = n[PUBLISH] * 1000;
    conf->hop_us = n[HOP] * 1000;
    conf->overcommit = (double)n[OVERCOMMIT] / 100;
    conf->floor = (double)n[FLOOR] / 100;
    conf->cold_starts = (uint32_t)n[COLD];
    conf->seed = (uint64_t)n[SEED];
    conf->wait = n[WAIT] != 0;
}

static int read_trace(const char *path, struct sim_trace *trace, struct cw_err *err)
{
    FILE *file = fopen(path, "re");
    cw_auto_free char *text = NULL;
    size_t cap = 0;
    ssize_t n;

    if (!file)
        return cw_fail(err, CW_NOT_FOUND, "cannot be opened");
    n = getdelim(&text, &cap, '\0', file);
    (void)fclose(file);
    return sim_trace_read(trace, cw_slice(text, n < 0 ? 0 : (size_t)n), err);
}

/* A short trace is not all warm-up, unless that is asked for. */
static int64_t warmup_us(const struct sim_trace *trace, int64_t given_s)
{
    int64_t fifth = trace->rows[trace->n - 1].at_us / 5, usual = NUMBER[WARMUP].usual * 1000000;

    if (given_s != NOT_GIVEN)
        return given_s * 1000000;
    return fifth < usual ? fifth : usual;
}

/* Figures of nothing would look like very good ones. */
static int check_counted(const struct sim_trace *trace, int64_t warmup, struct cw_err *err)
{
    if (trace->rows[trace->n - 1].at_us >= warmup)
        return 0;
    return cw_fail(
        err, CW_INVALID,
        "warmup_s: all %zu activations arrive in the first %lld s, which are not counted", trace->n,
        (long long)(warmup / 1000000));
}

static double at(const struct sim_outcome *o, double percent)
{
    size_t i = (size_t)((double)o->activations * percent / 100);

    if (o->activations == 0)
        return 0;
    return o->slowdowns[i < o->activations ? i : o->activations - 1];
}

static void print(const struct sim_conf *conf, const struct sim_outcome *o)
{
    (void)printf("{\"policy\": \"%s\", \"charge\": \"%s\", \"activations\": %zu, \"cold\": %zu, "
                 "\"forwarded\": %zu, \"lost\": %zu, \"unfinished\": %zu, \"evicted\": %zu, "
                 "\"longest_queue\": %lld, \"cold_ratio\": %.6f, \"p50\": %.4f, \"p90\": %.4f, "
                 "\"p99\": %.4f, \"p999\": %.4f, ",
                 inv_policy_name(conf->policy), inv_need_model_name(conf->charge), o->activations,
                 o->cold, o->forwarded, o->lost, o->unfinished, o->evicted,
                 (long long)o->longest_queue, o->cold_ratio, at(o, 50), at(o, 90), at(o, 99),
                 at(o, 99.9));
    (void)printf("\"load\": %.4f, \"charged\": %.4f, \"live\": %.4f, \"imbalance\": %.4f, "
                 "\"containers\": %.1f, \"decisions\": %.0f, \"decision_ns\": %.0f}\n",
                 o->load, o->charged, o->live, o->imbalance, o->containers, o->decisions,
                 o->decision_ns);
}

static int replay(const char *path, struct sim_conf *conf, const int64_t numbers[NUMBERS])
{
    struct sim_trace trace = {0};
    struct sim_outcome outcome;
    struct cw_err err = {0};
    int failed = read_trace(path, &trace, &err);

    if (!failed) {
        conf->warmup_us = warmup_us(&trace, numbers[WARMUP]);
        failed = check_counted(&trace, conf->warmup_us, &err);
    }
    if (!failed) {
        sim_replay(conf, &trace, &outcome);
        print(conf, &outcome);
        sim_outcome_done(&outcome);
    } else {
        (void)fprintf(stderr, "sim_cluster: %s: %s\n", path, err.msg);
    }
    sim_trace_done(&trace);
    return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct sim_conf conf = {0};
    struct cw_err err = {0};
    int64_t numbers[NUMBERS];

    for (int i = 0; i < NUMBERS; i++)
        numbers[i] = NUMBER[i].usual;
    numbers[WARMUP] = NOT_GIVEN;
    if (argc < 2)
        return misused("which trace?");
    if (strcmp(argv[1], "--help") == 0)
        return usage(stdout, 0);
    for (int i = 2; i < argc; i++)
        if (set(argv[i], &conf, numbers, &err) != 0)
            return misused(err.msg);
    complete(&conf, numbers);
    return replay(argv[1], &conf, numbers);
}
