/* common/driver/docker_flags_priv.h -- what the two files about docker-run flags share. Thread:
 * any. */
#pragma once

#include <jansson.h>

#include "common/base/str.h"

struct cw_err;

/* Translates one value of a composite flag into the create request. On failure *err says what is
 * accepted; the caller names flag and value. at: the table's path, "HostConfig.Devices". */
typedef int docker_flag_fn(json_t *body, const char *at, struct cw_slice value, struct cw_err *err);

/* The object that holds the last part of a dotted path, made as needed; *ret_key is that part. */
json_t *cw_docker_flag_parent(json_t *body, const char *at, const char **ret_key);
/* Appends to the array at the path. item is taken over. */
void cw_docker_flag_append(json_t *body, const char *at, json_t *item CW_TAKES);
/* Sets a member of the object at the path. value is taken over. */
void cw_docker_flag_put(json_t *body, const char *at, struct cw_slice key, json_t *value CW_TAKES);
/* Bytes as docker reads them: 64m, 1g, 512KB (all powers of 1024) or a plain number. */
int cw_docker_flag_bytes(struct cw_slice value, int64_t *ret, struct cw_err *err) CW_MUST_CHECK;
int cw_docker_flag_bool(struct cw_slice value, bool *ret, struct cw_err *err) CW_MUST_CHECK;
/* Cuts value at the first c; false (and all of it in *ret_before) when there is none. */
bool cw_docker_flag_cut(struct cw_slice value, char c, struct cw_slice *ret_before,
                        struct cw_slice *ret_after);

docker_flag_fn cw_docker_flag_add_host, cw_docker_flag_device, cw_docker_flag_env,
    cw_docker_flag_gpus, cw_docker_flag_label, cw_docker_flag_mount, cw_docker_flag_rate_bytes,
    cw_docker_flag_rate_io, cw_docker_flag_security, cw_docker_flag_tmpfs, cw_docker_flag_ulimit,
    cw_docker_flag_volume;
