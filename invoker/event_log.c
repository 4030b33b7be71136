/* An event is kept as the JSON that is shown of it: it is written once and read seldom. */
#include "invoker/event_log.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/list.h"
#include "common/base/str.h"
#include "common/base/utf8.h"
#include "common/http/server.h"
#include "common/json/writer.h"
#include "common/loop/loop.h"
#include "invoker/admin.h"
#include "invoker/event_file.h"

enum {
    TEXT_MAX = 300, /* of one member */
    EVENT_MAX_BYTES = 8192,
    ANSWER_MAX_BYTES = 64 << 20,
    WAITERS_MAX = 32, /* further ones are answered at once */
    WAIT_MAX_S = 60,
};

struct entry {
    struct cw_link link;
    uint64_t seq;
    char json[];
};

struct waiter {
    struct cw_link link;
    struct inv_event_log *log;
    struct cw_http_exchange *ex;
    uint64_t since;
    struct cw_timer limit;
};

struct inv_event_log {
    struct cw_loop *loop;
    size_t keep;
    uint64_t seq;                /* of the newest */
    struct inv_event_file *file; /* NULL: none */
    struct cw_list entries, waiters;
    struct cw_defer tell;
};

/* ---- answers ---- */

static void answer(const struct inv_event_log *log, struct cw_http_exchange *ex, uint64_t since)
{
    cw_auto_str struct cw_str body;
    struct cw_json_writer w;

    cw_str_init(&body, ANSWER_MAX_BYTES);
    cw_json_begin(&w, &body);
    cw_json_object(&w);
    cw_json_key(&w, "events");
    cw_json_array(&w);
    CW_LIST_EACH (&log->entries, n) {
        const struct entry *e = CW_LIST_ENTRY(n, struct entry, link);

        if (e->seq > since)
            cw_json_raw(&w, cw_slice_of(e->json));
    }
    cw_json_array_end(&w);
    cw_json_kv_int(&w, "next", (int64_t)log->seq);
    cw_json_object_end(&w);
    cw_http_answer(ex, 200, "application/json", cw_str_slice(&body));
}

static void free_waiter(struct waiter *w)
{
    cw_list_remove(&w->log->waiters, &w->link);
    cw_timer_done(&w->limit);
    free(w);
}

static void end_waiting(void *arg)
{
    struct waiter *w = arg;

    answer(w->log, w->ex, w->since);
    free_waiter(w);
}

static void on_tell(void *arg)
{
    struct inv_event_log *log = arg;
    struct cw_link *n;

    while ((n = cw_list_first(&log->waiters)))
        end_waiting(CW_LIST_ENTRY(n, struct waiter, link));
}

static void wait_for_more(struct inv_event_log *log, struct cw_http_exchange *ex, uint64_t since,
                          int64_t wait_s)
{
    struct waiter *w = cw_alloc(sizeof(*w));

    w->log = log;
    w->ex = ex;
    w->since = since;
    cw_list_push_back(&log->waiters, &w->link);
    cw_timer_init(&w->limit, log->loop, end_waiting, w);
    cw_timer_set_ms(&w->limit, wait_s * 1000);
}

/* false: it has been refused. */
static bool take_number(struct cw_http_exchange *ex, const char *name, int64_t max, int64_t *ret)
{
    char text[32], why[96];

    *ret = 0;
    if (!cw_http_query(ex, name, text, sizeof(text)) ||
        cw_parse_i64(cw_slice_of(text), name, 0, max, ret, NULL) == 0)
        return true;
    (void)snprintf(why, sizeof(why), "%s: accepted: 0 to %lld", name, (long long)max);
    inv_admin_refuse(ex, 400, why);
    return false;
}

void inv_event_log_answer(void *arg, struct cw_http_exchange *ex)
{
    struct inv_event_log *log = arg;
    int64_t since, wait_s;

    if (!take_number(ex, "since", INT64_MAX, &since) ||
        !take_number(ex, "wait", WAIT_MAX_S, &wait_s))
        return;
    if ((uint64_t)since > log->seq)
        since = 0;
    if ((uint64_t)since == log->seq && wait_s > 0 && log->waiters.count < WAITERS_MAX)
        wait_for_more(log, ex, (uint64_t)since, wait_s);
    else
        answer(log, ex, (uint64_t)since);
}

/* ---- keeping ---- */

/* As far as it is whole characters: texts of the engine or of users may be anything. */
static struct cw_slice clean_part(const char *text)
{
    size_t n = strlen(text), at = 0, step;

    while (at < n && (step = cw_utf8_seq(text + at, n - at)) > 0 && at + step <= TEXT_MAX)
        at += step;
    return cw_slice(text, at);
}

static void add_text(struct cw_json_writer *w, const char *key, const char *text)
{
    if (!text)
        return;
    cw_json_key(w, key);
    cw_json_string_slice(w, clean_part(text));
}

static void write_event(const struct inv_event_log *log, const struct inv_event *event,
                        struct cw_str *out)
{
    char now[CW_ISO_TIME_LEN + 1];
    struct cw_json_writer w;

    cw_clock_iso(cw_loop_wall_ms(log->loop), now);
    cw_json_begin(&w, out);
    cw_json_object(&w);
    cw_json_kv_int(&w, "seq", (int64_t)log->seq);
    cw_json_kv_string(&w, "time", now);
    add_text(&w, "event", event->what);
    add_text(&w, "container", event->container);
    add_text(&w, "id", event->id);
    if (event->took_us >= 0)
        cw_json_kv_int(&w, "tookUs", event->took_us);
    add_text(&w, "detail", event->detail);
    cw_json_object_end(&w);
}

static void drop_oldest(struct inv_event_log *log)
{
    struct cw_link *n = cw_list_pop_front(&log->entries);

    free(CW_LIST_ENTRY(n, struct entry, link));
}

void inv_event_log_add(struct inv_event_log *log, const struct inv_event *event)
{
    cw_auto_str struct cw_str text;
    struct entry *e;

    cw_str_init(&text, EVENT_MAX_BYTES);
    if (!log || (!log->keep && !log->file))
        return;
    log->seq++;
    write_event(log, event, &text);
    inv_event_file_put(log->file, text.p);
    if (!log->keep)
        return;
    if (log->entries.count == log->keep)
        drop_oldest(log);
    e = cw_alloc(sizeof(*e) + text.n + 1);
    e->seq = log->seq;
    memcpy(e->json, text.p, text.n + 1);
    cw_list_push_back(&log->entries, &e->link);
    if (!cw_list_empty(&log->waiters))
        cw_defer_post(&log->tell);
}

/* ---- life ---- */

struct inv_event_log *inv_event_log_new(struct cw_loop *loop, size_t keep)
{
    struct inv_event_log *log = cw_alloc(sizeof(*log));

    log->loop = loop;
    log->keep = keep;
    cw_list_init(&log->entries);
    cw_list_init(&log->waiters);
    cw_defer_init(&log->tell, loop, on_tell, log);
    return log;
}

void inv_event_log_use_file(struct inv_event_log *log, struct inv_event_file *file)
{
    log->file = file;
}

void inv_event_log_free(struct inv_event_log *log)
{
    struct cw_link *n;

    if (!log)
        return;
    inv_event_file_free(log->file);
    while ((n = cw_list_first(&log->waiters)))
        free_waiter(CW_LIST_ENTRY(n, struct waiter, link));
    while (!cw_list_empty(&log->entries))
        drop_oldest(log);
    cw_defer_cancel(&log->tell);
    free(log);
}
