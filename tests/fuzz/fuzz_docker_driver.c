/* An engine that answers nonsense to any call: each operation ends exactly once, what it brings has
 * the form it should have, no request can mean anything else than was meant, and their number is
 * bounded.
 *
 * Input: the operation, then answers, one for each request, separated by 0x1e: a byte for the
 * status, then the body. Requests over that get 404. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "common/driver/docker_driver.h"
#include "common/http/client.h"
#include "common/loop/loop.h"
#include "tests/fuzz/require.h"
#include "tests/support/scripted_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

enum { LIMIT_MS = 200, PATIENCE_MS = 20000, MAX_ANSWERS = 12, MAX_REQUESTS = 600 };

static const struct cw_docker_conf CONF = {
    .run_ms = LIMIT_MS,
    .rm_ms = LIMIT_MS,
    .pull_ms = LIMIT_MS,
    .ps_ms = LIMIT_MS,
    .inspect_ms = LIMIT_MS,
    .pause_ms = LIMIT_MS,
    .unpause_ms = LIMIT_MS,
    .version_ms = LIMIT_MS,
    .cluster = "c",
};

static bool is_id(const char *id)
{
    return strlen(id) == 64 && strspn(id, "0123456789abcdef") == 64;
}

static void done_fn(void *arg, const struct cw_err *err)
{
    require(!err || (err->code != CW_OK && err->msg[0] && !strpbrk(err->msg, "\r\n")));
    ++*(unsigned *)arg;
}

static void created_fn(void *arg, const struct cw_container *c, enum cw_create_failure failure,
                       const struct cw_err *err)
{
    require(!c == !!err && failure <= CW_CREATE_EXECUTABLE);
    if (c)
        require(is_id(c->id) && c->port == 8080 && c->address[0] &&
                strspn(c->address, "0123456789abcdefABCDEF.:") == strlen(c->address));
    done_fn(arg, err);
}

static void oom_fn(void *arg, bool oom_killed)
{
    (void)oom_killed;
    done_fn(arg, NULL);
}

static void listed_fn(void *arg, const struct cw_owned_container *list, size_t count,
                      const struct cw_err *err)
{
    for (size_t i = 0; i < count; i++)
        require(is_id(list[i].id) && strncmp(list[i].name, "wsk0", 4) == 0);
    done_fn(arg, err);
}

/* Statuses of which most are understood in some way. */
static int status_of(uint8_t byte)
{
    static const int STATUSES[] = {200, 201, 204, 304, 400, 404, 409, 500, 503, 100, 301};

    return STATUSES[byte % CW_ARRAY_LEN(STATUSES)];
}

static void script(struct scripted_http *peer, const char *p, size_t n)
{
    for (int i = 0; i < MAX_ANSWERS && n > 0; i++) {
        const char *sep = memchr(p, 0x1e, n);
        size_t len = sep ? (size_t)(sep - p) : n;

        if (len > 0)
            scripted_http_expect(peer,
                                 &(struct scripted_step){.status = status_of((uint8_t)*p),
                                                         .body = len > 1 ? p + 1 : NULL,
                                                         .body_len = len - 1,
                                                         .chunked = *p & 0x40,
                                                         .action = *p & 0x80 ? SCRIPTED_HALF : 0});
        p += len + (sep != NULL);
        n -= len + (sep != NULL);
    }
    scripted_http_expect(peer,
                         &(struct scripted_step){.status = 404, .body = "{}", .repeat = true});
}

static void begin(struct cw_driver *d, unsigned op, unsigned *calls)
{
    static const struct cw_container_spec SPEC = {
        .name = "wsk00_1_a", .image = "reg.example:5000/img", .memory_mb = 256, .cpu_shares = 256};
    struct cw_container_spec spec = SPEC;

    spec.pull = (enum cw_pull_policy)(op / 8 % 3);
    switch (op % 8) {
    case 0:
        (void)d->ops->list(d, "wsk0", listed_fn, calls);
        break;
    case 1:
        (void)d->ops->pause(d, ID, done_fn, calls);
        break;
    case 2:
        (void)d->ops->remove(d, ID, done_fn, calls);
        break;
    case 3:
        (void)d->ops->was_oom_killed(d, ID, oom_fn, calls);
        break;
    case 4:
        (void)d->ops->check(d, done_fn, calls);
        break;
    default:
        (void)d->ops->create(d, &spec, created_fn, calls);
        break;
    }
}

static void check_requests(const struct scripted_http *peer)
{
    require(scripted_http_count(peer) <= MAX_REQUESTS);
    for (size_t i = 0; i < scripted_http_count(peer); i++) {
        const char *path = scripted_http_request(peer, i)->path;

        require(strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                             "/%?=&_.~-") == strlen(path));
        require(!strstr(path, "/../") && !strstr(path, "//"));
    }
}

static bool called(void *arg)
{
    return *(unsigned *)arg > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cw_loop *loop = cw_loop_new(NULL, NULL);
    struct cw_http *http = cw_http_new(loop, &(struct cw_http_conf){0}, NULL);
    struct scripted_http *peer = scripted_http_new(loop, SCRIPTED_UNIX);
    struct cw_docker_conf conf = CONF;
    struct cw_driver *driver;
    unsigned calls = 0;

    conf.engine = scripted_http_unix_path(peer);
    driver = cw_docker_driver_new(loop, http, &conf, NULL);
    require(driver != NULL);
    if (size > 0) {
        script(peer, (const char *)data + 1, size - 1);
        begin(driver, data[0], &calls);
        require(cw_loop_run_until(loop, called, &calls, PATIENCE_MS) && calls == 1);
        check_requests(peer);
    }
    cw_driver_free(driver);
    require(calls == (size > 0));
    scripted_http_free(peer);
    cw_http_free(http);
    cw_loop_free(loop);
    return 0;
}
