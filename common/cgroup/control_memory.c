/* What a limit below the use does differs: version 1 reclaims, then refuses (EBUSY); version 2's
 * memory.max reclaims, then kills. So version 2's is only lowered to what is used at most, after
 * memory.high, which reclaims as well and kills nobody, has brought the use down. */
#include <errno.h>

#include "common/cgroup/control_priv.h"

static const char LIMIT[] = "memory.limit_in_bytes", SUM[] = "memory.memsw.limit_in_bytes",
                  USED[] = "memory.usage_in_bytes", SOFT[] = "memory.soft_limit_in_bytes";
static const char MAX[] = "memory.max", SWAP[] = "memory.swap.max", HIGH[] = "memory.high",
                  CURRENT[] = "memory.current", LOW[] = "memory.low", RECLAIM[] = "memory.reclaim";

static int64_t get(const struct cw_control *c, const char *file)
{
    int64_t v;

    return control_get(c, PART_MEMORY, file, &v) == 0 ? v : CW_CONTROL_NONE;
}

int64_t cw_control_memory_limit(struct cw_control *c)
{
    return get(c, c->version == CW_CGROUP_V1 ? LIMIT : MAX);
}

int64_t cw_control_memory_used(struct cw_control *c)
{
    return get(c, c->version == CW_CGROUP_V1 ? USED : CURRENT);
}

/* ---- version 1 ---- */

static enum cw_control_answer set_sum_then(struct cw_control *c, int64_t bytes, int64_t sum,
                                           struct cw_control_change *ret, struct cw_err *err)
{
    struct cw_control_change swap;
    enum cw_control_answer answer = control_set(c, PART_MEMORY, SUM, sum, &swap, err);

    if (!cw_control_is_set(answer)) {
        *ret = swap;
        return answer;
    }
    answer = control_set(c, PART_MEMORY, LIMIT, bytes, ret, err);
    if (!cw_control_is_set(answer))
        (void)control_put(c, PART_MEMORY, SUM, swap.before);
    return answer;
}

static enum cw_control_answer set_then_sum(struct cw_control *c, int64_t bytes, int64_t sum,
                                           struct cw_control_change *ret, struct cw_err *err)
{
    struct cw_control_change swap;
    enum cw_control_answer set = control_set(c, PART_MEMORY, LIMIT, bytes, ret, err), answer;

    if (!cw_control_is_set(set))
        return set;
    answer = control_set(c, PART_MEMORY, SUM, sum, &swap, err);
    if (cw_control_is_set(answer))
        return set;
    (void)control_put(c, PART_MEMORY, LIMIT, ret->before);
    *ret = swap;
    return answer;
}

static enum cw_control_answer set_memory_v1(struct cw_control *c, int64_t bytes, int64_t swap_bytes,
                                            struct cw_control_change *ret, struct cw_err *err)
{
    int64_t sum = bytes + swap_bytes, old_sum;

    if (control_get(c, PART_MEMORY, SUM, &old_sum) != 0) /* the kernel does not account swap */
        return control_set(c, PART_MEMORY, LIMIT, bytes, ret, err);
    return old_sum != CW_CONTROL_NONE && sum > old_sum ? set_sum_then(c, bytes, sum, ret, err)
                                                       : set_then_sum(c, bytes, sum, ret, err);
}

/* ---- version 2 ---- */

/* Sets memory.high for a moment. It reclaims before the write returns. */
static int press(const struct cw_control *c, int64_t high)
{
    int64_t before;
    int rc = control_get(c, PART_MEMORY, HIGH, &before);

    if (rc == 0)
        rc = control_put(c, PART_MEMORY, HIGH, high);
    if (rc == 0)
        rc = control_put(c, PART_MEMORY, HIGH, before);
    return rc;
}

static enum cw_control_answer make_room(struct cw_control *c, int64_t bytes,
                                        struct cw_control_change *ret, struct cw_err *err)
{
    int rc = 0;

    if (cw_control_memory_used(c) > bytes)
        rc = press(c, bytes);
    if (rc == 0 && cw_control_memory_used(c) > bytes)
        rc = EBUSY;
    *ret = (struct cw_control_change){MAX, get(c, MAX), get(c, MAX)};
    return control_judge(c, PART_MEMORY, MAX, rc, err);
}

static enum cw_control_answer set_memory_v2(struct cw_control *c, int64_t bytes, int64_t swap_bytes,
                                            struct cw_control_change *ret, struct cw_err *err)
{
    int64_t old = get(c, MAX), swap;
    enum cw_control_answer answer;

    if (old == CW_CONTROL_NONE || bytes < old) {
        answer = make_room(c, bytes, ret, err);
        if (answer != CW_CONTROL_SET)
            return answer;
    }
    answer = control_set(c, PART_MEMORY, MAX, bytes, ret, err);
    if (cw_control_is_set(answer) && control_get(c, PART_MEMORY, SWAP, &swap) == 0 &&
        swap != swap_bytes)
        (void)control_put(c, PART_MEMORY, SWAP, swap_bytes);
    return answer;
}

/* ---- both ---- */

enum cw_control_answer cw_control_set_memory(struct cw_control *c, int64_t bytes,
                                             int64_t swap_bytes, struct cw_control_change *ret,
                                             struct cw_err *err)
{
    return c->version == CW_CGROUP_V1 ? set_memory_v1(c, bytes, swap_bytes, ret, err)
                                      : set_memory_v2(c, bytes, swap_bytes, ret, err);
}

enum cw_control_answer cw_control_set_protected(struct cw_control *c, int64_t bytes,
                                                struct cw_control_change *ret, struct cw_err *err)
{
    return control_set(c, PART_MEMORY, c->version == CW_CGROUP_V1 ? SOFT : LOW, bytes, ret, err);
}

int64_t cw_control_protected(struct cw_control *c)
{
    return get(c, c->version == CW_CGROUP_V1 ? SOFT : LOW);
}

enum cw_control_answer cw_control_set_high(struct cw_control *c, int64_t bytes,
                                           struct cw_control_change *ret, struct cw_err *err)
{
    if (c->version == CW_CGROUP_V1)
        return control_refuse(ret, HIGH, "control groups of version 1 have no such file", err);
    return control_set(c, PART_MEMORY, HIGH, bytes, ret, err);
}

/* ---- reclaim ---- */

/* The limit goes back whatever comes of it. */
static int reclaim_v1(const struct cw_control *c, int64_t to)
{
    int64_t limit;
    int rc = control_get(c, PART_MEMORY, LIMIT, &limit), back;

    if (rc)
        return rc;
    rc = control_put(c, PART_MEMORY, LIMIT, to);
    back = control_put(c, PART_MEMORY, LIMIT, limit);
    return rc ? rc : back;
}

static int reclaim_v2(const struct cw_control *c, int64_t bytes, int64_t to)
{
    int rc = control_put(c, PART_MEMORY, RECLAIM, bytes);

    return rc == ENOENT || rc == EACCES ? press(c, to) : rc;
}

enum cw_control_answer cw_control_reclaim(struct cw_control *c, int64_t bytes, int64_t *ret_won,
                                          struct cw_err *err)
{
    const char *file = c->version == CW_CGROUP_V1 ? LIMIT : RECLAIM;
    int64_t used, after = 0, to;
    int rc = control_get(c, PART_MEMORY, c->version == CW_CGROUP_V1 ? USED : CURRENT, &used);

    *ret_won = 0;
    if (rc)
        return control_judge(c, PART_MEMORY, file, rc, err);
    to = used > bytes ? used - bytes : 0;
    rc = c->version == CW_CGROUP_V1 ? reclaim_v1(c, to) : reclaim_v2(c, bytes, to);
    after = cw_control_memory_used(c);
    if (after != CW_CONTROL_NONE && after < used)
        *ret_won = used - after;
    return control_judge(c, PART_MEMORY, file, rc, err);
}
