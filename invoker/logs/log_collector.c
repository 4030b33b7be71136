/* A collection reads what is there and usually finds both sentinels at once: then there is no
 * watch, no timer, and nothing kept but the file's descriptor and offset. Only when the end of the
 * file comes first is the file watched (writes and truncation), and its folder (creation and
 * rotation), for as long as the collection waits.
 *
 * The descriptor stays open between collections, so that a file that was rotated away meanwhile is
 * read to its end; its successor is found by inode among the names that Docker gives (FILE, FILE.1,
 * FILE.2, ...). With max-file=1 Docker truncates the file in place instead, which shows in its
 * size.
 */
#include "invoker/logs/log_collector.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/list.h"
#include "common/loop/loop.h"
#include "invoker/logs/log_lines.h"

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
    ROTATED_MAX = 32,  /* names FILE.1 ... looked at */
    UNWATCHED_MS = 20, /* where the kernel has no watch left to give */
    WATCH_ON_FILE = IN_MODIFY,
    WATCH_ON_FOLDER = IN_CREATE | IN_MOVED_TO,
};

struct inv_log_hub {
    struct cw_loop *loop;
    int fd;
    struct cw_watch watch;
    struct cw_list waiting; /* struct inv_log_source */
    size_t sources;
    bool freed; /* but for the sources that are left */
};

struct inv_log_source {
    struct inv_log_hub *hub;
    struct cw_link link; /* hub->waiting */
    char *path;
    int fd;               /* -1: not opened yet */
    bool unreadable;      /* it is there and cannot be opened */
    int64_t offset;       /* behind the last line taken */
    bool skipping;        /* the rest of an overlong line comes first */
    struct cw_str buf;    /* read at offset, not taken yet; empty between collections */
    struct cw_list calls; /* struct inv_log_call, the first is under way */
    struct cw_defer run;
    int file_watch, folder_watch; /* -1: none */
};

struct inv_log_call {
    struct cw_link link;
    struct inv_log_source *source;
    struct inv_log_request req;
    inv_log_fn *fn;
    void *arg;
    struct inv_log_lines lines;
    bool begun;
    int64_t idle_end_us, total_end_us;
    bool timed; /* timer is set up: only calls that wait have one */
    struct cw_timer timer;
};

enum outcome { COMPLETE, INCOMPLETE, TRUNCATED, UNREADABLE };

/* ---- inotify ---- */

/* Gives up a watch unless another source that waits has it, too: one inode is one watch. */
static void drop_watch(struct inv_log_hub *hub, int watch)
{
    if (watch < 0)
        return;
    CW_LIST_EACH (&hub->waiting, n) {
        struct inv_log_source *s = CW_LIST_ENTRY(n, struct inv_log_source, link);

        if (s->file_watch == watch || s->folder_watch == watch)
            return;
    }
    (void)inotify_rm_watch(hub->fd, watch);
}

static void stop_waiting(struct inv_log_source *s)
{
    int file = s->file_watch, folder = s->folder_watch;

    if (!cw_link_on_list(&s->link))
        return;
    cw_list_remove(&s->hub->waiting, &s->link);
    s->file_watch = s->folder_watch = -1;
    drop_watch(s->hub, file);
    drop_watch(s->hub, folder);
}

/* By descriptor, since the name may belong to another file by now. */
static void watch_file(struct inv_log_source *s)
{
    char name[40];

    if (s->fd < 0 || s->file_watch >= 0)
        return;
    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", s->fd);
    s->file_watch = inotify_add_watch(s->hub->fd, name, WATCH_ON_FILE);
}

static void watch_folder(struct inv_log_source *s)
{
    const char *slash = strrchr(s->path, '/');
    char *folder;

    if (s->folder_watch >= 0)
        return;
    folder = slash ? cw_memdup(s->path, (size_t)(slash - s->path) + 1) : cw_strdup(".");
    s->folder_watch = inotify_add_watch(s->hub->fd, folder, WATCH_ON_FOLDER);
    free(folder);
}

/* true when something new is watched, so that what happened before must be looked at once more. */
static bool start_waiting(struct inv_log_source *s)
{
    int file = s->file_watch, folder = s->folder_watch;

    if (!cw_link_on_list(&s->link))
        cw_list_push_back(&s->hub->waiting, &s->link);
    watch_file(s);
    watch_folder(s);
    return s->file_watch != file || s->folder_watch != folder;
}

static bool well_watched(const struct inv_log_source *s)
{
    return s->folder_watch >= 0 && (s->fd < 0 || s->file_watch >= 0);
}

static void on_notice(struct inv_log_hub *hub, const struct inotify_event *ev)
{
    CW_LIST_EACH (&hub->waiting, n) {
        struct inv_log_source *s = CW_LIST_ENTRY(n, struct inv_log_source, link);

        if (!(ev->mask & IN_Q_OVERFLOW) && ev->wd != s->file_watch && ev->wd != s->folder_watch)
            continue;
        if (ev->mask & IN_IGNORED) { /* the watched inode is gone */
            s->file_watch = ev->wd == s->file_watch ? -1 : s->file_watch;
            s->folder_watch = ev->wd == s->folder_watch ? -1 : s->folder_watch;
        }
        cw_defer_post(&s->run);
    }
}

static void on_inotify(void *arg)
{
    struct inv_log_hub *hub = arg;
    char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t n = read(hub->fd, buf, sizeof(buf));
    const struct inotify_event *ev;

    for (char *p = buf; n > 0 && p < buf + n; p += sizeof(*ev) + ev->len) {
        ev = (const struct inotify_event *)(void *)p;
        on_notice(hub, ev);
    }
}

/* ---- files ---- */

static bool source_open(struct inv_log_source *s, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    s->unreadable = fd < 0 && errno != ENOENT;
    if (fd < 0)
        return false;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        s->unreadable = true;
        return false;
    }
    s->fd = fd;
    return true;
}

static bool same_file(const struct stat *a, const char *path)
{
    struct stat b;

    return stat(path, &b) == 0 && b.st_ino == a->st_ino && b.st_dev == a->st_dev;
}

static char *rotated_name(const struct inv_log_source *s, int n)
{
    struct cw_str name;

    cw_str_init(&name, 8192);
    cw_str_addz(&name, s->path);
    if (n > 0)
        cw_str_addf(&name, ".%d", n);
    return cw_str_steal(&name);
}

/* The name of the file that came after ours: where ours is FILE.n, FILE.(n-1). free() it; NULL when
 * ours is the current one. */
static char *successor_name(const struct inv_log_source *s, const struct stat *ours)
{
    struct stat any;
    bool found = false;
    int n = 0;

    if (same_file(ours, s->path) || stat(s->path, &any) != 0)
        return NULL;
    while (!found && n < ROTATED_MAX) {
        char *name = rotated_name(s, ++n);

        found = same_file(ours, name);
        free(name);
    }
    return rotated_name(s, found ? n - 1 : 0);
}

static void leave_file(struct inv_log_source *s)
{
    int watch = s->file_watch;

    s->file_watch = -1;
    drop_watch(s->hub, watch);
    close(s->fd);
    s->fd = -1;
}

static bool start_over(struct inv_log_source *s)
{
    s->offset = 0;
    s->skipping = false;
    cw_str_reset(&s->buf);
    return true;
}

/* At the end of the file: goes over to its successor, or back to the beginning of one that was cut;
 * true when there may be more to read. */
static bool source_follow(struct inv_log_source *s)
{
    int64_t end = s->offset + (int64_t)s->buf.n;
    struct stat ours;
    char *next;

    if (s->fd < 0)
        return source_open(s, s->path);
    if (fstat(s->fd, &ours) != 0)
        return false;
    if (ours.st_size < end)
        return start_over(s);
    if (!(next = successor_name(s, &ours)))
        return false;
    /* Docker closes a file before it renames it: what we have not seen now is still to be read. */
    if (fstat(s->fd, &ours) == 0 && ours.st_size == end) {
        leave_file(s);
        (void)source_open(s, next);
        (void)start_over(s);
    }
    free(next);
    return s->fd >= 0;
}

/* Bytes read, 0 at the end of the file or without one, -1 when it cannot be read. */
static ssize_t source_fill(struct inv_log_source *s)
{
    char *to;
    ssize_t n;

    if (s->fd < 0)
        return 0;
    to = cw_str_reserve(&s->buf, READ_BYTES);
    if (!to)
        return -1;
    do
        n = pread(s->fd, to, READ_BYTES, s->offset + (int64_t)s->buf.n);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        cw_str_commit(&s->buf, (size_t)n);
    return n;
}

static void source_drop(struct inv_log_source *s, size_t n)
{
    cw_str_consume(&s->buf, n);
    s->offset += (int64_t)n;
}

/* What is behind the last line taken will be read again by the next collection. */
static void source_forget(struct inv_log_source *s)
{
    cw_str_done(&s->buf);
    cw_str_init(&s->buf, INV_LOG_MAX_LINE + 2 * READ_BYTES);
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
    c->idle_end_us = now_us + c->req.idle_timeout_ms * 1000;
    c->total_end_us = now_us + or_default(c->req.total_timeout_ms, total_ms);
    inv_log_lines_init(&c->lines, c->req.limit_bytes);
}

/* Takes the complete lines of the buffer. */
static enum inv_log_verdict take_lines(struct inv_log_call *c)
{
    struct inv_log_source *s = c->source;
    enum inv_log_verdict verdict = INV_LOG_MORE;
    size_t at = 0;
    const char *nl;

    if (s->skipping)
        skip_rest(s);
    while (verdict == INV_LOG_MORE && (nl = memchr(s->buf.p + at, '\n', s->buf.n - at))) {
        size_t n = (size_t)(nl - (s->buf.p + at));

        verdict = inv_log_lines_add(&c->lines, cw_slice(s->buf.p + at, n));
        at += n + 1;
    }
    if (at > 0)
        c->idle_end_us = cw_loop_mono_us(s->hub->loop) + c->req.idle_timeout_ms * 1000;
    source_drop(s, at);
    if (verdict == INV_LOG_MORE && s->buf.n > inv_log_lines_longest(&c->lines)) {
        skip_rest(s);
        verdict = INV_LOG_BROKEN;
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
    stop_waiting(s);
    source_forget(s);
    if (!cw_list_empty(&s->calls))
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
    } else if (outcome == INCOMPLETE) {
        inv_log_lines_note(&c->lines, INCOMPLETE_TEXT, now_ms);
    }
    if (c->req.developer_error)
        inv_log_lines_note(&c->lines, DEVELOPER_TEXT, now_ms);
    return inv_log_lines_finish(&c->lines);
}

/* The source may be gone afterwards. */
static void call_end(struct inv_log_call *c, enum outcome outcome)
{
    struct cw_slice logs;

    if (outcome == COMPLETE && c->lines.garbage)
        outcome = INCOMPLETE;
    logs = call_result(c, outcome);
    call_detach(c);
    c->fn(c->arg, logs, outcome == COMPLETE, outcome == TRUNCATED);
    call_free(c);
}

static enum outcome outcome_of(enum inv_log_verdict verdict)
{
    if (verdict == INV_LOG_DONE)
        return COMPLETE;
    return verdict == INV_LOG_TRUNCATED ? TRUNCATED : INCOMPLETE;
}

/* All there is was read, and no sentinels are waited for. */
static enum outcome outcome_at_end(const struct inv_log_source *s)
{
    if (s->fd < 0)
        return UNREADABLE;
    return s->buf.n == 0 ? COMPLETE : INCOMPLETE; /* half a line */
}

/* false when time is up. */
static bool wait_on(struct inv_log_call *c)
{
    struct inv_log_source *s = c->source;
    int64_t now_us = cw_loop_mono_us(s->hub->loop);
    int64_t end_us = c->idle_end_us < c->total_end_us ? c->idle_end_us : c->total_end_us;
    int64_t delay_us = end_us - now_us;

    if (delay_us <= 0)
        return false;
    /* fs.inotify.max_user_watches is used up: looking again is worse than being told, but far
     * better than losing the logs and with them the container. */
    if (!well_watched(s) && delay_us > UNWATCHED_MS * 1000)
        delay_us = UNWATCHED_MS * 1000;
    if (!c->timed)
        cw_timer_init(&c->timer, s->hub->loop, s->run.fn, s);
    c->timed = true;
    cw_timer_set_us(&c->timer, delay_us);
    return true;
}

/* At the end of the file; true when there may be more to read at once. */
static bool at_end(struct inv_log_call *c)
{
    struct inv_log_source *s = c->source;

    if (source_follow(s))
        return true;
    if (!c->req.wait_for_sentinels || s->unreadable) {
        call_end(c, outcome_at_end(s));
        return false;
    }
    if (start_waiting(s))
        return true; /* it may have come before the watch */
    if (!wait_on(c))
        call_end(c, INCOMPLETE);
    return false;
}

static void source_run(void *arg)
{
    struct inv_log_source *s = arg;
    struct cw_link *first = cw_list_first(&s->calls);
    struct inv_log_call *c = first ? CW_LIST_ENTRY(first, struct inv_log_call, link) : NULL;
    enum inv_log_verdict verdict;
    ssize_t n = 1;

    if (!c)
        return;
    if (!c->begun)
        call_begin(c);
    for (ssize_t turn = 0; turn < TURN_BYTES; turn += n) {
        if ((verdict = take_lines(c)) != INV_LOG_MORE) {
            call_end(c, outcome_of(verdict));
            return;
        }
        n = source_fill(s);
        if (n < 0) {
            call_end(c, INCOMPLETE);
            return;
        }
        if (n == 0 && !at_end(c))
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

/* ---- sources and the hub ---- */

static void hub_release(struct inv_log_hub *hub)
{
    if (hub->freed && hub->sources == 0)
        free(hub);
}

struct inv_log_source *inv_log_source_new(struct inv_log_hub *hub, const char *path)
{
    struct inv_log_source *s = cw_alloc(sizeof(*s));

    s->hub = hub;
    s->path = cw_strdup(path);
    s->fd = s->file_watch = s->folder_watch = -1;
    cw_list_init(&s->calls);
    cw_defer_init(&s->run, hub->loop, source_run, s);
    source_forget(s);
    /* As early as possible, so that a rotation before the first collection loses nothing. */
    (void)source_open(s, s->path);
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
    cw_defer_cancel(&s->run);
    cw_str_done(&s->buf);
    if (s->fd >= 0)
        close(s->fd);
    s->hub->sources--;
    hub_release(s->hub);
    free(s->path);
    free(s);
}

struct inv_log_hub *inv_log_hub_new(struct cw_loop *loop, struct cw_err *err)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    struct inv_log_hub *hub;

    if (fd < 0) {
        (void)cw_fail_errno(err, errno, "logs: inotify");
        return NULL;
    }
    hub = cw_alloc(sizeof(*hub));
    hub->loop = loop;
    hub->fd = fd;
    cw_list_init(&hub->waiting);
    cw_watch_read(&hub->watch, loop, fd, on_inotify, hub);
    return hub;
}

void inv_log_hub_free(struct inv_log_hub *hub)
{
    if (!hub)
        return;
    cw_watch_done(&hub->watch);
    close(hub->fd);
    hub->fd = -1;
    hub->freed = true;
    hub_release(hub);
}
