#include "invoker/resize/wishes.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/json/raw.h"
#include "common/model/action_doc.h"

enum { NUMBER_MAX = 64 };

struct range {
    const char *name;
    double min, max;
    bool open; /* min and max themselves are out */
    bool whole;
    const char *text;
};

static const struct range GUARANTEE = {"cwhisk.cpu-guarantee",        0, 1, true, false,
                                       "a number above 0 and below 1"};
static const struct range CPUS = {"cwhisk.cpus", 0.01, 1024, false, false, "a number, 0.01..1024"};
static const struct range IO_WEIGHT = {"cwhisk.io-weight",        10, 1000, false, true,
                                       "a whole number, 10..1000"};

static bool number_of(struct cw_slice value, double *ret)
{
    char text[NUMBER_MAX];

    if (cw_raw_type(value) != CW_RAW_NUMBER || value.n >= sizeof(text))
        return false;
    memcpy(text, value.p, value.n);
    text[value.n] = '\0';
    *ret = strtod(text, NULL);
    return isfinite(*ret);
}

static bool is_in(const struct range *r, double v)
{
    if (r->whole && v != floor(v))
        return false;
    return r->open ? v > r->min && v < r->max : v >= r->min && v <= r->max;
}

/* *ret stays as it is when there is no such annotation, or it is null. */
static int read_number(const struct cw_action *a, const struct range *r, double *ret,
                       struct cw_err *err)
{
    struct cw_slice value;
    double v;

    if (!cw_action_annotation(a, r->name, &value) || cw_raw_type(value) == CW_RAW_NULL)
        return 0;
    if (!number_of(value, &v) || !is_in(r, v))
        return cw_fail(err, CW_INVALID, "annotation %s: %.*s, accepted: %s", r->name,
                       (int)(value.n > 40 ? 40 : value.n), value.p, r->text);
    *ret = v;
    return 0;
}

/* Rounded up: a guarantee of a millionth or less is one. */
static uint32_t scaled(double v, double scale)
{
    return (uint32_t)ceil(v * scale - 1e-6);
}

int inv_wishes_read(const struct cw_action *a, struct inv_wishes *ret, struct cw_err *err)
{
    double guarantee = 0, cpus = 0, io_weight = 0;

    *ret = (struct inv_wishes){0};
    if (read_number(a, &GUARANTEE, &guarantee, err) || read_number(a, &CPUS, &cpus, err) ||
        read_number(a, &IO_WEIGHT, &io_weight, err))
        return -1;
    if (guarantee > 0) {
        ret->guarantee_ppm = scaled(guarantee, 1e6);
        if (!ret->guarantee_ppm)
            ret->guarantee_ppm = 1;
    }
    ret->cpu_millis = scaled(cpus, 1e3);
    ret->io_weight = (uint32_t)io_weight;
    return 0;
}

bool inv_wishes_memory_by_preopt(const struct cw_action *a)
{
    struct cw_slice value, by, memory;
    double mb;

    return cw_action_annotation(a, "cwhisk.limits-by", &value) &&
           cw_raw_type(value) == CW_RAW_OBJECT && cw_raw_get(value, "by", &by) &&
           cw_raw_type(by) == CW_RAW_STRING && cw_raw_string_is(by, "preopt") &&
           cw_raw_get(value, "memory", &memory) && number_of(memory, &mb) &&
           mb == (double)a->limits.memory_mb;
}
