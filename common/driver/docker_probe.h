/* common/driver/docker_probe.h -- a create request whose container runs under cwhisk-probe.
 *
 * The probe is mounted from a file of the engine's host, and becomes the entrypoint; what the
 * image, or the request, would have run is what it runs. Its port and the container's token go into
 * the environment (common/model/probe_wire.h says what it does with them).
 *
 * Pure. Thread: any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_err;

/* Where it is in a container. */
#define CW_DOCKER_PROBE_TARGET "/.cwhisk-probe"

struct cw_docker_probe {
    const char *path; /* on the engine's host */
    uint16_t port;
    const char *token;
};

/* The path of GET /images/<image>/json; false: not for a name like this, which the engine will
 * refuse. */
bool cw_docker_probe_image_path(const char *image, struct cw_str *out);

/* From the body of a create request and the engine's answer about its image to the body of one with
 * the probe. 1: it is in *out, which must be empty; 0: there is nothing to wrap, neither says what
 * to run; -1: the answer is none. */
int cw_docker_probe_wrap(struct cw_slice body, struct cw_slice image,
                         const struct cw_docker_probe *probe, struct cw_str *out,
                         struct cw_err *err) CW_MUST_CHECK;

/* Does a failed create mean that there is no such file on the engine's host? */
bool cw_docker_probe_is_missing(const char *error_text);
