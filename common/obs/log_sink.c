#include "common/obs/log_sink.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 256 << 10,
    FULL_BYTES = 32 << 10, /* then it is written without a flush */
};

/* One part of the project's one mutable global (log.c has the other). */
static struct {
    _Atomic int fd;
    _Atomic bool gathers;
    pthread_mutex_t lock; /* guards the rest */
    pthread_t owner;
    bool is_file;
    size_t begin, end; /* of what waits in buf */
    uint64_t lost;     /* lines */
    char buf[BUFFER_BYTES];
} sink = {.fd = STDOUT_FILENO, .lock = PTHREAD_MUTEX_INITIALIZER};

static bool takes_more(int wait_ms)
{
    struct pollfd p = {.fd = sink.fd, .events = POLLOUT};

    return sink.is_file || poll(&p, 1, wait_ms) > 0;
}

/* Whole lines, as many as one write may take without blocking. */
static size_t piece_length(void)
{
    size_t n = sink.end - sink.begin;
    const char *nl;

    if (sink.is_file || n <= PIPE_BUF)
        return n;
    nl = memrchr(sink.buf + sink.begin, '\n', PIPE_BUF);
    return nl ? (size_t)(nl + 1 - (sink.buf + sink.begin)) : PIPE_BUF;
}

static uint64_t count_lines(const char *p, size_t n)
{
    uint64_t lines = 0;

    for (size_t i = 0; i < n; i++)
        lines += p[i] == '\n';
    return lines;
}

/* With the lock held. */
static void write_out(int wait_ms)
{
    while (sink.begin < sink.end && takes_more(wait_ms)) {
        size_t n = piece_length();
        ssize_t done = write(sink.fd, sink.buf + sink.begin, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && errno == EAGAIN)
            return;
        if (done < 0) { /* gone, or no space: as good as written, or nothing would ever be */
            sink.lost += count_lines(sink.buf + sink.begin, n);
            done = (ssize_t)n;
        }
        sink.begin += (size_t)done;
    }
    if (sink.begin == sink.end)
        sink.begin = sink.end = 0;
}

static bool make_room(size_t n)
{
    if (sink.end + n > sizeof(sink.buf)) {
        memmove(sink.buf, sink.buf + sink.begin, sink.end - sink.begin);
        sink.end -= sink.begin;
        sink.begin = 0;
    }
    return sink.end + n <= sizeof(sink.buf);
}

static void gather(const char *line, size_t n, bool urgent)
{
    pthread_mutex_lock(&sink.lock);
    if (make_room(n)) {
        memcpy(sink.buf + sink.end, line, n);
        sink.end += n;
    } else {
        sink.lost++;
    }
    if (urgent || sink.end - sink.begin >= FULL_BYTES || !pthread_equal(sink.owner, pthread_self()))
        write_out(0);
    pthread_mutex_unlock(&sink.lock);
}

void cw_log_sink_put(const char *line, size_t n, bool urgent)
{
    if (atomic_load_explicit(&sink.gathers, memory_order_relaxed)) {
        gather(line, n, urgent);
        return;
    }
    /* What cannot be written is dropped: a sink that is gone must not stop the program. */
    while (write(sink.fd, line, n) < 0 && errno == EINTR)
        ;
}

bool cw_log_sink_flush(int wait_ms, uint64_t *ret_lost)
{
    bool empty;

    pthread_mutex_lock(&sink.lock);
    if (sink.begin < sink.end)
        write_out(wait_ms);
    empty = sink.begin == sink.end;
    *ret_lost = empty ? sink.lost : 0;
    if (empty)
        sink.lost = 0;
    pthread_mutex_unlock(&sink.lock);
    return empty;
}

void cw_log_sink_set(int fd, bool gathers)
{
    struct stat st;

    pthread_mutex_lock(&sink.lock);
    write_out(0);
    sink.begin = sink.end = 0;
    sink.fd = fd;
    sink.is_file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    sink.owner = pthread_self();
    sink.gathers = gathers;
    pthread_mutex_unlock(&sink.lock);
}
