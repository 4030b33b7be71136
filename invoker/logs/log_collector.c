/* A collection reads what is there and usually finds both sentinels at once: then there is no
 * watch, no timer, and nothing kept but the file's descriptor and offset. Only when the end comes
 * first is the file watched, for as long as somebody waits: a collection, or a source that is out
 * of step. */
#include "invoker/logs/log_collector.h"

#include <assert.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/list.h"
#include "common/driver/container_driver.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "invoker/logs/log_file.h"
#include "invoker/logs/log_hub_priv.h"
#include "invoker/logs/log_lines.h"
#include "invoker/logs/log_stream.h"
#include "invoker/logs/log_watch.h"

#define COMPONENT "DockerToActivationLogStore"
#define TRUNCATED_TEXT                                                                             \
    "Logs were truncated because the total bytes size exceeds the limit of %lld bytes."
#define INCOMPLETE_TEXT "There was an issue while collecting your logs. Data might be missing."
#define DEVELOPER_TEXT                                                                             \
    "The action did not initialize or run as expected. Log data might be missing."

enum {
    READ_BYTES = 64 * 1024,
    TURN_BYTES = 1024 * 1024, /* then other work gets its turn */
    IDLE_MS = 2000,
    TOTAL_MS_PER_MIB = 2000,
    TOTAL_MIN_MIB = 5,
    UNWATCHED_MS = 20, /* where the kernel has no watch left to give */
};

struct inv_log_source {
    struct inv_log_hub *hub;
    struct inv_log_file file;
    struct inv_log_watch watch;
    struct inv_log_stream *stream; /* NULL: the file is read */
    char *id;                      /* NULL: no stream to be had */
    bool skipping;                 /* the rest of an overlong line comes first */
    struct cw_str buf;             /* read, not taken yet; empty between collections */
    struct cw_list calls;          /* struct inv_log_call, the first is under way */
    struct cw_defer run;
    /* out of step: */
    unsigned owed;             /* sentinels of earlier collections that are still to come */
    bool to_end;               /* what is there belongs to an earlier collection */
    struct inv_log_lines rest; /* while something is owed: looks for the sentinels */
    int64_t rest_idle_us;      /* how long after the last line more is expected */
    int64_t rest_end_us;
    inv_log_settled_fn *settled;
    void *settled_arg;
    struct cw_timer settle_timer;
};

struct inv_log_call {
    struct cw_link link;
    struct inv_log_source *source;
    struct inv_log_request req;
    inv_log_fn *fn;
    void *arg;
    struct inv_log_lines lines;
    bool begun;
    bool asked; /* the engine, for what there is by now */
    int64_t quiet_since_us, total_end_us;
    bool timed; /* timer is set up: only calls that wait have one */
    struct cw_timer timer;
};

enum outcome { COMPLETE, INCOMPLETE, OVERLONG, TRUNCATED, UNREADABLE };

/* ---- reading ---- */

static void source_drop(struct inv_log_source *s, size_t n)
{
    cw_str_consume(&s->buf, n);
    if (!s->stream)
        inv_log_file_take(&s->file, n);
}

static ssize_t source_fill(struct inv_log_source *s)
{
    return s->stream ? inv_log_stream_fill(s->stream, &s->buf)
                     : inv_log_file_fill(&s->file, &s->buf);
}

/* What is behind the last line taken in a file will be read again by the next collection. */
static void source_forget(struct inv_log_source *s)
{
    if (s->stream)
        return;
    cw_str_done(&s->buf);
    cw_str_init(&s->buf, INV_LOG_MAX_LINE + 2 * READ_BYTES);
}

/* At the end: true when there may be more to read. */
static bool source_follow(struct inv_log_source *s)
{
    enum inv_log_follow found = inv_log_file_follow(&s->file, s->buf.n);

    if (found == INV_LOG_FILE_FRESH) {
        inv_log_watch_leave_file(&s->watch);
        s->skipping = false;
        cw_str_reset(&s->buf);
    }
    return found != INV_LOG_FILE_ENDS;
}

static void skip_rest(struct inv_log_source *s)
{
    const char *nl = memchr(s->buf.p, '\n', s->buf.n);

    s->skipping = !nl;
    source_drop(s, nl ? (size_t)(nl + 1 - s->buf.p) : s->buf.n);
}

/* ---- collections ---- */

static int64_t or_default(int64_t ms, int64_t otherwise)
{
    return (ms > 0 ? ms : otherwise) * 1000;
}

static void call_begin(struct inv_log_call *c)
{
    int64_t mib = c->req.limit_bytes >> 20;
    int64_t total_ms = TOTAL_MS_PER_MIB * (mib > TOTAL_MIN_MIB ? mib : TOTAL_MIN_MIB);
    int64_t now_us = cw_loop_mono_us(c->source->hub->loop);

    c->begun = true;
    c->req.idle_timeout_ms = or_default(c->req.idle_timeout_ms, IDLE_MS) / 1000;
    c->quiet_since_us = now_us;
    c->total_end_us = now_us + or_default(c->req.total_timeout_ms, total_ms);
    inv_log_lines_init(&c->lines, c->req.limit_bytes);
    c->lines.raw = c->req.raw;
    c->lines.raw_tail = c->req.raw_tail;
}

static bool behind(const struct inv_log_source *s)
{
    return s->owed > 0 || s->to_end;
}

/* A line of an earlier collection: only its sentinels matter. */
static void eat(struct inv_log_source *s, struct cw_slice line)
{
    unsigned before = s->rest.sentinels;

    s->rest_end_us = cw_loop_mono_us(s->hub->loop) + s->rest_idle_us;
    if (s->to_end)
        return;
    (void)inv_log_lines_add(&s->rest, line);
    s->owed -= s->rest.sentinels - before;
    if (s->owed == 0)
        inv_log_lines_done(&s->rest);
}

static enum inv_log_verdict take_line(struct inv_log_source *s, struct inv_log_call *c,
                                      struct cw_slice line)
{
    if (!behind(s))
        return inv_log_lines_add(&c->lines, line);
    eat(s, line);
    return INV_LOG_MORE;
}

static size_t longest_line(const struct inv_log_source *s, const struct inv_log_call *c)
{
    return c && !behind(s) ? inv_log_lines_longest(&c->lines) : INV_LOG_MAX_LINE;
}

/* Takes the complete lines of the buffer; without a collection only those that belong to an earlier
 * one. */
static enum inv_log_verdict take_lines(struct inv_log_source *s, struct inv_log_call *c)
{
    enum inv_log_verdict verdict = INV_LOG_MORE;
    size_t at = 0;
    const char *nl;

    if (s->skipping)
        skip_rest(s);
    while (verdict == INV_LOG_MORE && (c || behind(s)) &&
           (nl = memchr(s->buf.p + at, '\n', s->buf.n - at))) {
        size_t n = (size_t)(nl - (s->buf.p + at));

        verdict = take_line(s, c, cw_slice(s->buf.p + at, n));
        at += n + 1;
    }
    if (at > 0 && c)
        c->quiet_since_us = cw_loop_mono_us(s->hub->loop);
    source_drop(s, at);
    if (verdict == INV_LOG_MORE && s->buf.n > longest_line(s, c)) {
        verdict = c && !behind(s) ? INV_LOG_BROKEN : INV_LOG_MORE;
        skip_rest(s);
    }
    return verdict;
}

static void call_free(struct inv_log_call *c)
{
    if (c->begun)
        inv_log_lines_done(&c->lines);
    if (c->timed)
        cw_timer_done(&c->timer);
    free(c);
}

/* Takes the call from its source, which may go on with the next one. */
static void call_detach(struct inv_log_call *c)
{
    struct inv_log_source *s = c->source;
    bool first = cw_list_first(&s->calls) == &c->link;

    cw_list_remove(&s->calls, &c->link);
    if (!first)
        return;
    inv_log_watch_stop(&s->watch);
    source_forget(s);
    if (!cw_list_empty(&s->calls) || behind(s))
        cw_defer_post(&s->run);
}

static struct cw_slice call_result(struct inv_log_call *c, enum outcome outcome)
{
    int64_t now_ms = cw_loop_wall_ms(c->source->hub->loop);
    char text[128];

    if (outcome == UNREADABLE)
        return CW_SLICE("[\"" INCOMPLETE_TEXT "\"]"); /* as stock: without time and stream */
    if (outcome == TRUNCATED) {
        (void)snprintf(text, sizeof(text), TRUNCATED_TEXT, (long long)c->req.limit_bytes);
        inv_log_lines_note(&c->lines, text, now_ms);
    } else if (outcome != COMPLETE) {
        inv_log_lines_note(&c->lines, INCOMPLETE_TEXT, now_ms);
    }
    if (c->req.developer_error)
        inv_log_lines_note(&c->lines, DEVELOPER_TEXT, now_ms);
    return inv_log_lines_finish(&c->lines);
}

/* What belongs to this collection and is still to come must not be taken for the next one's. */
static void note_rest(struct inv_log_call *c, enum outcome outcome)
{
    struct inv_log_source *s = c->source;
    bool cut = outcome == TRUNCATED || outcome == OVERLONG; /* the rest is there or on its way */
    unsigned missing = c->lines.sentinels < 2 ? 2 - c->lines.sentinels : 0;

    if (outcome == COMPLETE)
        return;
    s->rest_idle_us = c->req.idle_timeout_ms * 1000;
    s->rest_end_us = cw_loop_mono_us(s->hub->loop) + (cut ? s->rest_idle_us : 0);
    if (!c->req.wait_for_sentinels) {
        s->to_end |= cut;
        return;
    }
    if (missing > 0 && s->owed == 0)
        inv_log_lines_rest(&c->lines, &s->rest);
    s->owed += missing;
}

/* The source may be gone afterwards. */
static void call_end(struct inv_log_call *c, enum outcome outcome)
{
    struct cw_slice logs;

    if (outcome == COMPLETE && c->lines.garbage)
        outcome = INCOMPLETE;
    note_rest(c, outcome);
    logs = call_result(c, outcome);
    call_detach(c);
    c->fn(c->arg, logs, outcome == COMPLETE, outcome == TRUNCATED);
    call_free(c);
}

static enum outcome outcome_of(enum inv_log_verdict verdict)
{
    if (verdict == INV_LOG_DONE)
        return COMPLETE;
    return verdict == INV_LOG_TRUNCATED ? TRUNCATED : OVERLONG;
}

/* All there is was read, and no sentinels are waited for. */
static enum outcome outcome_at_end(const struct inv_log_source *s)
{
    if (!s->stream && s->file.fd < 0)
        return UNREADABLE;
    return s->buf.n == 0 ? COMPLETE : INCOMPLETE; /* half a line */
}

/* Will there be a wake-up when there is more? */
static bool is_told(const struct inv_log_source *s)
{
    return s->stream || inv_log_watch_works(&s->watch, &s->file);
}

/* When nothing more came for long enough. The engine's answer has an end of its own, a file that
 * is read without sentinels has not. */
static int64_t silence_end_us(const struct inv_log_call *c)
{
    bool lingers = !c->req.wait_for_sentinels && !c->source->stream;
    int64_t patience_ms = lingers ? c->req.linger_ms : c->req.idle_timeout_ms;

    return c->quiet_since_us + patience_ms * 1000;
}

/* false when time is up. */
static bool wait_on(struct inv_log_call *c)
{
    struct inv_log_source *s = c->source;
    int64_t now_us = cw_loop_mono_us(s->hub->loop), silence_us = silence_end_us(c);
    int64_t end_us = silence_us < c->total_end_us ? silence_us : c->total_end_us;
    int64_t delay_us = end_us - now_us;

    if (delay_us <= 0)
        return false;
    /* Without a watch: looking again is worse than being told, but far better than losing the logs
     * and with them the container. */
    if (!is_told(s) && delay_us > UNWATCHED_MS * 1000)
        delay_us = UNWATCHED_MS * 1000;
    if (!c->timed)
        cw_timer_init(&c->timer, s->hub->loop, s->run.fn, s);
    c->timed = true;
    cw_timer_set_us(&c->timer, delay_us);
    return true;
}

/* ---- a source out of step ---- */

/* Tells the one who waits for it; the source may be gone afterwards. */
static void settle(struct inv_log_source *s, bool in_step)
{
    inv_log_settled_fn *fn = s->settled;

    s->settled = NULL;
    cw_timer_stop(&s->settle_timer);
    if (!cw_list_empty(&s->calls))
        cw_defer_post(&s->run);
    fn(s->settled_arg, in_step);
}

/* Nothing more for now. The source may be gone afterwards. */
static void wait_for_rest(struct inv_log_source *s)
{
    int64_t left_us = s->rest_end_us - cw_loop_mono_us(s->hub->loop);

    if (!s->settled)
        return;
    if (left_us <= 0) {
        settle(s, false);
        return;
    }
    if (!is_told(s) && left_us > UNWATCHED_MS * 1000)
        left_us = UNWATCHED_MS * 1000;
    cw_timer_set_us(&s->settle_timer, left_us);
}

/* Back in step, and nobody collects: nothing is kept until the next collection. */
static void rest(struct inv_log_source *s)
{
    inv_log_watch_stop(&s->watch);
    source_forget(s);
}

bool inv_log_in_step(const struct inv_log_source *s)
{
    return !behind(s);
}

void inv_log_settle(struct inv_log_source *s, inv_log_settled_fn *fn, void *arg)
{
    assert(!s->settled);
    s->settled = fn;
    s->settled_arg = arg;
    cw_defer_post(&s->run);
}

/* ---- going on ---- */

static void use_stream(struct inv_log_source *s)
{
    struct inv_log_hub *hub = s->hub;

    if (hub->from == INV_LOG_FROM_EITHER && !hub->said) {
        hub->said = true;
        cw_log(CW_LOG_INFO, NULL, COMPONENT,
               "log file \"%s\" cannot be read here: logs come by the engine's stream where that "
               "is so (cwhisk.containers-dir names the folder of the files)",
               s->file.path);
    }
    s->stream = inv_log_stream_new(hub->loop, hub->driver, s->id, &s->run);
}

static bool may_use_stream(const struct inv_log_source *s)
{
    return !s->stream && s->file.fd < 0 && s->id && s->hub->driver &&
           s->hub->from == INV_LOG_FROM_EITHER;
}

/* Nothing comes any more, or not for now. The source may be gone. */
static void wait_both(struct inv_log_source *s, struct inv_log_call *c)
{
    if (c && !wait_on(c))
        call_end(c, c->req.wait_for_sentinels || s->stream ? INCOMPLETE : outcome_at_end(s));
    else if (behind(s))
        wait_for_rest(s);
}

/* What at_end does, for a collection that wants what is there by now. */
static bool at_end_of_answer(struct inv_log_source *s, struct inv_log_call *c)
{
    enum inv_log_stream_state state;

    if (!c->asked) {
        c->asked = true;
        inv_log_stream_ask(s->stream);
    }
    state = inv_log_stream_state(s->stream);
    if (state == INV_LOG_STREAM_OPEN)
        wait_both(s, c);
    else
        call_end(c, state == INV_LOG_STREAM_FAILED ? UNREADABLE : outcome_at_end(s));
    return false;
}

static bool at_end_of_stream(struct inv_log_source *s, struct inv_log_call *c)
{
    if (s->to_end && inv_log_stream_state(s->stream) != INV_LOG_STREAM_OPEN) {
        s->to_end = false;
        return true;
    }
    if (c && !c->req.wait_for_sentinels)
        return at_end_of_answer(s, c);
    if (!c && !s->settled)
        return false; /* what comes wakes us; one that broke off can wait until it is needed */
    if (!s->to_end && inv_log_stream_follow(s->stream) == INV_LOG_STREAM_FAILED) {
        cw_log(CW_LOG_WARN, NULL, COMPONENT, "%s", inv_log_stream_error(s->stream)->msg);
        if (c) {
            call_end(c, UNREADABLE);
            return false;
        }
    }
    wait_both(s, c);
    return false;
}

/* At the end of what is there; true when there may be more to read at once. Otherwise the source
 * may be gone. */
static bool at_end(struct inv_log_source *s, struct inv_log_call *c)
{
    if (s->stream)
        return at_end_of_stream(s, c);
    if (source_follow(s))
        return true;
    if (may_use_stream(s)) {
        use_stream(s);
        return true;
    }
    if (s->to_end) {
        s->to_end = false;
        return true;
    }
    if (c && (s->file.unreadable || (!c->req.wait_for_sentinels && c->req.linger_ms == 0))) {
        call_end(c, outcome_at_end(s));
        return false;
    }
    if (inv_log_watch_start(&s->watch, &s->file))
        return true; /* it may have come before the watch */
    wait_both(s, c);
    return false;
}

/* Neither a collection nor anything left to skip? Or somebody to tell first? */
static bool is_over(struct inv_log_source *s, const struct inv_log_call *c)
{
    if (behind(s))
        return false;
    if (!c)
        rest(s);
    if (s->settled)
        settle(s, true);
    else if (c)
        return false;
    return true;
}

static void source_run(void *arg)
{
    struct inv_log_source *s = arg;
    struct cw_link *first = cw_list_first(&s->calls);
    struct inv_log_call *c = first ? CW_LIST_ENTRY(first, struct inv_log_call, link) : NULL;
    enum inv_log_verdict verdict;
    ssize_t n = 1;

    if (c && !c->begun)
        call_begin(c);
    for (ssize_t turn = 0; turn < TURN_BYTES; turn += n) {
        verdict = take_lines(s, c);
        if (c && verdict != INV_LOG_MORE) {
            call_end(c, outcome_of(verdict));
            return;
        }
        if (is_over(s, c))
            return;
        n = source_fill(s);
        if (n < 0 && c) {
            call_end(c, INCOMPLETE);
            return;
        }
        if (n < 0)
            n = 0; /* as if there were no more */
        if (n == 0 && !at_end(s, c))
            return;
    }
    cw_defer_post(&s->run);
}

struct inv_log_call *inv_log_collect(struct inv_log_source *s, const struct inv_log_request *req,
                                     inv_log_fn *fn, void *arg)
{
    struct inv_log_call *c = cw_alloc(sizeof(*c));

    c->source = s;
    c->req = *req;
    c->fn = fn;
    c->arg = arg;
    cw_list_push_back(&s->calls, &c->link);
    cw_defer_post(&s->run);
    return c;
}

void inv_log_cancel(struct inv_log_call *c)
{
    call_detach(c);
    call_free(c);
}

/* ---- sources ---- */

struct inv_log_source *inv_log_source_new(struct inv_log_hub *hub, const char *path, const char *id)
{
    struct inv_log_source *s = cw_alloc(sizeof(*s));

    s->hub = hub;
    cw_list_init(&s->calls);
    cw_defer_init(&s->run, hub->loop, source_run, s);
    cw_timer_init(&s->settle_timer, hub->loop, source_run, s);
    inv_log_watch_init(&s->watch, hub->watcher, &s->run);
    source_forget(s);
    inv_log_file_init(&s->file, path);
    s->id = cw_strdup(id);
    if (id && hub->driver && hub->from == INV_LOG_FROM_STREAM)
        use_stream(s);
    hub->sources++;
    return s;
}

void inv_log_source_free(struct inv_log_source *s)
{
    struct cw_link *n;

    if (!s)
        return;
    while ((n = cw_list_first(&s->calls)))
        inv_log_cancel(CW_LIST_ENTRY(n, struct inv_log_call, link));
    inv_log_watch_stop(&s->watch);
    cw_defer_cancel(&s->run);
    cw_timer_done(&s->settle_timer);
    if (s->owed > 0)
        inv_log_lines_done(&s->rest);
    cw_str_done(&s->buf);
    inv_log_file_done(&s->file);
    inv_log_stream_free(s->stream);
    free(s->id);
    s->hub->sources--;
    inv_log_hub_release(s->hub);
    free(s);
}
