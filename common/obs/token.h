/* common/obs/token.h -- metrics under the names that OpenWhisk gives them.
 *
 * A token is component_action.sub_state; the rules that make names of metrics out of it are those
 * of openwhisk invoker.md 6. With METRICS_KAMON_TAGS (cw_metrics_use_tags) the sub-action is left
 * out of the name and labels say the same. Thread: loop. */
#pragma once

#include <stdbool.h>

#include "common/obs/metrics.h"

struct cw_token {
    const char *component, *action;
    const char *sub;    /* NULL: none */
    const char *state;  /* "counter", or "start"; of timed operations not read */
    const char *labels; /* escaped (cw_metrics_label); used with tags only; NULL: none */
};

struct cw_counter *cw_token_counter(struct cw_metrics *m, const struct cw_token *t,
                                    const char *help);
struct cw_gauge *cw_token_gauge(struct cw_metrics *m, const struct cw_token *t, const char *help);
/* In bytes (stock: megabytes, which its reporter converts). */
struct cw_gauge *cw_token_gauge_bytes(struct cw_metrics *m, const struct cw_token *t,
                                      const char *help);
/* In seconds (stock: milliseconds, likewise). */
struct cw_histogram *cw_token_histogram(struct cw_metrics *m, const struct cw_token *t,
                                        const char *help);
/* Of a number: bounds 1, 2, 5, 10, … 10000. */
struct cw_histogram *cw_token_histogram_number(struct cw_metrics *m, const struct cw_token *t,
                                               const char *help);

/* An operation that begins and then succeeds or fails. */
struct cw_timed {
    struct cw_counter *started, *failed;
    struct cw_histogram *finish_s, *error_s;
};

/* what: plural, for the help texts. m NULL: nothing is counted. */
void cw_timed_init(struct cw_timed *t, struct cw_metrics *m, const struct cw_token *token,
                   const char *what);
void cw_timed_begun(const struct cw_timed *t);
void cw_timed_ended(const struct cw_timed *t, bool ok, double seconds);
