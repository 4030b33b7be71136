/* A table of sets of four: an action is in the set that its number names, and takes the place of
 * the one there that was not asked for for longest. */
#include "invoker/host_load.h"

#include "common/base/mem.h"
#include "invoker/job.h"
#include "invoker/placement/policy.h"

enum {
    WAYS = 4,
    SETS = INV_LOAD_ACTIONS / WAYS,
    SMOOTH = 8,      /* one run counts for this part of the mean of its action, */
    SMOOTH_ALL = 16, /* and for this of that of all */
};

struct entry {
    uint64_t pair;
    uint32_t used; /* by the clock of uses; 0: empty */
    uint32_t cpu_millis;
    int64_t need_us; /* when that was told */
    int64_t run_us, cold_us;
    int64_t waited_us, waited_at_us; /* as of then */
};

struct inv_load {
    int64_t cpu_millis;
    int64_t run_us;
    uint32_t uses;
    struct entry entries[SETS][WAYS];
};

struct inv_load *inv_load_new(void)
{
    return cw_alloc(sizeof(struct inv_load));
}

void inv_load_free(struct inv_load *l)
{
    free(l);
}

void inv_load_placed(struct inv_load *l, struct inv_job *job, uint32_t cpu_millis)
{
    inv_load_left(l, job);
    job->cpu_millis = cpu_millis;
    l->cpu_millis += cpu_millis;
}

void inv_load_left(struct inv_load *l, struct inv_job *job)
{
    l->cpu_millis -= job->cpu_millis;
    job->cpu_millis = 0;
}

static struct entry *find(struct inv_load *l, uint64_t pair)
{
    struct entry *set = l->entries[pair % SETS];

    for (int i = 0; i < WAYS; i++) {
        if (!set[i].used || set[i].pair != pair)
            continue;
        set[i].used = ++l->uses ? l->uses : ++l->uses;
        return &set[i];
    }
    return NULL;
}

static struct entry *take(struct inv_load *l, uint64_t pair)
{
    struct entry *set = l->entries[pair % SETS], *oldest = set, *e = find(l, pair);

    if (e)
        return e;
    for (int i = 1; i < WAYS; i++) /* the clock of uses may have come round */
        if (l->uses - set[i].used > l->uses - oldest->used)
            oldest = &set[i];
    *oldest = (struct entry){.pair = pair, .used = ++l->uses ? l->uses : ++l->uses};
    return oldest;
}

static void smooth(int64_t *mean_us, int64_t us, int part)
{
    *mean_us = *mean_us ? *mean_us + (us - *mean_us) / part : us;
    if (*mean_us < 1)
        *mean_us = 1;
}

void inv_load_learn(struct inv_load *l, uint64_t pair, const struct inv_job *job, int64_t now_us)
{
    int64_t sent_us = job->at[INV_AT_RUN_SENT], inited_us = job->at[INV_AT_INITED];
    struct entry *e = take(l, pair);

    if (job->at[INV_AT_CREATED] && inited_us > job->at[INV_AT_PLACED])
        smooth(&e->cold_us, inited_us - job->at[INV_AT_PLACED], SMOOTH);
    if (!sent_us || now_us < sent_us)
        return;
    smooth(&e->run_us, now_us - sent_us, SMOOTH);
    smooth(&l->run_us, now_us - sent_us, SMOOTH_ALL);
}

int64_t inv_load_cpu_millis(const struct inv_load *l)
{
    return l->cpu_millis;
}

int64_t inv_load_mean_run_us(const struct inv_load *l)
{
    return l->run_us;
}

static int64_t waited(const struct entry *e, int64_t now_us)
{
    return inv_policy_faded(e->waited_us, now_us - e->waited_at_us);
}

void inv_load_pace(struct inv_load *l, uint64_t pair, int64_t now_us, struct inv_pace *ret)
{
    const struct entry *e = find(l, pair);

    *ret = e ? (struct inv_pace){e->run_us, e->cold_us, waited(e, now_us)} : (struct inv_pace){0};
}

void inv_load_waits(struct inv_load *l, uint64_t pair, int64_t now_us, int64_t wait_us)
{
    struct entry *e = take(l, pair);

    e->waited_us = waited(e, now_us) + (wait_us > 0 ? wait_us : 0);
    e->waited_at_us = now_us;
}

void inv_load_bought(struct inv_load *l, uint64_t pair)
{
    struct entry *e = find(l, pair);

    if (e)
        e->waited_us = 0;
}

uint32_t inv_load_need(struct inv_load *l, uint64_t pair, int64_t now_us, int64_t keep_us)
{
    const struct entry *e = find(l, pair);

    return e && e->cpu_millis && now_us - e->need_us < keep_us ? e->cpu_millis : 0;
}

void inv_load_set_need(struct inv_load *l, uint64_t pair, int64_t now_us, uint32_t cpu_millis)
{
    struct entry *e = take(l, pair);

    e->cpu_millis = cpu_millis;
    e->need_us = now_us;
}
