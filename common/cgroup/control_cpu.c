#include <inttypes.h>
#include <stdio.h>

#include "common/cgroup/control_priv.h"

static const char PERIOD[] = "cpu.cfs_period_us", QUOTA[] = "cpu.cfs_quota_us", MAX[] = "cpu.max";

static const char *weight_file(const struct cw_control *c)
{
    return c->version == CW_CGROUP_V1 ? "cpu.shares" : "cpu.weight";
}

enum cw_control_answer cw_control_set_weight(struct cw_control *c, int64_t weight,
                                             struct cw_control_change *ret, struct cw_err *err)
{
    return control_set(c, PART_CPU, weight_file(c), weight, ret, err);
}

int64_t cw_control_weight(struct cw_control *c)
{
    int64_t weight;

    return control_get(c, PART_CPU, weight_file(c), &weight) == 0 ? weight : CW_CONTROL_NONE;
}

int64_t cw_control_quota(struct cw_control *c)
{
    int64_t quota;

    return control_get(c, PART_CPU, c->version == CW_CGROUP_V1 ? QUOTA : MAX, &quota) == 0
               ? quota
               : CW_CONTROL_NONE;
}

static double ratio(int64_t quota_us, int64_t period_us)
{
    return quota_us == CW_CONTROL_NONE || period_us <= 0 ? 1e9
                                                         : (double)quota_us / (double)period_us;
}

static enum cw_control_answer set_quota_v1(struct cw_control *c, int64_t quota_us,
                                           int64_t period_us, struct cw_control_change *ret,
                                           struct cw_err *err)
{
    struct cw_control_change period;
    enum cw_control_answer answer;
    int64_t old_quota, old_period;
    bool period_first;

    if (control_get(c, PART_CPU, QUOTA, &old_quota) != 0 ||
        control_get(c, PART_CPU, PERIOD, &old_period) != 0 || old_period == period_us)
        return control_set(c, PART_CPU, QUOTA, quota_us, ret, err);
    period_first = ratio(old_quota, period_us) <= ratio(quota_us, old_period);
    if (!period_first) {
        answer = control_set(c, PART_CPU, QUOTA, quota_us, ret, err);
        if (!cw_control_is_set(answer))
            return answer;
    }
    answer = control_set(c, PART_CPU, PERIOD, period_us, &period, err);
    if (!cw_control_is_set(answer)) {
        *ret = period;
        if (!period_first)
            (void)control_put(c, PART_CPU, QUOTA, old_quota);
        return answer;
    }
    if (!period_first)
        return answer;
    answer = control_set(c, PART_CPU, QUOTA, quota_us, ret, err);
    if (!cw_control_is_set(answer))
        (void)control_put(c, PART_CPU, PERIOD, old_period);
    return answer;
}

static enum cw_control_answer set_quota_v2(struct cw_control *c, int64_t quota_us,
                                           int64_t period_us, struct cw_control_change *ret,
                                           struct cw_err *err)
{
    enum cw_control_answer answer;
    char text[64];

    *ret = (struct cw_control_change){MAX, cw_control_quota(c), CW_CONTROL_NONE};
    if (quota_us == CW_CONTROL_NONE)
        (void)snprintf(text, sizeof(text), "max %" PRId64, period_us);
    else
        (void)snprintf(text, sizeof(text), "%" PRId64 " %" PRId64, quota_us, period_us);
    answer = control_judge(c, PART_CPU, MAX, control_put_text(c, PART_CPU, MAX, text), err);
    ret->after = cw_control_quota(c);
    return answer == CW_CONTROL_SET && ret->after != quota_us ? CW_CONTROL_ROUNDED : answer;
}

enum cw_control_answer cw_control_set_quota(struct cw_control *c, int64_t quota_us,
                                            int64_t period_us, struct cw_control_change *ret,
                                            struct cw_err *err)
{
    return c->version == CW_CGROUP_V1 ? set_quota_v1(c, quota_us, period_us, ret, err)
                                      : set_quota_v2(c, quota_us, period_us, ret, err);
}
