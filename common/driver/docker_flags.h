/* common/driver/docker_flags.h -- flags of "docker run", in the terms of the Engine API.
 *
 * Deployments hand docker-run flags to the invoker (extra-args); there is no docker binary here, so
 * each flag is translated once, at start, into the part of the create request that the docker
 * command would have made of it. What is not in the table is refused, never dropped. No I/O except
 * that a seccomp profile is read from its file, as the command does. Thread: any. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/base/str.h"

struct cw_docker_flags;
struct cw_err;

enum { CW_DOCKER_MAX_PROFILE = 512 << 10 }; /* bytes of a seccomp profile */

/* pairs: name, value, name, value..., NULL; a name is the flag without dashes, with ".<number>"
 * behind it where it has several values ("label.0"), as a map of lists in the settings gives it.
 * NULL or nothing: no flags. Errors name the flag, the value and what is accepted. */
struct cw_docker_flags *cw_docker_flags_parse(const char *const *pairs,
                                              struct cw_err *err) CW_MUST_CHECK;
void cw_docker_flags_free(struct cw_docker_flags *f);

/* A label of our own, on top of the flags. */
void cw_docker_flags_add_label(struct cw_docker_flags *f, const char *name, const char *value);

/* Was this flag given? f may be NULL. */
bool cw_docker_flags_has(const struct cw_docker_flags *f, const char *name);

/* Lays the flags over the body of a create request, the way later flags of a command line count:
 * a flag with one value replaces, one with several adds; capabilities and ulimits given here take
 * the place of the whole set. network: where aliases belong. f may be NULL. */
void cw_docker_flags_apply(const struct cw_docker_flags *f, const char *network, json_t *body);

/* Names of all supported flags, in order, separated by ", ". */
void cw_docker_flags_names(struct cw_str *out);
