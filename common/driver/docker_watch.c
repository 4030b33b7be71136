/* Two things go on: the stream of events, opened again whenever it ends, and a request for a sign
 * of life every two seconds, because the line to an engine that hangs does not break. The engine
 * counts as gone after two signs in a row that did not come, or when another request finds it out
 * of reach. An engine that ends goes on serving the connections that it has while it takes no new
 * ones: signs of life are asked for on new ones. Each time the stream has been opened again the
 * next sign of life is told as "answers now": what ended in between has not been told, and an
 * engine that was started anew does not remember it.
 *
 * Events come inside the HTTP client, where nothing may be asked of the driver, so deaths are kept
 * for the next turn. */
#include "common/driver/docker_answer.h"
#include "common/driver/docker_lines.h"
#include "common/driver/docker_priv.h"

enum {
    PING_EVERY_MS = 2000,
    PING_AGAIN_MS = 500, /* after one that was missed */
    PING_WITHIN_MS = 3000,
    MISSED_MAX = 2,
    REOPEN_MS = 100,
    REOPEN_MAX_MS = 2000,
    REOPEN_REFUSED_MS =
        60000, /* an engine without events; those who list are told of it so often */
    DEATHS_MAX = 1000,
};

struct death {
    struct cw_link link;
    char id[65];
    int64_t exit_code;
};

struct watch {
    struct cw_driver_call call; /* its request is the stream */
    char *prefix;
    const struct cw_driver_events *events;
    void *arg;
    struct docker_lines lines;
    struct cw_list deaths; /* to be told in the next turn */
    struct cw_defer tell_deaths;
    struct cw_timer reopen, beat;
    int64_t reopen_ms;
    struct cw_http_call *ping;
    bool answers, reopened; /* as told last; the stream has been opened since then */
    bool told_gone;
    bool ping_is_older; /* than the stream, so its answer says nothing of that */
    unsigned missed;
};

static void watch_free(struct cw_driver_call *call)
{
    struct watch *w = CW_CONTAINER_OF(call, struct watch, call);
    struct cw_link *n;

    if (call->docker->watch == w)
        call->docker->watch = NULL;
    if (w->ping)
        cw_http_cancel(w->ping);
    while ((n = cw_list_pop_front(&w->deaths)))
        free(CW_LIST_ENTRY(n, struct death, link));
    cw_timer_done(&w->reopen);
    cw_timer_done(&w->beat);
    cw_defer_cancel(&w->tell_deaths);
    cw_docker_lines_done(&w->lines);
    free(w->prefix);
    free(w);
}

/* ---- the sign of life ---- */

static void engine_answers(struct watch *w)
{
    w->missed = 0;
    cw_timer_set_ms(&w->beat, w->ping_is_older ? 0 : PING_EVERY_MS);
    if ((w->answers && !w->reopened) || w->ping_is_older) {
        w->ping_is_older = false;
        return;
    }
    w->answers = true;
    w->told_gone = w->reopened = false;
    w->events->on_engine(w->arg, NULL);
}

static void engine_missed(struct watch *w, const struct cw_err *err)
{
    w->missed++;
    w->ping_is_older = false;
    cw_timer_set_ms(&w->beat, PING_AGAIN_MS);
    if (w->missed < MISSED_MAX || w->told_gone)
        return;
    w->answers = false;
    w->told_gone = true;
    w->events->on_engine(w->arg, err);
}

/* Any answer is one. */
static void on_ping(void *arg, const struct cw_http_reply *reply, const struct cw_err *http_err)
{
    struct watch *w = arg;

    w->ping = NULL;
    if (reply)
        engine_answers(w);
    else
        engine_missed(w, http_err);
}

static void send_ping(void *arg)
{
    struct watch *w = arg;

    if (w->ping)
        return;
    w->ping = cw_docker_send(&w->call.docker->api,
                             &(struct docker_request){.method = "GET",
                                                      .path = CW_SLICE("/_ping"),
                                                      .timeout_ms = PING_WITHIN_MS,
                                                      .max_answer = CW_DOCKER_SMALL_ANSWER,
                                                      .unversioned = true,
                                                      .fresh_connection = true},
                             on_ping, w);
}

void cw_docker_out_of_reach(struct docker *docker, const struct cw_err *http_err)
{
    struct watch *w = docker->watch;

    if (!w || !http_err || http_err->code != CW_UNAVAILABLE || w->told_gone)
        return;
    w->missed = MISSED_MAX;
    engine_missed(w, http_err);
    w->ping_is_older = w->ping != NULL;
    if (!w->ping)
        cw_timer_set_ms(&w->beat, 0);
}

/* ---- the stream ---- */

static void on_tell_deaths(void *arg)
{
    struct watch *w = arg;
    struct cw_link *n = cw_list_pop_front(&w->deaths);
    struct death death;

    if (!n)
        return;
    death = *CW_LIST_ENTRY(n, struct death, link);
    free(CW_LIST_ENTRY(n, struct death, link));
    if (!cw_list_empty(&w->deaths))
        cw_defer_post(&w->tell_deaths);
    w->events->on_death(w->arg, death.id, death.exit_code); /* may cancel the watch */
}

static void keep_death(struct watch *w, const struct cw_docker_event *event)
{
    struct death *death;

    if (w->deaths.count >= DEATHS_MAX) {
        w->reopened = true;
        return;
    }
    death = cw_alloc(sizeof(*death));
    memcpy(death->id, event->id, sizeof(death->id));
    death->exit_code = event->exit_code;
    cw_list_push_back(&w->deaths, &death->link);
    cw_defer_post(&w->tell_deaths);
}

static void tell_moment(const struct watch *w, const struct cw_docker_event *event)
{
    struct docker *docker = w->call.docker;
    const struct cw_driver_moment m = {.what = event->what,
                                       .id = event->id,
                                       .name = event->name[0] ? event->name : NULL,
                                       .at_us = event->at_us,
                                       .exit_code = event->exit_code};

    if (docker->on_moment)
        docker->on_moment(docker->on_moment_arg, &m);
}

/* What is too long, or no event, is left out: the next list tells. */
static void on_line(void *arg, struct cw_slice line, bool too_long)
{
    struct watch *w = arg;
    struct cw_docker_event event;

    if (too_long || cw_docker_decode_event(line, w->prefix, &event, NULL) <= 0)
        return;
    tell_moment(w, &event);
    if (event.what == CW_MOMENT_DIE || event.what == CW_MOMENT_DESTROY)
        keep_death(w, &event);
}

static void on_piece(void *arg, struct cw_slice piece)
{
    struct watch *w = arg;

    w->reopen_ms = REOPEN_MS; /* it works */
    cw_docker_lines_feed(&w->lines, piece, on_line, w);
}

static void on_stream_end(void *arg, const struct cw_http_reply *reply,
                          const struct cw_err *http_err)
{
    struct watch *w = arg;

    (void)http_err;
    w->call.http = NULL;
    if (reply && reply->status != 200)
        w->reopen_ms = REOPEN_REFUSED_MS;
    cw_timer_set_ms(&w->reopen, w->reopen_ms);
    w->reopen_ms = w->reopen_ms * 2 < REOPEN_MAX_MS ? w->reopen_ms * 2 : REOPEN_MAX_MS;
}

static void open_stream(void *arg)
{
    /* {"type":["container","network"],"event":["create",…]}: Docker's words, and Podman's */
    static const char PATH[] =
        "/events?filters=%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%2C"
        "%22event%22%3A%5B%22create%22%2C%22attach%22%2C%22connect%22%2C%22start%22%2C%22kill%22%2C"
        "%22die%22%2C%22died%22%2C%22disconnect%22%2C%22destroy%22%2C%22remove%22%5D%7D";
    struct watch *w = arg;

    cw_docker_lines_done(&w->lines);
    cw_docker_lines_init(&w->lines, CW_DOCKER_EVENT_LINE);
    w->call.http = cw_docker_send_on(w->call.docker->streams, &w->call.docker->api,
                                     &(struct docker_request){.method = "GET",
                                                              .path = cw_slice_of(PATH),
                                                              .max_answer = CW_DOCKER_SMALL_ANSWER,
                                                              .on_data = on_piece},
                                     on_stream_end, w);
    w->reopened = true;
    w->ping_is_older = w->ping != NULL;
    if (!w->ping)
        cw_timer_set_ms(&w->beat, w->missed ? PING_AGAIN_MS : 0);
}

struct cw_driver_call *cw_docker_watch(struct cw_driver *d, const char *name_prefix,
                                       const struct cw_driver_events *events, void *arg)
{
    struct docker *docker = CW_CONTAINER_OF(d, struct docker, base);
    struct watch *w;

    if (cw_docker_need_streams(docker, NULL) != 0)
        return NULL;
    w = cw_alloc(sizeof(*w));
    cw_docker_call_init(docker, &w->call, watch_free);
    w->prefix = cw_strdup(name_prefix);
    w->events = events;
    w->arg = arg;
    w->reopen_ms = REOPEN_MS;
    docker->watch = w;
    cw_list_init(&w->deaths);
    cw_docker_lines_init(&w->lines, CW_DOCKER_EVENT_LINE);
    cw_defer_init(&w->tell_deaths, docker->api.loop, on_tell_deaths, w);
    cw_timer_init(&w->reopen, docker->api.loop, open_stream, w);
    cw_timer_init(&w->beat, docker->api.loop, send_ping, w);
    cw_timer_set_ms(&w->reopen, 0);
    return &w->call;
}
