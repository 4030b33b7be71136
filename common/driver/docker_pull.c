/* A pull is shared: all who want the same image while it is under way wait for the one request,
 * as stock merges them. The engine streams progress, one JSON object a line, with status 200 even
 * when the pull fails later on; so the lines are read as they come and only the verdict is kept. */
#include <stdio.h>

#include "common/driver/docker_answer.h"
#include "common/driver/docker_auth.h"
#include "common/driver/docker_lines.h"
#include "common/driver/docker_priv.h"
#include "common/driver/docker_spec.h"

struct docker_pull {
    struct docker *docker;
    struct cw_link link; /* on docker->pulls while the request is in flight */
    struct cw_list waiters;
    struct cw_http_call *http;
    char *image;
    struct docker_lines lines;
    struct cw_err err; /* first bad line; code CW_OK: none */
    int64_t begun_us;
};

static void pull_free(struct docker_pull *p)
{
    cw_docker_lines_done(&p->lines);
    free(p->image);
    free(p);
}

static void on_line(void *arg, struct cw_slice line, bool too_long)
{
    struct docker_pull *p = arg;

    if (p->err.code != CW_OK)
        return;
    if (too_long)
        (void)cw_fail(&p->err, CW_TOO_LARGE, "docker pull: a line over %d bytes",
                      CW_DOCKER_PULL_LINE);
    else
        (void)!cw_docker_check_pull_line(line, &p->err);
}

static void on_data(void *arg, struct cw_slice piece)
{
    struct docker_pull *p = arg;

    cw_docker_lines_feed(&p->lines, piece, on_line, p);
}

static void on_pulled(void *arg, const struct cw_http_reply *reply, const struct cw_err *http_err)
{
    struct docker_pull *p = arg;
    struct cw_err err;
    struct cw_link *n;
    bool ok;

    p->http = NULL;
    cw_list_remove(&p->docker->pulls, &p->link);
    cw_docker_out_of_reach(p->docker, http_err);
    ok = cw_docker_judge(reply, http_err, 200, "pull", p->image, &err) == 0;
    if (ok) {
        cw_docker_lines_end(&p->lines, on_line, p);
        ok = p->err.code == CW_OK;
        err = p->err;
    }
    cw_docker_end(&p->docker->api, DOCKER_PULL, p->begun_us, ok);
    /* A waiter's callback may cancel other waiters or free the driver; both only take waiters off
     * the list. */
    while ((n = cw_list_pop_front(&p->waiters))) {
        struct docker_pull_wait *wait = CW_LIST_ENTRY(n, struct docker_pull_wait, link);

        wait->pull = NULL;
        wait->unreached = http_err && http_err->code == CW_UNAVAILABLE;
        wait->fn(wait, ok ? NULL : &err);
    }
    pull_free(p);
}

static struct cw_http_call *send_pull(struct docker_pull *p)
{
    struct cw_slice name, tag;
    cw_auto_str struct cw_str path, auth;
    bool has_auth;

    cw_str_init(&auth, CW_DOCKER_MAX_AUTH + 64);
    cw_str_addz(&auth, "X-Registry-Auth: ");
    has_auth = cw_docker_config_header(&p->docker->config, p->image, &auth);
    cw_docker_image_parts(p->image, &name, &tag);
    cw_str_init(&path, 64 + 3 * CW_DOCKER_MAX_IMAGE);
    cw_str_addz(&path, "/images/create?fromImage=");
    cw_url_encode(&path, name);
    cw_str_addz(&path, "&tag=");
    cw_url_encode(&path, tag);
    return cw_docker_send(
        &p->docker->api,
        &(struct docker_request){.method = "POST",
                                 .path = cw_str_slice(&path),
                                 .header = has_auth ? auth.p : NULL,
                                 .timeout_ms = p->docker->api.limit_ms[DOCKER_PULL],
                                 .max_answer = CW_DOCKER_SMALL_ANSWER,
                                 .on_data = on_data},
        on_pulled, p);
}

static struct docker_pull *find_pull(struct docker *docker, const char *image)
{
    CW_LIST_EACH (&docker->pulls, n) {
        struct docker_pull *p = CW_LIST_ENTRY(n, struct docker_pull, link);

        if (strcmp(p->image, image) == 0)
            return p;
    }
    return NULL;
}

void cw_docker_pull_join(struct docker *docker, const char *image, struct docker_pull_wait *wait)
{
    struct docker_pull *p = find_pull(docker, image);

    if (!p) {
        p = cw_alloc(sizeof(*p));
        p->docker = docker;
        p->image = cw_strdup(image);
        cw_list_init(&p->waiters);
        cw_docker_lines_init(&p->lines, CW_DOCKER_PULL_LINE);
        cw_list_push_back(&docker->pulls, &p->link);
        p->begun_us = cw_docker_begin(&docker->api, DOCKER_PULL);
        p->http = send_pull(p);
    }
    wait->pull = p;
    cw_list_push_back(&p->waiters, &wait->link);
}

void cw_docker_pull_leave(struct docker_pull_wait *wait)
{
    struct docker_pull *p = CW_STEAL(wait->pull);

    if (!p)
        return;
    cw_list_remove(&p->waiters, &wait->link);
    if (!cw_list_empty(&p->waiters) || !p->http)
        return;
    cw_http_cancel(p->http);
    cw_list_remove(&p->docker->pulls, &p->link);
    pull_free(p);
}
