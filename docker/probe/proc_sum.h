/* docker/probe/proc_sum.h -- what all processes of a container use together, from /proc.
 *
 * CPU time is exact (the scheduler's count) for processes that live, and in ticks of 10 ms for
 * those that have ended and were waited for; one that ended and was not waited for (its parent
 * ignores SIGCHLD) is lost. Memory is the proportional set size where several processes may share
 * theirs and the kernel shows it, else the sum of anonymous memory and the largest of the shared
 * parts: the page cache, the kernel's own memory and files in tmpfs that nobody maps are not in it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { PB_MAX_PROCESSES = 4096 }; /* further ones are not looked at */

struct pb_proc_sum {
    int64_t cpu_ns, memory_bytes, peak_bytes;
    int64_t threads;
};

/* CPU time of a process with all its threads so far; -1: not to be had. */
typedef int64_t pb_cpu_clock_fn(pid_t pid);

/* The machine's own clocks. */
int64_t pb_cpu_clock(pid_t pid);

/* proc: "/proc", or a folder of the same shape. Processes that end meanwhile are left out. false:
 * there is nothing to read. */
bool pb_proc_sum_read(const char *proc, pb_cpu_clock_fn *cpu_clock, struct pb_proc_sum *ret);
