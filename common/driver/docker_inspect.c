#include "common/driver/docker_answer.h"
#include "common/driver/docker_priv.h"
#include "common/driver/docker_spec.h"

struct cw_http_call *cw_docker_send_inspect(struct docker *docker, const char *id,
                                            int64_t timeout_ms, cw_http_fn *fn, void *arg)
{
    cw_auto_str struct cw_str path;

    cw_str_init(&path, 64 + CW_DOCKER_MAX_NAME);
    cw_str_addf(&path, "/containers/%s/json", id);
    return cw_docker_send(&docker->api,
                          &(struct docker_request){.method = "GET",
                                                   .path = cw_str_slice(&path),
                                                   .timeout_ms = timeout_ms,
                                                   .max_answer = CW_DOCKER_INSPECT_ANSWER},
                          fn, arg);
}
