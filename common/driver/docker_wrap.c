/* The Docker driver's side of the probe: asking what an image runs, and going without when it has
 * to. */
#include <stdio.h>
#include <sys/random.h>

#include "common/driver/docker_answer.h"
#include "common/driver/docker_priv.h"
#include "common/driver/docker_probe.h"
#include "common/driver/docker_spec.h"

enum { TOKEN_BYTES = 16, TEXT_LEN = 1024 };

void cw_docker_probe_token(char ret_token[33])
{
    unsigned char random[TOKEN_BYTES];

    ret_token[0] = '\0';
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return;
    for (size_t i = 0; i < sizeof(random); i++)
        (void)snprintf(ret_token + 2 * i, 3, "%02x", random[i]);
}

struct cw_http_call *cw_docker_send_image_inspect(struct docker *docker, const char *image,
                                                  int64_t timeout_ms, cw_http_fn *fn, void *arg)
{
    cw_auto_str struct cw_str path;

    cw_str_init(&path, 64 + CW_DOCKER_MAX_IMAGE);
    if (!cw_docker_probe_image_path(image, &path))
        return NULL;
    return cw_docker_send(&docker->api,
                          &(struct docker_request){.method = "GET",
                                                   .path = cw_str_slice(&path),
                                                   .timeout_ms = timeout_ms,
                                                   .max_answer = CW_DOCKER_INSPECT_ANSWER},
                          fn, arg);
}

static void warn(const struct docker *docker, const char *text)
{
    if (docker->warn)
        docker->warn(docker->warn_arg, text);
}

void cw_docker_probe_into(struct docker *docker, const char *token, struct cw_slice body,
                          struct cw_slice image, struct cw_str *out)
{
    const struct cw_docker_probe probe = {
        .path = docker->probe_path, .port = docker->probe_port, .token = token};
    struct cw_err err = {0};

    if (!docker->probe_path) /* not any more */
        return;
    if (cw_docker_probe_wrap(body, image, &probe, out, &err) >= 0)
        return;
    cw_str_reset(out);
    (void)cw_err_wrap(&err, "container without a probe");
    warn(docker, err.msg);
}

bool cw_docker_probe_given_up(struct docker *docker, const struct cw_http_reply *reply,
                              struct cw_str *probed)
{
    char text[TEXT_LEN], line[2 * TEXT_LEN];

    if (!probed->n || !reply || reply->status < 400)
        return false;
    cw_docker_error_text(reply->body, text, sizeof(text));
    if (!cw_docker_probe_is_missing(text))
        return false;
    cw_str_reset(probed);
    if (!docker->probe_path) /* another create was told the same */
        return true;
    (void)snprintf(
        line, sizeof(line),
        "cwhisk.probe-path %s is not on the engine's host: containers run without probes "
        "from now on (%s)",
        docker->probe_path, text);
    free(CW_STEAL(docker->probe_path));
    warn(docker, line);
    return true;
}
