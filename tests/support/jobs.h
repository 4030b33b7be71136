/* tests/support/jobs.h -- activations for tests of the invoker's parts. */
#pragma once

#include <stdbool.h>

struct cw_manifest;
struct cw_action;
struct inv_job;
struct inv_settings;

/* Defaults, the required settings, and these variables ("K=V", NULL-terminated; may be NULL).
 * Release with cw_conf_free(inv_settings_table(), …). */
void test_settings(const char *const *more, struct inv_settings *ret);

/* A manifest with nodejs:20 (default). */
struct cw_manifest *test_manifest(void);

struct test_message {
    char id;                    /* one hex digit, repeated 32 times */
    const char *action;         /* name; NULL: hello */
    const char *revision;       /* JSON; NULL: "1-a" quoted */
    const char *limits;         /* JSON object of the user; NULL: {} */
    const char *transid;        /* JSON; NULL: ["t",1] */
    const char *locked_args;    /* JSON object; NULL: {} */
    const char *content;        /* JSON; NULL: {} */
    const char *user_namespace; /* NULL: guest */
    bool non_blocking;
};

/* JSON text; free() it. */
char *test_message_text(const struct test_message *m);
/* Action document; free() it. */
char *test_action_text(const char *name, unsigned timeout_ms, unsigned memory_mb, unsigned logs_mb,
                       unsigned concurrency);
/* A reference. */
struct cw_action *test_action(const struct cw_manifest *m, const char *name, unsigned timeout_ms,
                              unsigned memory_mb, unsigned logs_mb, unsigned concurrency);
/* action: a reference that the job takes; may be NULL. */
struct inv_job *test_job(const struct test_message *m, struct cw_action *action);
