/* common/driver/docker_spec.h -- from a container spec to what the Docker Engine API wants to read.
 *
 * Pure: no I/O, no state. Thread: any. */
#pragma once

#include <stdbool.h>

#include "common/base/str.h"

struct cw_container_spec;
struct cw_docker_flags;
struct cw_driver_limits;
struct cw_err;

enum {
    CW_DOCKER_MAX_NAME = 1024, /* bytes of a container name or id; stock's names hold two of
                                  OpenWhisk's 256 character names */
    CW_DOCKER_MAX_IMAGE = 1024,
    CW_DOCKER_MAX_BODY = 1 << 20, /* bytes of the create request */
};

/* The engine's rule for names and ids, so that neither can change the meaning of a URL:
 * [a-zA-Z0-9][a-zA-Z0-9_.-]*, at most CW_DOCKER_MAX_NAME bytes. `what` names the text in errors. */
int cw_docker_check_name(const char *name, const char *what, struct cw_err *err) CW_MUST_CHECK;

/* Body of POST /containers/create, with the flags (NULL: none) laid over what the spec says. out
 * must be empty, its maximum is the caller's. */
int cw_docker_create_body(const struct cw_container_spec *spec, const struct cw_docker_flags *flags,
                          struct cw_str *out, struct cw_err *err) CW_MUST_CHECK;

/* Body of POST /containers/{id}/update; free() it. */
char *cw_docker_encode_limits(const struct cw_driver_limits *limits);

/* Parts of an image reference as POST /images/create takes them: a digest counts as the tag (and
 * wins over one), and a missing tag is "latest", since the engine would pull all tags without. */
void cw_docker_image_parts(const char *image, struct cw_slice *ret_name, struct cw_slice *ret_tag);

/* Appends the filter {"name":["^/?<prefix>"]} with the prefix's regular expression characters
 * escaped, not percent-encoded. */
void cw_docker_name_filter(const char *prefix, struct cw_str *out);
