/* Requests of `cwhisk ctl`, one at a time. Credentials come from the environment or a file, never
 * from the arguments, which everybody on the host can read. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "cmd/ctl.h"
#include "common/base/err.h"
#include "common/http/client.h"
#include "common/json/doc.h"
#include "common/loop/loop.h"

enum {
    MAX_ANSWER = 64 << 20,
    MAX_CREDENTIALS = 2048,
    URL_MAX_BYTES = 64 << 10,
    ERROR_TEXT_MAX = 400,
};

/* ---- where and who ---- */

static const char *variable(char *const *environment, const char *name)
{
    size_t n = strlen(name);

    for (; *environment; environment++)
        if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=')
            return (*environment)[n + 1] ? *environment + n + 1 : NULL;
    return NULL;
}

static int split_credentials(struct ctl *c, char *text, const char *path, struct cw_err *err)
{
    char *colon;

    text[strcspn(text, "\r\n")] = '\0';
    colon = strchr(text, ':');
    if (!colon || colon == text || !colon[1])
        return cw_fail(err, CW_INVALID, "--credentials %s: its first line is not USER:PASSWORD",
                       path);
    *colon = '\0';
    c->user = cw_strdup(text);
    c->password = cw_strdup(colon + 1);
    return 0;
}

static int read_credentials(struct ctl *c, const char *path, struct cw_err *err)
{
    char text[MAX_CREDENTIALS + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (n < 0)
        (void)cw_fail_errno(err, errno, "--credentials %s", path);
    if (fd >= 0)
        (void)close(fd);
    if (n < 0)
        return -1;
    text[n] = '\0';
    return split_credentials(c, text, path, err);
}

int ctl_connect(struct ctl *c, const struct ctl_access *access, char *const *environment,
                struct cw_err *err)
{
    const char *url = access->url ? access->url : variable(environment, "CWHISK_CTL_URL");
    const char *user = variable(environment, "CONFIG_whisk_invoker_username");
    const char *password = variable(environment, "CONFIG_whisk_invoker_password");
    const struct cw_http_conf conf = {
        .user_agent = "cwhisk-ctl",
        .ca_file = access->ca_file,
        .cert_file = access->cert_file,
        .key_file = access->key_file,
        .insecure_skip_verify = access->insecure,
    };

    c->url = url ? url : "http://127.0.0.1:8080";
    if (access->credentials_file) {
        if (read_credentials(c, access->credentials_file, err) != 0)
            return -1;
    } else {
        c->user = cw_strdup(user ? user : "invoker.user");
        c->password = cw_strdup(password ? password : "invoker.pass");
    }
    c->loop = cw_loop_new(NULL, err);
    if (!c->loop)
        return -1;
    c->http = cw_http_new(c->loop, &conf, err);
    return c->http ? 0 : -1;
}

void ctl_disconnect(struct ctl *c)
{
    cw_http_free(c->http);
    cw_loop_free(c->loop);
    free(c->user);
    free(c->password);
}

/* ---- one request ---- */

struct exchange {
    const struct ctl *c;
    const char *path;
    bool done;
    enum ctl_status status;
    json_t *doc;
    struct cw_err *err;
};

static bool is_done(void *arg)
{
    return ((struct exchange *)arg)->done;
}

static enum ctl_status tell_unreachable(const struct exchange *x, const struct cw_err *http_err)
{
    if (http_err->code == CW_INVALID) {
        *x->err = *http_err;
        (void)cw_err_wrap(x->err, "--url");
        return CTL_USAGE;
    }
    (void)cw_fail(x->err, http_err->code,
                  "no answer: %s. Is this the administration port of an invoker that runs? --url "
                  "or CWHISK_CTL_URL names it",
                  http_err->msg);
    return CTL_UNREACHABLE;
}

/* What the invoker says itself, or the beginning of what it sent. */
static enum ctl_status tell_failure(const struct exchange *x, const struct cw_http_reply *reply)
{
    cw_auto_json json_t *doc = cw_json_parse(reply->body, MAX_ANSWER, "answer", NULL);
    const char *text = doc ? json_string_value(json_object_get(doc, "error")) : NULL;
    size_t n = reply->body.n < ERROR_TEXT_MAX ? reply->body.n : ERROR_TEXT_MAX;

    if (text)
        (void)cw_fail(x->err, CW_INTERNAL, "%s%s: %s", x->c->url, x->path, text);
    else
        (void)cw_fail(x->err, CW_INTERNAL, "%s%s: status %d: %.*s", x->c->url, x->path,
                      reply->status, (int)n, reply->body.p ? reply->body.p : "");
    return CTL_FAILED;
}

/* A page that is not there; or it is, and knows nothing of what it was asked about. */
static enum ctl_status tell_unknown(const struct exchange *x, const struct cw_http_reply *reply)
{
    if (strstr(x->c->command->path, "%s"))
        (void)tell_failure(x, reply);
    else
        (void)cw_fail(x->err, CW_NOT_FOUND,
                      "%s has no %s: this is an older cwhisk, another invoker, or that part is "
                      "switched off there",
                      x->c->url, x->path);
    return CTL_UNKNOWN;
}

static enum ctl_status judge(struct exchange *x, const struct cw_http_reply *reply)
{
    switch (reply->status) {
    case 200:
        x->doc = cw_json_parse(reply->body, MAX_ANSWER, x->path, x->err);
        return x->doc ? CTL_DONE : CTL_FAILED;
    case 401:
        (void)cw_fail(x->err, CW_INVALID,
                      "%s refuses user %s: give CONFIG_whisk_invoker_username and _password as the "
                      "invoker has them, or --credentials FILE",
                      x->c->url, x->c->user);
        return CTL_REFUSED;
    case 404:
    case 405:
        return tell_unknown(x, reply);
    default:
        return tell_failure(x, reply);
    }
}

static void on_answer(void *arg, const struct cw_http_reply *reply, const struct cw_err *http_err)
{
    struct exchange *x = arg;

    x->done = true;
    x->status = reply ? judge(x, reply) : tell_unreachable(x, http_err);
}

enum ctl_status ctl_ask(struct ctl *c, const char *method, const char *path, int64_t within_ms,
                        json_t **ret_doc, struct cw_err *err)
{
    struct exchange x = {.c = c, .path = path, .err = err};
    cw_auto_str struct cw_str url;
    struct cw_http_call *call;

    *ret_doc = NULL;
    cw_str_init(&url, URL_MAX_BYTES);
    cw_str_adds(
        &url, cw_slice(c->url, strlen(c->url) - (c->url[0] && c->url[strlen(c->url) - 1] == '/')));
    cw_str_addz(&url, path);
    call = cw_http_send(c->http,
                        &(struct cw_http_request){.method = method,
                                                  .url = url.p,
                                                  .user = c->user,
                                                  .password = c->password,
                                                  .has_body = strcmp(method, "GET") != 0,
                                                  .timeout_ms = c->timeout_ms + within_ms,
                                                  .max_body = MAX_ANSWER},
                        on_answer, &x);
    if (!cw_loop_run_until(c->loop, is_done, &x, c->timeout_ms + within_ms + 1000)) {
        cw_http_cancel(call);
        (void)cw_fail(err, CW_TIMEOUT, "%s: no answer within %" PRId64 " ms", url.p,
                      c->timeout_ms + within_ms);
        return CTL_UNREACHABLE;
    }
    *ret_doc = x.doc;
    return x.status;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

void ctl_wait(struct ctl *c, int64_t ms)
{
    (void)cw_loop_run_until(c->loop, never, NULL, ms);
}
