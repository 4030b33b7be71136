#include "invoker/limits.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/model/action_doc.h"
#include "common/model/identity.h"
#include "common/obs/log.h"
#include "invoker/settings.h"

enum { CODE_MIN = 48 << 20 }; /* what is stored may be older than a lower limit */

/* A system limit with its default for namespaces. */
struct pair {
    const char *key; /* whisk.<key>.min and .max */
    int64_t min, max;
    struct cw_conf_opt ns_min, ns_max;
};

enum pair_index { MEMORY, TIME, LOGS, CONCURRENCY, PAIR_COUNT };

static struct pair pair_of(const struct inv_settings *s, enum pair_index which)
{
    switch (which) {
    case MEMORY:
        return (struct pair){"memory", s->memory_min_bytes, s->memory_max_bytes,
                             s->ns_memory_min_bytes, s->ns_memory_max_bytes};
    case TIME:
        return (struct pair){"time-limit", s->time_min_ms, s->time_max_ms, s->ns_time_min_ms,
                             s->ns_time_max_ms};
    case LOGS:
        return (struct pair){"log-limit", s->log_min_bytes, s->log_max_bytes, s->ns_log_min_bytes,
                             s->ns_log_max_bytes};
    default:
        return (struct pair){"concurrency-limit", s->concurrency_min, s->concurrency_max,
                             s->ns_concurrency_min, s->ns_concurrency_max};
    }
}

/* ---- one action ---- */

struct bound {
    const char *what, *unit; /* unit with its leading blank, or "" */
    int64_t value, min, max;
};

/* unit: bytes (or so) of one of the unit that the namespace's own limits and the text are in. */
static struct bound bound_of(struct pair p, int64_t unit, struct cw_opt_int own_min,
                             struct cw_opt_int own_max)
{
    bool both = p.ns_min.set && p.ns_max.set;
    int64_t min = own_min.set ? own_min.value : (both ? p.ns_min.value : p.min) / unit;
    int64_t max = own_max.set ? own_max.value : (both ? p.ns_max.value : p.max) / unit;

    return (struct bound){.min = min > p.min / unit ? min : p.min / unit,
                          .max = max < p.max / unit ? max : p.max / unit};
}

#define FAILED "requirement failed: " /* what Scala's require puts in front of a text */

static bool check(const struct bound *b, char text[INV_LIMITS_TEXT_MAX])
{
    if (b->value > b->max)
        (void)snprintf(text, INV_LIMITS_TEXT_MAX,
                       FAILED "%s %" PRId64 "%s exceeds allowed threshold of %" PRId64 "%s",
                       b->what, b->value, b->unit, b->max, b->unit);
    else if (b->value < b->min)
        (void)snprintf(text, INV_LIMITS_TEXT_MAX,
                       FAILED "%s %" PRId64 "%s below allowed threshold of %" PRId64 "%s", b->what,
                       b->value, b->unit, b->min, b->unit);
    else
        return true;
    return false;
}

bool inv_limits_allow(const struct inv_settings *s, const struct cw_user_limits *u,
                      const struct cw_action_limits *a, char ret_text[INV_LIMITS_TEXT_MAX])
{
    struct bound bounds[] = {
        bound_of(pair_of(s, TIME), 1, u->min_timeout_ms, u->max_timeout_ms),
        bound_of(pair_of(s, MEMORY), 1 << 20, u->min_memory_mb, u->max_memory_mb),
        bound_of(pair_of(s, CONCURRENCY), 1, u->min_concurrency, u->max_concurrency),
        bound_of(pair_of(s, LOGS), 1 << 20, u->min_logs_mb, u->max_logs_mb),
    };
    const struct {
        const char *what, *unit;
        int64_t value;
    } values[CW_ARRAY_LEN(bounds)] = {{"duration", " milliseconds", a->timeout_ms},
                                      {"memory size", " MB", a->memory_mb},
                                      {"concurrency", "", a->concurrency},
                                      {"log size", " MB", a->logs_mb}};

    for (size_t i = 0; i < CW_ARRAY_LEN(bounds); i++) {
        bounds[i].what = values[i].what;
        bounds[i].unit = values[i].unit;
        bounds[i].value = values[i].value;
        if (!check(&bounds[i], ret_text))
            return false;
    }
    return true;
}

/* ---- results ---- */

static int64_t at_most(struct cw_opt_int own, bool both, int64_t of_namespaces, int64_t system)
{
    int64_t limit = own.set ? own.value : both ? of_namespaces : system;

    return limit < system ? limit : system;
}

static bool has_payload_pair(const struct inv_settings *s)
{
    return s->ns_payload_max_bytes.set && s->ns_truncation_bytes.set;
}

int64_t inv_limits_payload(const struct inv_settings *s, const struct cw_user_limits *u)
{
    return at_most(u->max_payload_bytes, has_payload_pair(s), s->ns_payload_max_bytes.value,
                   s->payload_max_bytes);
}

int64_t inv_limits_truncation(const struct inv_settings *s, const struct cw_user_limits *u)
{
    return at_most(u->truncation_bytes, has_payload_pair(s), s->ns_truncation_bytes.value,
                   s->truncation_bytes);
}

size_t inv_limits_code(const struct inv_settings *s)
{
    return s->exec_max_bytes > CODE_MIN ? (size_t)s->exec_max_bytes / 3 * 4 : CODE_MIN / 3 * 4;
}

/* ---- start ---- */

static const char PREFIX[] = "whisk.namespace-default-limit";

static void note_half(const char *key, const char *one, const char *other, bool has_one)
{
    cw_log(CW_LOG_WARN, NULL, "Invoker",
           "%s.%s.%s is ignored without .%s, as OpenWhisk does: the limits of the system hold",
           PREFIX, key, has_one ? one : other, has_one ? other : one);
}

static int check_pair(const struct pair *p, struct cw_err *err)
{
    if (p->min > p->max)
        return cw_fail(err, CW_INVALID, "whisk.%s.min is above whisk.%s.max", p->key, p->key);
    if (p->ns_min.set != p->ns_max.set)
        note_half(p->key, "min", "max", p->ns_min.set);
    if (!p->ns_min.set || !p->ns_max.set)
        return 0;
    if (p->ns_min.value > p->ns_max.value)
        return cw_fail(err, CW_INVALID, "%s.%s.min is above %s.%s.max", PREFIX, p->key, PREFIX,
                       p->key);
    if (p->ns_max.value > p->max)
        return cw_fail(err, CW_INVALID, "%s.%s.max is above the system's, whisk.%s.max", PREFIX,
                       p->key, p->key);
    if (p->ns_min.value < p->min)
        return cw_fail(err, CW_INVALID, "%s.%s.min is below the system's, whisk.%s.min", PREFIX,
                       p->key, p->key);
    return 0;
}

int inv_limits_check(const struct inv_settings *s, struct cw_err *err)
{
    for (int i = 0; i < PAIR_COUNT; i++) {
        struct pair p = pair_of(s, (enum pair_index)i);

        if (check_pair(&p, err) != 0)
            return -1;
    }
    if (s->ns_payload_max_bytes.set != s->ns_truncation_bytes.set)
        note_half("activation.payload", "max", "truncation", s->ns_payload_max_bytes.set);
    return 0;
}
