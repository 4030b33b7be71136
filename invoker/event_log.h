/* invoker/event_log.h -- what has happened to containers, the newest few hundred events, for people
 * and programs that ask (GET /events, `cwhisk ctl events`); with a file (event_file.h), all of
 * them.
 *
 * Each event has a number, rising by one from 1 on; who knows the last number he has seen gets what
 * came after it, or waits for it. A number higher than any so far is one of an earlier process:
 * such an asker gets all there is. Bounded in number and in bytes. Thread: loop. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"

struct cw_http_exchange;
struct cw_loop;
struct inv_event_file;
struct inv_event_log;

struct inv_event {
    const char *what;      /* one word: "start", "clean" */
    const char *container; /* its name; NULL: none in particular */
    const char *id;        /* the engine's; NULL: not known */
    int64_t took_us;       /* below 0: not known */
    const char *detail;    /* for people: "exit code 137"; NULL: nothing to add */
};

/* keep: how many events; 0: none. Nothing is allocated before there are any. */
struct inv_event_log *inv_event_log_new(struct cw_loop *loop, size_t keep);
/* From now on events are written there, too. */
void inv_event_log_use_file(struct inv_event_log *log, CW_TAKES struct inv_event_file *file);
/* Who still waits is not answered: the HTTP server must be gone. Accepts NULL. */
void inv_event_log_free(struct inv_event_log *log);
/* Everything in event is copied, long texts cut. Accepts a NULL log. Allowed inside callbacks of
 * the engine's client. */
void inv_event_log_add(struct inv_event_log *log, const struct inv_event *event);
/* GET /events[?since=N][&wait=SECONDS]: {"events":[{"seq","time","event","container","id","tookUs",
 * "detail"}…],"next":N}; an inv_admin_route.answer, arg is the log. wait (at most 60): when
 * there is nothing, the answer comes with the next event, or empty. */
void inv_event_log_answer(void *arg, struct cw_http_exchange *ex);
