/* invoker/agent/scan.h -- which containers there are, by the control groups of the host.
 *
 * No engine is asked: a group whose name holds a container's id (64 hex digits) as engines and the
 * kubelet write it is a container ("<id>", "docker-<id>.scope", "cri-containerd-<id>.scope"). Names
 * and limits come from the files that Docker keeps of its containers, where they can be read.
 * Thread: any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INV_SCAN_ID_LEN = 64, INV_SCAN_GROUPS = 100000, INV_SCAN_DEPTH = 10 };

/* The id in the name of a group; false: it is none's, or that of a program that watches over one.
 * Pure. */
bool inv_scan_id(const char *group, char ret_id[INV_SCAN_ID_LEN + 1]);

/* What is found. paused: its processes are frozen; false also where that cannot be seen. */
typedef void inv_scan_fn(void *arg, const char *id, bool paused);

/* fn for each container below root ("/sys/fs/cgroup", version 1 or 2), in no order; each once
 * unless groups move meanwhile. At most INV_SCAN_GROUPS groups, INV_SCAN_DEPTH deep. false: there
 * is no hierarchy to be seen. Takes milliseconds on a machine with many groups. */
bool inv_scan_groups(const char *root, inv_scan_fn *fn, void *arg);

struct inv_scan_facts {
    char name[256];        /* without the slash; the id where it is not known */
    bool named;            /* it is known */
    uint64_t memory_bytes; /* limit; 0: none, or not known */
};
/* folder: Docker's ("/var/lib/docker/containers"), with a folder for each id. */
void inv_scan_facts(const char *folder, const char *id, struct inv_scan_facts *ret);
