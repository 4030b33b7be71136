#include "invoker/trace.h"

#include <inttypes.h>

#include "common/model/activation_message.h"
#include "invoker/job.h"

struct entry {
    char id[CW_ACTIVATION_ID_LEN + 1];
    int64_t at[INV_MOMENTS];
};

struct inv_trace {
    size_t capacity;
    uint64_t count; /* ever added: the next ticket is count + 1 */
    struct entry *entries;
};

/* clang-format off */
static const char *const NAMES[INV_MOMENTS] = {
    [INV_AT_RECEIVED] = "received",  [INV_AT_TAKEN] = "taken",
    [INV_AT_FETCHED] = "fetched",    [INV_AT_PLACED] = "placed",
    [INV_AT_CREATED] = "created",    [INV_AT_INIT_SENT] = "init_sent",
    [INV_AT_INITED] = "inited",      [INV_AT_RUN_SENT] = "run_sent",
    [INV_AT_WRITTEN] = "written",    [INV_AT_REPLIED] = "replied",
    [INV_AT_RUN_DONE] = "run_done",  [INV_AT_RESULT] = "result",
    [INV_AT_LOGS_DONE] = "logs_done", [INV_AT_ENDED] = "ended",
};
/* clang-format on */

struct inv_trace *inv_trace_new(size_t capacity)
{
    struct inv_trace *t = cw_alloc(sizeof(*t));

    t->capacity = capacity;
    t->entries = cw_calloc(capacity, sizeof(*t->entries));
    return t;
}

void inv_trace_free(struct inv_trace *t)
{
    if (!t)
        return;
    free(t->entries);
    free(t);
}

uint64_t inv_trace_add(struct inv_trace *t, const struct inv_job *job)
{
    struct entry *e;

    if (!t)
        return 0;
    e = &t->entries[t->count++ % t->capacity];
    memcpy(e->id, job->msg->activation_id, sizeof(e->id));
    memcpy(e->at, job->at, sizeof(e->at));
    return t->count;
}

void inv_trace_ended(struct inv_trace *t, uint64_t ticket, int64_t now_us)
{
    if (t && ticket && t->count - ticket < t->capacity)
        t->entries[(ticket - 1) % t->capacity].at[INV_AT_ENDED] = now_us;
}

static void render_entry(const struct entry *e, struct cw_str *out)
{
    cw_str_addz(out, e->id);
    for (int i = 0; i < INV_MOMENTS; i++) {
        cw_str_addc(out, ',');
        if (e->at[i])
            cw_str_addf(out, "%" PRId64, e->at[i]);
    }
    cw_str_addc(out, '\n');
}

void inv_trace_render(const struct inv_trace *t, struct cw_str *out)
{
    cw_str_addz(out, "activation");
    for (int i = 0; i < INV_MOMENTS; i++)
        cw_str_addf(out, ",%s", NAMES[i]);
    cw_str_addc(out, '\n');
    if (!t)
        return;
    for (uint64_t n = t->count > t->capacity ? t->count - t->capacity : 0; n < t->count; n++)
        render_entry(&t->entries[n % t->capacity], out);
}
