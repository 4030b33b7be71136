/* common/driver/docker_auth.h -- registry credentials as Docker's config.json has them.
 *
 * "auths" with "auth" (base64 of user:password), "username"/"password", "identitytoken" or
 * "registrytoken". Helper programs (credsStore, credHelpers) are not run; what they would serve is
 * told through `warn`. Pure. Thread: any. */
#pragma once

#include <stdbool.h>

#include "common/base/str.h"

struct cw_docker_auth;
struct cw_err;

enum {
    CW_DOCKER_MAX_CONFIG = 1 << 20, /* bytes of config.json */
    CW_DOCKER_MAX_AUTH = 64 << 10,  /* bytes of the header's value; identity tokens are long */
};

/* NULL with *err naming the member that is wrong. warn (may be NULL) is called inside. */
struct cw_docker_auth *cw_docker_auth_parse(struct cw_slice text,
                                            void (*warn)(void *arg, const char *text), void *arg,
                                            struct cw_err *err) CW_MUST_CHECK;
void cw_docker_auth_free(struct cw_docker_auth *a);

/* Appends the value of X-Registry-Auth for the registry of this image; false when there are no
 * credentials for it. a may be NULL. */
bool cw_docker_auth_header(const struct cw_docker_auth *a, const char *image, struct cw_str *out);

/* Registry of an image reference: its first part when that looks like a host, else "docker.io". */
struct cw_slice cw_docker_image_registry(const char *image);
