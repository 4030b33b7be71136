#include "invoker/placement/admission.h"

#include "common/base/mem.h"

static const int64_t BEYOND_ANY_MACHINE = INT64_C(1) << 56;

static void hold(struct inv_admission *ret, enum inv_hold_reason why)
{
    *ret = (struct inv_admission){.verdict = INV_HOLD, .why = why};
}

/* That much idle memory goes, or nothing is started. */
static void evict(const struct inv_admission_state *state, int64_t bytes, enum inv_hold_reason why,
                  struct inv_admission *ret)
{
    if (bytes > state->memory_idle_bytes)
        hold(ret, why);
    else
        *ret = (struct inv_admission){.verdict = INV_EVICT, .why = why, .evict_bytes = bytes};
}

static bool state_makes_sense(const struct inv_admission_state *s, int64_t total)
{
    return total > 0 && total <= BEYOND_ANY_MACHINE && s->memory_idle_bytes >= 0 &&
           s->memory_idle_bytes <= s->memory_reserved_bytes &&
           s->memory_reserved_bytes <= BEYOND_ANY_MACHINE &&
           s->memory_available_bytes <= BEYOND_ANY_MACHINE;
}

/* Bytes that are missing below the floor once the container has its need. */
static int64_t below_floor(const struct inv_admission_conf *conf,
                           const struct inv_admission_state *s, int64_t bytes)
{
    if (s->memory_available_bytes < 0 || conf->floor_bytes < 0)
        return 0;
    return conf->floor_bytes + bytes - s->memory_available_bytes;
}

static bool stalls(uint32_t seen, uint32_t most)
{
    return most > 0 && seen > most;
}

/* A host that runs nothing takes one whatever its gauges say: they would never fall otherwise. */
static bool is_quiet(const struct inv_admission_state *s)
{
    return s->running == 0 && s->starting == 0;
}

static void guard(const struct inv_admission_conf *conf, const struct inv_admission_state *state,
                  int64_t bytes, int64_t missing, struct inv_admission *ret)
{
    int64_t below = below_floor(conf, state, bytes);

    if (stalls(state->cpu_stall, conf->cpu_stall_max))
        hold(ret, INV_HOLD_CPU_STALL); /* evicting gives no CPU */
    else if (stalls(state->memory_stall, conf->memory_stall_max) && missing < bytes)
        evict(state, bytes, INV_HOLD_MEMORY_STALL, ret);
    else if (below > missing && below > 0)
        evict(state, below, INV_HOLD_FLOOR, ret);
    else if (missing > 0)
        evict(state, missing, INV_HOLD_MEMORY, ret);
}

void inv_admission_judge(const struct inv_admission_conf *conf,
                         const struct inv_admission_state *state, uint64_t need_bytes,
                         struct inv_admission *ret)
{
    bool inferred = conf->charge == INV_CHARGE_INFERRED;
    int64_t total = inferred ? state->memory_total_bytes : conf->user_memory_bytes;
    int64_t bytes = (int64_t)need_bytes, missing;

    *ret = (struct inv_admission){.verdict = INV_ADMIT};
    if (!state_makes_sense(state, total)) {
        hold(ret, INV_HOLD_BAD_STATE);
        return;
    }
    if (need_bytes > (uint64_t)total) {
        hold(ret, INV_HOLD_TOO_LARGE);
        return;
    }
    if (conf->cold_starts_max > 0 && state->starting >= conf->cold_starts_max) {
        hold(ret, INV_HOLD_COLD_STARTS);
        return;
    }
    missing = state->memory_reserved_bytes + bytes - total;
    if (inferred && !is_quiet(state))
        guard(conf, state, bytes, missing, ret);
    else if (missing > 0)
        evict(state, missing, INV_HOLD_MEMORY, ret);
}

const char *inv_hold_reason_name(enum inv_hold_reason why)
{
    static const char *const NAMES[] = {
        [INV_HOLD_NOTHING] = "nothing",        [INV_HOLD_MEMORY] = "memory",
        [INV_HOLD_FLOOR] = "memory-floor",     [INV_HOLD_MEMORY_STALL] = "memory-pressure",
        [INV_HOLD_CPU_STALL] = "cpu-pressure", [INV_HOLD_COLD_STARTS] = "cold-starts",
        [INV_HOLD_TOO_LARGE] = "too-large",    [INV_HOLD_BAD_STATE] = "bad-figures",
    };

    return (unsigned)why < CW_ARRAY_LEN(NAMES) ? NAMES[why] : "unknown";
}
