/* One poll loop over the child's three pipes and a signalfd for its death. Death ends the wait, not
 * end-of-file: a process that the action left behind may hold the pipes open for ever. */
#include "docker/runtimes/native/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/err.h"

enum { CHUNK = 64 * 1024 };

enum { IN, OUT, ERR, DEATH, POLLED };

struct run {
    const struct ap_child *child;
    struct pollfd fds[POLLED]; /* fd -1: closed */
    struct cw_slice input;     /* still to be written */
    bool too_long;             /* the last line went over its maximum */
};

static void write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);

        if (done < 0 && errno == EAGAIN) {
            (void)poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
            continue;
        }
        if (done < 0 && errno != EINTR)
            return; /* nobody reads our log any more: nothing better to do */
        if (done > 0) {
            p += done;
            n -= (size_t)done;
        }
    }
}

void ap_log_write(struct ap_log *log, struct cw_slice text)
{
    if (text.n == 0)
        return;
    write_all(log->fd, text.p, text.n);
    log->line_open = text.p[text.n - 1] != '\n';
}

void ap_log_end(struct ap_log *log)
{
    if (log->line_open)
        ap_log_write(log, CW_SLICE("\n"));
    ap_log_write(log, CW_SLICE("XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n"));
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- output ---- */

/* All complete lines but the last go to the log; what may be the result stays in last_line. */
static void keep_last_line(struct run *r, struct cw_slice text)
{
    struct cw_str *last = r->child->last_line;
    size_t before =
        last->n > 0 ? last->n - 1 : 0; /* its newline may just have become an inner one */
    const char *newline;

    if (r->too_long) {
        ap_log_write(r->child->out, text);
        return;
    }
    cw_str_adds(last, text);
    if (last->failed) {
        r->too_long = true;
        ap_log_write(r->child->out, cw_str_slice(last));
        ap_log_write(r->child->out, text);
        cw_str_reset(last);
        return;
    }
    newline = memrchr(last->p + before, '\n', last->n - 1 - before);
    if (newline) {
        size_t n = (size_t)(newline + 1 - last->p);

        ap_log_write(r->child->out, cw_slice(last->p, n));
        cw_str_consume(last, n);
    }
}

/* false at end of file or when nothing more is there for now. */
static bool pump_out(struct run *r, int which)
{
    char chunk[CHUNK];
    ssize_t n = read(r->fds[which].fd, chunk, sizeof(chunk));

    if (n < 0)
        return errno == EINTR;
    if (n == 0) {
        close_fd(&r->fds[which].fd);
        return false;
    }
    if (which == OUT && r->child->last_line)
        keep_last_line(r, cw_slice(chunk, (size_t)n));
    else
        ap_log_write(which == OUT ? r->child->out : r->child->err, cw_slice(chunk, (size_t)n));
    return true;
}

static void pump_in(struct run *r)
{
    ssize_t n = write(r->fds[IN].fd, r->input.p, r->input.n);

    if (n > 0) {
        r->input.p += n;
        r->input.n -= (size_t)n;
    }
    if ((n < 0 && errno != EAGAIN && errno != EINTR) || r->input.n == 0)
        close_fd(&r->fds[IN].fd);
}

/* ---- the process ---- */

static _Noreturn void exec_child(const struct ap_child *child, const int pipes[3][2],
                                 const sigset_t *mask)
{
    if (dup2(pipes[IN][0], 0) < 0 || dup2(pipes[OUT][1], 1) < 0 || dup2(pipes[ERR][1], 2) < 0)
        _exit(126);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    /* execvp hands a file without a shebang to /bin/sh. */
    execvp(child->argv[0], (char *const *)child->argv);
    if (errno == E2BIG && child->argv[1]) /* environment and arguments together are too long */
        execvp(child->argv[0], (char *const[]){(char *)child->argv[0], NULL});
    dprintf(2, "cannot run %s: %s\n", child->argv[0], strerrordesc_np(errno));
    _exit(127);
}

static int open_pipes(int pipes[3][2], struct cw_err *err)
{
    for (int i = 0; i < 3; i++) {
        if (pipe2(pipes[i], O_CLOEXEC) != 0)
            return cw_fail_errno(err, errno, "pipe");
    }
    for (int i = 0; i < 3; i++) /* our ends only */
        (void)fcntl(pipes[i][i == IN ? 1 : 0], F_SETFL, O_NONBLOCK);
    return 0;
}

/* Has the child ended? Also reaps whatever else was left to us as process 1. */
static bool reap(struct run *r, pid_t child, int *status)
{
    struct signalfd_siginfo info;
    bool ended = false;
    int s;

    while (read(r->fds[DEATH].fd, &info, sizeof(info)) > 0)
        ;
    for (pid_t pid; (pid = waitpid(-1, &s, WNOHANG)) > 0;) {
        if (pid == child) {
            *status = s;
            ended = true;
        }
    }
    return ended;
}

static int wait_child(struct run *r, pid_t pid)
{
    int status = 0;
    bool ended = false;

    while (!ended) {
        if (poll(r->fds, POLLED, -1) < 0 && errno != EINTR)
            break;
        if (r->fds[IN].fd >= 0 && r->fds[IN].revents)
            pump_in(r);
        for (int i = OUT; i <= ERR; i++) {
            if (r->fds[i].fd >= 0 && r->fds[i].revents)
                (void)pump_out(r, i);
        }
        if (r->fds[DEATH].revents)
            ended = reap(r, pid, &status);
    }
    for (int i = OUT; i <= ERR; i++) /* what it wrote before its end */
        while (r->fds[i].fd >= 0 && pump_out(r, i))
            ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int spawn(const struct ap_child *child, struct run *r, const sigset_t *old_mask,
                 struct cw_err *err)
{
    int pipes[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
    int status = -1;
    pid_t pid;

    if (open_pipes(pipes, err) == 0) {
        pid = fork();
        if (pid == 0)
            exec_child(child, pipes, old_mask);
        for (int i = 0; i < 3; i++) {
            r->fds[i] = (struct pollfd){.fd = pipes[i][i == IN ? 1 : 0],
                                        .events = i == IN ? POLLOUT : POLLIN};
            pipes[i][i == IN ? 1 : 0] = -1; /* now r's */
            close_fd(&pipes[i][i == IN ? 0 : 1]);
        }
        status = pid < 0 ? cw_fail_errno(err, errno, "fork") : wait_child(r, pid);
    }
    for (int i = 0; i < 3; i++) {
        close_fd(&pipes[i][0]);
        close_fd(&pipes[i][1]);
        close_fd(&r->fds[i].fd);
    }
    return status;
}

int ap_child_run(const struct ap_child *child, struct cw_err *err)
{
    struct run r = {.child = child, .input = child->input};
    sigset_t chld, old_mask;
    int status;

    for (int i = 0; i < POLLED; i++)
        r.fds[i] = (struct pollfd){.fd = -1};
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &chld, &old_mask);
    r.fds[DEATH].fd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
    r.fds[DEATH].events = POLLIN;
    status = r.fds[DEATH].fd < 0 ? cw_fail_errno(err, errno, "signalfd")
                                 : spawn(child, &r, &old_mask, err);
    close_fd(&r.fds[DEATH].fd);
    (void)sigprocmask(SIG_SETMASK, &old_mask, NULL);
    return status;
}
