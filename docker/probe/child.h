/* docker/probe/child.h -- the program that the image would have run, as our child.
 *
 * It gets what we got: standard streams, environment (without the probe's own), working directory,
 * signal mask; every signal that is sent to us; and a process group of its own, with the terminal
 * if there is one. We take its place as process 1: processes that lose their parent are reaped. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct pb_child {
    pid_t pid;
    int signal_fd; /* readable: pb_child_signals has something to do */
    sigset_t mask; /* as we got it */
};

/* Holds back all signals that can be forwarded. Before anything else; false: errno says why. */
bool pb_child_prepare(struct pb_child *c);
/* false: there is no child; errno says why. What it cannot execute ends with status 127 (there is
 * no such program) or 126, as in a shell. */
bool pb_child_start(struct pb_child *c, char *const argv[]);
/* Forwards and reaps. true: the child has ended, with this status for us to end with. */
bool pb_child_signals(struct pb_child *c, int *ret_status);
