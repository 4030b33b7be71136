/* Times are the engine's and may repeat, and lines of the two streams may be out of their order by
 * a little. So the place where a broken stream goes on is the n-th line with the last time seen,
 * counted from a second before. */
#include "invoker/logs/log_stream.h"

#include <time.h>

#include "common/base/err.h"
#include "common/driver/container_driver.h"
#include "common/loop/loop.h"
#include "invoker/logs/log_frames.h"

enum {
    HOLD_BYTES = 512 << 10, /* at hand; then the engine has to wait */
    GO_ON_BYTES = 128 << 10,
    MAX_LINES = 32 << 20, /* what was on its way when it was held */
    PIECE_BYTES = 64 << 10,
    AGAIN_MS = 100, /* between attempts to follow */
};

struct inv_log_stream {
    struct cw_loop *loop;
    struct cw_driver *driver;
    struct cw_defer *wake;
    struct cw_driver_call *call; /* NULL: not open */
    struct cw_timer again;
    enum inv_log_stream_state state;
    bool follows, held;
    struct cw_err err;
    struct inv_log_frames frames;
    struct cw_str lines; /* at hand */
    /* where it goes on: */
    char last[INV_FRAME_MAX_TIME + 1];
    unsigned last_seen; /* lines with that time */
    bool skipping;
    unsigned skipped; /* lines with that time */
    char id[65];
};

/* ---- the place ---- */

static bool is_last(const struct inv_log_stream *s, struct cw_slice time)
{
    return s->last[0] && cw_slice_is(time, s->last);
}

/* true: this one was seen before. */
static bool skip(struct inv_log_stream *s, const struct inv_log_message *m)
{
    if (!s->skipping)
        return false;
    if (is_last(s, m->time) && ++s->skipped == s->last_seen)
        s->skipping = false;
    return true;
}

static void note_place(struct inv_log_stream *s, struct cw_slice time)
{
    if (is_last(s, time)) {
        s->last_seen++;
    } else if (time.n) {
        memcpy(s->last, time.p, time.n);
        s->last[time.n] = '\0';
        s->last_seen = 1;
    }
}

/* 0 when there is none yet, or in a form that only the engine understands: all is asked for then,
 * and skipped. */
static int64_t since(const struct inv_log_stream *s)
{
    struct tm tm = {0};
    const char *rest = s->last[0] ? strptime(s->last, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    const char *zone = rest ? rest + strspn(rest, ".0123456789") : NULL;
    int64_t t;

    if (!zone || strcmp(zone, "Z") != 0)
        return 0;
    t = (int64_t)timegm(&tm) - 1;
    return t > 0 ? t : 0;
}

/* ---- the stream ---- */

static void on_message(void *arg, const struct inv_log_message *m)
{
    struct inv_log_stream *s = arg;

    if (skip(s, m))
        return;
    note_place(s, m->time);
    inv_log_message_encode(m, &s->lines);
}

/* Cannot be while a held engine waits. */
static void give_up(struct inv_log_stream *s)
{
    s->driver->ops->cancel(s->driver, s->call);
    s->call = NULL;
    s->held = false;
    cw_str_reset(&s->lines);
    (void)cw_fail(&s->err, CW_TOO_LARGE, "log stream: more than %d bytes at once", MAX_LINES);
    s->state = INV_LOG_STREAM_FAILED;
    cw_defer_post(s->wake);
}

static void on_data(void *arg, struct cw_slice piece)
{
    struct inv_log_stream *s = arg;

    inv_log_frames_add(&s->frames, piece, on_message, s);
    if (s->lines.failed) {
        give_up(s);
        return;
    }
    if (!s->held && s->lines.n > HOLD_BYTES) {
        s->held = true;
        s->driver->ops->hold_output(s->driver, s->call, true);
    }
    cw_defer_post(s->wake);
}

static void on_end(void *arg, const struct cw_err *err)
{
    struct inv_log_stream *s = arg;

    s->call = NULL;
    s->held = false;
    s->state = INV_LOG_STREAM_ENDED;
    if (err && !(s->follows && err->retriable)) {
        s->state = INV_LOG_STREAM_FAILED;
        s->err = *err;
    }
    if (s->follows)
        cw_timer_set_ms(&s->again, AGAIN_MS);
    cw_defer_post(s->wake);
}

static void close_stream(struct inv_log_stream *s)
{
    if (s->call)
        s->driver->ops->cancel(s->driver, s->call);
    s->call = NULL;
    s->held = false;
    inv_log_frames_done(&s->frames);
    inv_log_frames_init(&s->frames);
}

static void open_stream(struct inv_log_stream *s, bool follow)
{
    const struct cw_output_query query = {.follow = follow, .since_s = since(s)};

    close_stream(s);
    cw_timer_stop(&s->again);
    s->follows = follow;
    s->skipping = s->last[0] != '\0';
    s->skipped = 0;
    s->state = INV_LOG_STREAM_OPEN;
    s->call = s->driver->ops->output(s->driver, s->id, &query, on_data, on_end, s);
}

ssize_t inv_log_stream_fill(struct inv_log_stream *s, struct cw_str *buf)
{
    size_t n = s->lines.n < PIECE_BYTES ? s->lines.n : PIECE_BYTES;

    if (n > buf->max - buf->n)
        return -1;
    cw_str_add(buf, s->lines.p, n);
    cw_str_consume(&s->lines, n);
    if (s->held && s->lines.n < GO_ON_BYTES) {
        s->held = false;
        s->driver->ops->hold_output(s->driver, s->call, false);
    }
    return (ssize_t)n;
}

enum inv_log_stream_state inv_log_stream_follow(struct inv_log_stream *s)
{
    if (s->state == INV_LOG_STREAM_FAILED) {
        s->state = INV_LOG_STREAM_ENDED; /* said once; the next one may try again */
        return INV_LOG_STREAM_FAILED;
    }
    if ((s->call && s->follows) || cw_timer_pending(&s->again))
        return INV_LOG_STREAM_OPEN;
    open_stream(s, true);
    return INV_LOG_STREAM_OPEN;
}

void inv_log_stream_ask(struct inv_log_stream *s)
{
    open_stream(s, false);
}

enum inv_log_stream_state inv_log_stream_state(const struct inv_log_stream *s)
{
    return s->state;
}

const struct cw_err *inv_log_stream_error(const struct inv_log_stream *s)
{
    return &s->err;
}

static void on_again(void *arg)
{
    struct inv_log_stream *s = arg;

    cw_defer_post(s->wake); /* whoever still waits will follow */
}

struct inv_log_stream *inv_log_stream_new(struct cw_loop *loop, struct cw_driver *driver,
                                          const char *id, struct cw_defer *wake)
{
    struct inv_log_stream *s = cw_alloc(sizeof(*s));

    s->loop = loop;
    s->driver = driver;
    s->wake = wake;
    s->state = INV_LOG_STREAM_ENDED;
    cw_timer_init(&s->again, loop, on_again, s);
    inv_log_frames_init(&s->frames);
    cw_str_init(&s->lines, MAX_LINES);
    for (size_t i = 0; i < sizeof(s->id) - 1 && id[i]; i++)
        s->id[i] = id[i];
    return s;
}

void inv_log_stream_free(struct inv_log_stream *s)
{
    if (!s)
        return;
    close_stream(s);
    cw_timer_done(&s->again);
    inv_log_frames_done(&s->frames);
    cw_str_done(&s->lines);
    free(s);
}
