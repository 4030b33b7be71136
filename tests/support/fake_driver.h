/* tests/support/fake_driver.h -- a container engine that does what the test says.
 *
 * "Containers" are an address, a port and a log file given by the test. Operations complete in the
 * next turn, or when the test releases them. Thread: loop. */
#pragma once

#include "common/base/list.h"
#include "common/driver/container_driver.h"

struct cw_loop;

struct fake_driver {
    struct cw_driver base;
    struct cw_loop *loop;
    /* what the next creates get */
    uint16_t port;
    const char *log_path;
    bool fail_create, fail_pause, fail_resume, oom;
    enum cw_create_failure failure;
    bool hold_creates; /* until fake_driver_release */
    /* what is on the engine, for the next lists; borrowed */
    const struct cw_owned_container *owned;
    size_t owned_count;
    bool fail_list, hold_lists, hold_removes; /* held until fake_driver_release */
    const char *resists;                      /* the removal of this id fails */
    /* what was done */
    unsigned created, removed, paused, resumed, cancelled, oom_checks;
    char last_name[256], last_image[256];
    uint32_t last_shares;
    char last_prefix[256]; /* of lists */
    char journal[1024];    /* "resume a, remove a, ": resumes and removes in order */
    struct cw_list calls;
    const struct cw_driver_events *events; /* of the watch; NULL: nobody watches */
    void *events_arg;
};

void fake_driver_init(struct fake_driver *f, struct cw_loop *loop);
/* A container ends: the n-th created, from 1. */
void fake_driver_die(struct fake_driver *f, unsigned n, int64_t exit_code);
/* What was held completes. */
void fake_driver_release(struct fake_driver *f);
