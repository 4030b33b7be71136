/* docker/runtimes/native/action.h -- the user's program: put in place by /init, run by /run.
 *
 * The code is either text (a script with a shebang; without one, for /bin/sh) or a base64 zip that
 * contains `exec`; without code, a program that is already in the image at `exec` is used. Each
 * activation is one process: arguments as JSON in argv[1] (left out when they are longer than the
 * system takes) and on standard input; the last line of standard output is the result, everything
 * else is log. Thread: the only one. */
#pragma once

#include <stdbool.h>

#include "common/base/str.h"
#include "docker/runtimes/native/child.h"

struct ap_response;

struct ap_action {
    const char *dir; /* holds `exec`; also the program's working directory */
    struct ap_log out, err;
    bool ready;
};

/* Prepares *a and makes dir the working directory; -1 with *err when it cannot be entered. */
int ap_action_setup(struct ap_action *a, const char *dir, struct cw_err *err) CW_MUST_CHECK;
/* message: the request's JSON object, checked. resp arrives with status 200 and an empty body. */
void ap_action_init(struct ap_action *a, struct cw_slice message, struct ap_response *resp);
void ap_action_run(struct ap_action *a, struct cw_slice message, struct ap_response *resp);
