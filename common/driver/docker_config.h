/* common/driver/docker_config.h -- Docker's config.json, read again whenever it changes.
 *
 * Tokens of some registries live for hours and are renewed by writing the file anew. It is small
 * and local, so it is read on the loop. Thread: loop. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "common/base/str.h"

struct cw_docker_auth;

struct docker_config {
    char *path; /* NULL: none */
    struct stat seen;
    bool is_read;
    struct cw_docker_auth *auth; /* NULL: no credentials */
    void (*warn)(void *arg, const char *text);
    void *arg;
};

/* folder: the one with config.json, copied; NULL or "": none. warn (may be NULL) gets one line for
 * what is wrong with the file, once per version of it. A file that is not there is no credentials.
 */
void cw_docker_config_init(struct docker_config *c, const char *folder,
                           void (*warn)(void *arg, const char *text), void *arg);
void cw_docker_config_done(struct docker_config *c);
/* Reads the file if it has changed. */
void cw_docker_config_refresh(struct docker_config *c);
/* As cw_docker_auth_header, with the file as it is now. */
bool cw_docker_config_header(struct docker_config *c, const char *image, struct cw_str *out);
