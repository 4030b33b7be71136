/* invoker/logs/userlogs.h -- files of log lines and activation records for whoever ships them
 * elsewhere (openwhisk container.md 3, DockerToActivationFileLogStore).
 *
 * FOLDER/userlogs-<epoch ms>.log, mode 0666, a new one when the next piece would make it larger
 * than 100 MB. A thread of its own writes, so a slow disk stalls nothing; what waits for it is
 * bounded. What cannot be written is lost, counted, and said once until writing works again.
 * Thread: loop. */
#pragma once

#include "common/base/str.h"

struct cw_err;
struct cw_loop;
struct cw_metrics;
struct inv_userlogs;

struct inv_userlogs_conf {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    const char *folder; /* copied; need not exist yet */
    size_t max_file;    /* bytes; 0: 100 MB */
    size_t max_waiting; /* bytes that may wait for the disk; 0: 64 MiB */
};

struct inv_userlogs *inv_userlogs_new(const struct inv_userlogs_conf *conf,
                                      struct cw_err *err) CW_MUST_CHECK;
/* Writes what waits. Accepts NULL. */
void inv_userlogs_free(struct inv_userlogs *u);
/* Whole lines. They stay together in one file. */
void inv_userlogs_write(struct inv_userlogs *u, struct cw_slice lines);
