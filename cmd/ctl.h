/* cmd/ctl.h -- what the files of `cwhisk ctl` share: ctl_role.c (options, the table of commands),
 * ctl_client.c (requests to an invoker's administration port), ctl_show.c (tables, JSON, what has
 * changed), ctl_events.c, ctl_clean.c (commands that do more than show one list).
 *
 * A command is one row of a table in ctl_role.c; one that only shows a list needs no code: path,
 * name of the array in the answer, columns. Thread: main; requests run a loop until they are
 * answered. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/str.h"

struct cw_err;
struct cw_http;
struct cw_loop;

/* Exit statuses, cwhisk-ctl(1). */
enum ctl_status {
    CTL_DONE = 0,
    CTL_FAILED = 1,      /* the invoker reported an error, or its answer makes no sense */
    CTL_USAGE = 2,       /* wrong usage */
    CTL_UNREACHABLE = 3, /* nobody answers there */
    CTL_REFUSED = 4,     /* wrong credentials */
    CTL_UNKNOWN = 5,     /* this invoker does not have what was asked for */
};

enum ctl_format {
    CTL_TEXT,    /* strings, numbers, booleans as they are; lists with commas */
    CTL_BYTES,   /* 12.3 MiB */
    CTL_SECONDS, /* of milliseconds: 1.234 s, 12 min */
    CTL_MILLIS,  /* of microseconds: 1.234 ms */
    CTL_PERCENT, /* of a part of 1 */
    CTL_CORES,   /* of thousandths of a core: 0.25 */
};

struct ctl_column {
    const char *title;
    const char *key; /* member of the row; "a.b": of an object in it */
    enum ctl_format format;
};

struct ctl;

struct ctl_command {
    const char *name;
    const char *arguments; /* for the help: "[--dry-run]", or "" */
    const char *help;
    const char *path; /* GET; a %s in it is the one argument, encoded */
    const char *list; /* name of the array of rows */
    const char *id;   /* member that says which row is which */
    const struct ctl_column *columns;
    size_t column_count;
    /* NULL: shows the list. arguments: those after the command, NULL-terminated. */
    enum ctl_status (*run)(struct ctl *c, char **arguments);
};

struct ctl {
    const struct ctl_command *command;
    struct cw_loop *loop;
    struct cw_http *http;
    const char *url;
    char *user, *password;
    int64_t timeout_ms;
    int64_t watch_ms; /* 0: once */
    bool json;
};

/* ---- ctl_client.c ---- */

/* Where and who from the environment, where options did not say; then the client. */
struct ctl_access {
    const char *url, *credentials_file, *ca_file, *cert_file, *key_file;
    bool insecure;
};
int ctl_connect(struct ctl *c, const struct ctl_access *access, char *const *environment,
                struct cw_err *err) CW_MUST_CHECK;
void ctl_disconnect(struct ctl *c);
/* One request. CTL_DONE: *ret_doc is the answer (json_decref). Otherwise *err says what is wrong
 * and what to do. within_ms: beyond the usual time, for answers that are waited for. */
enum ctl_status ctl_ask(struct ctl *c, const char *method, const char *path, int64_t within_ms,
                        json_t **ret_doc, struct cw_err *err) CW_MUST_CHECK;
/* Nothing for so long. */
void ctl_wait(struct ctl *c, int64_t ms);

/* ---- ctl_show.c ---- */

/* A table of rows with their titles; on a terminal as many columns as are whole, from the first,
 * and of a text that comes after them as much as fits. */
void ctl_print_table(FILE *to, const struct ctl_command *command, const json_t *rows);
/* One row as a line: "title=value" pairs, empty ones left out. */
void ctl_print_line(FILE *to, const struct ctl_command *command, const json_t *row);
void ctl_print_json(FILE *to, const json_t *doc);
/* The rows of an answer; NULL with *err when it has none. Borrowed from doc. */
const json_t *ctl_rows(const struct ctl_command *command, const json_t *doc,
                       struct cw_err *err) CW_MUST_CHECK;

/* What was shown last, for --watch. */
struct ctl_view {
    json_t *rows; /* NULL: nothing yet */
};
void ctl_view_done(struct ctl_view *v);
/* On a terminal: the table in place of the last one. Otherwise a line for each row that is new (+),
 * has changed (~) or is gone (-), with --json an object {"change","row"}. */
void ctl_view_update(struct ctl_view *v, const struct ctl *c, const json_t *rows);

/* ---- commands ---- */

/* Shows the command's list, once or again and again. */
enum ctl_status ctl_run_list(struct ctl *c, char **arguments);
enum ctl_status ctl_run_events(struct ctl *c, char **arguments);
enum ctl_status ctl_run_clean(struct ctl *c, char **arguments);
/* Prints "cwhisk ctl: " and the message; returns status. */
enum ctl_status ctl_fail(enum ctl_status status, const struct cw_err *err);
/* For arguments that a command does not take. */
enum ctl_status ctl_bad_argument(const struct ctl *c, const char *argument);
