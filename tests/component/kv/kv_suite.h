/* tests/component/kv/kv_suite.h -- what every kv does, whatever is behind it.
 *
 * Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/kv/kv.h"

/* For setting up and tearing down a case. */
struct kv_world {
    struct cw_loop *loop;
    struct cw_kv *kv;    /* up */
    struct cw_kv *other; /* another one to the same place; the same where there is only one */
    /* Time passes for expiry: really, or by a clock of the test. */
    void (*pass)(struct kv_world *w, int64_t ms);
};

/* Waiting for the end of calls. */
struct kv_answer {
    bool ended;
    enum cw_code code;
    bool retriable;
    char msg[232];
    size_t count;     /* of hashes or keys */
    char text[16384]; /* "key{name=value,…}" of hashes, sorted; "key,key" of keys, sorted */
};

void kv_answer_done(void *arg, const struct cw_err *err);
void kv_answer_hashes(void *arg, const struct cw_kv_hash *hashes, size_t count,
                      const struct cw_err *err);
void kv_answer_keys(void *arg, const struct cw_slice *keys, size_t count, const struct cw_err *err);
/* Runs the loop until it has ended. Fails the test when it does not within 10 s. */
void kv_wait(struct cw_loop *loop, const struct kv_answer *a);
/* One field, waits. */
void kv_put_one(struct cw_loop *loop, struct cw_kv *kv, const char *key, const char *name,
                const char *value, int64_t expire_ms);
/* Of one hash, waits; lives until the next. */
const char *kv_get_text(struct cw_loop *loop, struct cw_kv *kv, const char *key,
                        struct kv_answer *a);

/* The cases: each leaves nothing behind that another would see. */
struct kv_case {
    const char *name;
    void (*run)(struct kv_world *w);
};
/* Runs them as a group; run gets a case as its state. How many failed. */
int kv_run_cases(void (*run)(void **state), int (*setup)(void **state),
                 int (*teardown)(void **state));
