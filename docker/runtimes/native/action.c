/* Arguments and results travel as the bytes they arrived in: cut out of the request, checked on the
 * way back, never re-encoded. */
#include "docker/runtimes/native/action.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/base64.h"
#include "common/base/err.h"
#include "common/json/raw.h"
#include "docker/runtimes/native/http.h"

enum {
    MAX_CODE = 160 * 1024 * 1024,
    MAX_RESULT = 64 * 1024 * 1024,
    MAX_NAME = 64 * 1024,
    MAX_ARGUMENT = 131071, /* the kernel's MAX_ARG_STRLEN less the NUL */
};

#define EXEC "./exec"
#define ARCHIVE "./.action.zip"

int ap_action_setup(struct ap_action *a, const char *dir, struct cw_err *err)
{
    *a = (struct ap_action){.dir = dir, .out = {.fd = 1}, .err = {.fd = 2}};
    if (mkdir(dir, 0755) != 0 && errno != EEXIST)
        return cw_fail_errno(err, errno, "mkdir %s", dir);
    return chdir(dir) == 0 ? 0 : cw_fail_errno(err, errno, "chdir %s", dir);
}

static void complain(struct ap_action *a, const char *text)
{
    ap_log_write(&a->err, cw_slice_of(text));
    ap_log_write(&a->err, CW_SLICE("\n"));
}

/* ---- environment ---- */

/* Strings as they are, null as nothing, the rest as JSON text. What the environment cannot hold (a
 * NUL, '=' in a name) is skipped: it must not fail the activation. */
static void set_variable(struct ap_action *a, const char *name, struct cw_slice value)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, MAX_CODE);
    if (cw_raw_type(value) == CW_RAW_STRING)
        cw_raw_unescape(value, &text);
    else if (cw_raw_type(value) != CW_RAW_NULL)
        cw_str_adds(&text, value);
    if (memchr(text.p, 0, text.n) != NULL || setenv(name, text.p, 1) != 0)
        complain(a, "environment variable cannot be set");
}

/* Every member of object but `skip` (may be NULL) becomes a variable. */
static void set_variables(struct ap_action *a, struct cw_slice object, const char *prefix,
                          const char *skip)
{
    struct cw_raw_iter it = cw_raw_iter(object);
    cw_auto_str struct cw_str name;
    struct cw_slice key, value;

    cw_str_init(&name, MAX_NAME);
    while (cw_raw_next_member(&it, &key, &value)) {
        if (skip && cw_raw_string_is(key, skip))
            continue;
        cw_str_reset(&name);
        cw_str_addz(&name, prefix);
        cw_raw_unescape(key, &name);
        for (size_t i = 0; prefix[0] && i < name.n;
             i++) /* ours are upper-case, the user's as given */
            name.p[i] = (char)toupper((unsigned char)name.p[i]);
        if (!name.failed && memchr(name.p, 0, name.n) == NULL)
            set_variable(a, name.p, value);
    }
}

/* ---- /init ---- */

static int write_file(const char *path, struct cw_slice text, mode_t mode, struct cw_err *err)
{
    int fd;

    (void)unlink(path); /* it may be a program that is running, or a link */
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return cw_fail_errno(err, errno, "create %s", path);
    while (text.n > 0) {
        ssize_t n = write(fd, text.p, text.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            cw_fail_errno(err, errno, "write %s", path);
            close(fd);
            return -1;
        }
        text.p += n;
        text.n -= (size_t)n;
    }
    return close(fd) == 0 ? 0 : cw_fail_errno(err, errno, "write %s", path);
}

/* The image's own unzip; the archive comes from the action's owner and runs in their container. */
static int unpack(struct ap_action *a, struct cw_err *err)
{
    const char *const plain[] = {"unzip", "-o", "-q", ARCHIVE, NULL};
    const char *const busybox[] = {"busybox", "unzip", "-o", "-q", ARCHIVE, NULL};
    struct ap_child child = {.argv = plain, .out = &a->err, .err = &a->err};
    int status = ap_child_run(&child, err);

    if (status == 127) {
        child.argv = busybox;
        status = ap_child_run(&child, err);
    }
    if (status > 0)
        cw_fail(err, CW_INVALID, "unzip failed with status %d", status);
    return status == 0 ? 0 : -1;
}

static int put_archive(struct ap_action *a, struct cw_slice base64, struct cw_err *err)
{
    cw_auto_str struct cw_str bytes;
    int status;

    cw_str_init(&bytes, MAX_CODE);
    if (cw_base64_decode(base64, CW_BASE64_STANDARD, &bytes, err) != 0)
        return cw_err_wrap(err, "code");
    if (write_file(ARCHIVE, cw_str_slice(&bytes), 0600, err) != 0)
        return -1;
    status = unpack(a, err);
    (void)unlink(ARCHIVE);
    return status;
}

static int put_code(struct ap_action *a, struct cw_slice value, struct cw_err *err)
{
    cw_auto_str struct cw_str code;
    struct cw_slice raw, binary;

    cw_str_init(&code, MAX_CODE);
    if (!cw_raw_get(value, "code", &raw) || cw_raw_type(raw) == CW_RAW_NULL)
        return 0; /* the image brings the program */
    if (cw_raw_type(raw) != CW_RAW_STRING)
        return cw_fail(err, CW_INVALID, "the code is not a string");
    cw_raw_unescape(raw, &code);
    if (code.failed)
        return cw_fail(err, CW_TOO_LARGE, "the code is larger than %d bytes", MAX_CODE);
    if (cw_raw_get(value, "binary", &binary) && cw_raw_is_true(binary))
        return put_archive(a, cw_str_slice(&code), err);
    return write_file(EXEC, cw_str_slice(&code), 0755, err);
}

static void end_of_activation(struct ap_action *a)
{
    ap_log_end(&a->out);
    ap_log_end(&a->err);
}

void ap_action_init(struct ap_action *a, struct cw_slice message, struct ap_response *resp)
{
    struct cw_err err = {0};
    struct cw_slice value, env;

    if (a->ready) {
        complain(a, "Cannot initialize the action more than once.");
        ap_respond_error(resp, 403, "Cannot initialize the action more than once.");
        return;
    }
    if (!cw_raw_get(message, "value", &value) || cw_raw_type(value) != CW_RAW_OBJECT)
        value = CW_SLICE("{}");
    if (cw_raw_get(value, "env", &env) && cw_raw_type(env) == CW_RAW_OBJECT)
        set_variables(a, env, "", NULL);
    if (put_code(a, value, &err) != 0)
        complain(a, err.msg);
    else if (((void)chmod(EXEC, 0755), access(EXEC, X_OK)) != 0) /* zips may lose the x bit */
        complain(a, "There is no executable file named exec.");
    else
        a->ready = true;
    if (a->ready) {
        cw_str_addz(&resp->body, "{\"ok\":true}");
        return;
    }
    end_of_activation(a);
    ap_respond_error(resp, 502,
                     "The action failed to generate or locate a binary. See logs for details.");
}

/* ---- /run ---- */

static void respond_result(struct ap_action *a, struct cw_slice line, struct ap_response *resp)
{
    struct cw_slice result;
    bool usable = cw_raw_check(line, CW_RAW_MAX_DEPTH, &result, NULL) == 0 &&
                  (cw_raw_type(result) == CW_RAW_OBJECT || cw_raw_type(result) == CW_RAW_ARRAY);

    if (usable) {
        cw_str_adds(&resp->body, result);
        return;
    }
    ap_log_write(&a->out, line); /* whatever it is, its owner may want to see it */
    ap_respond_error(resp, 502, "The action did not return a dictionary or array.");
}

void ap_action_run(struct ap_action *a, struct cw_slice message, struct ap_response *resp)
{
    cw_auto_str struct cw_str line;
    cw_auto_free char *argument = NULL;
    struct cw_err err = {0};
    struct cw_slice value;

    cw_str_init(&line, MAX_RESULT);
    if (!a->ready) {
        complain(a, "System not initialized.");
        ap_respond_error(resp, 403, "System not initialized.");
        return;
    }
    if (!cw_raw_get(message, "value", &value) || cw_raw_type(value) == CW_RAW_NULL)
        value = CW_SLICE("{}");
    if (cw_raw_type(value) != CW_RAW_OBJECT && cw_raw_type(value) != CW_RAW_ARRAY) {
        ap_respond_error(resp, 403,
                         "The action did not receive a dictionary or array as an argument.");
        return;
    }
    set_variables(a, message, "__OW_", "value");
    if (value.n <= MAX_ARGUMENT)
        argument = cw_slice_dup(value);
    if (ap_child_run(&(struct ap_child){.argv = (const char *const[]){EXEC, argument, NULL},
                                        .input = value,
                                        .out = &a->out,
                                        .err = &a->err,
                                        .last_line = &line},
                     &err) < 0)
        complain(a, err.msg);
    respond_result(a, cw_str_slice(&line), resp);
    end_of_activation(a);
}
