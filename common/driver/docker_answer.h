/* common/driver/docker_answer.h -- what the Docker Engine API answers, decoded and checked.
 *
 * Pure: no I/O, no state. Every text is bounded before it is parsed. Thread: any. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/driver/container_driver.h"

struct cw_err;

enum {
    CW_DOCKER_SMALL_ANSWER = 256 << 10, /* errors, created, version */
    CW_DOCKER_INSPECT_ANSWER = 4 << 20,
    CW_DOCKER_LIST_ANSWER = 64 << 20, /* about 1.5 KiB per container */
    CW_DOCKER_PULL_LINE = 64 << 10,   /* one progress message */
    CW_DOCKER_EVENT_LINE = 256 << 10, /* holds all labels of a container */
};

enum { CW_DOCKER_VERSION_LEN = 12 };

/* GET /version: the API version to speak, "1.41": the newest that the engine and we (1.30, engine
 * 17.06, to 1.51, engine 28) both know. Fails when there is none, and for other systems than Linux.
 */
int cw_docker_decode_version(struct cw_slice body, char ret_version[CW_DOCKER_VERSION_LEN],
                             struct cw_err *err) CW_MUST_CHECK;

/* POST /containers/create: the id, 64 lower-case hex digits. */
int cw_docker_decode_created(struct cw_slice body, char ret_id[65],
                             struct cw_err *err) CW_MUST_CHECK;

struct cw_docker_inspect {
    bool running, oom_killed;
    bool finished; /* has run and ended */
    int64_t exit_code;
    char address[46];   /* "" when it has none on that network */
    char log_path[512]; /* "" when the log driver has no file */
};

/* GET /containers/{id}/json. network names the one whose address is wanted; where the engine knows
 * the network by another name ("default", an id) and there is only one, that one counts. */
int cw_docker_decode_inspect(struct cw_slice body, const char *network,
                             struct cw_docker_inspect *ret, struct cw_err *err) CW_MUST_CHECK;

/* The same answer: 0 unless the container is labelled as another cluster's. */
int cw_docker_check_cluster(struct cw_slice body, const char *cluster,
                            struct cw_err *err) CW_MUST_CHECK;

/* GET /containers/json: those whose name starts with prefix. Names and ids live in *ret_doc, which
 * the caller releases (json_decref) after *ret_list (free). */
int cw_docker_decode_list(struct cw_slice body, const char *prefix,
                          struct cw_owned_container **ret_list, size_t *ret_count, json_t **ret_doc,
                          struct cw_err *err) CW_MUST_CHECK;

/* 64 lower-case hex digits? */
bool cw_docker_is_id(const char *text);

enum { CW_DOCKER_EVENT_NAME = 256 };

struct cw_docker_event {
    enum cw_moment what;             /* no ASK_* */
    char id[65];                     /* of the container, also when the event is a network's */
    char name[CW_DOCKER_EVENT_NAME]; /* cut; "" with a network's */
    int64_t at_us;                   /* the engine's wall clock; 0: not told */
    int64_t exit_code;               /* -1: not told */
};

/* One line of GET /events: 1 when it is one of the moments, of a container whose name starts with
 * prefix or (connect, disconnect) of any (*ret is filled), 0 for all else, -1 when it is no event
 * at all. */
int cw_docker_decode_event(struct cw_slice line, const char *prefix, struct cw_docker_event *ret,
                           struct cw_err *err) CW_MUST_CHECK;

/* The text of {"message":"…"}, or the first printable bytes of anything else; cut to size. */
void cw_docker_error_text(struct cw_slice body, char *out, size_t size);

/* Does a failed start mean that the image has no such program? */
bool cw_docker_is_missing_executable(const char *error_text);

/* Does a failed create mean that the name is taken? Docker says 409, Podman before 5 says 500. */
bool cw_docker_is_name_taken(int status, const char *error_text);

/* Does a failed create mean that the image is not there? */
bool cw_docker_is_missing_image(const char *error_text);

/* One line of POST /images/create: -1 with the engine's text when it reports an error or is not a
 * progress message at all. Blank lines are fine. */
int cw_docker_check_pull_line(struct cw_slice line, struct cw_err *err) CW_MUST_CHECK;
