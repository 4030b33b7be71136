#include "docker/probe/child.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NO_PROGRAM = 127, NOT_EXECUTABLE = 126 };

bool pb_child_prepare(struct pb_child *c)
{
    /* These are about ourselves; blocked, they would stop us without a word. */
    static const int OWN[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigset_t all;

    (void)sigfillset(&all);
    for (size_t i = 0; i < sizeof(OWN) / sizeof(OWN[0]); i++)
        (void)sigdelset(&all, OWN[i]);
    if (sigprocmask(SIG_SETMASK, &all, &c->mask) != 0)
        return false;
    /* Where somebody else is process 1 (docker run --init), the orphans are still ours. */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    c->signal_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    return c->signal_fd >= 0;
}

static _Noreturn void become(const struct pb_child *c, char *const argv[])
{
    int reason;

    (void)setpgid(0, 0);
    (void)tcsetpgrp(STDIN_FILENO, getpgrp()); /* not a terminal: nothing happens */
    (void)sigprocmask(SIG_SETMASK, &c->mask, NULL);
    execvp(argv[0], argv);
    reason = errno;
    (void)dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerrordesc_np(reason));
    _exit(reason == ENOENT || reason == ENOTDIR ? NO_PROGRAM : NOT_EXECUTABLE);
}

bool pb_child_start(struct pb_child *c, char *const argv[])
{
    c->pid = fork();
    if (c->pid == 0)
        become(c, argv);
    return c->pid > 0;
}

static bool reap(const struct pb_child *c, int *ret_status)
{
    bool ended = false;
    int status;

    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid != c->pid)
            continue;
        *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        ended = true;
    }
    return ended;
}

bool pb_child_signals(struct pb_child *c, int *ret_status)
{
    struct signalfd_siginfo info;

    while (read(c->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        if (info.ssi_signo != SIGCHLD)
            (void)kill(c->pid, (int)info.ssi_signo);
    return reap(c, ret_status); /* also without SIGCHLD: it may have come together with another */
}
